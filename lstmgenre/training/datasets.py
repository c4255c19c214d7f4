"""What a training run needs beside the network: its two sets, the classes in order, and the feature transform.

EXP_DIR gets train.scp and cv.scp, as Kaldi's recipes keep them, genres, and scat.json, the features' own configuration.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lstmgenre import provenance
from lstmgenre.datadir import DataDir, hold_out
from lstmgenre.errors import DataError, ModelError
from lstmgenre.expdir import ExpDir
from lstmgenre.files import atomic_output
from lstmgenre.nnet1 import init
from lstmgenre.nnet1.nnet import Nnet
from lstmgenre.scattering import scat_json
from lstmgenre.tables import numbered_lines, open_table
from lstmgenre.training import ranks
from lstmgenre.training.examples import Examples
from lstmgenre.training.trainer import TRANSFORM, check_settings, digest

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Datasets:
    """Sets to iterate once an epoch; `transform` brings features to mean 0 and variance 1 over the training set."""

    train: Examples
    cv: Examples
    genres: list[str]
    transform: Nnet

    @property
    def input_dim(self) -> int:
        return self.transform.input_dim


def set_up(
    exp_dir: Path, data: DataDir, cv: DataDir | None = None, *, cv_fraction: float = 0.1, seed: int = 777
) -> Datasets:
    """Hold out whole artists for cross-validation, unless `cv` is given, and write what EXP_DIR keeps of the data.

    The training list is shuffled once, and read in that order in every epoch. Raises DataError for an utterance without
    a genre or with one that the training set does not know, and where nothing is left to train on; and ModelError,
    before anything is written, where training in EXP_DIR was begun on other data.
    """
    files = ExpDir(exp_dir)
    train, cv = (data, cv) if cv else hold_out(data, cv_fraction, seed)
    genres = data.genres
    if len(genres) < 2:
        raise DataError(f"{data.path}: a classifier needs two genres or more, and utt2genre has {len(genres)}")
    order = sorted(train.feats)
    random.Random(seed).shuffle(order)
    held_out_of = data.path if train is not data else cv.path  # the parts that hold_out makes are not on disk
    train_set = _examples(files.train_scp, train, order, genres, data.path)
    cv_set = _examples(files.cv_scp, cv, sorted(cv.feats), genres, held_out_of)
    table = open_table(f"scp:{data.path / 'feats.scp'}")  # the lists of EXP_DIR are not written yet
    transform = init.feature_transform(_alike(table, train_set.targets, data.path))
    if ranks.first():
        labels = train.utt2genre | cv.utt2genre
        contents = {
            files.genres_file: genres,
            files.train_scp: [f"{utterance} {train.feats[utterance]}" for utterance in train_set.targets],
            files.cv_scp: [f"{utterance} {cv.feats[utterance]}" for utterance in cv_set.targets],
            files.labels: [f"{u} {labels[u]}" for u in sorted({*train_set.targets, *cv_set.targets})],
        }
        if files.training.exists():
            _check_begun(files, contents, transform)
        for path, lines in contents.items():
            with atomic_output(path) as stream:
                stream.writelines(f"{line}\n" for line in lines)
        provenance.write(exp_dir, train.feats | cv.feats, [*train_set.targets, *cv_set.targets])
        if config := scat_json.of_features(train_set.rspecifier):
            scat_json.write(exp_dir, config)
    ranks.wait()
    train_set.input_dim = cv_set.input_dim = transform.input_dim
    return Datasets(train_set, cv_set, genres, transform)


def _check_begun(files: ExpDir, contents: Mapping[Path, list[str]], transform: Nnet) -> None:
    """Raise ModelError where training in EXP_DIR was begun on other data. Data that were only moved are the same."""
    check_settings(files.path, {TRANSFORM: digest(transform)})
    for path, lines in contents.items():
        count = 2 if path == files.labels else 1  # where the features are may have changed, what they are not
        if path.exists() and [line.split()[:count] for line in lines] != list(_words(path, count)):
            what = {files.genres_file: "genres", files.labels: "genres of tracks"}.get(path, "tracks")
            raise ModelError(
                f"{path}: training was begun with other {what}: give the same data to go on, or another directory"
            )


def _words(path: Path, count: int) -> Iterator[list[str]]:
    return (line.decode("utf-8", "replace").split()[:count] for _, line in numbered_lines(path) if line.strip())


def _alike(table: Mapping[str, np.ndarray], utterances: Iterable[str], source: Path) -> Iterator[np.ndarray]:
    """Their features. Raises DataError where these are of several widths."""
    width = None
    for utterance in utterances:
        matrix = table[utterance]
        width = width or matrix.shape[1]
        if matrix.shape[1] != width:
            raise DataError(
                f"{source / 'feats.scp'}: {utterance}: {matrix.shape[1]} columns, where the entries before it have "
                f"{width}"
            )
        yield matrix


def _examples(scp: Path, data: DataDir, order: list[str], genres: list[str], source: Path) -> Examples:
    if not order:
        raise DataError(f"{source}: has no features: lstmgenre extract-scat {source}")
    for utterance in order:
        if utterance not in data.utt2genre:
            raise DataError(f"{source}/utt2genre: no line for {utterance}: add its genre, or leave the track out")
        if data.utt2genre[utterance] not in genres:
            raise DataError(
                f"{source}/utt2genre: {utterance}: unknown genre {data.utt2genre[utterance]!r}: "
                f"the genres are {', '.join(genres)}"
            )
    if without := data.utt2genre.keys() - data.feats.keys():
        logger.warning(
            "%s: %d of %d tracks have no features and are left out", source, len(without), len(data.utt2genre)
        )
    index = {genre: k for k, genre in enumerate(genres)}
    return Examples(f"scp:{scp}", {u: index[data.utt2genre[u]] for u in order}, len(genres))
