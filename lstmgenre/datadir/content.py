"""A Kaldi data directory: text files that say what each utterance is, where its audio and features are, who made it.

    wav.scp           recording -> audio: a path or `cmd |`
    segments          utterance -> recording, start, end (s); without it an utterance is a recording
    utt2spk, spk2utt  utterance -> artist (Kaldi's speaker), and back
    utt2genre         utterance -> genre
    genres            optional: one genre per line, the order of the classes
    feats.scp, utt2num_frames, utt2dur     what extract-scat adds
    reco2dur          recording -> seconds, if Kaldi has made it
    cmvn.scp          artist -> statistics, if Kaldi has made them: nothing here reads them, but subsets keep theirs

Kaldi's rules: each file is sorted in C order, has no key twice, and has the same utterances as the others; the name of
an utterance starts with its artist's, so that sorting by either gives one order.
"""

from __future__ import annotations

import math
import shlex
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from lstmgenre.errors import DataError, FormatError
from lstmgenre.files import atomic_output
from lstmgenre.tables import file_lines, read_map, write_map
from lstmgenre.tables.rules import parse_number

MAX_OVERSHOOT = 0.5  # seconds that a segment may end after its recording, as in Kaldi's extract-segments


class Excerpt(NamedTuple):
    """A part of a recording, in seconds; an end of -1 is that of the recording."""

    recording: str
    start: float
    end: float


class Problem(NamedTuple):
    """What is wrong, where, and the command that mends it."""

    message: str
    where: str
    remedy: str


@dataclass
class DataDir:
    """The content of a data directory; a file that is not there is an empty dict. Utterance names are the keys of all
    but `wav_scp` and `reco2dur`, whose keys are recordings, and `cmvn`, whose keys are artists.

    `damage` is what was wrong with the files as they were read, and is gone once they are written.
    """

    path: Path
    wav_scp: dict[str, str] = field(default_factory=dict)
    segments: dict[str, Excerpt] = field(default_factory=dict)
    utt2spk: dict[str, str] = field(default_factory=dict)
    utt2genre: dict[str, str] = field(default_factory=dict)
    feats: dict[str, str] = field(default_factory=dict)
    utt2num_frames: dict[str, int] = field(default_factory=dict)
    utt2dur: dict[str, float] = field(default_factory=dict)
    reco2dur: dict[str, float] = field(default_factory=dict)
    cmvn: dict[str, str] = field(default_factory=dict)
    genre_order: list[str] = field(default_factory=list)
    damage: list[Problem] = field(default_factory=list)

    @classmethod
    def read(cls, path: str | Path, need: Sequence[str] = (), strict: bool = True) -> DataDir:
        """Read the files that are there; those in `need` (file names) must be.

        Raises DataError for a missing file, with the command that makes it, and FormatError for a damaged line; where
        not `strict`, a damaged line is left out and noted in `damage`.
        """
        path = Path(path)
        if not path.is_dir():
            raise DataError(f"{path}: no such data directory; make it with lstmgenre prep-data or split-data")
        for name in need:
            if not (path / name).is_file() or not (path / name).stat().st_size:
                raise DataError(f"{path / name}: not there or empty; make it with {maker(name, path)}")
        data = cls(path)

        def on_error(error: FormatError) -> None:
            if strict:
                raise error
            file, _, message = str(error).partition(": ")
            data._note(file, message)

        for name, (attribute, parse) in FILES.items():
            if (path / name).exists():
                setattr(data, attribute, data._read_file(path / name, parse, on_error))
        if (path / "genres").exists():
            data.genre_order = _read_genres(path / "genres", on_error)
        if (path / "spk2utt").exists():
            artists = {artist: line.split() for artist, line in read_map(path / "spk2utt", on_error).items()}
            if artists != data.spk2utt:
                data._note(path / "spk2utt", "does not say the same as utt2spk")
        elif data.utt2spk:
            data._note(path / "spk2utt", "not there")
        return data

    def write(self, path: str | Path | None = None) -> None:
        """Write all files that have content, and spk2utt, to `path` or to where the data came from.

        Each is sorted and appears whole; one of these files that is there but has no content any more is removed.
        """
        path = Path(path or self.path)
        contents = {name: getattr(self, attribute) for name, (attribute, _) in FILES.items()}
        contents["spk2utt"] = {artist: " ".join(utterances) for artist, utterances in self.spk2utt.items()}
        for name, content in contents.items():
            if content:
                write_map(path / name, {key: line_of(value) for key, value in content.items()})
            else:
                _remove(path / name)
        if self.genre_order:
            with atomic_output(path / "genres") as stream:
                stream.writelines(f"{genre}\n" for genre in self.genre_order)
        else:
            _remove(path / "genres")

    @property
    def utterances(self) -> list[str]:
        """All utterances, sorted: those of utt2spk, as in Kaldi, or of the first file that is there."""
        return sorted(self.utt2spk or self.segments or self.wav_scp or self.feats or self.utt2genre)

    @property
    def genres(self) -> list[str]:
        """The classes in order: of the file `genres`, else sorted."""
        return self.genre_order or sorted(set(self.utt2genre.values()))

    @property
    def spk2utt(self) -> dict[str, list[str]]:
        """Artist -> utterances, both sorted."""
        artists: dict[str, list[str]] = defaultdict(list)
        for utterance, artist in sorted(self.utt2spk.items()):
            artists[artist].append(utterance)
        return dict(sorted(artists.items()))

    def recording_of(self, utterance: str) -> tuple[str, float | None, float | None]:
        """Where the audio of an utterance is: extended file name, start and end in seconds (None: all of the file)."""
        segment = self.segments.get(utterance)
        if self.segments and not segment:
            raise DataError(f"{self.path / 'segments'}: no line for {utterance}; run {self.fix_command}")
        recording = segment.recording if segment else utterance
        if recording not in self.wav_scp:
            raise DataError(f"{self.path / 'wav.scp'}: no line for {recording}; run {self.fix_command}")
        if not segment:
            return self.wav_scp[recording], None, None
        return self.wav_scp[recording], segment.start, None if segment.end == -1 else segment.end

    def subset(self, utterances: Iterable[str]) -> DataDir:
        """These utterances and their recordings. Raises DataError for one that is not here."""
        keep = set(utterances)
        if unknown := keep.difference(self.utterances):
            raise DataError(f"{self.path}: no utterance {some(unknown)}; run {self.fix_command}")
        parts: dict[str, Any] = {
            FILES[name][0]: _only(getattr(self, FILES[name][0]), keep) for name in self.per_utterance()
        }
        recordings = keep
        if self.segments:
            recordings = {self.segments[utterance].recording for utterance in keep if utterance in self.segments}
            parts["wav_scp"] = _only(self.wav_scp, recordings)
        parts["reco2dur"] = _only(self.reco2dur, recordings)
        parts["cmvn"] = _only(self.cmvn, {self.utt2spk[utterance] for utterance in keep if utterance in self.utt2spk})
        return replace(self, **parts, damage=[])

    def _read_file(
        self, path: Path, parse: Callable[[str], Any], on_error: Callable[[FormatError], None]
    ) -> dict[str, Any]:
        content = {}
        for key, value in read_map(path, on_error).items():
            try:
                content[key] = parse(value)
            except ValueError as error:
                on_error(FormatError(f"{path}: {key}: {error}"))
        if not content:
            self.damage.append(self.problem("empty", path.name))
        for key, following in pairwise(content):
            if following < key:
                self._note(path, f"not in C order: {following} comes after {key}")
                break
        return content

    @property
    def fix_command(self) -> str:
        return shlex.join(["lstmgenre", "validate-data", str(self.path), "--fix"])

    def _note(self, where: str | Path, message: str) -> None:
        self.damage.append(Problem(message, str(where), self.fix_command))

    def per_utterance(self) -> list[str]:
        """The files with content whose keys are utterances."""
        return [
            name
            for name, (attribute, _) in FILES.items()
            if getattr(self, attribute)
            and name not in ("reco2dur", "cmvn.scp")
            and not (name == "wav.scp" and self.segments)
        ]

    def problem(self, message: str, name: str, remedy: str = "") -> Problem:
        return Problem(message, str(self.path / name), remedy or maker(name, self.path))


