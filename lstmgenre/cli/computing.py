"""Where networks compute: the options --device and --threads of all commands that run one."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

from lstmgenre.cli import options


class Device(enum.StrEnum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


_KALDI_GPU = {"yes": Device.cuda, "wait": Device.cuda, "no": Device.cpu, "optional": Device.auto}


def _device(value: str) -> Device:
    try:
        return _KALDI_GPU.get(value) or Device(value)
    except ValueError:
        raise typer.BadParameter(f"{value} is none of {', '.join([*Device, *_KALDI_GPU])}") from None


DeviceOption = Annotated[
    Device,
    typer.Option(
        "--device",
        "--use-gpu",
        metavar="auto|cpu|cuda",
        parser=_device,
        autocompletion=lambda: [*Device],
        help="Where to compute. Of Kaldi's, --use-gpu=no, yes and optional are known.",
    ),
]
Threads = Annotated[int, options.whole(0, 1024, "Computing threads; 0: as many as there are cores.")]


def set_up(device: Device, threads: int) -> str:
    """What torch calls the device, after it has been told the number of threads."""
    import torch

    if threads:
        torch.set_num_threads(threads)
    if device is Device.cuda and not torch.cuda.is_available():
        raise typer.BadParameter("--device cuda: torch sees no GPU here")
    return "cuda" if device is not Device.cpu and torch.cuda.is_available() else "cpu"
