"""A Kaldi data directory: text files that say what each utterance is, where its audio and features are, who made it.

    wav.scp           recording -> audio: a path or `cmd |`
    segments          utterance -> recording, start, end (s); without it an utterance is a recording
    utt2spk, spk2utt  utterance -> artist (Kaldi's speaker), and back
    utt2genre         utterance -> genre
    genres            optional: one genre per line, the order of the classes
    feats.scp, utt2num_frames, utt2dur     what extract-scat adds
    cmvn.scp          artist -> statistics, if Kaldi has made them: nothing here reads them, but subsets keep theirs

Kaldi's rules: each file is sorted in C order, has no key twice, and has the same utterances as the others; the name of
an utterance starts with its artist's, so that sorting by either gives one order.
"""

from __future__ import annotations

import logging
import math
import random
import shlex
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, NamedTuple

from lstmgenre.errors import DataError, FormatError
from lstmgenre.files import atomic_output
from lstmgenre.tables import numbered_lines, read_map, write_map

logger = logging.getLogger(__name__)


class Segment(NamedTuple):
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
    but `wav_scp`, whose keys are recordings, and `cmvn`, whose keys are artists.

    `damage` is what was wrong with the files as they were read, and is gone once they are written.
    """

    path: Path
    wav_scp: dict[str, str] = field(default_factory=dict)
    segments: dict[str, Segment] = field(default_factory=dict)
    utt2spk: dict[str, str] = field(default_factory=dict)
    utt2genre: dict[str, str] = field(default_factory=dict)
    feats: dict[str, str] = field(default_factory=dict)
    utt2num_frames: dict[str, int] = field(default_factory=dict)
    utt2dur: dict[str, float] = field(default_factory=dict)
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
                raise DataError(f"{path / name}: not there or empty; make it with {_maker(name, path)}")
        data = cls(path)

        def on_error(error: FormatError) -> None:
            if strict:
                raise error
            file, _, message = str(error).partition(": ")
            data._note(file, message)

        for name, (attribute, parse) in _FILES.items():
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
        contents = {name: getattr(self, attribute) for name, (attribute, _) in _FILES.items()}
        contents["spk2utt"] = {artist: " ".join(utterances) for artist, utterances in self.spk2utt.items()}
        for name, content in contents.items():
            if content:
                write_map(path / name, {key: _line(value) for key, value in content.items()})
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
            raise DataError(f"{self.path / 'segments'}: no line for {utterance}; run {self._fix}")
        recording = segment.recording if segment else utterance
        if recording not in self.wav_scp:
            raise DataError(f"{self.path / 'wav.scp'}: no line for {recording}; run {self._fix}")
        if not segment:
            return self.wav_scp[recording], None, None
        return self.wav_scp[recording], segment.start, None if segment.end == -1 else segment.end

    def validate(self) -> list[Problem]:
        """Everything that breaks a rule of data directories, first what showed as the files were read."""
        return [*self.damage, *self._check_presence(), *self._check_keys(), *self._check_names()]

    def fix(self) -> DataDir:
        """Only the utterances that every file has, in order. Raises DataError if there is none."""
        common = set(self.utterances)
        for name in self._per_utterance():
            common &= getattr(self, _FILES[name][0]).keys()
        if self.segments:
            common = {utterance for utterance in common if self.segments[utterance].recording in self.wav_scp}
        if self.cmvn and self.utt2spk:
            common = {utterance for utterance in common if self.utt2spk.get(utterance) in self.cmvn}
        if not common:
            raise DataError(f"{self.path}: no utterance is in every file; make the directory again")
        return self.subset(common)

    def subset(self, utterances: Iterable[str]) -> DataDir:
        """These utterances and their recordings. Raises DataError for one that is not here."""
        keep = set(utterances)
        if unknown := keep.difference(self.utterances):
            raise DataError(f"{self.path}: no utterance {_some(unknown)}; run {self._fix}")
        parts: dict[str, Any] = {
            _FILES[name][0]: _only(getattr(self, _FILES[name][0]), keep) for name in self._per_utterance()
        }
        if self.segments:
            recordings = {self.segments[utterance].recording for utterance in keep if utterance in self.segments}
            parts["wav_scp"] = _only(self.wav_scp, recordings)
        parts["cmvn"] = _only(self.cmvn, {self.utt2spk[utterance] for utterance in keep if utterance in self.utt2spk})
        return replace(self, **parts, damage=[])

    def split(self, n: int, by: str = "utterance") -> list[DataDir]:
        """`n` parts of about the same size, in order, with the paths of Kaldi: `split4utt/1` or, by artist, `split4/1`.

        By utterance, sizes differ by one at most, the larger first; by artist, each cut is at the change of artist
        nearest to the even cut. Raises DataError where there are fewer than `n`.
        """
        if by not in ("utterance", "artist"):
            raise DataError(f"split by '{by}': write utterance or artist")
        groups = [[utterance] for utterance in self.utterances] if by == "utterance" else list(self.spk2utt.values())
        if not 1 <= n <= len(groups):
            raise DataError(
                f"{self.path}: {len(groups)} {by}s cannot be split in {n}; ask for 1 to {len(groups)} parts"
            )
        folder = self.path / (f"split{n}utt" if by == "utterance" else f"split{n}")
        cuts = _even_cuts([len(group) for group in groups], n)
        return [
            replace(self.subset(utterance for group in groups[first:last] for utterance in group), path=folder / str(i))
            for i, (first, last) in enumerate(pairwise(cuts), 1)
        ]

    def hold_out(self, fraction: float = 0.1, seed: int = 777) -> tuple[DataDir, DataDir]:
        """Training and cross-validation part, `PATH_tr90` and `PATH_cv10`.

        Held out are whole artists: in random order, each is where that brings the genres nearer to `fraction` of their
        tracks, then, up to `fraction` of all tracks, each that brings them no further off; or else the smallest artist.
        So the genres have the same shares in both parts to within half an artist of one genre, and every genre stays
        represented in training.

        Raises DataError where no artist can be spared, or the fraction is none.
        """
        if not 0 < fraction < 1:
            raise DataError(f"hold out {fraction}: ask for a share between 0 and 1")
        artists = self.spk2utt
        genres_of = {a: Counter(self.utt2genre.get(u, "") for u in utterances) for a, utterances in artists.items()}
        total = sum(genres_of.values(), Counter())
        order = sorted(artists)
        random.Random(seed).shuffle(order)
        held: set[str] = set()
        counts: Counter[str] = Counter()

        def can_go(artist: str) -> bool:
            return all(total[genre] > counts[genre] + count for genre, count in genres_of[artist].items())

        def distance(counts: Counter[str]) -> float:
            return sum(abs(fraction * total[genre] - counts[genre]) for genre in total)

        def closer(artist: str) -> float:
            return round(distance(counts) - distance(counts + genres_of[artist]), 6)

        for room, least in ((len(self.utterances), 1e-6), (fraction * len(self.utterances), 0)):
            for artist in order:
                size = len(held | set(artists[artist]))
                if len(held) < size <= room and can_go(artist) and closer(artist) >= least:
                    held.update(artists[artist])
                    counts += genres_of[artist]
        if not held:
            spare = [artist for artist in order if can_go(artist)]
            if not spare:
                raise DataError(
                    f"{self.path}: no artist can be held out with every genre left to train on; add artists"
                )
            held.update(artists[min(spare, key=lambda artist: len(artists[artist]))])
        percent = round(100 * fraction)
        parts = {f"_tr{100 - percent}": set(self.utterances) - held, f"_cv{percent}": held}
        # The held-out part may lack a genre: both keep the classes, and their order, of the whole.
        train, cv = (
            replace(self.subset(part), path=self.path.parent / (self.path.name + ending), genre_order=self.genres)
            for ending, part in parts.items()
        )
        return train, cv

    def folds(self, n: int, seed: int = 777) -> list[tuple[DataDir, DataDir]]:
        """`n` divisions into a training and a test part, `PATH/1/train` and `PATH/1/test` and so on; each utterance is
        in one of the test parts.

        An artist's utterances stay together, and every test part has about the same share of each genre; `seed` picks
        who is in which. A genre of a single artist is divided by utterance, with a warning. Raises DataError where a
        training part would lack a genre.
        """
        from sklearn.model_selection import StratifiedGroupKFold  # takes a second to import

        for name, content in (("utt2genre", self.utt2genre), ("utt2spk", self.utt2spk)):
            if lost := set(self.utterances) - content.keys():
                raise DataError(f"{self.path / name}: no line for {_some(lost)}; run {self._fix}")
        utterances = self.utterances
        genres = [self.utt2genre[utterance] for utterance in utterances]
        artists: dict[str, set[str]] = defaultdict(set)
        for utterance, genre in zip(utterances, genres, strict=True):
            artists[genre].add(self.utt2spk[utterance])
        alone = {genre for genre, names in artists.items() if len(names) == 1}
        for genre in sorted(alone):
            logger.warning("genre %s: has one artist only: divided by track, so its score will flatter", genre)
        groups = [u if genre in alone else self.utt2spk[u] for u, genre in zip(utterances, genres, strict=True)]
        if not 2 <= n <= min(len(set(groups)), max(Counter(genres).values(), default=0)):
            raise DataError(f"{self.path}: {len(genres)} tracks of {len(set(groups))} artists do not make {n} folds")
        divisions = []
        folds = StratifiedGroupKFold(n, shuffle=True, random_state=seed).split(utterances, genres, groups)
        for i, rows in enumerate(folds, 1):
            parts = [self.subset(utterances[row] for row in part) for part in rows]
            train, test = (
                replace(part, path=self.path / str(i) / name, genre_order=self.genres)
                for part, name in zip(parts, ("train", "test"), strict=True)
            )
            if lost := set(genres) - set(train.utt2genre.values()):
                raise DataError(f"{train.path}: all tracks of {_some(lost)} would be held out; ask for other folds")
            divisions.append((train, test))
        return divisions

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
            self.damage.append(self._problem("empty", path.name))
        for key, following in pairwise(content):
            if following < key:
                self._note(path, f"not in C order: {following} comes after {key}")
                break
        return content

    @property
    def _fix(self) -> str:
        return shlex.join(["lstmgenre", "validate-data", str(self.path), "--fix"])

    def _note(self, where: str | Path, message: str) -> None:
        self.damage.append(Problem(message, str(where), self._fix))

    def _per_utterance(self) -> list[str]:
        """The files with content whose keys are utterances."""
        return [
            name
            for name, (attribute, _) in _FILES.items()
            if getattr(self, attribute) and name != "cmvn.scp" and not (name == "wav.scp" and self.segments)
        ]

    def _check_presence(self) -> Iterator[Problem]:
        if not self.utt2spk:
            yield self._problem("no utterances", "utt2spk")
        if not self.wav_scp and not self.feats:
            yield self._problem("neither audio nor features", "wav.scp")

    def _check_keys(self) -> Iterator[Problem]:
        utterances = set(self.utterances)
        for name in self._per_utterance():
            keys = getattr(self, _FILES[name][0]).keys()
            if missing := utterances - keys:
                yield self._problem(f"no line for {_some(missing)}", name, f"{_maker(name, self.path)}, or {self._fix}")
            if extra := keys - utterances:
                yield self._problem(f"{_some(extra)} not in utt2spk", name, self._fix)
        if lost := {utterance for utterance, part in self.segments.items() if part.recording not in self.wav_scp}:
            yield self._problem(f"the recording of {_some(lost)} is not in wav.scp", "segments", self._fix)
        if self.segments and (idle := self.wav_scp.keys() - {part.recording for part in self.segments.values()}):
            yield self._problem(f"no segment is of the recording {_some(idle)}", "wav.scp", self._fix)
        if self.cmvn and self.utt2spk:
            artists = self.spk2utt.keys()
            if missing := artists - self.cmvn.keys():
                remedy = f"remove the file, or {self._fix}"
                yield self._problem(f"no line for the artist {_some(missing)}", "cmvn.scp", remedy)
            if extra := self.cmvn.keys() - artists:
                yield self._problem(f"{_some(extra)} is no artist of utt2spk", "cmvn.scp", self._fix)

    def _check_names(self) -> Iterator[Problem]:
        rename = "name utterances ARTIST-TRACK and make the directory again"
        if alien := {utterance for utterance, artist in self.utt2spk.items() if not utterance.startswith(artist)}:
            yield self._problem(f"the name of {_some(alien)} does not start with the artist's", "utt2spk", rename)
        artists = [self.utt2spk[utterance] for utterance in sorted(self.utt2spk)]
        if artists != sorted(artists):
            yield self._problem("sorted by utterance, it is not sorted by artist", "utt2spk", rename)
        if self.genre_order and (alien := set(self.utt2genre.values()).difference(self.genre_order)):
            yield self._problem(
                f"genre {min(alien)} is not in the file genres", "utt2genre", f"add it to {self.path}/genres"
            )

    def _problem(self, message: str, name: str, remedy: str = "") -> Problem:
        return Problem(message, str(self.path / name), remedy or _maker(name, self.path))


def mend(path: str | Path) -> None:
    """Fix a data directory on the disk, say what was wrong and what is dropped, and keep the old files in .backup/.

    Raises DataError if no utterance is in every file.
    """
    data = DataDir.read(path, strict=False)
    problems = data.validate()
    if not problems:
        return
    for problem in problems:
        logger.warning("%s: %s", problem.where, problem.message)
    fixed = data.fix()
    if dropped := set(data.utterances) - set(fixed.utterances):
        logger.warning("%s: %d of %d utterances dropped: %s", path, len(dropped), len(data.utterances), _some(dropped))
    backup = data.path / ".backup"
    backup.mkdir(exist_ok=True)
    for name in (*_FILES, "spk2utt", "genres"):
        if (data.path / name).is_file():
            shutil.copy2(data.path / name, backup / name)
    fixed.write()


def combine(directories: Sequence[DataDir]) -> DataDir:
    """All utterances of all directories; a file that only some of them have is left out, with a warning.

    The path is that of the first: write to another. Raises DataError where two disagree on an utterance, a recording or
    the file `genres`.
    """
    first = directories[0]
    combined: dict[str, dict[str, Any]] = {}
    for name, (attribute, _) in _FILES.items():
        contents = [getattr(data, attribute) for data in directories]
        if any(contents) and not all(contents):
            logger.warning("%s is not in all of the directories: left out", name)
            continue
        merged: dict[str, Any] = {}
        for data, content in zip(directories, contents, strict=True):
            for key, value in content.items():
                if merged.setdefault(key, value) != value:
                    raise DataError(
                        f"{data.path / name}: {key}: another directory says {_line(merged[key])}; rename one"
                    )
        combined[attribute] = dict(sorted(merged.items()))
    orders = [data.genre_order for data in directories]
    if any(order != first.genre_order for order in orders):
        raise DataError(f"{first.path / 'genres'}: the directories have different genres files; make them agree")
    return DataDir(first.path, genre_order=first.genre_order, **combined)  # type: ignore[arg-type]


def _word(value: str) -> str:
    if len(value.split()) != 1:
        raise ValueError(f"'{value}' should be one word")
    return value


def _segment(value: str) -> Segment:
    words = value.split()
    if len(words) != 3:
        raise ValueError(f"'{value}' should be RECORDING START END")
    part = Segment(words[0], float(words[1]), float(words[2]))
    if not 0 <= part.start < (math.inf if part.end == -1 else part.end) or part.end == math.inf:
        raise ValueError(f"a segment from {part.start} to {part.end} s")
    return part


def _frames(value: str) -> int:
    if (frames := int(value)) < 1:
        raise ValueError(f"{frames} frames")
    return frames


def _seconds(value: str) -> float:
    if not 0 < (seconds := float(value)) < math.inf:
        raise ValueError(f"a duration of {seconds} s")
    return seconds


# File -> attribute and how a value is read.
_FILES: dict[str, tuple[str, Callable[[str], Any]]] = {
    "utt2spk": ("utt2spk", _word),
    "utt2genre": ("utt2genre", _word),
    "segments": ("segments", _segment),
    "wav.scp": ("wav_scp", str),
    "feats.scp": ("feats", str),
    "utt2num_frames": ("utt2num_frames", _frames),
    "utt2dur": ("utt2dur", _seconds),
    "cmvn.scp": ("cmvn", str),
}


def _maker(name: str, path: Path) -> str:
    """The command that makes a file."""
    if name in ("feats.scp", "utt2num_frames", "utt2dur"):
        return shlex.join(["lstmgenre", "extract-scat", str(path)])
    return shlex.join(["lstmgenre", "prep-data", "CORPUS", "SRC", str(path.parent)])


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"{path}: is out of date and cannot be removed: {error.strerror}") from error


def _line(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, Segment) else str(value)


def _only(content: dict[str, Any], keys: Collection[str]) -> dict[str, Any]:
    return {key: content[key] for key in sorted(keys) if key in content}


def _some(names: Collection[str]) -> str:
    return f"{min(names)}" + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def _even_cuts(sizes: Sequence[int], n: int) -> list[int]:
    """Where to cut a row of groups in `n` runs: at the group nearest to each even cut, none of the runs empty."""
    ends = list(accumulate(sizes))
    size, larger = divmod(ends[-1], n)
    cuts = [0]
    for i in range(1, n):
        even = i * size + min(i, larger)
        cuts.append(min(range(cuts[-1] + 1, len(sizes) - n + i + 1), key=lambda cut: abs(ends[cut - 1] - even)))
    return [*cuts, len(sizes)]


def _read_genres(path: Path, on_error: Callable[[FormatError], None]) -> list[str]:
    genres: list[str] = []
    for where, line in numbered_lines(path):
        genre = line.decode("utf-8", "replace").strip()
        if genre.split() != [genre] or genre in genres or not line.endswith(b"\n"):
            on_error(FormatError(f"{where}: '{genre}' should be one genre, named once, with an end of line"))
        else:
            genres.append(genre)
    return genres