def _word(value: str) -> str:
    if len(value.split()) != 1:
        raise ValueError(f"'{value}' should be one word")
    return value


def _excerpt(value: str) -> Excerpt:
    words = value.split()
    if len(words) != 3:
        raise ValueError(f"'{value}' should be RECORDING START END")
    part = Excerpt(words[0], _number(words[1]), _number(words[2]))
    if not 0 <= part.start < (math.inf if part.end == -1 else part.end):
        raise ValueError(f"a segment from {part.start} to {part.end} s")
    return part


def _frames(value: str) -> int:
    if (frames := parse_number(value, int)) < 1:
        raise ValueError(f"{frames} frames")
    return frames


def _seconds(value: str) -> float:
    if (seconds := _number(value)) <= 0:
        raise ValueError(f"a duration of {seconds} s")
    return seconds


def _number(word: str) -> float:
    number = parse_number(word, float)
    if not math.isfinite(number):
        raise ValueError(f"'{word}' is no finite number")
    return number


# File -> attribute and how a value is read.
FILES: dict[str, tuple[str, Callable[[str], Any]]] = {
    "utt2spk": ("utt2spk", _word),
    "utt2genre": ("utt2genre", _word),
    "segments": ("segments", _excerpt),
    "wav.scp": ("wav_scp", str),
    "feats.scp": ("feats", str),
    "utt2num_frames": ("utt2num_frames", _frames),
    "utt2dur": ("utt2dur", _seconds),
    "reco2dur": ("reco2dur", _seconds),
    "cmvn.scp": ("cmvn", str),
}


def maker(name: str, path: Path) -> str:
    """The command that makes a file."""
    if name in ("feats.scp", "utt2num_frames", "utt2dur"):
        return shlex.join(["lstmgenre", "extract-scat", str(path)])
    return shlex.join(["lstmgenre", "prep-data", "CORPUS", "SRC", str(path.parent)])


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"{path}: is out of date and cannot be removed: {error.strerror}") from error


def line_of(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, Excerpt) else str(value)


def _only(content: dict[str, Any], keys: Collection[str]) -> dict[str, Any]:
    return {key: content[key] for key in sorted(keys) if key in content}


def some(names: Collection[str]) -> str:
    return f"{min(names)}" + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def _read_genres(path: Path, on_error: Callable[[FormatError], None]) -> list[str]:
    genres: list[str] = []
    for where, line in file_lines(path):
        genre = line.decode("utf-8", "replace").strip()
        if genre.split() != [genre] or genre in genres or not line.endswith(b"\n"):
            on_error(FormatError(f"{where}: '{genre}' should be one genre, named once, with an end of line"))
        else:
            genres.append(genre)
    return genres
