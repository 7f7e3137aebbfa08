"""Fields of a dataclass as a page needs them to draw a form."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterable
from typing import Any

from multigan.validation import to_plain

KINDS = {bool: "boolean", int: "integer", float: "number"}


def form(plugin: type, values: Any, prefix: str = "", without: Iterable[str] = ()) -> list[dict[str, Any]]:
    """A description of each field: its name, kind, default and help, and its choices if it has some.

    Args:
        plugin: A dataclass whose docstring describes its fields.
        values: An instance with the defaults.
        prefix: Of names.
        without: Fields that are left out.
    """
    from docstring_parser import parse  # jsonargparse reads the help of flags with it

    hints = typing.get_type_hints(plugin)
    docs = [cls.__doc__ or "" for cls in reversed(plugin.__mro__) if dataclasses.is_dataclass(cls)]
    texts = {param.arg_name: param.description for doc in docs for param in parse(doc).params}
    fields = []
    for field in dataclasses.fields(plugin):
        if field.name in without:
            continue
        kind, choices, optional = kind_of(hints[field.name])
        row = {"name": prefix + field.name, "kind": kind, "default": to_plain(getattr(values, field.name))}
        help = " ".join((texts.get(field.name) or "").split())
        fields.append({**row, "help": help, "optional": optional, "choices": choices})
    return fields


def kind_of(hint: Any) -> tuple[str, list[Any], bool]:
    """What a type is on a page, its choices, and whether it may be empty."""
    inner = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Literal:
        return "choice", list(inner), False
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        kind, choices, _ = kind_of(next(one for one in inner if one is not type(None)))
        return kind, choices, type(None) in inner
    return KINDS.get(hint, "text"), [], False
