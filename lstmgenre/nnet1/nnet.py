"""An Nnet: nnet1 components in a row."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, BinaryIO, overload

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lstmgenre.errors import ModelError
from lstmgenre.files import atomic_output
from lstmgenre.nnet1.components import Component, LstmProjected, LstmState, Softmax
from lstmgenre.nnet1.fileformat import read_model, read_stream, write_components
from lstmgenre.nnet1.layouts import LAYOUTS, Format

NnetState = list[LstmState]
"""The state of each recurrent component, in their order; empty for a feed-forward net."""


class Nnet(torch.nn.Module):
    """Components applied one after the other. Raises ModelError where dimensions do not meet.

    A torch module: move it, train it, put it into another one.

    Examples
    --------
    A new network for the paper's features, written and read again; of a track its posteriors (frames, genres):

    >>> import numpy as np
    >>> import lstmgenre
    >>> from lstmgenre.nnet1 import init
    >>> init.lstm(input_dim=525, projections=[16], cells=[32], output_dim=6, seed=777).write("final.nnet")
    >>> net = lstmgenre.Nnet.read("final.nnet")
    >>> posteriors, state = net(np.zeros((10, 525), np.float32))
    >>> posteriors.shape, bool(np.allclose(posteriors.sum(axis=1), 1))
    ((10, 6), True)

    References
    ----------
    .. [#povey2011] D. Povey et al., "The Kaldi speech recognition toolkit", IEEE Workshop on Automatic Speech
       Recognition and Understanding, 2011: nnet1 is its first neural network code.
    .. [#sak2014] H. Sak, A. Senior and F. Beaufays, "Long short-term memory recurrent neural network architectures for
       large scale acoustic modeling", Interspeech, pp. 338-342, 2014: the LSTM with a projection layer.
    """

    def __init__(self, components: Sequence[Component]) -> None:
        super().__init__()
        for number, (before, after) in enumerate(pairwise(components), start=2):
            if before.output_dim != after.input_dim:
                raise ModelError(
                    f"component {number} takes {after.input_dim} inputs, the one before it gives {before.output_dim}"
                )
        if not components:
            raise ModelError("a net needs at least one component")
        self.components = torch.nn.ModuleList(components)

    def __iter__(self) -> Iterator[Component]:
        return iter(self.components)  # type: ignore[arg-type]

    @property
    def input_dim(self) -> int:
        return self.components[0].input_dim  # type: ignore[return-value]

    @property
    def output_dim(self) -> int:
        return self.components[-1].output_dim  # type: ignore[return-value]

    @classmethod
    def read(cls, source: str | os.PathLike[str] | BinaryIO, name: str = "the model") -> Nnet:
        """Read an nnet1 file, text or binary, of 2016 or of today; `name` is what errors call a stream.

        Raises FormatError with the position, DataError if it cannot be read.
        """
        if isinstance(source, str | os.PathLike):
            return cls(read_model(source))
        return cls(read_stream(source, name))

    def write(self, target: str | os.PathLike[str] | BinaryIO, binary: bool = True, format: Format = "2016") -> None:
        """Write an nnet1 file as that version of Kaldi would. Raises FormatError where the format has no place for a
        setting.
        """
        content = write_components(list(self), binary, format)
        if isinstance(target, str | os.PathLike):
            with atomic_output(target, "wb") as stream:
                stream.write(content)
        else:
            target.write(content)

    @overload
    def forward(self, x: Tensor, state: NnetState | None = None) -> tuple[Tensor, NnetState]: ...
    @overload
    def forward(
        self, x: npt.NDArray[Any], state: NnetState | None = None
    ) -> tuple[npt.NDArray[np.float32], NnetState]: ...
    def forward(self, x: Any, state: NnetState | None = None) -> tuple[Any, NnetState]:
        """x (frames, streams, input) or, of one stream, (frames, input) -> the outputs likewise, and the state after
        the last frame.

        `state` is what the call on the frames before gave; None starts every stream anew. An array gives an array, and
        no gradients. Raises ModelError for another number of inputs.
        """
        return self._run(list(self), x, state)

    @overload
    def logits(self, x: Tensor, state: NnetState | None = None) -> tuple[Tensor, NnetState]: ...
    @overload
    def logits(
        self, x: npt.NDArray[Any], state: NnetState | None = None
    ) -> tuple[npt.NDArray[np.float32], NnetState]: ...
    def logits(self, x: Any, state: NnetState | None = None) -> tuple[Any, NnetState]:
        """As forward, without the Softmax at the end, if there is one."""
        components = list(self)
        return self._run(components[:-1] if isinstance(components[-1], Softmax) else components, x, state)

    def _run(self, components: Sequence[Component], x: Any, state: NnetState | None) -> tuple[Any, NnetState]:
        if isinstance(x, np.ndarray):
            parameter = next(self.parameters(), torch.empty(0))
            with torch.no_grad():
                y, state = self._run(components, torch.tensor(x, dtype=parameter.dtype, device=parameter.device), state)
            return y.cpu().numpy(), state
        if x.dim() not in (2, 3):
            raise ModelError(f"features of shape {(*x.shape,)}: give (frames, inputs) or (frames, streams, inputs)")
        if x.shape[-1] != self.input_dim:
            raise ModelError(f"the net takes {self.input_dim} inputs, the features have {x.shape[-1]}")
        if x.dim() == 2:
            y, state = self._run(components, x.unsqueeze(1), state)
            return y.squeeze(1), state
        before = iter(state or [])
        after = []
        for component in components:
            if isinstance(component, LstmProjected):
                x, component_state = component(x, next(before, None))
                after.append(component_state)
            else:
                x = component(x)
        return x, after

    def info(self) -> str:
        """What nnet-info tells: dimensions, number of parameters, settings and the spread of each parameter."""
        tags = {layout.component: layout for layout in LAYOUTS["head"]}
        parameters = sum(p.numel() for p in self.parameters())
        lines = [
            f"num-components {len(self.components)}",
            f"input-dim {self.input_dim}",
            f"output-dim {self.output_dim}",
            f"number-of-parameters {parameters / 1e6:g} millions",
        ]
        for number, component in enumerate(self, start=1):
            layout = tags[type(component)]
            settings = "".join(f", {name} {getattr(component, name):g}" for name in layout.scalars.values())
            dims = f"input-dim {component.input_dim}, output-dim {component.output_dim}"
            lines.append(f"component {number} : {layout.tag}, {dims}{settings}")
            lines += [f"  {name} ( {_moments(getattr(component, name))} )" for name in layout.arrays]
        return "\n".join(lines) + "\n"


def _moments(values: Tensor) -> str:
    values = values.detach().double()
    mean, std = values.mean(), values.std(correction=0)
    normal = (values - mean) / std
    moments = {
        "min": values.min(),
        "max": values.max(),
        "mean": mean,
        "stddev": std,
        "skewness": (normal**3).mean(),
        "kurtosis": (normal**4).mean() - 3,
    }
    return ", ".join(f"{name} {float(value):g}" for name, value in moments.items())
