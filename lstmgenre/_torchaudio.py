"""torchaudio's resampler, also beside a CPU-only torch.

torchaudio's x86 wheel loads a library that is linked against CUDA, so beside a CPU-only torch `import torchaudio` stops
with an OSError (libc10_cuda.so). Resampling needs nothing from that library. Only there, and only after the plain
import has failed, a stand-in takes the place of the module that loads it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch


def import_functional() -> ModuleType:
    """`torchaudio.functional`. Raises OSError if a torch with CUDA cannot load torchaudio's library."""
    try:
        return importlib.import_module("torchaudio.functional")
    except OSError:
        if torch.version.cuda is not None:
            raise
        sys.modules["torchaudio._extension"] = _NoExtension("torchaudio._extension")
        return importlib.import_module("torchaudio.functional")


class _NoExtension(ModuleType):
    """What torchaudio asks of its extension module, answered for "there is none"."""

    _IS_TORCHAUDIO_EXT_AVAILABLE = False
    _IS_ALIGN_AVAILABLE = False

    @staticmethod
    def fail_if_no_align(function: Callable[..., Any]) -> Callable[..., Any]:
        return function


resample: Callable[..., torch.Tensor] = import_functional().resample
