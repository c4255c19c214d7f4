"""A trained system in one directory, and the genre of a song from its audio file.

A bundle is the files of an experiment and of one of its SVMs side by side, and a model card::

    scat.json                              configuration of the features
    final.feature_transform  final.nnet    the network
    training.json                          how it was trained: settings and learning curves
    genres                                 the classes, in the order of the network's outputs
    pooling.json  svm.skops                the segment vectors, and the SVM that decides on them
    README.md                              the model card

JSON, nnet1 and skops without trusted types: nothing in it can run code.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from lstmgenre import audio
from lstmgenre.corpora import rxfilename
from lstmgenre.errors import DataError, FormatError, ModelError
from lstmgenre.posteriors import Forward
from lstmgenre.scattering import record
from lstmgenre.scattering.features import ScatteringFeatures
from lstmgenre.segments import Pooling, pool_all
from lstmgenre.svm import SegmentSvm
from lstmgenre.tables import read_map

_OF_EXPERIMENT = ("scat.json", "final.feature_transform", "final.nnet", "training.json")
_OF_SVM = ("genres", "pooling.json", "svm.skops")
_CARD = "README.md"
_TRAIN = "train the network with lstmgenre train-lstm or train-dnn"


@dataclass(frozen=True)
class Span:
    """A stretch of a song, in seconds, in which one genre is the likeliest in every frame; `posterior` is its mean."""

    start: float
    end: float
    genre: str
    posterior: float


@dataclass(frozen=True)
class Prediction:
    """What a system says about a song; `scores` are those of svm.SegmentSvm, the genre's is the largest."""

    genre: str
    scores: dict[str, float]
    timeline: list[Span]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Bundle:
    """Every stage from samples to a genre. `delay` is how many frames the network's outputs lag behind its inputs."""

    features: ScatteringFeatures
    forward: Forward
    pooling: Pooling
    svm: SegmentSvm
    delay: int

    @classmethod
    def load(cls, directory: Path) -> Bundle:
        """Read what `pack` wrote.

        Raises DataError, FormatError or ModelError for files that are missing, damaged, or not of one system.
        """
        return cls.of(directory, directory)

    @classmethod
    def of(cls, experiment: Path, svm_dir: Path) -> Bundle:
        """The system of a trained network and an SVM on its segment vectors. Raises as `load`."""
        if not experiment.is_dir():
            raise DataError(f"{experiment}: no such directory: make a bundle with lstmgenre bundle")
        recorded = record.read(experiment)
        if not recorded:
            raise DataError(f"{experiment / record.NAME}: not there: the features have no recorded configuration")
        features = ScatteringFeatures(recorded[0])
        forward = Forward.load(experiment / "final.nnet", experiment / "final.feature_transform")
        svm = SegmentSvm.load(svm_dir)
        if not svm.pooling:
            raise DataError(
                f"{svm_dir / 'pooling.json'}: not there: train the SVM on vectors that pool-segments wrote to a file"
            )
        outputs = forward.nnet.output_dim
        if len(svm.genres) != outputs:
            raise ModelError(f"{svm_dir / 'genres'}: {len(svm.genres)} genres for a network with {outputs} outputs")
        if svm.dim != 4 * outputs + svm.pooling.fuse * features.dim:
            raise ModelError(
                f"{svm_dir}: an SVM on {svm.dim} numbers is not one on the segment vectors of {experiment}"
            )
        with _reading(experiment / "training.json", _TRAIN) as training:
            delay = int(training["settings"].get("targets_delay", 0))
        return cls(features, forward, svm.pooling, svm, delay)

    def predict(self, path: str | os.PathLike[str]) -> Prediction:
        """The genre of an audio file; a name that Kaldi would take for a command or an offset is refused.

        Raises DataError where the file cannot be decoded or is shorter than one window of the features.
        """
        config = self.features.config
        samples = audio.load(rxfilename(Path(path)), sample_rate=config.sample_rate, quantise=config.quantise)
        name = os.fspath(path)
        try:
            features = self.features(samples)
        except DataError as error:
            raise DataError(f"{name}: {error}") from error
        ((_, posteriors),) = self.forward([(name, features)])
        vectors = dict(
            pool_all([(name, posteriors)], self.pooling.threshold, {name: features} if self.pooling.fuse else None)
        )
        scores = self.svm.scores(vectors)[name]
        return Prediction(max(scores, key=scores.__getitem__), scores, self._timeline(posteriors))

    def _timeline(self, posteriors: np.ndarray) -> list[Span]:
        """Runs of frames of one genre; (frames, classes). The first `delay` outputs are from before the song."""
        posteriors = posteriors[self.delay :] if len(posteriors) > self.delay else posteriors
        seconds = self.features.transform.hop / self.features.config.sample_rate
        spans, first = [], 0
        for k, run in groupby(posteriors.argmax(axis=1)):
            end = first + len(list(run))
            mean = float(posteriors[first:end, k].mean(dtype=np.float64))
            spans.append(Span(round(first * seconds, 2), round(end * seconds, 2), self.svm.genres[k], mean))
            first = end
        return spans


