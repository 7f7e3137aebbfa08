"""Validation of settings: values of the declared types, and errors that say what was expected."""

from __future__ import annotations

import contextlib
import difflib
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from multigan.errors import UserError

WORDS = {type(None): "null", bool: "true or false", int: "a whole number", float: "a number", str: "text"}
SEVERAL = {int: "whole numbers", float: "numbers", str: 'words (numbers, true and no in quotes: ["1", "no"])'}


def typed_values(fields: Mapping[str, Any], hints: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values under their names, each of which has a type in ``hints``: see `typed_fields`."""
    values = {}
    for name, value in fields.items():
        hint = hints.get(prefix + name)
        if hint is None:
            raise UserError(f"unknown setting {prefix}{name}{nearest(prefix + name, hints)}")
        try:
            values[name] = typed(value, hint)
        except TypeError as error:
            raise UserError(f"{prefix}{name} is {to_plain(value)!r}: expected {describe(hint)}") from error
    return values


def typed(value: Any, kind: Any) -> Any:
    """A value as one of a type as dataclass fields have them.

    Raises:
        TypeError: It is of another type.
    """
    inner = typing.get_args(kind)
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        for option in inner:
            with contextlib.suppress(TypeError):
                return typed(value, option)
    elif typing.get_origin(kind) is tuple and isinstance(value, list | tuple):
        kinds = inner[:1] * len(value) if inner[-1] is Ellipsis else inner
        if len(kinds) == len(value):
            return tuple(typed(entry, kind) for entry, kind in zip(value, kinds, strict=True))
    elif kind is float and (type(value) in (int, float) or isinstance(value, str)):
        with contextlib.suppress(ValueError, OverflowError):  # to YAML, 1e-4 without a point is a word
            return float(value)
    elif kind is Any or type(value) is kind or value in inner:
        return value
    raise TypeError


def describe(kind: Any) -> str:
    """A type in words: "a whole number or null"."""
    inner = typing.get_args(kind)
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return " or ".join(describe(option) for option in inner)
    if typing.get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, inner))}"
    if typing.get_origin(kind) is tuple:
        return f"a list of {'' if inner[-1] is Ellipsis else f'{len(inner)} '}{SEVERAL.get(inner[0], inner[0])}"
    return WORDS.get(kind, str(kind))


def nearest(name: str, names: Iterable[str], otherwise: str = "; --help lists them all") -> str:
    """``; did you mean NAME?`` where one of the names, or its part after the dot, is near."""
    by_last = {known.rpartition(".")[2]: known for known in reversed(list(names))}
    close = difflib.get_close_matches(name.rpartition(".")[2], by_last, 1)
    return f"; did you mean {by_last[close[0]]}?" if close else otherwise


def to_plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: to_plain(entry) for key, entry in value.items()}
    return [to_plain(entry) for entry in value] if isinstance(value, tuple | list) else value
