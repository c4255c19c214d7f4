"""What a table's name says: `[options,]ark|scp:filename`, Kaldi's rspecifiers and wspecifiers."""

from __future__ import annotations

import re
import string
from dataclasses import dataclass

from lstmgenre.errors import FormatError, UsageError

# b, t, o, no, ns, ncs, np and bg are hints to Kaldi's own readers and change nothing here.
_READ_OPTIONS = {"b", "t", "o", "no", "s", "ns", "cs", "ncs", "p", "np", "bg"}
_WRITE_OPTIONS = {"b", "t", "f", "nf", "p"}

# A range may end this many rows after the last one and is then cut (Kaldi: features and labels rarely agree exactly).
_ROW_TOLERANCE = 3


@dataclass(frozen=True)
class Rspecifier:
    head: str  # what stands before the colon: p,scp
    script: bool  # scp: a list of files, else an archive
    rxfilename: str
    permissive: bool  # p: skip what cannot be read
    sorted: bool  # s: the keys come in C-locale order
    called_sorted: bool  # cs: keys will be asked for in that order


@dataclass(frozen=True)
class Wspecifier:
    archive: str  # wxfilename, "" for none (or standard output)
    script: str  # path of the scp, "" for none
    scattered: bool  # scp alone: it is there, and says for every key in which file the value goes
    text: bool
    flush: bool
    permissive: bool  # p: of an scp alone, leave out the keys that it does not name


def parse_rspecifier(rspecifier: str) -> Rspecifier:
    """Raises UsageError for what is no rspecifier."""
    words, rxfilename = _split(rspecifier, "rspecifier")
    kinds = [word for word in words if word in ("ark", "scp")]
    unknown = set(words) - _READ_OPTIONS - set(kinds)
    if len(kinds) != 1 or unknown:
        raise UsageError(
            f"'{rspecifier}': no rspecifier: write ark:FILE or scp:FILE, with options "
            f"({','.join(sorted(_READ_OPTIONS))}) before the colon"
        )
    return Rspecifier(",".join(words), kinds == ["scp"], rxfilename, "p" in words, "s" in words, "cs" in words)


def is_wspecifier(name: str) -> bool:
    """Whether it is meant as one, right or wrong, and not as a file, `-` or a command."""
    words = name.partition(":")[0].split(",") if ":" in name else []
    return any(word.strip() in ("ark", "scp") for word in words)


def parse_wspecifier(wspecifier: str) -> Wspecifier:
    """Raises UsageError for what is no wspecifier."""
    words, names = _split(wspecifier, "wspecifier")
    kinds = [word for word in words if word in ("ark", "scp")]
    first, _, second = names.partition(",") if len(kinds) == 2 else (names, "", "")
    unknown = set(words) - _WRITE_OPTIONS - set(kinds)
    if kinds not in (["ark"], ["scp"], ["ark", "scp"]) or unknown or (len(kinds) == 2 and not second):
        raise UsageError(
            f"'{wspecifier}': no wspecifier: write ark:FILE, ark,scp:FILE.ark,FILE.scp or, with a file list that is "
            f"there, scp:FILE.scp, with options ({','.join(sorted(_WRITE_OPTIONS))}) before the colon"
        )
    archive, script = ("", first) if kinds == ["scp"] else (first, second)
    return Wspecifier(
        archive.rstrip(string.whitespace),
        script.lstrip(string.whitespace),
        kinds == ["scp"],
        "t" in words,
        "f" in words,
        "p" in words,
    )


def _split(specifier: str, what: str) -> tuple[list[str], str]:
    head, colon, name = specifier.partition(":")
    if not colon:
        raise UsageError(f"'{specifier}': no {what}: put ark: (an archive) or scp: (a list of files) before the name")
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
        match = re.fullmatch(r"\s*([0-9]{1,18}):([0-9]{1,18})\s*", part)
        first, last = (int(match[1]), int(match[2])) if match else (1, 0)
        tolerance = _ROW_TOLERANCE if axis == 0 else 0
        if not first <= last < size + tolerance or first >= size:
            raise FormatError(f"range [{text}] is no inclusive FIRST:LAST,FIRST:LAST within a value of {shape}")
        cut |= last >= size
        slices.append(slice(first, min(last + 1, size)))
    return tuple(slices), cut
