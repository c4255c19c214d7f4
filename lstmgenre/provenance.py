"""Which tracks a model learnt from, so that nobody takes a score on them for a test score.

MODEL_DIR/utt2content, of a network, an SVM or a bundle, has a line a track: its name and a digest of its recording (`-`
where that is not known, as of features that extract-scat did not make). What was held out to choose a network counts.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from lstmgenre.documents import Option
from lstmgenre.errors import LstmGenreError
from lstmgenre.scattering.journal import Journal
from lstmgenre.tables import file_of, first_file, read_map, write_map
from lstmgenre.tables.opening import split_offset
from lstmgenre.tables.records import Record, read_record

NAME = "utt2content"
UNKNOWN = "-"


class _Made(Record):
    """What the record of posteriors or segment vectors says of where they came from."""

    name: str = ""
    options: dict[str, Option] = msgspec.field(default_factory=dict)


def contents_of(feats: Mapping[str, str]) -> dict[str, str]:
    """The recording behind each line of a feats.scp, as the journals of the archives know it."""
    places = {utterance: split_offset(rxfilename) for utterance, rxfilename in feats.items() if file_of(rxfilename)}
    known: dict[tuple[str, int], str] = {}
    for archive in {archive for archive, _ in places.values()}:
        if os.path.exists(journal := Path(archive).with_suffix(".journal")):
            known |= {(archive, entry.offset): entry.content for entry in Journal.read(journal).entries}
    return {utterance: known.get(places.get(utterance, ("", 0)), UNKNOWN) for utterance in feats}


def write(model_dir: Path, feats: Mapping[str, str], utterances: Iterable[str]) -> None:
    """Keep in MODEL_DIR what it learns from; `feats` are the features of these utterances, where there are any."""
    lines = {utterance: feats.get(utterance, "") for utterance in sorted(utterances)}
    write_map(model_dir / NAME, contents_of(lines))


def read(model_dir: Path) -> dict[str, str]:
    """What a model learnt from; {} where that is not recorded. Raises FormatError for a damaged file."""
    path = model_dir / NAME
    return read_map(path) if path.is_file() else {}


def behind(rspecifier: str) -> dict[str, str]:
    """What the network learnt from that these posteriors, or vectors pooled from such, came out of, as the records
    beside the archives tell; {} where they do not."""
    made = _made(rspecifier)
    if made and made.name == "pool-segments" and "posteriors" in made.options:
        made = _made(str(made.options["posteriors"]))
    if made and made.name == "forward" and "model" in made.options:
        model = Path(str(made.options["model"]))
        return read(model if model.is_dir() else model.parent)
    return {}


def _made(rspecifier: str) -> _Made | None:
    try:
        archive = first_file(rspecifier)
        return read_record(archive, _Made, "make it again") if archive else None
    except LstmGenreError:
        return None


def seen(tested: Mapping[str, str], trained: Mapping[str, str]) -> set[str]:
    """Those of the tested tracks that were learnt from: the same recording, or where that is not known, the same name.

    Both map utterances to contents.
    """
    contents = set(trained.values()) - {UNKNOWN}
    return {
        utterance
        for utterance, content in tested.items()
        if content in contents or (utterance in trained and UNKNOWN in (content, trained[utterance]))
    }
