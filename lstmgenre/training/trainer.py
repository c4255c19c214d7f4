"""The loop over epochs: trains, cross-validates, follows the schedule, and leaves an experiment directory (expdir)."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from lstmgenre.errors import ModelError
from lstmgenre.expdir import Epoch, ExpDir, History
from lstmgenre.files import atomic_output
from lstmgenre.nnet1.nnet import Nnet
from lstmgenre.training import frames, ranks, streams
from lstmgenre.training.examples import Example
from lstmgenre.training.frames import FrameOptions
from lstmgenre.training.objective import Xent
from lstmgenre.training.schedule import Schedule
from lstmgenre.training.streams import StreamOptions

logger = logging.getLogger(__name__)

TRANSFORM = "feature transform"  # the setting of that name


def train(
    nnet: Nnet,
    train_set: Iterable[Example],
    cv_set: Iterable[Example],
    exp_dir: str | os.PathLike[str],
    options: FrameOptions | StreamOptions,
    schedule: Schedule,
    feature_transform: Nnet | None = None,
    device: torch.device | str = "cpu",
) -> Iterator[Epoch]:
    """Train from `nnet`, over frames or streams as `options` say; yield each epoch's numbers once its files are
    written.

    The sets are iterated once an epoch. Called again after a kill, with the same arguments, it goes on behind the
    last epoch that was completed (whose numbers are not yielded again) and ends with the same files. Raises
    ModelError if EXP_DIR was started with other arguments, or when the loss is not finite; DataError and FormatError
    for files and data that cannot be used.
    """
    exp = Path(exp_dir)
    files = ExpDir(exp)
    epoch_kind = frames if isinstance(options, FrameOptions) else streams
    settings = _settings(nnet, options, schedule, feature_transform)
    epochs = _resume(exp, settings)
    completed = len(epochs)

    def cross_validate(net: Nnet) -> Xent:
        return epoch_kind.cross_validate(net.to(device), cv_set, options, feature_transform)

    def save(nets: Mapping[str, Nnet], losses: Mapping[str, Xent]) -> None:
        """Write the files of the last epoch, the record at the end: the first rank does, and the others wait."""
        if ranks.first():
            for name, net in nets.items():
                net.cpu().write(exp / name)
            for name, loss in losses.items():
                with atomic_output(exp / "log" / name) as stream:
                    stream.write(loss.report())
            History(settings, epochs).write(exp)
        ranks.wait()

    if not epochs:
        cv = cross_validate(nnet)
        epochs.append(Epoch(0, files.initial_nnet.name, True, *_numbers(cv)))
        transform = {} if feature_transform is None else {files.feature_transform.name: feature_transform}
        save({files.initial_nnet.name: nnet, **transform}, {"iter00.initial.log": cv})
        yield epochs[0]

    while (plan := schedule.plan([epoch.cv_loss for epoch in epochs], options.learn_rate)).learn_rate is not None:
        net = Nnet.read(exp / epochs[plan.best].nnet).to(device)
        iteration = len(epochs)
        rate = plan.learn_rate
        loss = epoch_kind.train_epoch(
            net,
            train_set,
            dataclasses.replace(options, learn_rate=rate),
            feature_transform,
        )
        cv = cross_validate(net)
        train_numbers, cv_numbers = _numbers(loss), _numbers(cv)
        accepted = schedule.plan([*(epoch.cv_loss for epoch in epochs), cv_numbers[0]], options.learn_rate).accepted[-1]
        name = (
            f"nnet/nnet_iter{iteration:02d}_learnrate{rate:g}_tr{train_numbers[0]:.4f}_cv{cv_numbers[0]:.4f}"
            f"{schedule.suffix(iteration) if accepted else '_rejected'}"
        )
        epochs.append(Epoch(iteration, name, accepted, *cv_numbers, rate, *train_numbers))
        save({name: net}, {f"iter{iteration:02d}.tr.log": loss, f"iter{iteration:02d}.cv.log": cv})
        yield epochs[-1]

    if plan.result == 0:
        logger.warning("%s: no epoch was better than the initial net, which becomes final.nnet", exp)
    if ranks.first() and (len(epochs) > completed or not files.nnet.exists()):
        Nnet.read(exp / epochs[plan.result].nnet).write(files.nnet)


def _settings(
    nnet: Nnet, options: FrameOptions | StreamOptions, schedule: Schedule, feature_transform: Nnet | None
) -> dict[str, Any]:
    return {
        "trainer": type(options).__name__,
        **dataclasses.asdict(options),
        "scheduler": type(schedule).__name__,
        **dataclasses.asdict(schedule),
        "initial nnet": digest(nnet),
        TRANSFORM: None if feature_transform is None else digest(feature_transform),
    }


def digest(nnet: Nnet) -> str:
    """What tells one network from another."""
    stream = io.BytesIO()
    nnet.write(stream)
    return hashlib.sha256(stream.getvalue()).hexdigest()


def _resume(exp: Path, settings: dict[str, Any]) -> list[Epoch]:
    if not ExpDir(exp).training.exists():
        return []
    history = check_settings(exp, settings, whole=True)
    logger.info("%s: going on after iteration %d", exp, history.epochs[-1].iteration)
    return history.epochs


def check_settings(exp: Path, settings: dict[str, Any], whole: bool = False) -> History:
    """How training was begun. Raises ModelError where one of these settings differs; where these are the `whole`, any
    other setting is a difference, too."""
    history = History.read(exp, f"delete {exp} and train anew")
    begun = history.settings
    for name in sorted(settings.keys() | begun.keys() if whole else settings):
        if settings.get(name) != begun.get(name):
            was, now = begun.get(name, "none"), settings.get(name, "none")
            what = _DIGESTS.get(name, f"{name} {was}, now it is {now}")
            raise ModelError(
                f"{exp}: training was begun with {what}: give the same settings to go on, or another directory"
            )
    return history


# Settings that are kept as digests, and what may have changed.
_DIGESTS = {
    "initial nnet": "another initial net: of other layers, --param-scale, --seed, features or genres",
    TRANSFORM: "another feature transform: of other training features, --cv-dir or --seed",
}


def _numbers(loss: Xent) -> tuple[float, float, float]:
    return float(f"{loss.loss:.6g}"), float(f"{loss.accuracy:.6g}"), loss.frames
