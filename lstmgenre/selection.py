"""Which system a corpus deserves: cross-validation on its tracks, an artist's in one fold.

The systems, the simpler first, each with every k of equation 14 and every C of svm.py that it takes:

    scat   the linear SVM on the mean scattering vector (equation 10), without a network
    vote   the network's majority vote over frames
    lseg   the SVM on the LSTM segment feature (equations 11-14)
    fseg   the SVM on the fused one

The posteriors of a track are those of a network that has not heard its fold (cross-fitting). That holds for what the
SVMs learn from and for what they decide on. The system that gets most tracks right wins; among equals the simpler one,
then the earlier k and C. It was chosen by that count, so the count flatters it. What the choice is worth is told by a
nested cross-validation: each fold is decided by the system that wins on the other folds, trained without this one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from lstmgenre import svm
from lstmgenre.calibration import Calibration, HeldOut, calibrate
from lstmgenre.documents import Share, read_json, write_json
from lstmgenre.errors import DataError
from lstmgenre.score_json import Score
from lstmgenre.scoring import Report, TrackScore, majority_vote, vote_shares
from lstmgenre.segments import Pooling, blocks_of, pool
from lstmgenre.svm import SegmentSvm

NAME = "selection.json"
CHOICE = "choice"
SCAT, VOTE, LSEG, FSEG = SYSTEMS = ("scat", "vote", "lseg", "fseg")

Decisions = dict[str, str]


class System(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A way to a genre: its name, and k and C where it has them."""

    name: Annotated[str, Meta(pattern=f"^({'|'.join(SYSTEMS)})$")]
    threshold: Share | None = None
    c: Annotated[float, Meta(gt=0)] | None = None

    @property
    def pooling(self) -> Pooling | None:
        """How the vectors that its SVM decides on are made; None for the vote, which has neither."""
        return None if self.name == VOTE else Pooling(self.threshold, fuse=self.name != LSEG)


def variants(names: Collection[str] = SYSTEMS) -> list[System]:
    """All that a selection chooses from, in the order of preference among equals."""
    ks = {LSEG: svm.CANDIDATE_THRESHOLDS, FSEG: svm.CANDIDATE_THRESHOLDS}
    return [
        System(name, k, c)
        for name in SYSTEMS
        if name in names
        for k in ks.get(name, (None,))
        for c in ((None,) if name == VOTE else svm.PENALTIES)
    ]


@dataclass(frozen=True)
class Evidence:
    """What is known of each track: genre and fold, the mean features (dim,) of equation 10, and the posteriors
    (frames, C) of a network that has not heard its fold. `genres` are the classes in order.
    """

    genres: list[str]
    utt2genre: Mapping[str, str]
    folds: Sequence[Sequence[str]]
    means: Mapping[str, np.ndarray]
    posteriors: Mapping[str, np.ndarray]

    def vectors(self, system: System, utterances: Collection[str]) -> dict[str, np.ndarray]:
        """What the SVM of `system` decides on."""
        statistics = self._pooled(system.threshold) if system.threshold is not None else None
        if statistics is None:
            return {utterance: self.means[utterance] for utterance in utterances}
        if system.name == LSEG:
            return {utterance: statistics[utterance] for utterance in utterances}
        return {u: np.concatenate([self.means[u], statistics[u]]) for u in utterances}

    def fit(self, system: System, utterances: Collection[str] | None = None) -> SegmentSvm:
        """The SVM of `system` that has learnt from these tracks, or from all. Raises DataError as svm.train."""
        vectors = self.vectors(system, self.utt2genre if utterances is None else utterances)
        blocks = blocks_of(vectors, len(self.genres)) if system.name == FSEG else ()
        model = svm.train(vectors, self.utt2genre, self.genres, system.c or svm.C, blocks)
        model.pooling = system.pooling
        return model

    def held_out(self, system: System) -> list[HeldOut]:
        """The scores of the tracks of each fold by `system` when it has learnt from the others, where it knows all
        genres then.
        """
        found = []
        for fold in self.folds:
            if system.name == VOTE:
                rows = [vote_shares(self.posteriors[u]).tolist() for u in fold]
            else:
                model = self.fit(system, [u for other in self.folds if other is not fold for u in other])
                if model.genres != self.genres:
                    continue
                rows = [[*scores.values()] for scores in model.scores(self.vectors(system, fold)).values()]
            truth = [self.genres.index(self.utt2genre[u]) for u in fold]
            found.append(HeldOut(np.array(rows), np.array(truth)))
        return found

    @cached_property
    def votes(self) -> Decisions:
        return {utterance: self.genres[majority_vote(frames)] for utterance, frames in self.posteriors.items()}

    def _pooled(self, threshold: float) -> dict[str, np.ndarray]:
        if threshold not in self._by_threshold:
            self._by_threshold[threshold] = {u: pool(frames, threshold) for u, frames in self.posteriors.items()}
        return self._by_threshold[threshold]

    @cached_property
    def _by_threshold(self) -> dict[float, dict[str, np.ndarray]]:
        return {}


