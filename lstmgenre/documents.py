"""JSON and TOML documents: each is read into a schema, and what does not fit is told in one line with its field.

A schema is a msgspec.Struct (or what msgspec.convert takes): types, ranges as msgspec.Meta, and rules between fields in
__post_init__, which raises ValueError. Numbers are finite, keys come once, and how deep a document nests is what its
schema says. msgspec and not pydantic: it takes 10 ms to import, pydantic 60 (here, beside Typer).
"""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from lstmgenre.errors import DataError, FormatError, LstmGenreError
from lstmgenre.files import atomic_output, read_file

T = TypeVar("T")

Count = Annotated[int, Meta(ge=0, le=2**53)]
"""A number of things; beyond 2^53 a float would count wrongly."""
Share = Annotated[float, Meta(ge=0, le=1)]
Word = Annotated[str, Meta(pattern=r"^[^\s\x00]+$")]
"""A name as the files of a data directory have it: no white space, not empty."""
Scalar = bool | Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | float | str | None
"""What a setting may be."""
Option = Scalar | list[Scalar]
"""What an option of a command may be."""

LARGEST = 1 << 28
"""Bytes of a document: scores and classifiers of a million tracks have room."""
_LARGEST_TOML = 1 << 14  # tomllib's time grows with the square of a dotted key: a second and a half for this
_NO_UTF8 = re.compile("[\udc80-\udcff]")  # as Python keeps such bytes of a name
_LONGEST_MESSAGE = 300  # characters: the message may quote the document


def read_json(path: Path, schema: type[T], remedy: str, largest: int = LARGEST) -> T:
    """The content of a JSON file, as its schema has it; `largest` is its size at most, in bytes.

    Raises DataError where it is not there or no regular file, and FormatError where it does not fit; both tell
    `remedy`.
    """
    try:
        content = read_file(path, largest)
    except DataError as error:
        raise DataError(f"{error}: {remedy}") from error
    try:
        return decode_json(content, schema)
    except FormatError as error:
        raise FormatError(f"{path}: damaged ({error}): {remedy}") from error


def decode_json(content: bytes, schema: type[T]) -> T:
    """JSON as its schema has it. Raises FormatError, which names the field."""
    try:
        decoded = msgspec.json.decode(content, type=schema, dec_hook=_decode_array)
        json.loads(content, object_pairs_hook=_each_once)  # msgspec takes the last of two fields of one name
    except (ValueError, RecursionError, LstmGenreError) as error:
        raise FormatError(_message(error)) from error
    return decoded


def read_options(path: Path) -> dict[str, dict[str, Option]]:
    """The tables of a TOML file of at most 16 KiB, an option's value each. Raises DataError where it cannot be read,
    and FormatError where it holds anything else.
    """
    content = read_file(path, _LARGEST_TOML)
    where = ""
    try:
        tables = tomllib.loads(content.decode("utf-8"))
        for name, table in tables.items():
            where = name
            if not isinstance(table, dict):
                raise ValueError("no table: an option stands under the [COMMAND] that it is of")
            for option, value in msgspec.convert(table, dict[str, Any]).items():
                where = f"{name}.{option}"
                msgspec.convert(value, Option)
    except tomllib.TOMLDecodeError as error:
        raise FormatError(f"{path}: not TOML: {_message(error)}") from error
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path}: {f'{where}: ' * bool(where)}{_message(error)}") from error
    return tables


def write_json(path: Path, content: Any, indent: int | None = 1) -> None:
    """Write a JSON file, whole or not at all; an array of numpy's becomes a list, a Struct an object, and a byte of a
    name that is not UTF-8 its escape.

    Raises DataError as files.atomic_output.
    """
    text = json.dumps(content, indent=indent, ensure_ascii=False, default=_plain)
    with atomic_output(path) as stream:
        stream.write(_NO_UTF8.sub(lambda byte: rf"\\x{ord(byte[0]) - 0xDC00:02x}", text) + "\n")


def _plain(value: Any) -> Any:
    return msgspec.to_builtins(value, enc_hook=lambda array: array.tolist())


def _decode_array(kind: type, value: Any) -> Any:
    """A vector or matrix of float64, for the numpy.ndarray of a schema."""
    import numpy as np

    assert kind is np.ndarray
    rows = isinstance(value, list) and any(isinstance(row, list) for row in value)
    try:
        return np.array(msgspec.convert(value, list[list[float]] if rows else list[float]), np.float64)
    except ValueError as error:
        raise ValueError(str(error)) from error  # msgspec tells the field of others' errors only


def _each_once(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        twice = next(name for k, name in enumerate(names) if name in names[:k])
        raise ValueError(f"the field {twice!r} comes twice")


def _message(error: Exception) -> str:
    """One line that names the field first: `epochs[0].cv_loss: expected float, got str`."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if "integer string conversion" in str(error):  # of Python, for a number of more than 4300 digits
        return "a number of too many digits"
    text = " ".join(str(error).replace("`", "").split())
    if found := re.fullmatch(r"(.*) - at (key in )?\$\.?(.*)", text):
        what, key, where = found.groups()
        text = f"{where}: {key or ''}{what[:1].lower()}{what[1:]}"
    return text if len(text) <= _LONGEST_MESSAGE else f"{text[:_LONGEST_MESSAGE]} ..."
