"""Where networks compute: the options --device and --threads of all commands that run one."""

from __future__ import annotations

import enum
from typing import Annotated

import typer


class Device(enum.StrEnum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


DeviceOption = Annotated[Device, typer.Option(help="Where to compute.")]
Threads = Annotated[int, typer.Option(min=0, help="Computing threads; 0: as many as there are cores.")]


def set_up(device: Device, threads: int) -> str:
    """What torch calls the device, after it has been told the number of threads."""
    import torch

    if threads:
        torch.set_num_threads(threads)
    if device is Device.cuda and not torch.cuda.is_available():
        raise typer.BadParameter("--device cuda: torch sees no GPU here")
    return "cuda" if device is not Device.cpu and torch.cuda.is_available() else "cpu"