@dataclass(frozen=True)
class Trial:
    """What a system decides in cross-validation: `decisions` on the tracks of a fold, by that fold and those that it
    did not learn from.
    """

    system: System
    decisions: Mapping[tuple[int, frozenset[int]], Decisions]

    def on(self, fold: int, without: int | None = None) -> Decisions:
        """On a fold, when it has learnt from the others, all or less one."""
        return self.decisions[fold, frozenset({fold} if without is None else {fold, without})]


def try_out(evidence: Evidence, systems: Sequence[System]) -> Iterator[Trial]:
    """A trial of each of the `systems`. Raises DataError where there are fewer than three folds, or an SVM has fewer
    than two genres to learn from.
    """
    folds = range(len(evidence.folds))
    if len(folds) < 3:
        raise DataError(f"{len(folds)} folds: to choose a system and say what it is worth takes three: add artists")
    held_out = [frozenset(some) for count in (1, 2) for some in combinations(folds, count)]
    for system in systems:
        decisions: dict[tuple[int, frozenset[int]], Decisions] = {}
        for held in held_out:
            decide = _decider(evidence, system, [u for k in folds if k not in held for u in evidence.folds[k]])
            decisions |= {(k, held): decide(evidence.folds[k]) for k in held}
        yield Trial(system, decisions)


def _decider(evidence: Evidence, system: System, training: Collection[str]) -> Callable[[Collection[str]], Decisions]:
    if system.name == VOTE:
        return lambda utterances: {utterance: evidence.votes[utterance] for utterance in utterances}
    model = evidence.fit(system, training)
    return lambda utterances: model.predict(evidence.vectors(system, utterances))


@dataclass(frozen=True)
class Selection:
    """What came of it: the winner, and the best variant of each system.

    `scores` are the decisions on all tracks in cross-validation, of each system by its name and under CHOICE those of
    the nested one, which say what the winner is worth. `asked_for` is true where a person had named the system.
    """

    chosen: System
    best: Mapping[str, System]
    scores: Report
    folds: int
    asked_for: bool = False
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)

    @property
    def worth(self) -> TrackScore:
        return self.scores.tracks[CHOICE]

    @property
    def margin(self) -> int:
        """How many more tracks the winner gets right than the best of the others."""
        right = {name: self.scores.tracks[name].accuracy.correct for name in self.best}
        return right.pop(self.chosen.name) - max(right.values(), default=0)

    def save(self, directory: Path) -> None:
        """Write selection.json into `directory`, whole or not at all."""
        write_json(directory / NAME, vars(self) | {"chosen": self.chosen.name, "scores": self.scores.as_dict()})

    @classmethod
    def load(cls, directory: Path) -> Selection:
        """Read what `save` wrote. Raises DataError if it is not there, FormatError if it is damaged."""
        told = read_json(directory / NAME, _Document, "select again")
        return cls(
            told.best[told.chosen], told.best, told.scores.report(), told.folds, told.asked_for, told.calibrations
        )


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What selection.json says."""

    chosen: str
    best: dict[str, System]
    scores: Score
    folds: Annotated[int, Meta(ge=3)]
    asked_for: bool
    calibrations: dict[str, Calibration] = {}

    def __post_init__(self) -> None:
        if self.chosen not in self.best:
            raise ValueError(f"chosen: {self.chosen} is not in best")
        for name, system in self.best.items():
            if system.name != name:
                raise ValueError(f"best.{name}: is called {system.name}")
        if lost := {CHOICE, *self.best} - self.scores.tracks.keys():
            raise ValueError(f"scores: no decisions of {min(lost)}")


def select(evidence: Evidence, trials: Sequence[Trial], asked_for: str | None = None) -> Selection:
    """The winner of `trials`, or of the system that was asked for. Raises DataError where that is none."""
    by_name: dict[str, list[Trial]] = {}
    for trial in trials:
        by_name.setdefault(trial.system.name, []).append(trial)
    if asked_for is not None and asked_for not in by_name:
        raise DataError(f"{asked_for} is no system: there are {', '.join(by_name)}")
    folds = range(len(evidence.folds))
    eligible = trials if asked_for is None else by_name[asked_for]

    def right(trial: Trial, without: int | None = None) -> int:
        decisions = (trial.on(k, without) for k in folds if k != without)
        return sum(evidence.utt2genre[u] == genre for of_fold in decisions for u, genre in of_fold.items())

    scores = Report(evidence.genres)
    best = {name: max(of, key=right) for name, of in by_name.items()}
    for name, trial in best.items():
        scores.add_tracks(name, _merged(trial.on(k) for k in folds), evidence.utt2genre)
    nested = (max(eligible, key=lambda trial: right(trial, without=k)).on(k) for k in folds)
    scores.add_tracks(CHOICE, _merged(nested), evidence.utt2genre)
    chosen = max(eligible, key=right).system
    systems = {name: trial.system for name, trial in best.items()}
    calibrated = {name: calibrate(evidence.held_out(system)) for name, system in systems.items()}
    calibrations = {name: calibration for name, calibration in calibrated.items() if calibration}
    return Selection(chosen, systems, scores, len(folds), asked_for is not None, calibrations)


def _merged(parts: Iterable[Decisions]) -> Decisions:
    return {utterance: genre for part in parts for utterance, genre in part.items()}
