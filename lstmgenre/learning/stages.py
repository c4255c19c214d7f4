"""The stages of `lstmgenre learn`. Each leaves what it made in WORK/data and WORK/exp as the single commands do, and
finds there what a run before it had made of the same tracks and settings.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import msgspec

from lstmgenre import packing
from lstmgenre.datadir import DataDir
from lstmgenre.documents import read_json, write_json
from lstmgenre.errors import DataError
from lstmgenre.files import exclusive, state_of
from lstmgenre.learning.data import Corpus, prepare
from lstmgenre.learning.evaluation import FOLDS, TEST, choose, evidence_of, forget_test, report, score_test
from lstmgenre.learning.networks import train_networks
from lstmgenre.learning.settings import Means, Settings
from lstmgenre.scattering import scat_json
from lstmgenre.scoring import MAJORITY_VOTE, Accuracy, Report, TrackScore
from lstmgenre.selection import VOTE, Selection
from lstmgenre.tables import file_of

logger = logging.getLogger(__name__)

_MADE_FROM = "made_from.json"


class _Mark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What made_from.json says: a fingerprint of tracks, features and settings."""

    made_from: str


@dataclass(frozen=True)
class Learnt:
    """What was learnt from and left out, how the system was chosen, and how it does on the tracks kept to test on."""

    train: DataDir
    left_out: int
    selection: Selection
    test: Report | None
    report: Path
    takes_audio: bool
    """Or else features, as those from elsewhere that it was learnt from."""

    @property
    def test_score(self) -> TrackScore | None:
        """Of the system that was chosen."""
        name = self.selection.chosen.name
        return self.test.tracks[MAJORITY_VOTE if name == VOTE else name] if self.test else None

    @property
    def largest(self) -> Accuracy:
        """Of always naming the genre of most tracks."""
        return Accuracy(max(Counter(self.train.utt2genre.values()).values()), len(self.train.utt2genre))


def learn(
    corpus: Corpus,
    out: Path,
    work: Path,
    *,
    system: str | None = None,
    settings: Settings | None = None,
    means: Means | None = None,
) -> Learnt:
    """Train all systems on a corpus and pack the one that cross-validation chooses, or `system`, as a bundle in `out`.

    Tracks that are kept to test on have no part in any of it; all others are learnt from. Raises DataError where the
    corpus cannot be used, or another run is at `work`.
    """
    settings, means = settings or Settings(), means or Means()
    exp = work / "exp" / "lstm"
    with exclusive(work):
        _check_is_ours(exp)
        data, left_out = prepare(corpus, work / "data", settings, means)
        train, test = data["train"], data.get(TEST)
        _discard_what_is_of_others(exp, train, settings)
        folds = train_networks(train, exp, settings, means)
        chosen = choose(train, evidence_of(train, folds, exp), exp, system, means)
        forget_test(exp)
        scores = score_test(test, train, exp) if test else None
        packing.pack([exp], chosen.chosen.name, out)
        logger.info("bundle: wrote %s", out)
        written = report(exp.parent, TEST if test else FOLDS, corpus.name)
        takes_audio = scat_json.read(out) is not None
    return Learnt(train, left_out, chosen, scores, written, takes_audio)


def _check_is_ours(exp: Path) -> None:
    """Raises DataError before hours of work where somebody else's networks lie; a kill leaves a directory of none."""
    if exp.is_dir() and not (exp / _MADE_FROM).exists() and any(not name.startswith(".") for name in os.listdir(exp)):
        raise DataError(f"{exp}: is there, and lstmgenre learn has not made it: give another --work")


def _discard_what_is_of_others(exp: Path, train: DataDir, settings: Settings) -> None:
    """Let a run go on only with what was made of the same tracks, features and settings."""
    archives = sorted({file_of(entry) for entry in train.feats.values()})
    parts = [
        train.utt2genre,
        train.utt2spk,
        train.feats,
        [state_of(archive) for archive in archives],
        settings.as_dict(),
    ]
    made_from = hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()
    mark = exp / _MADE_FROM
    if mark.exists() and read_json(mark, _Mark, "remove it").made_from != made_from:
        logger.info("networks: other tracks or settings than those of the last run: all are trained anew")
        old = exp.with_name(f".{exp.name}.old")  # a kill leaves this, and nothing half removed
        shutil.rmtree(old, ignore_errors=True)
        exp.rename(old)
        shutil.rmtree(old)
    write_json(mark, _Mark(made_from))
