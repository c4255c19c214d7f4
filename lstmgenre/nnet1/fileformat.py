"""An nnet1 file: `<Nnet>`, components, `</Nnet>`, in Kaldi's format of 2016-02 ("2016") or of today ("head").

A component is its type, output and input dimension, tagged scalars, then arrays: layouts.py says which. codecs.py reads
and writes them, binary or text. head ends each component with `<!EndOfComponent>`.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Sequence
from typing import BinaryIO

from lstmgenre.errors import DataError, FormatError
from lstmgenre.files import read_all, read_file
from lstmgenre.nnet1.codecs import BinaryWriter, Reader, TextWriter, Writer, reader_of
from lstmgenre.nnet1.components import Component, Splice
from lstmgenre.nnet1.layouts import BY_TAG, LAYOUTS, NOT_NEGATIVE, Format, Layout

logger = logging.getLogger(__name__)

_END = "<!EndOfComponent>"


_LARGEST = 1 << 30  # bytes; the paper's largest network has a twentieth of this as text
_START = re.compile(rb"(\0B|\s*)<Nnet>\s")


def read_stream(stream: BinaryIO, name: str) -> list[Component]:
    """Read what a pipe gives, of at most 1 GiB. Raises as read_components, and at once for what does not start as a
    model: a device may have no end.
    """
    content = stream.read(4096)
    if _START.match(content):
        content += read_all(stream, _LARGEST, name)
    return read_components(content, name)


def read_model(path: str | os.PathLike[str]) -> list[Component]:
    """Read a file. Raises DataError where it cannot be read or is no regular file, else as read_components."""
    try:
        content = read_file(path, _LARGEST)
    except DataError as error:
        raise DataError(f"{error}: train a model, or check the path") from error
    return read_components(content, os.fspath(path))


def read_components(content: bytes, name: str) -> list[Component]:
    """Read a whole file's content; `name` is what errors call it. Raises FormatError with the byte (text: line) where
    it goes wrong.
    """
    reader = reader_of(content, name)
    if (token := reader.token()) != "<Nnet>":
        raise reader.error(f"{token!r} where <Nnet> should be: this is no nnet1 model")
    components: list[Component] = []
    while (token := reader.token()) != "</Nnet>":
        if token == _END and components:
            continue
        if token not in BY_TAG:
            raise reader.error(f"unknown component {token}; known are {' '.join(BY_TAG)}")
        component = _read_component(reader, BY_TAG[token])
        if components and components[-1].output_dim != component.input_dim:
            raise reader.error(
                f"{token} takes {component.input_dim} inputs, the component before it gives {components[-1].output_dim}"
            )
        components.append(component)
    reader.end()
    if not components:
        raise reader.error("the model has no components")
    return components


def _read_component(reader: Reader, layout: Layout) -> Component:
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
            if attribute in scalars:
                raise reader.error(f"{tag} comes twice in {layout.tag}")
            scalars[attribute] = reader.integer() if attribute == "cell_dim" else reader.number()
            if scalars[attribute] < 0 and attribute in NOT_NEGATIVE:
                raise reader.error(f"{tag} of {layout.tag} is {scalars[attribute]:g}: it should be 0 (off) or more")
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
    writer: Writer = (BinaryWriter if binary else TextWriter)()
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
