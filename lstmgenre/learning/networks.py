"""The network of all tracks, and beside it one for each fold that has not heard it: local/cross_fit.sh of the recipe.

::

    EXP_DIR                          the network of all tracks
            train/post.scp           its posteriors of them
            cfN/data/K/{train,test}  the tracks less those of fold K, and those
            cfN/K                    the network of the former, and its posteriors of the latter
            train/post_cfN.scp       all posteriors of the latter kind, to learn from
            folds/post.scp           the same, to be scored
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, replace
from pathlib import Path

from lstmgenre.datadir import DataDir, hold_out
from lstmgenre.errors import DataError
from lstmgenre.expdir import ExpDir
from lstmgenre.files import exclusive
from lstmgenre.learning.data import divide
from lstmgenre.learning.settings import Means, Settings
from lstmgenre.nnet1 import init
from lstmgenre.nnet1.forward import forward
from lstmgenre.parallel.run import run
from lstmgenre.parallel.table import map_table
from lstmgenre.tables import read_map, write_map
from lstmgenre.training.datasets import set_up
from lstmgenre.training.trainer import train

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class NetworkJob:
    """A network to train on a data directory, and the features that it is to be run over."""

    data: Path
    exp: Path
    features: Path
    posteriors: Path
    settings: Settings

    @property
    def is_done(self) -> bool:
        nnet = ExpDir(self.exp).nnet
        return (
            nnet.exists() and self.posteriors.exists() and os.stat(self.posteriors).st_mtime >= os.stat(nnet).st_mtime
        )

    def count_epochs(self) -> int:
        """How many epochs of all that there may be are behind it."""
        if self.is_done:
            return self.settings.schedule.max_iters
        return sum(1 for _ in self.exp.glob("nnet/nnet_iter*"))


def train_networks(data: DataDir, exp: Path, settings: Settings, means: Means) -> list[list[str]]:
    """Train what is not trained yet, side by side, and run them; returns the utterances of each fold.

    Raises DataError where there are too few artists, or tracks, to divide.
    """
    parts = divide(replace(data, path=exp / "cf" / "data"), settings)
    cf = exp / f"cf{len(parts)}"
    work = [NetworkJob(data.path, exp, data.path / "feats.scp", exp / "train" / "post.scp", settings)]
    for k, (training, held_out) in enumerate(parts, 1):
        for part in (training, held_out):
            part.write(cf / "data" / str(k) / part.path.name)
        held_out_features = cf / "data" / str(k) / held_out.path.name / "feats.scp"
        training_dir = cf / "data" / str(k) / training.path.name
        work.append(NetworkJob(training_dir, cf / str(k), held_out_features, cf / str(k) / "post.scp", settings))
    left = [job for job in work if not job.is_done]
    total = len(work) * settings.schedule.max_iters
    with means.progress("training networks", total, lambda: sum(job.count_epochs() for job in work)):
        run(train_network, left, means.jobs, str(exp / "log" / "network.JOB.log"), means.engine)
    crossed: dict[str, str] = {}
    for job in work[1:]:
        crossed |= read_map(job.posteriors)
    for path in (exp / "train" / f"post_cf{len(parts)}.scp", exp / "folds" / "post.scp"):
        write_map(path, dict(sorted(crossed.items())))
    logger.info("networks: one of all tracks, and %d that have not heard a fold", len(parts))
    return [held_out.utterances for _, held_out in parts]


def train_network(job: NetworkJob) -> None:
    """Train a network, going on where a killed run left off, and run it over the features."""
    settings, data = job.settings, DataDir.read(job.data, ["feats.scp", "utt2genre", "utt2spk"])
    with exclusive(job.exp):
        datasets = set_up(job.exp, _divisible(data, settings), cv_fraction=settings.held_out, seed=settings.seed)
        cells = [settings.cell_dim] * len(settings.hidden)
        shape = datasets.input_dim, settings.hidden, cells, len(datasets.genres)
        nnet = init.lstm(*shape, settings.seed, settings.param_scale, settings.clip_gradient)
        sets = datasets.train, datasets.cv
        for _ in train(nnet, *sets, job.exp, settings.training, settings.schedule, datasets.transform):
            pass
        archive = job.posteriors.with_suffix(".ark")
        map_table(forward, {"model": job.exp}, f"scp:{job.features}", f"ark,scp:{archive},{job.posteriors}")


def _divisible(data: DataDir, settings: Settings) -> DataDir:
    """The tracks, each of an artist of its own where no artist can be spared: what stops training may be flattered."""
    try:
        hold_out(data, settings.held_out, settings.seed)
    except DataError:
        return replace(data, utt2spk={utterance: utterance for utterance in data.utterances})
    return data
