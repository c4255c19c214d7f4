"""A trained system in one directory, and the genre of a song from its audio file.

A bundle is the files of an experiment and of one of its SVMs side by side, and a model card::

    scat.json                              configuration of the features
    final.feature_transform  final.nnet    the network
    training.json                          how it was trained: settings and learning curves
    genres                                 the classes, in the order of the network's outputs
    svm.json                               how segment vectors are pooled, and the SVM that decides on them
    README.md                              the model card

JSON, nnet1 and lines of text: nothing in it can run code.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from lstmgenre import audio, svm
from lstmgenre.corpora import rxfilename
from lstmgenre.errors import DataError, ModelError
from lstmgenre.expdir import ExpDir, History, Run
from lstmgenre.expdir.runs import read_run
from lstmgenre.nnet1.forward import Forward
from lstmgenre.scattering import scat_json
from lstmgenre.scattering.features import ScatteringFeatures
from lstmgenre.scoring import Report
from lstmgenre.segments import Pooling, pool_all
from lstmgenre.svm import SegmentSvm
from lstmgenre.tables import read_map

_CARD = "README.md"
_NO_SCORES = "Not measured yet: lstmgenre score --out EXP_DIR/PART/score.json, and pack the bundle again.\n\n"


@dataclass(frozen=True)
class Span:
    """A stretch of a song, in seconds, in which one genre is the likeliest in every frame; `posterior` is its mean.

    Where two meet is half-way between the centres of their frames.
    """

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
    """Every stage from samples to a genre. `genres` are the network's outputs, which lag `delay` frames behind its
    inputs; the SVM may know fewer."""

    features: ScatteringFeatures
    forward: Forward
    genres: Sequence[str]
    delay: int
    svm: SegmentSvm
    pooling: Pooling

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
        configured = scat_json.read(experiment)
        if not configured:
            raise DataError(f"{experiment / scat_json.NAME}: not there: the features have no recorded configuration")
        features = ScatteringFeatures(configured[0])
        files = ExpDir(experiment)
        forward = Forward.load(files.nnet, files.feature_transform)
        genres = files.genres()
        if len(genres) != forward.nnet.output_dim:
            raise ModelError(
                f"{files.genres_file}: {len(genres)} genres for a network with {forward.nnet.output_dim} outputs"
            )
        classifier = SegmentSvm.load(svm_dir)
        if not (pooling := classifier.pooling):
            raise DataError(
                f"{svm_dir / svm.NAME}: does not say how its vectors were pooled: train the SVM on vectors that "
                "pool-segments wrote to a file"
            )
        if unknown := set(classifier.genres) - set(genres):
            raise ModelError(f"{svm_dir / svm.NAME}: genre {min(unknown)!r} is not among those of {experiment}")
        if classifier.dim != 4 * len(genres) + pooling.fuse * features.dim:
            raise ModelError(
                f"{svm_dir / svm.NAME}: an SVM on {classifier.dim} numbers is not one on the segment vectors of "
                f"{experiment}"
            )
        delay = History.read(experiment).targets_delay
        return cls(features, forward, genres, delay, classifier, pooling)

    def predict(self, path: str | os.PathLike[str]) -> Prediction:
        """The genre of an audio file; a name that Kaldi would take for a command or an offset is refused.

        Raises DataError for what is no name of a file, and where the file cannot be decoded or is shorter than one
        window of the features.
        """
        name = os.fspath(path) if isinstance(path, str | os.PathLike) else path
        if not isinstance(name, str):
            raise DataError(f"{type(path).__name__} is no name of a file: give the path of an audio file")
        config = self.features.config
        samples = audio.load(rxfilename(Path(name)), sample_rate=config.sample_rate, quantise=config.quantise)
        try:
            features = self.features(samples)
        except DataError as error:
            raise DataError(f"{name}: {error}") from error
        # One pass serves both: what the SVM pools is as late as it was in training, the timeline is not.
        ahead = np.repeat(features[-1:], self.delay, axis=0)
        ((_, posteriors),) = self.forward([(name, np.concatenate([features, ahead]))])
        fused = {name: features} if self.pooling.fuse else None
        vectors = pool_all([(name, posteriors[: len(features)])], self.pooling.threshold, fused)
        scores = self.svm.scores(dict(vectors))[name]
        timeline = self._timeline(posteriors[self.delay :], len(samples) / config.sample_rate)
        return Prediction(max(scores, key=scores.__getitem__), scores, timeline)

    def _timeline(self, posteriors: np.ndarray, duration: float) -> list[Span]:
        """Runs of frames (frames, classes) of one genre; frame m is centred on sample m * hop."""
        hop = self.features.transform.hop / self.features.config.sample_rate
        edges = (np.arange(len(posteriors) + 1) - 0.5) * hop
        edges[0], edges[-1] = 0, duration
        spans, first = [], 0
        for k, run in groupby(posteriors.argmax(axis=1)):
            end = first + len(list(run))
            mean = float(posteriors[first:end, k].mean(dtype=np.float64))
            spans.append(Span(round(float(edges[first]), 2), round(float(edges[end]), 2), self.genres[k], mean))
            first = end
        return spans


def _files_of(experiment: Path) -> list[Path]:
    files = ExpDir(experiment)
    return [experiment / scat_json.NAME, files.feature_transform, files.nnet, files.training, files.genres_file]


def pack(experiments: Sequence[Path], svm_name: str, out: Path) -> Path:
    """Write to `out` the experiment of the lowest held-out loss with its SVM `svm_name`; returns that experiment.

    The held-out loss is of tracks that were kept from training, so that test scores have no part in the choice. `out`
    appears whole or not at all, and takes the place of an older bundle. Raises as Bundle.load, and DataError where
    `out` is something else.
    """
    best = min(experiments, key=lambda experiment: History.read(experiment).held_out_loss)
    card = model_card(best, best / svm_name, experiments)
    if out.exists() and not (out / svm.NAME).is_file():
        raise DataError(f"{out}: is there and no bundle: remove it or name another directory")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as temporary:
        new, old = Path(temporary, "new"), Path(temporary, "old")
        new.mkdir()
        for source in [*_files_of(best), best / svm_name / svm.NAME]:
            shutil.copy2(source, new / source.name)
        (new / _CARD).write_text(card, encoding="utf-8")
        if out.exists():
            out.rename(old)
        new.rename(out)
    return best


def model_card(experiment: Path, svm_dir: Path, candidates: Sequence[Path]) -> str:
    """What is recorded about a system and its scores, as Markdown; it was chosen among `candidates`.

    Raises as Bundle.load, and FormatError for a damaged record.
    """
    system = Bundle.of(experiment, svm_dir)
    config, pooling = system.features.config, system.pooling
    files = ExpDir(experiment)
    held_out, learnt = (len(read_map(scp)) for scp in (files.cv_scp, files.train_scp))
    loss = History.read(experiment).held_out_loss
    logs = [log for directory in (experiment, svm_dir) for log in sorted(directory.glob("log/train-*.json"))]
    commands = "".join(map(_command, map(read_run, logs)))
    scores = "".join(_scores_on(path, svm_dir.name) for path in files.scores)
    return f"""# Music genre classifier {experiment.name} / {svm_dir.name}

