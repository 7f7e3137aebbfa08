"""Finds modalities: by entry point, or by ``package.module:Class``."""

import dataclasses
import importlib
import importlib.metadata
import inspect
from typing import NamedTuple

from multigan.errors import UserError
from multigan.modality import Modality
from multigan.validation import nearest

GROUP = "multigan.modalities"


class Listed(NamedTuple):
    """A modality as it is listed.

    Attributes:
        name: What ``--modality`` takes.
        package: The distribution it comes from, with its version.
        target: ``module:Class``.
        error: Why it cannot be used; None if it can.
    """

    name: str
    package: str
    target: str
    error: str | None


def names() -> list[str]:
    """The names of the modalities installed, sorted; nothing is imported."""
    return sorted({entry.name for entry in importlib.metadata.entry_points(group=GROUP)})


def installed() -> list[Listed]:
    """Every installed modality, imported to see whether it works; one that fails does not affect the others."""
    listed = []
    for entry in sorted(importlib.metadata.entry_points(group=GROUP), key=lambda entry: entry.name):
        package = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "unknown"
        try:
            load(entry.name)
            error = None
        except UserError as problem:
            error = str(problem)
        listed.append(Listed(entry.name, package, entry.value, error))
    return listed


def load(name: str) -> type[Modality]:
    """The modality of that name; only its own module is imported.

    Raises:
        UserError: There is none of that name, or it cannot be imported or used.
    """
    found = list(importlib.metadata.entry_points(group=GROUP, name=name))
    if len({entry.value for entry in found}) > 1:
        raise UserError(f"several packages install a modality {name!r}: {', '.join(entry.value for entry in found)}")
    if not found and ":" not in name:
        others = f"; installed are {', '.join(names())}; a class of your own is package.module:Class"
        raise UserError(f"no modality {name!r}{nearest(name, names(), others)}")
    target = found[0].value if found else name
    module, _, attribute = target.partition(":")
    try:
        modality = getattr(importlib.import_module(module), attribute)
    except (
        Exception,
        SystemExit,
    ) as error:  # a third-party module may fail in any way, and must not affect anything else
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(f"modality {name!r} ({target}) fails to import: {reason}") from error
    if not (inspect.isclass(modality) and issubclass(modality, Modality)):
        raise UserError(f"modality {name!r} ({target}) is not a subclass of multigan.Modality")
    if inspect.isabstract(modality):
        raise UserError(f"modality {name!r} ({target}) lacks {', '.join(sorted(modality.__abstractmethods__))}")
    if not dataclasses.is_dataclass(getattr(modality, "Config", None)):
        raise UserError(f"modality {name!r} ({target}) lacks Config, a dataclass of its settings")
    return modality
