"""A trained system in one directory, and the genre of a song from its audio file, or from its features.

A bundle is the files of an experiment and of one of its systems side by side, and a model card::

    system.json                            the name of the system, and what else is not in the parts
    scat.json                              configuration of the features
    final.feature_transform  final.nnet    the network
    training.json                          how it was trained: settings and learning curves
    genres                                 the classes, in the order of the network's outputs
    svm.json                               how segment vectors are pooled, and the SVM that decides on them
    utt2content                            the tracks that were learnt from, each with a digest of its recording
    README.md                              the model card

Where the network's majority vote decides there is no svm.json; an SVM that decides on the mean features alone has no
network. Where features came from elsewhere there is no scat.json: such a system decides on features that it is given.
JSON, nnet1 and lines of text: nothing in it can run code.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any, overload

import msgspec
import numpy as np
import numpy.typing as npt

from lstmgenre import audio, svm
from lstmgenre.calibration import Calibration
from lstmgenre.corpora import rxfilename
from lstmgenre.documents import read_json
from lstmgenre.errors import DataError, LstmGenreError, ModelError
from lstmgenre.expdir import ExpDir, History
from lstmgenre.nnet1.forward import Forward
from lstmgenre.prediction import Prediction, Span
from lstmgenre.scattering import scat_json
from lstmgenre.scattering.features import ScatteringFeatures
from lstmgenre.scoring import vote_shares
from lstmgenre.segments import add_up, pool
from lstmgenre.selection import VOTE
from lstmgenre.svm import SegmentSvm
from lstmgenre.tables.rules import as_array, as_float32, is_finite

Song = str | os.PathLike[str] | tuple[np.ndarray, float]
"""An audio file, or samples and their rate in Hz."""

SYSTEM_NAME = "system.json"

_SIDE_BY_SIDE = 8  # songs that go through the network together
_HELD_FRAMES = 4096  # of theirs (13 minutes), 9 MB: of a longer song the network takes a few frames at a time


class System(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What system.json says."""

    system: str
    calibration: Calibration | None = None
    features_given: bool = False
    """There is no scat.json, and none is lost."""


@dataclass(frozen=True)
class Heard:
    """What is left of a song when it has been listened to: the mean of its features (dim,), how many `frames` they
    were, and its `duration` in seconds where that is known. Where there is a network, its `inputs` (frames + delay,
    dim), or of a long song its `outputs` already.
    """

    mean: np.ndarray
    frames: int
    duration: float | None
    inputs: np.ndarray | None
    outputs: np.ndarray | None


