"""The forward pass: features to posteriors, many utterances at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lstmgenre.errors import DataError, ModelError
from lstmgenre.expdir import ExpDir
from lstmgenre.nnet1.components import Splice
from lstmgenre.nnet1.nnet import Nnet
from lstmgenre.tables.rules import is_finite

_WINDOW_FRAMES = 50_000  # read ahead for utterances of like length: 105 MB of 525 floats
_STREAMS = 64  # utterances side by side
_CHUNK_ROWS = 3840  # frames of all streams at a time, which bounds the memory for what the layers compute


@dataclass(frozen=True)
class Forward:
    """A model run over features: feature transform, network, then what the options ask for.

    no_softmax leaves out a softmax at the end; apply_log takes the natural logarithm of the output; time_shift drops
    that many outputs at the start and repeats the last input frame as often, which undoes a targets-delay.
    """

    nnet: Nnet
    transform: Nnet | None = None
    no_softmax: bool = False
    apply_log: bool = False
    time_shift: int = 0
    device: str = "cpu"

    @classmethod
    def load(cls, model: Path, feature_transform: Path | None = None, **options: Any) -> Forward:
        """Read the files that `model_files` names."""
        nnet, *transform = map(Nnet.read, model_files(model, feature_transform))
        return cls(nnet, transform[0] if transform else None, **options)

    def __call__(self, features: Iterable[tuple[str, np.ndarray]]) -> Iterator[tuple[str, np.ndarray]]:
        """Yield (utterance, float32 (frames, C)) for (utterance, float32 (frames, D)), in the same order.

        Utterances of like length run side by side, padded at their ends. No component but Splice looks ahead, so that
        each gets what it would get alone. Raises ModelError where D is not what the model takes and where its numbers
        are too large, DataError for an utterance without frames.
        """
        for window in _windows(features, self.input_dim):
            outputs = self.side_by_side([matrix for _, matrix in window])
            names = [utterance for utterance, _ in window]
            window.clear()  # or it would stay in memory while the next is read
            for utterance, output in zip(names, outputs, strict=True):
                if not is_finite(output, "matrix"):
                    raise ModelError(f"{utterance}: the network gives numbers that are not finite: train it again")
                yield utterance, output

    @property
    def input_dim(self) -> int:
        """How many features a frame has."""
        return (self.transform or self.nnet).input_dim

    @torch.inference_mode()
    def stream(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Outputs (frames, C) of one utterance whose features (frames, D) come in blocks, those that it has as a whole.

        A few frames at a time are in memory; of a model that splices, all. Raises as the call does.
        """
        if self.time_shift or any(
            isinstance(part, Splice) for net in (self.transform, self.nnet) for part in net or ()
        ):
            ((_, outputs),) = self([("", np.concatenate(list(blocks)))])
            yield outputs
            return
        run = self.nnet.logits if self.no_softmax else self.nnet
        state = None
        for chunk in _chunks(blocks, _CHUNK_ROWS // 2):
            x = self._prepare(chunk)
            y, state = run(torch.stack([x, torch.zeros_like(x)], dim=1), state)  # two streams, as _run has at least
            yield self._finished(y)[:, 0].cpu().numpy()

    def side_by_side(self, matrices: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Outputs (frames, C) of utterances (frames, D) of a frame or more, in their order. What comes of too large
        numbers is not looked for.
        """
        order = sorted(range(len(matrices)), key=lambda k: -len(matrices[k]))
        outputs: list[np.ndarray] = [np.empty(0)] * len(matrices)
        for start in range(0, len(order), self._streams):
            batch = order[start : start + self._streams]
            for k, output in zip(batch, self._run([matrices[k] for k in batch]), strict=True):
                outputs[k] = output
        return outputs

    @property
    def _streams(self) -> int:
        # Splice looks past a chunk and would see padding where it has to repeat an utterance's own last frame.
        return 1 if any(isinstance(component, Splice) for component in self.nnet) else _STREAMS

    @torch.inference_mode()
    def _run(self, matrices: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Outputs of a batch, longest first."""
        inputs = [self._prepare(matrix) for matrix in matrices]
        lengths = [len(x) for x in inputs]
        # A product with one row is rounded otherwise than one with more. With two at least, the rest of the batch, or
        # of the table, has no part in an utterance's output.
        least = min(2, self._streams)
        inputs += [inputs[0][:0]] * (least - len(inputs))
        chunk = _CHUNK_ROWS // len(inputs) if self._streams > 1 else lengths[0]
        run = self.nnet.logits if self.no_softmax else self.nnet
        state, outputs = None, []
        for start in range(0, lengths[0], chunk):
            active = max(least, sum(length > start for length in lengths))
            state = state and [(cell[:active], recurrent[:active]) for cell, recurrent in state]
            x = torch.nn.utils.rnn.pad_sequence([matrix[start : start + chunk] for matrix in inputs[:active]])
            y, state = run(x, state)
            outputs.append(torch.nn.functional.pad(y, (0, 0, 0, len(inputs) - active)))
        y = self._finished(torch.cat(outputs))
        y = y[self.time_shift :].transpose(0, 1).cpu()
        return [y[k, : length - self.time_shift].numpy() for k, length in enumerate(lengths)]

    def _finished(self, y: torch.Tensor) -> torch.Tensor:
        # A probability may have been rounded to 0.
        return y.clamp_min(torch.finfo(y.dtype).tiny).log() if self.apply_log else y

    def _prepare(self, matrix: np.ndarray) -> torch.Tensor:
        x = torch.from_numpy(matrix).to(self.device)
        if self.transform is not None:
            x, _ = self.transform(x)
        return torch.cat([x, x[-1:].expand(self.time_shift, -1)])


def model_files(model: Path, feature_transform: Path | None = None) -> list[Path]:
    """A nnet1 file, or the final.nnet of a training directory, then the feature transform given or there, if any."""
    beside = ExpDir(model).feature_transform
    if not feature_transform and beside.exists():
        feature_transform = beside
    nnet = ExpDir(model).nnet if model.is_dir() else model
    return [nnet, feature_transform] if feature_transform else [nnet]


def forward(
    features: Iterable[tuple[str, np.ndarray]], model: Path, feature_transform: Path | None = None, **options: Any
) -> Iterator[tuple[str, np.ndarray]]:
    """:meth:`Forward.load` and the pass itself: what a worker can be sent without the model's weights."""
    return Forward.load(model, feature_transform, **options)(features)


def _windows(features: Iterable[tuple[str, np.ndarray]], takes: int) -> Iterator[list[tuple[str, np.ndarray]]]:
    window: list[tuple[str, np.ndarray]] = []
    frames = 0
    for utterance, matrix in features:
        if len(matrix) == 0:
            raise DataError(f"{utterance}: has no frames: extract its features again or leave it out")
        if matrix.shape[1] != takes:
            raise ModelError(
                f"{utterance}: the net takes {takes} inputs, the features have {matrix.shape[1]}: extract them as for "
                "its training, or name another model"
            )
        window.append((utterance, matrix))
        frames += len(matrix)
        if frames >= _WINDOW_FRAMES:
            yield window
            window, frames = [], 0
    if window:
        yield window


def _chunks(blocks: Iterable[np.ndarray], frames: int) -> Iterator[np.ndarray]:
    """The rows of blocks, in blocks of `frames` and a last one of what is left."""
    held: list[np.ndarray] = []
    for block in blocks:
        rows = np.concatenate([*held, block])
        whole = len(rows) // frames * frames
        for start in range(0, whole, frames):
            yield rows[start : start + frames]
        held = [rows[whole:]]
    if held and len(held[0]):
        yield held[0]
