"""GTZAN: 1 000 excerpts of 30 s, a hundred of each of ten genres, named GENRE.NUMBER.

It holds copies and faulty excerpts, and its artists are not given (Sturm, "The GTZAN dataset", 2013). The split
"filtered" (Kereliuk, Sturm and Larsen, 2015) leaves such excerpts out and keeps artists apart; torchaudio carries its
lists.
"""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import Any

from lstmgenre.corpora import LeftOut, Offer
from lstmgenre.corpora.intake import Intake
from lstmgenre.corpora.search import search
from lstmgenre.datadir import DataDir
from lstmgenre.errors import DataError

logger = logging.getLogger(__name__)

_NAME = re.compile(r"([a-z]+)\.(\d{5})\.(wav|au)", re.IGNORECASE)
_NOTES = {"jazz.00054": "it is broken in common copies of GTZAN"}


def prepare(
    src: str | os.PathLike[str], out: str | os.PathLike[str], *, filtered: bool = True, **options: Any
) -> dict[str, DataDir]:
    """Write `out`/train, `out`/valid and `out`/test (443, 197 and 290 tracks), or a random split, from wav or au files.

    Where the files are below `src` does not matter. `options` are those of Intake; those of the split
    count for a random one.

    Raises DataError where none are there.
    """
    from lstmgenre._torchaudio import import_functional

    import_functional()  # after it other parts of torchaudio can be imported, too, beside any torch
    from torchaudio.datasets import gtzan

    out = Path(out)
    found = search(Path(src), besides=out)
    left_out = list(found.left_out)
    excerpts: dict[str, Path] = {}
    for path in sorted(found.files, key=lambda path: path.suffix.lower() != ".wav"):
        match = _NAME.fullmatch(path.name)
        if not match or match[1].lower() not in gtzan.gtzan_genres:
            left_out.append(LeftOut(path, "no excerpt of GTZAN", "its name is not like blues.00000.wav"))
        elif (first := excerpts.setdefault(f"{match[1]}.{match[2]}".lower(), path)) != path:
            left_out.append(LeftOut(path, "there twice", f"used {first}"))
    if not excerpts:
        raise DataError(f"{src}: no file like blues.00000.wav or blues.00000.au: is this GTZAN?")
    sets: dict[str, str | None] = dict.fromkeys(excerpts)
    if filtered:
        lists = {"train": gtzan.filtered_train, "valid": gtzan.filtered_valid, "test": gtzan.filtered_test}
        sets = {excerpt: name for name, listed in lists.items() for excerpt in listed}
    else:
        logger.warning("a random split of GTZAN has copies and artists on both sides: its scores flatter")
    offers = []
    for excerpt, path in sorted(excerpts.items()):
        if excerpt in sets:
            offers.append(Offer(path, excerpt, excerpt.split(".")[0], set=sets[excerpt], note=_NOTES.get(excerpt, "")))
        else:
            left_out.append(LeftOut(path, "filtered out", "a copy, or at fault: not in the filtered lists"))
    for excerpt in sorted(sets.keys() - excerpts.keys()):
        path = Path(os.path.abspath(src), excerpt.split(".")[0], f"{excerpt}.wav")
        left_out.append(LeftOut(path, "missing", "in the filtered lists, but not there"))
    return Intake(**options).take(out, offers, left_out)