@dataclass(frozen=True)
class Bundle:
    """Every stage from samples to a genre. `genres` are the network's outputs, which lag `delay` frames behind its
    inputs; the SVM may know fewer.

    Without an SVM the network's majority vote decides, without a network the SVM on the mean features. Without
    `features` it decides on features that it is given.
    """

    features: ScatteringFeatures | None
    forward: Forward | None
    genres: Sequence[str]
    delay: int
    svm: SegmentSvm | None
    calibration: Calibration | None = None
    """Of its scores, where they are known of tracks that were held out."""

    @classmethod
    def load(cls, directory: Path) -> Bundle:
        """Read what `pack` wrote.

        Raises DataError, FormatError or ModelError for files that are missing, damaged, or not of one system.
        """
        path = directory / SYSTEM_NAME
        # Bundles of an SVM were once without the file.
        named = read_json(path, System, "make the bundle again") if path.exists() else None
        if directory.is_dir() and not (directory / scat_json.NAME).exists() and not (named and named.features_given):
            raise DataError(f"{directory / scat_json.NAME}: not there: make the bundle again")
        system = cls.of(directory, None if named and named.system == VOTE else directory)
        return replace(system, calibration=named.calibration if named else None)

    @classmethod
    def of(cls, experiment: Path, svm_dir: Path | None) -> Bundle:
        """The system of a trained network and an SVM, or of one of the two. Raises as `load`."""
        if not experiment.is_dir():
            raise DataError(f"{experiment}: no such directory: make a bundle with lstmgenre bundle")
        configured = scat_json.read(experiment)
        features = ScatteringFeatures(configured.config) if configured else None
        classifier = SegmentSvm.load(svm_dir) if svm_dir else None
        if classifier and classifier.pooling and classifier.pooling.threshold is None:
            system = cls(features, None, classifier.genres, 0, classifier)
        else:
            files = ExpDir(experiment)
            forward, genres = Forward.load(files.nnet, files.feature_transform), files.genres()
            if len(genres) != forward.nnet.output_dim:
                raise ModelError(
                    f"{files.genres_file}: {len(genres)} genres for a network with {forward.nnet.output_dim} outputs"
                )
            if features and features.dim != forward.input_dim:
                raise ModelError(
                    f"{files.nnet}: takes {forward.input_dim} inputs, but there are {features.dim} features "
                    f"({scat_json.NAME})"
                )
            system = cls(features, forward, genres, History.read(experiment).targets_delay, classifier)
        if svm_dir:
            system._check_svm(experiment, svm_dir / svm.NAME)
        return system

    def _check_svm(self, experiment: Path, path: Path) -> None:
        assert self.svm
        if not self.svm.pooling:
            raise DataError(
                f"{path}: does not say how its vectors were pooled: train the SVM on vectors that pool-segments wrote "
                "to a file"
            )
        if unknown := set(self.svm.genres) - set(self.genres):
            raise ModelError(f"{path}: genre {min(unknown)!r} is not among those of {experiment}")
        statistics = 4 * len(self.genres) if self.forward else 0
        if self.svm.dim != statistics + self.svm.pooling.fuse * self.dim:
            raise ModelError(
                f"{path}: an SVM on {self.svm.dim} numbers is not one on the segment vectors of {experiment}"
            )

    @property
    def dim(self) -> int:
        """How many features a frame has."""
        if self.features:
            return self.features.dim
        if self.forward:
            return self.forward.input_dim
        assert self.svm
        return self.svm.dim

    @overload
    def predict(self, song: Song) -> Prediction: ...
    @overload
    def predict(self, song: np.ndarray, sample_rate: float) -> Prediction: ...
    @overload
    def predict(self, song: list[Song]) -> list[Prediction]: ...
    def predict(self, song: Any, sample_rate: float | None = None) -> Prediction | list[Prediction]:
        """The genre of an audio file, of samples at a rate in Hz (audio.from_array), or of each of a list of these.

        A name that Kaldi would take for a command or an offset is refused, and so is what is no regular file.

        Raises DataError for what is no song, and where it cannot be decoded or is shorter than one window of the
        features; and for a system without `features`.
        """
        if isinstance(song, list):
            return list(map(_raised, self.decide(map(self.hear, song))))
        return _raised(next(self.decide([self.hear(song, sample_rate)])))

    def predict_features(self, features: npt.ArrayLike) -> Prediction:
        """The genre of a song from its features (frames, dim), as those of its audio would be, or as the system was
        trained on.

        The timeline ends half a frame behind the centre of the last; it is empty for a system without `features`, whose
        frames have no known place. Raises DataError for what is no matrix of finite numbers with a row at least, and
        ModelError where it has other columns than the system takes.
        """
        return _raised(next(self.decide([self.hear_features(features)])))

    def hear(self, song: Song | np.ndarray, sample_rate: float | None = None) -> Heard:
        """What `decide` needs of a song; takes and raises what `predict` does."""
        if not self.features:
            raise DataError("the system was trained on features from elsewhere, and takes no audio: predict_features")
        if isinstance(song, tuple) and len(song) == 2:
            song, sample_rate = song
        config = self.features.config
        options: dict[str, Any] = {"sample_rate": config.sample_rate, "quantise": config.quantise}
        if isinstance(song, np.ndarray):
            if sample_rate is None:
                raise DataError("samples without a rate: give it, too: predict(samples, sample_rate)")
            return self._hear("the array", audio.from_array(song, sample_rate, **options), self.features)
        name = os.fspath(song) if isinstance(song, str | os.PathLike) else song
        if not isinstance(name, str):
            raise DataError(f"{type(song).__name__} is no name of a file: give the path of an audio file")
        with suppress(OSError, ValueError):  # whoever opens it will tell
            if not stat.S_ISREG(os.stat(name).st_mode) and not os.path.isdir(name):
                # To open a named pipe would be to wait for who writes to it.
                raise DataError(f"{name}: cannot be read: is no regular file; give an audio file")
        return self._hear(name, audio.open_track(rxfilename(Path(name)), **options), self.features)

    def _hear(self, name: str, samples: audio.Samples | np.ndarray, features: ScatteringFeatures) -> Heard:
        try:
            frames, blocks = features.frames(samples), features.blocks(samples)
            return self._taken(blocks, frames, len(samples) / features.config.sample_rate)
        except DataError as error:
            raise DataError(f"{name}: {error}") from error

    def hear_features(self, features: npt.ArrayLike) -> Heard:
        """The same for `predict_features`."""
        matrix = as_array(features)
        if matrix.ndim != 2 or not len(matrix) or matrix.dtype.kind not in "fiu":
            raise DataError(f"an array of {matrix.dtype}, {matrix.shape}: give numbers (frames, features)")
        if matrix.shape[1] != self.dim:
            raise ModelError(f"the system takes {self.dim} features a frame, and here are {matrix.shape[1]}")
        matrix = as_float32(np.ascontiguousarray(matrix))
        if not is_finite(matrix, "matrix"):
            raise DataError("the features hold NaN, infinity or what float32 has no room for: extract them again")
        seconds = (len(matrix) - 0.5) * self.features.hop if self.features else None
        return self._taken([matrix], len(matrix), seconds)

    def _taken(self, blocks: Iterable[np.ndarray], frames: int, duration: float | None) -> Heard:
        """From features (frames, dim) that come in blocks, as those of many hours have to, and the seconds they are of,
        where that is known."""
        total: np.ndarray | None = None

        def inputs() -> Iterator[np.ndarray]:
            nonlocal total
            for block in blocks:
                total = add_up(total, block)
                yield block
            yield np.repeat(block[-1:], self.delay, axis=0)

        held = outputs = None
        if not self.forward:
            deque(inputs(), maxlen=0)
        elif frames < _HELD_FRAMES:
            held = np.concatenate(list(inputs()))
        else:
            outputs = np.concatenate(list(self.forward.stream(inputs())))
        assert total is not None
        return Heard((total / frames).astype(np.float32), frames, duration, held, outputs)

    def decide(self, songs: Iterable[Heard | LstmGenreError]) -> Iterator[Prediction | LstmGenreError]:
        """What `predict` says of each song, in order, but several go through the network side by side, which takes
        little longer than one of them. An error comes back as it is, or in place of what has no answer.
        """
        held, frames = list[Heard | LstmGenreError](), 0
        for song in songs:
            held.append(song)
            frames += song.frames if isinstance(song, Heard) else 0
            if len(held) == _SIDE_BY_SIDE or frames >= _HELD_FRAMES:
                yield from self._decide(held)
                held, frames = [], 0
        yield from self._decide(held)

    def _decide(self, songs: Sequence[Heard | LstmGenreError]) -> Iterator[Prediction | LstmGenreError]:
        waiting = [song.inputs for song in songs if isinstance(song, Heard) and song.inputs is not None]
        outputs = iter(self.forward.side_by_side(waiting) if self.forward else ())
        for song in songs:
            if isinstance(song, LstmGenreError):
                yield song
                continue
            try:
                yield self._prediction(song, song.outputs if song.inputs is None else next(outputs))
            except LstmGenreError as error:
                yield error

    def _prediction(self, song: Heard, outputs: np.ndarray | None) -> Prediction:
        """One pass serves both: what decides is as late as it was in training, the timeline is not."""
        posteriors, timeline = None, []
        if outputs is not None:
            if not is_finite(outputs, "matrix"):
                raise ModelError("the network gives numbers that are not finite: train it again")
            posteriors = outputs[: song.frames]
            if self.features and song.duration is not None:
                timeline = self._timeline(outputs[self.delay :], self.features.hop, song.duration)
        scores = self._scores(song.mean, posteriors)
        probabilities = self.calibration.probabilities(scores) if self.calibration else None
        return Prediction(max(scores, key=scores.__getitem__), scores, timeline, probabilities)

    def _scores(self, mean: np.ndarray, posteriors: np.ndarray | None) -> dict[str, float]:
        """Score of every genre from the mean features (dim,) and, where there is a network, posteriors (frames, C)."""
        if not self.svm:
            assert posteriors is not None
            return dict(zip(self.genres, vote_shares(posteriors).tolist(), strict=True))
        pooling = self.svm.pooling
        if posteriors is None or not pooling or pooling.threshold is None:
            vector = mean
        else:
            vector = pool(posteriors, pooling.threshold)
            vector = np.concatenate([mean, vector]) if pooling.fuse else vector
        return self.svm.scores({"": vector})[""]

    def _timeline(self, posteriors: np.ndarray, hop: float, duration: float) -> list[Span]:
        """Runs of frames (frames, classes) of one genre; frame m is centred on second m * hop."""
        edges = (np.arange(len(posteriors) + 1) - 0.5) * hop
        edges[0], edges[-1] = 0, duration
        spans, first = [], 0
        for k, run in groupby(posteriors.argmax(axis=1)):
            end = first + len(list(run))
            mean = float(posteriors[first:end, k].mean(dtype=np.float64))
            spans.append(Span(round(float(edges[first]), 2), round(float(edges[end]), 2), self.genres[k], mean))
            first = end
        return spans


def _raised(answer: Prediction | LstmGenreError) -> Prediction:
    if isinstance(answer, LstmGenreError):
        raise answer
    return answer