def pack(experiments: Sequence[Path], svm_name: str, out: Path) -> Path:
    """Write to `out` the experiment of the lowest held-out loss with its SVM `svm_name`; returns that experiment.

    The held-out loss is of tracks that were kept from training, so that test scores have no part in the choice. `out`
    appears whole or not at all, and takes the place of an older bundle. Raises as Bundle.load, and DataError where
    `out` is something else.
    """
    best = min(experiments, key=held_out_loss)
    svm_dir = best / svm_name
    Bundle.of(best, svm_dir)
    if out.exists() and not (out / "svm.skops").is_file():
        raise DataError(f"{out}: is there and no bundle: remove it or name another directory")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as temporary:
        new, old = Path(temporary, "new"), Path(temporary, "old")
        new.mkdir()
        for source in [best / name for name in _OF_EXPERIMENT] + [svm_dir / name for name in _OF_SVM]:
            shutil.copy2(source, new / source.name)
        (new / _CARD).write_text(model_card(best, svm_dir), encoding="utf-8")
        if out.exists():
            out.rename(old)
        new.rename(out)
    return best


def held_out_loss(experiment: Path) -> float:
    """Cross-validation loss of final.nnet, which is that of the last epoch that was accepted."""
    with _reading(experiment / "training.json", _TRAIN) as training:
        return float([epoch["cv_loss"] for epoch in training["epochs"] if epoch["accepted"]][-1])


def model_card(experiment: Path, svm_dir: Path) -> str:
    """What is recorded about a system and its scores, as Markdown. Raises FormatError for a damaged record."""
    system = Bundle.of(experiment, svm_dir)
    config, pooling, genres = system.features.config, system.pooling, system.svm.genres
    held_out, learnt = (len(read_map(experiment / name)) for name in ("cv.scp", "train.scp"))
    logs = [*sorted(experiment.glob("log/train-*.json")), *sorted(svm_dir.glob("log/train-*.json"))]
    scores = [_scores_on(path, svm_dir.name) for path in sorted(experiment.glob("*/score.json"))]
    return f"""# Music genre classifier {experiment.name} / {svm_dir.name}

Names one of {len(genres)} genres for an audio file: {", ".join(genres)}.

- Features: {system.features.dim} scattering coefficients a frame, from windows of {config.window} samples at
  {config.sample_rate} Hz{", audio rounded to 16 bits" if config.quantise else ""} (scat.json).
- Network: nnet1, {sum(p.numel() for p in system.forward.nnet.parameters()):,} parameters (final.nnet, training.json).
- Decision: a linear SVM on {system.svm.dim} numbers a track: {"the mean feature vector, then " * pooling.fuse}maximum,
  minimum, mean and share above {pooling.threshold:g} of each genre's posteriors (pooling.json).

## Training

The network learnt from {learnt} tracks; its cross-entropy on {held_out} others is {held_out_loss(experiment):.4f}.

```
{"".join(map(_command, logs))}```

## Scores

{"".join(scores)}## Limits

- It knows its genres and no other, and always names one of them.
- Scores are the SVM's decision values, not probabilities.
- It was measured on the tracks above only. Where their artists are in the training set as well, the figures flatter;
  music of another time, style or production will fare worse.
"""


def _command(log: Path) -> str:
    with _reading(log, "train again") as run:
        versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
        return f"{run['command']}  # {versions}\n"


def _scores_on(path: Path, system: str) -> str:
    """The right decisions on a test set, in all and per genre; nothing where the system was not scored."""
    with _reading(path, "score again") as score:
        if system not in score["tracks"]:
            return ""
        track = score["tracks"][system]
        rows = [
            f"| {genre} | {sum(row)} | {row[k]} |\n"
            for k, (genre, row) in enumerate(zip(score["genres"], track["confusion"], strict=True))
        ]
        return (
            f"On `{path.parent.name}`, {track['correct']} of {track['total']} tracks are right "
            f"({track['accuracy']:.2%}):\n\n| genre | tracks | right |\n| --- | ---: | ---: |\n{''.join(rows)}\n"
        )


@contextmanager
def _reading(path: Path, remedy: str) -> Iterator[Any]:
    """The content of a JSON file; what the block finds missing or otherwise in it is an error of the file."""
    try:
        yield json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}: {remedy}") from error
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise FormatError(f"{path}: damaged ({type(error).__name__}: {error}): {remedy}") from error
