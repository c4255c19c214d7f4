"""The last run's data directories: who was where, and what has changed since."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from lstmgenre.corpora import SETS, probing
from lstmgenre.corpora.naming import Track
from lstmgenre.datadir import DataDir


class Former(NamedTuple):
    """A track as the last run wrote it; `artist` as utt2spk has it, None where it was not known."""

    set: str
    utterance: str
    artist: str | None
    content: str


class LastRun:
    """What is in DATA as a run finds it: the data directories that are there, their tracks by path, and the shares that
    were asked for."""

    def __init__(self, out: Path) -> None:
        self.directories = {
            name: DataDir.read(out / name, strict=False) for name in SETS if (out / name / "wav.scp").is_file()
        }
        self.shares = probing.kept_head(out)
        contents = {path: found.content for path, found in probing.kept(out).items()}
        self.tracks: dict[str, Former] = {}
        for name, data in self.directories.items():
            for utterance, path in data.wav_scp.items():
                artist = data.utt2spk.get(utterance)
                artist = None if artist == utterance else artist
                self.tracks[path] = Former(name, utterance, artist, contents.get(path, ""))
        self._by_content: dict[str, list[str]] = defaultdict(list)
        for path, former in self.tracks.items():
            if former.content:
                self._by_content[former.content].append(path)

    @property
    def genres(self) -> list[str]:
        return sorted({genre for data in self.directories.values() for genre in data.genres})

    @property
    def utterances(self) -> dict[str, str]:
        """The id of each track, by path."""
        return {path: former.utterance for path, former in self.tracks.items()}

    def find(self, track: Track) -> Former | None:
        """The track, by its path or, if that is new, by its content."""
        if former := self.tracks.get(os.path.abspath(track.path)):
            return former
        return next((self.tracks[path] for path in self._by_content.get(track.content, ())), None)

    def tell(self, sets: Mapping[Track, str]) -> str:
        """What has changed, as "5 added, 1 removed, 1 renamed, 22 unchanged"; "" where there was no run before."""
        if not self.tracks:
            return ""
        now = {os.path.abspath(track.path): (track, name) for track, name in sets.items()}
        gone = {path for path in self.tracks if path not in now}
        counts: Counter[str] = Counter()
        for path, (track, name) in now.items():
            former = self.tracks.get(path)
            if former is None:
                same = [old for old in self._by_content.get(track.content, ()) if old in gone]
                gone.difference_update(same[:1])
                counts["renamed" if same else "added"] += 1
            elif track.content != former.content and former.content:
                counts["changed"] += 1
            else:
                counts["unchanged" if name == former.set else "moved to another set"] += 1
        counts["removed"] = len(gone)
        return ", ".join(_counted(counts))

    def is_same(self, data: DataDir, tracks: Mapping[str, Track]) -> bool:
        """Whether a data directory is what was there, of the same recordings."""
        was = self.directories.get(data.path.name)
        if was is None or was.damage:
            return False
        attributes = ("wav_scp", "segments", "utt2spk", "utt2genre", "genre_order")
        return all(getattr(was, name) == getattr(data, name) for name in attributes) and all(
            self.tracks[data.wav_scp[utterance]].content in ("", track.content) for utterance, track in tracks.items()
        )


def _counted(counts: Counter[str]) -> Iterator[str]:
    for kind in ("added", "removed", "renamed", "changed", "moved to another set", "unchanged"):
        if counts[kind] or kind == "unchanged":
            yield f"{counts[kind]} {kind}"
