"""What Kaldi's own tools read and wrote: the files of data/kaldi_nnet1."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

from lstmgenre.nnet1.nnet import Nnet

DATA = Path(__file__).parent / "data" / "kaldi_nnet1"


def content(name: str) -> bytes:
    """A file's bytes; the largest texts are kept compressed."""
    packed = DATA / f"{name}.gz"
    return gzip.decompress(packed.read_bytes()) if packed.exists() else (DATA / name).read_bytes()


def read(name: str) -> Nnet:
    return Nnet.read(io.BytesIO(content(name)))


def start(version: str, name: str) -> Nnet:
    """A network that runs begin from, or that nnet-initialize made."""
    return read(f"{version}/init/{name}")
