"""The bytes of an nnet1 file: Kaldi's text and binary forms, as of 2016-02 ("2016") and as of today ("head").

A file is `<Nnet>`, components, `</Nnet>`; a component is its type, output and input dimension, tagged scalars, then
arrays. LAYOUTS says which, per format; head ends each component with `<!EndOfComponent>`. Binary files start with
"\\0B"; a number is "\\4" and four bytes, a matrix "FM ", rows, columns and row-major float32 (DM: float64), a vector
"FV " and its length. Text has 7 significant digits.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch

from lstmgenre.errors import FormatError
from lstmgenre.nnet1.components import (
    AddShift,
    AffineTransform,
    Component,
    LstmProjected,
    Rescale,
    Sigmoid,
    Softmax,
    Splice,
    Tanh,
)

logger = logging.getLogger(__name__)

Format = Literal["2016", "head"]

_BINARY = b"\0B"
_END = "<!EndOfComponent>"

# What 2016's LSTM does without writing it down, in the terms of head's tags.
_LSTM_2016 = {
    "cell_clip": 50.0,
    "diff_clip": 0.0,
    "cell_diff_clip": 0.0,
    "learn_rate_coef": 1.0,
    "bias_learn_rate_coef": 1.0,
}


@dataclass(frozen=True)
class Layout:
    """How one format stores one type of component."""

    tag: str
    component: type[Component]
    scalars: Mapping[str, str] = field(default_factory=dict)
    """Tag -> attribute, in the order in which Kaldi writes them."""
    arrays: Mapping[str, Callable[[int, int, int], tuple[int, ...]]] = field(default_factory=dict)
    """Attribute -> its shape, from the output, input and cell dimensions."""
    implied: Mapping[str, float] = field(default_factory=dict)
    """Attributes that this format has no tag for, and the value that its reader takes them to have."""
    scalars_end_line: bool = False
    """In text, the arrays start on a line of their own."""


_COMMON = [
    Layout("<Sigmoid>", Sigmoid),
    Layout("<Tanh>", Tanh),
    Layout("<Softmax>", Softmax),
    Layout("<Splice>", Splice),
    Layout("<AddShift>", AddShift, {"<LearnRateCoef>": "learn_rate_coef"}, {"shift_data": lambda o, i, c: (o,)}),
    Layout("<Rescale>", Rescale, {"<LearnRateCoef>": "learn_rate_coef"}, {"scale_data": lambda o, i, c: (o,)}),
]
_AFFINE_SCALARS = {
    "<LearnRateCoef>": "learn_rate_coef",
    "<BiasLearnRateCoef>": "bias_learn_rate_coef",
    "<MaxNorm>": "max_norm",
}
_AFFINE_ARRAYS: dict[str, Callable[[int, int, int], tuple[int, ...]]] = {
    "linearity": lambda o, i, c: (o, i),
    "bias": lambda o, i, c: (o,),
}
_LSTM_ARRAYS: dict[str, Callable[[int, int, int], tuple[int, ...]]] = {
    "w_gifo_x": lambda o, i, c: (4 * c, i),
    "w_gifo_r": lambda o, i, c: (4 * c, o),
    "bias": lambda o, i, c: (4 * c,),
    "peephole_i_c": lambda o, i, c: (c,),
    "peephole_f_c": lambda o, i, c: (c,),
    "peephole_o_c": lambda o, i, c: (c,),
    "w_r_m": lambda o, i, c: (o, c),
}
LAYOUTS: dict[Format, list[Layout]] = {
    "2016": [
        *_COMMON,
        Layout("<AffineTransform>", AffineTransform, _AFFINE_SCALARS, _AFFINE_ARRAYS),
        Layout(
            "<LstmProjectedStreams>",
            LstmProjected,
            {"<CellDim>": "cell_dim", "<ClipGradient>": "grad_clip"},
            _LSTM_ARRAYS,
            implied=_LSTM_2016,
        ),
    ],
    "head": [
        *_COMMON,
        Layout("<AffineTransform>", AffineTransform, _AFFINE_SCALARS, _AFFINE_ARRAYS, scalars_end_line=True),
        Layout(
            "<LstmProjected>",
            LstmProjected,
            {
                "<CellDim>": "cell_dim",
                "<LearnRateCoef>": "learn_rate_coef",
                "<BiasLearnRateCoef>": "bias_learn_rate_coef",
                "<CellClip>": "cell_clip",
                "<DiffClip>": "diff_clip",
                "<CellDiffClip>": "cell_diff_clip",
                "<GradClip>": "grad_clip",
            },
            _LSTM_ARRAYS,
            scalars_end_line=True,
        ),
    ],
}
_BY_TAG = {layout.tag: layout for layouts in LAYOUTS.values() for layout in layouts}


def read_components(content: bytes, name: str) -> list[Component]:
    """Read a whole file's content; `name` is what errors call it. Raises FormatError with the byte (text: line) where
    it goes wrong.
    """
    reader: _Reader = (_BinaryReader if content.startswith(_BINARY) else _TextReader)(content, name)
    if (token := reader.token()) != "<Nnet>":
        raise reader.error(f"{token!r} where <Nnet> should be: this is no nnet1 model")
    components: list[Component] = []
    while (token := reader.token()) != "</Nnet>":
        if token == _END and components:
            continue
        if token not in _BY_TAG:
            raise reader.error(f"unknown component {token}; known are {' '.join(_BY_TAG)}")
        component = _read_component(reader, _BY_TAG[token])
        if components and components[-1].output_dim != component.input_dim:
            raise reader.error(
                f"{token} takes {component.input_dim} inputs, the component before it gives {components[-1].output_dim}"
            )
        components.append(component)
    reader.end()
    if not components:
        raise reader.error("the model has no components")
    return components


def _read_component(reader: _Reader, layout: Layout) -> Component:
    output_dim, input_dim = reader.integer(), reader.integer()
    if output_dim < 1 or input_dim < 1:
        raise reader.error(f"{layout.tag} has dimensions {output_dim} {input_dim}; both must be positive")
    if layout.component is Splice:
        component: Component = Splice(input_dim, reader.integers())
    elif not layout.arrays:
        component = layout.component(input_dim, input_dim)
    else:
        scalars: dict[str, float] = {}
        while reader.at_tag():
            tag = reader.token()
            if tag not in layout.scalars:
                raise reader.error(f"unknown tag {tag} in {layout.tag}; known are {' '.join(layout.scalars)}")
            attribute = layout.scalars[tag]
            scalars[attribute] = reader.integer() if attribute == "cell_dim" else reader.number()
        cells = int(scalars.pop("cell_dim", 0))
        if "<CellDim>" in layout.scalars and cells < 1:
            raise reader.error(f"{layout.tag} needs a positive <CellDim>")
        arrays = {
            attribute: reader.array(shape(output_dim, input_dim, cells), f"{layout.tag} {attribute}")
            for attribute, shape in layout.arrays.items()
        }
        component = layout.component(**arrays, **scalars)  # type: ignore[arg-type]
    if (component.output_dim, component.input_dim) != (output_dim, input_dim):
        raise reader.error(
            f"{layout.tag} says {output_dim} {input_dim}, but it has {component.output_dim} {component.input_dim}"
        )
    return component


def write_components(components: Sequence[Component], binary: bool, format: Format) -> bytes:
    """The content of a file. Raises FormatError if the format cannot hold a component so that it computes the same.

    Settings that matter to training alone and that 2016 has no tag for (head's derivative clips and learn-rate
    coefficients of the LSTM) are left out with a warning.
    """
    writer: _Writer = (_BinaryWriter if binary else _TextWriter)()
    writer.token("<Nnet>")
    writer.end_line()
    for component in components:
        layout = next(layout for layout in LAYOUTS[format] if layout.component is type(component))
        _check_implied(component, layout, format)
        writer.token(layout.tag)
        writer.integer(component.output_dim)
        writer.integer(component.input_dim)
        writer.end_line()
        for tag, attribute in layout.scalars.items():
            writer.token(tag)
            value = getattr(component, attribute)
            writer.integer(value) if attribute == "cell_dim" else writer.number(value)
        if layout.scalars_end_line and format == "head":
            writer.end_line()
        if isinstance(component, Splice):
            writer.integers(component.frame_offsets)
        for attribute in layout.arrays:
            writer.array(getattr(component, attribute).detach().cpu().numpy())
        if format == "head":
            writer.token(_END)
            writer.end_line()
    writer.token("</Nnet>")
    writer.end_line()
    return writer.stream.getvalue()


def _check_implied(component: Component, layout: Layout, format: Format) -> None:
    for attribute, value in layout.implied.items():
        own = getattr(component, attribute)
        if own == value:
            continue
        if attribute == "cell_clip":
            raise FormatError(
                f"{layout.tag} in format {format} clips the cell at {value:g}, this model at {own:g}: "
                "it would compute something else; write it in format head"
            )
        logger.warning(
            "format %s cannot store %s %g of the LSTM: training from the file takes %g", format, attribute, own, value
        )


class _Reader:
    def __init__(self, content: bytes, name: str) -> None:
        self.content = content
        self.name = name
        self.position = 0

    def error(self, message: str) -> FormatError:
        return FormatError(f"{self.name}: {self.where()}: {message}")

    def where(self) -> str:
        return f"byte {self.position}"

    def token(self) -> str:
        raise NotImplementedError

    def at_tag(self) -> bool:
        raise NotImplementedError

    def integer(self) -> int:
        raise NotImplementedError

    def integers(self) -> list[int]:
        raise NotImplementedError

    def number(self) -> float:
        raise NotImplementedError

    def array(self, shape: tuple[int, ...], what: str) -> torch.Tensor:
        """A matrix or vector as a float32 tensor of this shape, finite."""
        with np.errstate(over="ignore"):
            values = np.array(self._values(shape, what), dtype=np.float32)
        if not np.isfinite(values).all():
            raise self.error(f"{what}, which ends here, has values that are not finite")
        return torch.from_numpy(values.reshape(shape))

    def _values(self, shape: tuple[int, ...], what: str) -> np.ndarray:
        raise NotImplementedError

    def end(self) -> None:
        if self.content[self.position :].strip():
            raise self.error("there is more after </Nnet>")


class _BinaryReader(_Reader):
    def __init__(self, content: bytes, name: str) -> None:
        super().__init__(content, name)
        self.position = len(_BINARY)

    def _take(self, size: int) -> bytes:
        taken = self.content[self.position : self.position + size]
        if len(taken) < size:
            raise self.error(f"the file ends here, {size - len(taken)} bytes too early")
        self.position += size
        return taken

    def token(self) -> str:
        end = self.content.find(b" ", self.position)
        if end < 0:
            raise self.error("the file ends here, before </Nnet>")
        if not self.at_tag() or end - self.position > 100:
            raise self.error("no <Tag> where one should be")
        return self._take(end + 1 - self.position)[:-1].decode("ascii", "replace")

    def at_tag(self) -> bool:
        return self.content[self.position : self.position + 1] == b"<"

    def _sized(self, kinds: Mapping[int, str]) -> np.generic:
        size = self._take(1)[0]
        if size not in kinds:
            self.position -= 1
            raise self.error(f"size byte {size} where {' or '.join(map(str, kinds))} should be")
        return np.frombuffer(self._take(size), kinds[size])[0]

    def integer(self) -> int:
        return int(self._sized({4: "<i4"}))

    def integers(self) -> list[int]:
        if self._take(1)[0] != 4:
            raise self.error("no vector of 4-byte integers where one should be")
        count = int(np.frombuffer(self._take(4), "<i4")[0])
        if count < 1:
            raise self.error(f"a vector of {count} integers")
        return np.frombuffer(self._take(4 * count), "<i4").tolist()

    def number(self) -> float:
        value = float(self._sized({4: "<f4", 8: "<f8"}))
        if not np.isfinite(value):
            raise self.error("a number that is not finite ends here")
        return value

    def _values(self, shape: tuple[int, ...], what: str) -> np.ndarray:
        letter = "M" if len(shape) == 2 else "V"
        start = self.position
        mark = self._take(3)
        if mark not in (f"F{letter} ".encode(), f"D{letter} ".encode()):
            self.position = start
            raise self.error(f"{mark!r} where the {'matrix' if letter == 'M' else 'vector'} {what} should start")
        found = tuple(self.integer() for _ in shape)
        if found != shape:
            raise self.error(f"{what} is {found}, should be {shape}")
        dtype = np.dtype("<f4" if mark[:1] == b"F" else "<f8")
        return np.frombuffer(self._take(int(np.prod(shape, dtype=object)) * dtype.itemsize), dtype)


class _TextReader(_Reader):
    def where(self) -> str:
        line = self.content.count(b"\n", 0, self.position) + 1
        return f"line {line}"

    def _skip_space(self) -> None:
        rest = self.content[self.position : self.position + 1]
        while rest and rest.isspace():
            self.position += 1
            rest = self.content[self.position : self.position + 1]

    def token(self) -> str:
        self._skip_space()
        token = self.content[self.position : self.position + 100].split(maxsplit=1)
        if not token:
            raise self.error("the file ends here, before </Nnet>")
        self.position += len(token[0])
        return token[0].decode("ascii", "replace")

    def at_tag(self) -> bool:
        self._skip_space()
        return self.content[self.position : self.position + 1] == b"<"

    def integer(self) -> int:
        token = self.token()
        try:
            return int(token)
        except ValueError:
            raise self.error(f"{token!r} where an integer should be") from None

    def number(self) -> float:
        token = self.token()
        try:
            value = float(token)
        except ValueError:
            raise self.error(f"{token!r} where a number should be") from None
        if not np.isfinite(value):
            raise self.error(f"{token} where a finite number should be")
        return value

    def _bracketed(self, what: str) -> bytes:
        if (token := self.token()) != "[":
            raise self.error(f"{token!r} where the [ of {what} should be")
        end = self.content.find(b"]", self.position)
        if end < 0:
            raise self.error(f"{what} starts here and has no ]")
        inside = self.content[self.position : end]
        self.position = end + 1
        return inside

    def integers(self) -> list[int]:
        try:
            numbers = [int(number) for number in self._bracketed("a vector of integers").split()]
        except ValueError:
            raise self.error("a vector of integers that ends here has something else in it") from None
        if not numbers:
            raise self.error("an empty vector of integers")
        return numbers

    def _values(self, shape: tuple[int, ...], what: str) -> np.ndarray:
        inside = self._bracketed(what)
        rows = inside.strip().split(b"\n") if len(shape) == 2 else [inside]
        found = (len(rows), len(rows[0].split())) if len(shape) == 2 else (len(inside.split()),)
        if found != shape or any(len(row.split()) != shape[-1] for row in rows):
            raise self.error(f"{what}, which ends here, is {found}, should be {shape}")
        try:
            return np.array(inside.split(), dtype=np.float64)
        except ValueError:
            raise self.error(f"{what}, which ends here, has something in it that is no number") from None


class _Writer:
    def __init__(self) -> None:
        self.stream = io.BytesIO()

    def token(self, token: str) -> None:
        self.stream.write(f"{token} ".encode())

    def end_line(self) -> None:
        """End a line, in text."""

    def integer(self, value: int) -> None:
        raise NotImplementedError

    def integers(self, values: Sequence[int]) -> None:
        raise NotImplementedError

    def number(self, value: float) -> None:
        raise NotImplementedError

    def array(self, values: np.ndarray) -> None:
        raise NotImplementedError


class _BinaryWriter(_Writer):
    def __init__(self) -> None:
        super().__init__()
        self.stream.write(_BINARY)

    def integer(self, value: int) -> None:
        self.stream.write(b"\4" + np.array(value, "<i4").tobytes())

    def integers(self, values: Sequence[int]) -> None:
        self.integer(len(values))
        self.stream.write(np.array(values, "<i4").tobytes())

    def number(self, value: float) -> None:
        self.stream.write(b"\4" + np.array(value, "<f4").tobytes())

    def array(self, values: np.ndarray) -> None:
        self.token("FM" if values.ndim == 2 else "FV")
        for size in values.shape:
            self.integer(size)
        self.stream.write(values.astype("<f4").tobytes())


class _TextWriter(_Writer):
    def end_line(self) -> None:
        self.stream.write(b"\n")

    def integer(self, value: int) -> None:
        self.stream.write(b"%d " % value)

    def integers(self, values: Sequence[int]) -> None:
        self.stream.write(f"[ {' '.join(map(str, values))} ]\n".encode())

    def number(self, value: float) -> None:
        # A float32 first, as Kaldi holds it: 0.1 has 7 digits either way, but 1/3 has not.
        self.stream.write(b"%.7g " % np.float32(value))

    def array(self, values: np.ndarray) -> None:
        row = b"%.7g " * values.shape[-1]
        if values.ndim == 1:
            self.stream.write(b" [ " + row % tuple(values.tolist()) + b"]\n")
        else:
            self.stream.write(b" [" + b"".join(b"\n  " + row % tuple(line) for line in values.tolist()) + b"]\n")
