"""From the files that a corpus offers to data directories: probed, labelled, split, named, and written all at once."""

from __future__ import annotations

import csv
import logging
import os
import tempfile
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lstmgenre.corpora import SETS, LeftOut, Offer, labels, probing
from lstmgenre.corpora.changes import LastRun
from lstmgenre.corpora.naming import Track, data_dir, name_utterances
from lstmgenre.corpora.probing import Probed, Progress, no_progress
from lstmgenre.corpora.splits import TEST_FRACTION, TRAIN, Shares, choose
from lstmgenre.datadir import DataDir
from lstmgenre.errors import DataError
from lstmgenre.files import atomic_output, exclusive
from lstmgenre.text import counted, visible

logger = logging.getLogger(__name__)

_SHOWN = 3  # names in a line that is about many files


@dataclass(frozen=True)
class Intake:
    """How a corpus is taken in: `jobs` processes probe, and `progress` shows it. Without `check` no file is opened.

    `genres` are the classes where they are given; else they are those of the tracks, merged by `spellings`, less those
    of fewer than `min_tracks`. The others are as in `Shares`, for the tracks that come without a set.
    """

    jobs: int = 1
    progress: Progress = no_progress
    check: bool = True
    genres: Collection[str] = ()
    spellings: Mapping[str, str] = field(default_factory=dict)
    min_tracks: int = 1
    test_fraction: float = TEST_FRACTION
    held_out: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        _ = self.shares  # raises DataError

    @property
    def shares(self) -> Shares:
        return Shares(self.test_fraction, self.held_out, self.seed)

    def take(
        self, out: str | os.PathLike[str], offers: Iterable[Offer], left_out: Iterable[LeftOut] = ()
    ) -> dict[str, DataDir]:
        """Write `out`/train and so on, and `out`/left_out.csv; tell what is left out, and what has changed.

        What was there stays if this fails. Raises DataError where less than two genres are left, or another run is at
        it.
        """
        out = Path(os.path.abspath(out))
        once: dict[Path, Offer] = {}
        left_out = list(left_out)
        for offer in offers:
            if once.setdefault(offer.path, offer) is not offer:
                left_out.append(LeftOut(offer.path, "listed twice", "used once"))
        with exclusive(out):
            return self._take(out, list(once.values()), left_out)

    def _take(self, out: Path, offers: list[Offer], left_out: list[LeftOut]) -> dict[str, DataDir]:
        last = LastRun(out)
        offered = len(offers) + len(left_out)
        recordings = self._probe(out, offers)
        usable = []
        for offer in offers:
            found = recordings[offer.path]
            if found.reason:
                detail = "; ".join(filter(None, (found.detail, offer.note)))
                left_out.append(LeftOut(offer.path, found.reason, detail))
            elif offer.genre is None and labels.genre_in(found.tags) is None:
                left_out.append(LeftOut(offer.path, "without a genre", "no genre tag"))
            else:
                usable.append(offer)
        tracks = self._label(usable, recordings, last, left_out)
        _write_left_out(out, left_out)
        _tell_left_out(out, left_out, offered)
        genres = self.genres or {track.genre for track in tracks}
        if len(left := {track.genre for track in tracks}) < 2:
            raise DataError(
                f"{out}: tracks of {counted(len(left), 'genre')} are left: give those of two genres or more"
            )
        sets = self._split(tracks, last)
        _check_training(out, sets, genres)
        _tell_recordings(sets, recordings)
        names = name_utterances(tracks, last.utterances)
        by_set = {name: {u: track for u, track in names.items() if sets[track] == name} for name in SETS}
        directories = {name: data_dir(out / name, of, genres) for name, of in by_set.items() if of}
        _replace(out, [data for name, data in directories.items() if not last.is_same(data, by_set[name])])
        for name in last.directories.keys() - directories.keys():
            logger.warning("%s: has no tracks any more: removed", out / name)
            DataDir(out / name).write()
        probing.keep(out, asdict(self.shares), recordings.values())
        if changes := last.tell(sets):
            logger.info("since the last run: %s", changes)
        return directories

    def _probe(self, out: Path, offers: list[Offer]) -> dict[Path, Probed]:
        paths = [offer.path for offer in offers]
        if self.check:
            return probing.probe_all(out, paths, self.jobs, self.progress)
        return {path: probing.look_at_name(os.fspath(path)) for path in paths}

    def _label(
        self, offers: list[Offer], recordings: Mapping[Path, Probed], last: LastRun, left_out: list[LeftOut]
    ) -> dict[Track, str | None]:
        """The tracks, with the sets that they come with; those of genres that are not wanted go to `left_out`."""
        tags = {offer: recordings[offer.path].tags for offer in offers}
        spelled = {offer: offer.genre or labels.genre_in(tags[offer]) or "" for offer in offers}
        words = labels.merge_genres(list(spelled.values()), self.spellings, self.genres or last.genres)
        counts = Counter(words[genre] for genre in spelled.values())
        if small := sorted(word for word, count in counts.items() if word and count < self.min_tracks):
            named = ", ".join(f"{word} ({counts[word]})" for word in small)
            logger.warning("left out, genres of fewer than %d tracks: %s", self.min_tracks, named)
        tracks: dict[Track, str | None] = {}
        for offer in offers:
            genre = words[spelled[offer]]
            if not genre:
                left_out.append(LeftOut(offer.path, "genre not wanted", spelled[offer]))
            elif genre in small:
                left_out.append(LeftOut(offer.path, "genre of too few tracks", genre))
            else:
                artist = offer.artist or labels.artist_in(tags[offer]) or offer.folder_artist
                content = recordings[offer.path].content
                tracks[Track(genre, artist, offer.name, offer.path, content, offer.folder)] = offer.set
        return tracks

    def _split(self, tracks: Mapping[Track, str | None], last: LastRun) -> dict[Track, str]:
        """The set of each track: the one that it comes with, or else what `shares` decide."""
        free = [track for track, name in tracks.items() if name is None]
        same = last.shares == asdict(self.shares)  # as asked for before: nobody moves

        def before(track: Track) -> tuple[str, str | None] | None:
            former = last.find(track) if same else None
            return (former.set, former.artist) if former else None

        return {track: name for track, name in tracks.items() if name} | choose(free, self.shares, before)


