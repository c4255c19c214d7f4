"""Damage to bytes and to JSON: what a bad disk, a bad editor and a bad person do to a file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random
from typing import Any

TOKENS = [
    *(b"-1", b"0", b"1_0", b"1e39", b"1e400", b"-1e308", b"nan", b"inf", b"Infinity", b"NaN", b"+5", b"0x10", b"1.5"),
    *(b"2147483647", b"2147483648", b"-2147483649", b"9223372036854775808", b"1" + b"0" * 21, b"7" * 5000),
    *("٣".encode(), "²".encode(), "\u00a0".encode(), "\u2028".encode(), "\u202e".encode(), b"\xef\xbb\xbf"),
    *(
        b"\0",
        b"\xff",
        b"\xff\xff\xff\x7f",
        b"\x00\x00\x00\x80",
        b"\xed\xa0\x80",
        b"\x1b[31m",
        b"\r",
        b"\n",
        b"\t",
        b" ",
    ),
    *(b"[", b"]", b"{", b"}", b'"', b"'", b"\\", b"\\ud800", b":", b",", b"=", b"#", b"<", b">", b"|", b"[" * 3000),
    *(b"true", b"null", b"[]", b"{}", b"..", b"/", b"/dev/null", b"/dev/zero", b"-", b"%s", b"\0B", b"\4", b"PKL"),
    *(b"<Nnet> ", b"</Nnet> ", b"<MaxNorm> ", b"<CellClip> ", b"<Splice> ", b"FM ", b"DM ", b"FV ", b"CM ", b"CM2 "),
]
VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 0.5, -0.5, 1e308, -1e308, 1e-308, 2**31, 2**63, -(2**63) - 1, 10**30, 10**6),
    *("", "x", "a b", "a\nb", "a\0b", "1", "nan", "../x", "/dev/zero", "é", "\x1b[31m", "x" * 10_000),
    *([], {}, [[]], [1], [None], {"x": 1}, [[1.0, 2.0], [3.0]], {"": {}}, [1e308] * 6, ["a", "a"]),
]


def damaged(content: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """`content` after a few accidents; `others` are what pieces may come from."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        start = rng.randint(0, len(data))
        size = rng.choice((1, 1, 2, 4, 8, 32, 200))
        kind = rng.randrange(8)
        if kind == 0 and data:
            data[min(start, len(data) - 1)] = rng.randrange(256)
        elif kind == 1 and data:
            data[min(start, len(data) - 1)] ^= 1 << rng.randrange(8)
        elif kind == 2:
            del data[start : start + size]
        elif kind == 3:
            data[start:start] = rng.choice(TOKENS)
        elif kind == 4:
            data[start : start + size] = rng.choice(TOKENS)
        elif kind == 5:
            data[start:start] = data[start : start + size]  # what is there, once more
        elif kind == 6:
            other = rng.choice(others)
            at = rng.randint(0, len(other))
            data[start : start + size] = other[at : at + rng.choice((8, 64, 1000))]
        elif rng.random() < 0.3:
            del data[start:]
        else:
            _exchange_word(data, rng)
    return bytes(data)


def _exchange_word(data: bytearray, rng: Random) -> None:
    """Put a token in the place of a word."""
    words = [(k, word) for k, word in enumerate(bytes(data[:20_000]).split(b" ")) if word.strip()]
    if words:
        all_words = bytes(data).split(b" ")
        all_words[rng.choice(words)[0]] = rng.choice(TOKENS)
        data[:] = b" ".join(all_words)


def damaged_json(content: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """A JSON document of another content: a value or a field exchanged, lost, moved; or damaged bytes."""
    if rng.random() < 0.3:
        return damaged(content, rng, others)
    document = json.loads(content)
    for _ in range(rng.choice((1, 1, 2, 4))):
        document = _changed(document, rng)
    return json.dumps(document, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")


def _changed(document: Any, rng: Random) -> Any:
    places = list(_places(document))
    if not places:
        return rng.choice(VALUES)
    holder, key = rng.choice(places)
    kind = rng.randrange(6)
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(holder, dict):
        holder[str(rng.choice(VALUES))] = holder[key]
    elif kind == 2:
        other, place = rng.choice(places)
        if not isinstance(other[place], (dict, list)):
            holder[key] = other[place]
    elif kind == 3 and isinstance(holder[key], (int, float)) and not isinstance(holder[key], bool):
        holder[key] = holder[key] * rng.choice((-1, 0, 2, 1000, 1e-9, 1.5)) + rng.choice((0, 1))
    else:
        holder[key] = json.loads(json.dumps(rng.choice(VALUES)))
    return document


def _places(document: Any) -> Any:
    items = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in list(items):
        yield document, key
        yield from _places(value)