Names one of {len(system.svm.genres)} genres for an audio file: {", ".join(system.svm.genres)}.

- Features: {system.features.dim} scattering coefficients a frame, from windows of {config.window} samples at
  {config.sample_rate} Hz{", audio rounded to 16 bits" if config.quantise else ""} (scat.json).
- Network: nnet1, {sum(p.numel() for p in system.forward.nnet.parameters()):,} parameters (final.nnet, training.json).
- Decision: a linear SVM on {system.svm.dim} numbers a track: {"the mean feature vector, then " * pooling.fuse}maximum,
  minimum, mean and share above {pooling.threshold:g} of each genre's posteriors (svm.json).

## Training

The network learnt from {learnt} tracks; its cross-entropy on {held_out} others is {loss:.4f}.
{_choice(candidates)}

```
{commands}```

## Scores

{scores or _NO_SCORES}## Limits

- It knows its genres and no other, and always names one of them.
- Scores are the SVM's decision values, not probabilities.
- Figures hold for the tracks they were measured on. Where their artists are in the training set as well, they flatter;
  music of another time, style or production will fare worse.
"""


def _choice(candidates: Sequence[Path]) -> str:
    if len(candidates) == 1:
        return "It was the only one to choose from."
    names = ", ".join(path.name for path in candidates)
    return f"That is the lowest of {names}, and why it was chosen: test tracks had no part in it."


def _command(run: Run) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in run.versions.items())
    return f"{run.command}  # {versions}\n"


def _scores_on(path: Path, system: str) -> str:
    """The right decisions on a test set, in all and per genre; nothing where the system was not scored."""

    report = Report.read(path)
    if system not in report.tracks:
        return ""
    track = report.tracks[system]
    rows = [
        f"| {genre} | {sum(row)} | {row[k]} |\n"
        for k, (genre, row) in enumerate(zip(report.genres, track.confusion.tolist(), strict=True))
    ]
    correct, total = track.accuracy.correct, track.accuracy.total
    return (
        f"On `{path.parent.name}`, {correct} of {total} tracks are right ({track.accuracy.rate:.2%}):\n\n"
        f"| genre | tracks | right |\n| --- | ---: | ---: |\n{''.join(rows)}\n"
    )