def some(names: Collection[object]) -> str:
    """The first of many names."""
    return ", ".join(map(str, list(names)[:_SHOWN])) + ", ..." * (len(names) > _SHOWN)


def _tell_left_out(out: Path, left_out: Iterable[LeftOut], offered: int) -> None:
    kinds: dict[str, list[LeftOut]] = defaultdict(list)
    for entry in left_out:
        kinds[entry.reason].append(entry)
    if not kinds:
        return
    total = sum(map(len, kinds.values()))
    logger.warning("left out, each with its reason in %s (%d of %d):", out / "left_out.csv", total, offered)
    width = max(map(len, kinds))
    for reason, entries in sorted(kinds.items(), key=lambda kind: (-len(kind[1]), kind[0])):
        alone = f"{entries[0].path}: {entries[0].detail}"
        named = alone if len(entries) == 1 else some([entry.path for entry in entries])
        logger.info("%6d  %-*s  %s", len(entries), width, reason, named)


def _write_left_out(out: Path, left_out: Iterable[LeftOut]) -> None:
    with atomic_output(out / "left_out.csv") as stream:
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow(["path", "reason", "detail"])
        for path, reason, detail in sorted(left_out, key=lambda entry: os.fsencode(entry.path)):
            # Bytes of a name that are not UTF-8 stand escaped: the list itself is UTF-8.
            rows.writerow([os.fsencode(path).decode("utf-8", "backslashreplace"), reason, visible(detail)])


def _check_training(out: Path, sets: Mapping[Track, str], genres: Collection[str]) -> None:
    """Sets that a corpus brings may leave a genre untrained: tell which, and raise DataError where all are."""
    trained = {track.genre for track, name in sets.items() if name == TRAIN}
    if not trained:
        raise DataError(f"{out}: no track to train on: give some the split train")
    if lost := sorted(set(genres) - trained):
        logger.warning("no track to train on: %s", ", ".join(lost))


def _tell_recordings(sets: Mapping[Track, str], recordings: Mapping[Path, Probed]) -> None:
    if unknown := [track.path for track in sets if track.artist is None]:
        numbers = len(unknown), len(sets)
        logger.warning("artist unknown, so each counts as its own (%d of %d): %s", *numbers, some(unknown))
    if damaged := [f"{found.path} {found.warning}" for track in sets if (found := recordings[track.path]).warning]:
        logger.warning("damaged, and used as far as they go (%d): %s", len(damaged), some(damaged))
    alike: dict[str, list[Track]] = defaultdict(list)
    for track in sets:
        alike[track.content].append(track)
    pairs = [(same[0], copy) for content, same in alike.items() if content for copy in same[1:]]
    apart = [pair for pair in pairs if len({sets[track] for track in pair}) > 1]
    for copies, what in ((pairs, "copies of others, to the byte"), (apart, "copies of files in another set")):
        if copies:
            logger.warning("%s (%d): %s", what, len(copies), some([f"{copy.path} of {of.path}" for of, copy in copies]))


def _replace(out: Path, directories: Collection[DataDir]) -> None:
    """Put data directories in place of the old ones. All is written elsewhere first: a full disk then spoils nothing.

    The lists of features go, since they are of other tracks; extract-scat lists again what it has.
    """
    with tempfile.TemporaryDirectory(prefix=".intake.", dir=out) as staging:
        for data in directories:
            data.write(Path(staging, data.path.name))
        for data in directories:
            DataDir(data.path).write()
            data.path.mkdir(exist_ok=True)
            for path in Path(staging, data.path.name).iterdir():
                os.replace(path, data.path / path.name)
