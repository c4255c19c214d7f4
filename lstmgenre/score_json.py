"""score.json: how a set of tracks was scored. Decisions are what counts; every sum of them has to agree with them."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from lstmgenre.documents import Count, Share, Word, read_json, write_json
from lstmgenre.scoring import FrameScore, Report

_ROUNDING = 1e-6  # another scipy may round an interval otherwise


class _Accuracy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    accuracy: Share | None
    correct: Count
    total: Count


class _Frames(_Accuracy, frozen=True, forbid_unknown_fields=True):
    interval: tuple[Share, Share]
    by_track: dict[Word, tuple[Count, Count]]

    def __post_init__(self) -> None:
        for utterance, (right, total) in self.by_track.items():
            if right > total:
                raise ValueError(f"by_track.{utterance}: {right} right of {total}")


class _Tracks(_Accuracy, frozen=True, forbid_unknown_fields=True):
    interval: tuple[Share, Share]
    recall: dict[Word, Share]
    macro_recall: Share | None
    confusion: list[list[Count]]
    predictions: dict[Word, Word]
    by_artists: dict[str, _Accuracy]


class Score(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What Report.as_dict() gives."""

    genres: Annotated[list[Word], Meta(min_length=1)]
    truth: dict[Word, Word]
    frames: _Frames | None
    tracks: dict[str, _Tracks]
    known_artists: list[Word] | None
    unknown_artists: list[Word] = []
    unknown_trained: Count = 0
    seen: list[Word] = []

    def __post_init__(self) -> None:
        if len(set(self.genres)) < len(self.genres):
            raise ValueError("genres: one of them comes twice")
        tracks: dict[str, Collection[str]] = {
            "frames.by_track": self.frames.by_track if self.frames else (),
            "known_artists": self.known_artists or (),
            "unknown_artists": self.unknown_artists,
            "seen": self.seen,
        }
        tracks |= {f"tracks.{name}.predictions": of_system.predictions for name, of_system in self.tracks.items()}
        for field, names in tracks.items():
            if lost := set(names) - self.truth.keys():
                raise ValueError(f"{field}: {min(lost)} has no truth")
        report = self.report()
        if report.frames and self.frames:
            _compare("frames", self.frames, report.frames.accuracy.as_dict())
        for name, of_system in self.tracks.items():
            _compare(f"tracks.{name}", of_system, report.tracks_as_dict(name))

    def report(self) -> Report:
        report = Report(self.genres)
        if self.frames:
            report.frames = FrameScore(dict(self.frames.by_track))
        for name, of_system in self.tracks.items():
            report.add_tracks(name, of_system.predictions, self.truth)
        report.known = None if self.known_artists is None else set(self.known_artists)
        report.unknown = set(self.unknown_artists)
        report.unknown_trained = self.unknown_trained
        report.seen = set(self.seen)
        return report


def read(path: Path) -> Report:
    """The report that `write` wrote. Raises DataError where it is not there, FormatError where it is damaged."""
    return read_json(path, Score, "score again").report()


def write(path: Path, report: Report) -> None:
    write_json(path, report.as_dict())


def _compare(where: str, told: msgspec.Struct, counted: Mapping[str, Any]) -> None:
    fields = msgspec.to_builtins(told)
    for name, value in counted.items():
        if not _agree(fields[name], msgspec.to_builtins(value)):
            raise ValueError(f"{where}.{name}: does not follow from the decisions on tracks")


def _agree(a: Any, b: Any) -> bool:
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_agree(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(_agree, a, b))
    if isinstance(a, float) and isinstance(b, float | int):
        return math.isclose(a, b, abs_tol=_ROUNDING)
    return a == b
