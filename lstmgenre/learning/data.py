"""The tracks to learn from and to test on, with their features, below WORK/data."""

from __future__ import annotations

import csv
import logging
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

from lstmgenre.corpora import folders
from lstmgenre.datadir import DataDir, folds, validate
from lstmgenre.errors import DataError
from lstmgenre.learning.settings import Means, Settings
from lstmgenre.scattering import scat_json
from lstmgenre.scattering.extract import extract
from lstmgenre.scattering.journal import count_done
from lstmgenre.tables import file_of
from lstmgenre.text import counted

logger = logging.getLogger(__name__)

_FEWEST_FOLDS = 3  # that selection.try_out takes


@dataclass(frozen=True)
class Corpus:
    """Where the tracks are: `music` is a folder with one for each genre, of which a share is kept to test on; or else
    `train` and `test` are data directories.
    """

    music: Path | None = None
    train: Path | None = None
    test: Path | None = None
    test_fraction: float = 0.0

    @property
    def name(self) -> str:
        """That of the folder; of a data directory, with that of the one around it."""
        parts = (self.music or self.train or Path()).resolve().parts[1:]
        return "/".join(parts[-1:] if self.music else parts[-2:]) or "music"


def prepare(corpus: Corpus, out: Path, settings: Settings, means: Means) -> tuple[dict[str, DataDir], int]:
    """`out`/train and, where tracks are kept to test on, `out`/test, by these names: the tracks that have features; and
    how many files are left out.
    """
    data, left_out = _take_in(corpus, out, settings, means)
    _check_genres(data)
    divide(data["train"], settings)  # features take hours
    for name, of in data.items():
        count = len(of.utterances)
        with_features = _extract(of, means)
        left_out += count - len(with_features.utterances)
        data[name] = with_features
    _check_features(data)
    return data, left_out


def divide(data: DataDir, settings: Settings) -> list[tuple[DataDir, DataDir]]:
    """As many folds as are wanted, or as few as will do, such that selection.try_out has all genres to learn from, and
    two at least where it leaves out two folds. Raises DataError where there are too few artists, or tracks, for that.
    """
    counts = Counter(data.utt2genre.values())
    if len(counts) < 2:
        raise DataError(f"{data.path}: tracks of {counted(len(counts), 'genre')}: give those of two genres or more")
    for n in range(settings.folds, _FEWEST_FOLDS - 1, -1):
        with suppress(DataError):
            parts = folds(data, n, settings.seed)
            tests = [Counter(held_out.utt2genre.values()) for _, held_out in parts]
            if all(len(counts - one - other) > 1 for one, other in combinations(tests, 2)):
                return parts
    of = {genre: data.subset(u for u in data.utterances if data.utt2genre[u] == genre) for genre in sorted(counts)}
    # What an artist has alone is divided by track.
    sizes = {genre: len(part.spk2utt) if len(part.spk2utt) > 1 else counts[genre] for genre, part in of.items()}
    fewest = min(sizes, key=sizes.__getitem__)
    raise DataError(
        f"{data.path}: genre {fewest} has {counted(counts[fewest], 'track')} by "
        f"{counted(len(of[fewest].spk2utt), 'artist')}, too few for cross-validation: add songs, by {_FEWEST_FOLDS} "
        "artists at least, or leave the genre out"
    )


def _take_in(corpus: Corpus, out: Path, settings: Settings, means: Means) -> tuple[dict[str, DataDir], int]:
    """The data directories below `out`, by name, and how many files are not in them."""
    if corpus.music:
        data = folders.prepare(
            corpus.music,
            out,
            test_fraction=corpus.test_fraction,
            seed=settings.seed,
            jobs=means.jobs,
            progress=means.progress,
        )
        with open(out / "left_out.csv", encoding="utf-8", newline="") as rows:
            left_out = sum(1 for _ in csv.reader(rows)) - 1
    else:
        given = {"train": corpus.train, "test": corpus.test}
        data, left_out = {name: _copy(source, out / name) for name, source in given.items() if source}, 0
    counts = ", ".join(
        f"{counted(len(of.utterances), 'track')} of {counted(len(set(of.utt2genre.values())), 'genre')} for {name}"
        for name, of in data.items()
    )
    logger.info("data: %s", counts)
    return data, left_out


def _copy(source: Path, path: Path) -> DataDir:
    """Somebody's data directory, to be worked on at `path`; features of all its tracks are used as they are."""
    data = DataDir.read(source, ["utt2genre", "utt2spk"])
    for problem in validate(data):
        raise DataError(f"{problem.where}: {problem.message}: {problem.remedy}")
    if data.wav_scp and not data.feats.keys() >= set(data.utterances):
        before = DataDir.read(path) if path.is_dir() else DataDir(path)  # `extract` finds out of which tracks
        data = replace(data, feats=before.feats, utt2num_frames=before.utt2num_frames, utt2dur=before.utt2dur)
    data.write(path)
    return replace(data, path=path)


def _extract(data: DataDir, means: Means) -> DataDir:
    """The tracks of `data` that have features, or have got them."""
    archives = data.path / "data"
    is_ours = all(Path(file_of(entry)).parent == archives.absolute() for entry in data.feats.values())
    if data.wav_scp and is_ours:
        with means.progress(f"features of {data.path.name}", len(data.utterances), lambda: count_done(archives)):
            extract(data, jobs=means.jobs, engine=means.engine)
        data = DataDir.read(data.path, ["feats.scp"])
    logger.info("features: %s for %s", counted(len(data.feats), "track"), data.path.name)
    return data.subset(data.feats)


def _check_genres(data: Mapping[str, DataDir]) -> None:
    train = data["train"]
    for of in data.values():
        if unknown := set(of.utt2genre.values()) - set(train.genres):
            raise DataError(f"{of.path}: no track of {min(unknown)} is there to learn from: take that genre out")


def _check_features(data: Mapping[str, DataDir]) -> None:
    configs = {of.path: scat_json.of_features(f"scp:{of.path / 'feats.scp'}") for of in data.values()}
    train = configs[data["train"].path]
    if not train:
        logger.warning("features from elsewhere: what is learnt takes such features, and no audio")
    for path, config in configs.items():
        if config != train:
            raise DataError(f"{path}/feats.scp: other features than those that are learnt from: extract them alike")
