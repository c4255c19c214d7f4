"""Data-parallel training: the processes that torchrun starts, the ranks, each with its share of the streams or frames.

Every rank reads the same examples in the same order, computes on its own share, and adds up its gradients with the
others' before Kaldi's update, so that it is the same on all of them. A process that torchrun did not start is alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor

from lstmgenre.errors import DataError, ModelError


@contextmanager
def joined(device: str) -> Iterator[None]:
    """Run the block as one of the ranks: over gloo on the CPU, over NCCL with a GPU for each rank of a machine.

    When it fails, the first rank to fail lets its error pass, and the others exit without a word. A signal that ends
    the run reaches all ranks through torchrun.
    Raises ModelError where the ranks do not find each other, or have too few GPUs.
    """
    if not dist.is_torchelastic_launched():
        yield
        return
    if device == "cuda":
        gpu = int(os.environ["LOCAL_RANK"])
        if gpu >= torch.cuda.device_count():
            raise ModelError(f"no GPU for rank {gpu} of this machine: start as many ranks as GPUs, or --device cpu")
        torch.cuda.set_device(gpu)
    with _in_touch():
        store, rank, size = next(dist.rendezvous("env://"))
        dist.init_process_group(store=store, rank=rank, world_size=size)
    try:
        yield
    except Exception as error:
        with _in_touch():
            failed = store.add("failed", 1)
        if failed > 1:
            raise SystemExit(1) from error
        raise
    dist.destroy_process_group()


def first() -> bool:
    """Whether this is the rank that writes files, logs and shows progress."""
    return _place()[0] == 0


def share(count: int) -> range:
    """Which of `count` streams, or rows of a minibatch, are this rank's. Raises DataError where that is none."""
    rank, size = _place()
    own = range(count)[rank::size]
    if not own:
        raise DataError(f"{count} at a time, streams or frames, cannot be divided over {size} ranks: start fewer")
    return own


def sum_(tensors: Iterable[Tensor]) -> None:
    """Replace each tensor by its sum over the ranks. Raises ModelError where one of them has gone."""
    if dist.is_initialized():
        with _in_touch():
            for work in [dist.all_reduce(tensor, async_op=True) for tensor in tensors]:
                work.wait()


def wait() -> None:
    """Until all ranks are here."""
    sum_([torch.zeros(1)])


def _place() -> tuple[int, int]:
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


@contextmanager
def _in_touch() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # all that gloo, NCCL and the store raise
        raise ModelError(
            "lost a rank of this training: see what became of it, and start the same line again"
        ) from error
