"""What a table's name says: `[options,]ark|scp:filename`, Kaldi's rspecifiers and wspecifiers."""

from __future__ import annotations

import re
import string
from dataclasses import dataclass

from lstmgenre.errors import DataError, FormatError

# b, t, o, no, ns, ncs, np and bg are hints to Kaldi's own readers and change nothing here.
_READ_OPTIONS = {"b", "t", "o", "no", "s", "ns", "cs", "ncs", "p", "np", "bg"}
_WRITE_OPTIONS = {"b", "t", "f", "nf", "p"}

# A range may end this many rows after the last one and is then cut (Kaldi: features and labels rarely agree exactly).
_ROW_TOLERANCE = 3


@dataclass(frozen=True)
class Rspecifier:
    script: bool  # scp: a list of files, else an archive
    rxfilename: str
    permissive: bool  # p: skip what cannot be read
    sorted: bool  # s: the keys come in C-locale order
    called_sorted: bool  # cs: keys will be asked for in that order


@dataclass(frozen=True)
class Wspecifier:
    archive: str  # wxfilename
    script: str  # path of the scp, "" for none
    text: bool
    flush: bool


def parse_rspecifier(rspecifier: str) -> Rspecifier:
    """Raises DataError for what is no rspecifier."""
    words, rxfilename = _split(rspecifier, "rspecifier")
    kinds = [word for word in words if word in ("ark", "scp")]
    unknown = set(words) - _READ_OPTIONS - set(kinds)
    if len(kinds) != 1 or unknown:
        raise DataError(
            f"'{rspecifier}': no rspecifier: write ark:FILE or scp:FILE, with options "
            f"({','.join(sorted(_READ_OPTIONS))}) before the colon"
        )
    return Rspecifier(kinds == ["scp"], rxfilename, "p" in words, "s" in words, "cs" in words)


def parse_wspecifier(wspecifier: str) -> Wspecifier:
    """Raises DataError for what is no wspecifier."""
    words, names = _split(wspecifier, "wspecifier")
    kinds = [word for word in words if word in ("ark", "scp")]
    archive, comma, script = names.partition(",") if len(kinds) == 2 else (names, ",", "")
    unknown = set(words) - _WRITE_OPTIONS - set(kinds)
    if kinds not in (["ark"], ["ark", "scp"]) or unknown or not comma:
        raise DataError(
            f"'{wspecifier}': no wspecifier: write ark:FILE or ark,scp:FILE.ark,FILE.scp, with options "
            f"({','.join(sorted(_WRITE_OPTIONS))}) before the colon"
        )
    return Wspecifier(archive.rstrip(string.whitespace), script.lstrip(string.whitespace), "t" in words, "f" in words)


def _split(specifier: str, what: str) -> tuple[list[str], str]:
    head, colon, name = specifier.partition(":")
    if not colon:
        raise DataError(f"'{specifier}': no {what}: put ark: (an archive) or scp: (a list of files) before the name")
    return [word.strip() for word in head.split(",")], name.strip(string.whitespace)


def split_range(rxfilename: str) -> tuple[str, str]:
    """`feats.ark:6[0:4,2:3]` -> (`feats.ark:6`, `0:4,2:3`); the range is empty where there is none."""
    if rxfilename.endswith("]") and "[" in rxfilename:
        name, _, text = rxfilename[:-1].rpartition("[")
        return name, text
    return rxfilename, ""


def parse_range(text: str, shape: tuple[int, ...]) -> tuple[tuple[slice, ...], bool]:
    """The slices of an inclusive `r0:r1,c0:c1` over an array of `shape`, and whether the last row had to be cut.

    `:` or nothing stands for everything. r1 may lie up to 3 rows after the last. Raises FormatError.
    """
    parts = text.split(",")
    if len(parts) > len(shape):
        raise FormatError(f"range [{text}] has more dimensions than the {len(shape)} of the value")
    slices, cut = [], False
    for axis, (part, size) in enumerate(zip(parts, shape, strict=False)):
        if part.strip() in ("", ":"):
            slices.append(slice(None))
            continue
        match = re.fullmatch(r"\s*(\d{1,18}):(\d{1,18})\s*", part)
        first, last = (int(match[1]), int(match[2])) if match else (1, 0)
        tolerance = _ROW_TOLERANCE if axis == 0 else 0
        if not first <= last < size + tolerance or first >= size:
            raise FormatError(f"range [{text}] is no inclusive FIRST:LAST,FIRST:LAST within a value of {shape}")
        cut |= last >= size
        slices.append(slice(first, min(last + 1, size)))
    return tuple(slices), cut
