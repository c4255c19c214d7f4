"""train-dnn and train-lstm: features and genres to a network."""

from __future__ import annotations

import dataclasses
import enum
import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lstmgenre import console
from lstmgenre.cli import computing, options
from lstmgenre.cli.app import Config, app, run_record

if TYPE_CHECKING:
    from lstmgenre.nnet1.nnet import Nnet
    from lstmgenre.training.datasets import Datasets
    from lstmgenre.training.frames import FrameOptions
    from lstmgenre.training.schedule import Schedule
    from lstmgenre.training.streams import StreamOptions

logger = logging.getLogger(__name__)


class Scheduler(enum.StrEnum):
    newbob = "newbob"
    decay = "decay"
    decay_best = "decay-best"


DataArgument = Annotated[Path, typer.Argument(metavar="DATA_DIR")]
ExpArgument = Annotated[Path, typer.Argument(metavar="EXP_DIR")]
CvDir = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Cross-validation set. Default: 10 % held out, by artist.")
]
LearnRate = Annotated[float, options.real(0, 1e6, "Of gradients summed over a minibatch.")]
Momentum = Annotated[float, options.real(0, 1)]
Penalty = Annotated[float, options.real(0, 1e6)]
SchedulerOption = Annotated[
    Scheduler,
    typer.Option(
        help="newbob: by the loss on the held-out set. decay: by the epoch. decay-best: decay, but what is kept is the "
        "net of the lowest held-out loss, not the last."
    ),
]
MaxIters = Annotated[int, options.whole(1, options.MOST_EPOCHS, "Epochs at most.")]
HalvingFactor = Annotated[float, options.real(0, 1, "What the learning rate is multiplied with.")]
KeepLrIters = Annotated[
    int, options.whole(0, options.MOST_EPOCHS, "newbob: epochs at the first learning rate, all accepted.")
]
MinIters = Annotated[int, options.whole(0, options.MOST_EPOCHS, "newbob: epochs at least, all accepted.")]
StartHalving = Annotated[float, options.real(-1e3, 1, "newbob: below this relative gain, the learning rate falls.")]
EndHalving = Annotated[float, options.real(-1e3, 1, "newbob: below this relative gain, training ends.")]
Seed = Annotated[int, options.seed("Of the initial weights, the held-out set and the shuffling.")]


@app.command("train-dnn")
def train_dnn(
    context: typer.Context,
    data_dir: DataArgument,
    exp_dir: ExpArgument,
    config: Config = None,
    hidden: Annotated[list[int], options.nodes("Nodes of a hidden layer; once a layer.")] = [1024],  # noqa: B006
    cv_dir: CvDir = None,
    learn_rate: LearnRate = 0.008,
    momentum: Momentum = 0.0,
    minibatch_size: Annotated[int, options.whole(1, 2**15, "Frames; Kaldi shuffles as many at once.")] = 256,
    l1_penalty: Penalty = 0.0,
    l2_penalty: Penalty = 0.0,
    scheduler: SchedulerOption = Scheduler.newbob,
    max_iters: MaxIters = 20,
    halving_factor: HalvingFactor = 0.5,
    keep_lr_iters: KeepLrIters = 0,
    min_iters: MinIters = 0,
    start_halving_impr: StartHalving = 0.01,
    end_halving_impr: EndHalving = 0.001,
    seed: Seed = 777,
    device: computing.DeviceOption = computing.Device.auto,
    threads: computing.Threads = 1,
) -> None:
    """Train the baseline: a sigmoid network on single frames, as nnet1's nnet-train-frmshuff does.

    A killed run goes on when started again. N processes share the work: torchrun --nproc-per-node N -m lstmgenre ...
    Example: lstmgenre train-dnn data/train exp/dnn1 --hidden 1024
    """
    from lstmgenre.nnet1 import init
    from lstmgenre.training.frames import FrameOptions

    with _training(context, exp_dir, where := computing.set_up(device, threads)):
        datasets = _set_up(data_dir, exp_dir, cv_dir, seed)
        options = FrameOptions(**_fields_of(FrameOptions, context), randomizer_seed=seed)
        nnet = init.dnn(datasets.input_dim, hidden, len(datasets.genres), seed)
        _train(nnet, datasets, exp_dir, options, _schedule(scheduler, context), where)


@app.command("train-lstm")
def train_lstm(
    context: typer.Context,
    data_dir: DataArgument,
    exp_dir: ExpArgument,
    config: Config = None,
    hidden: Annotated[list[int], options.nodes("Projected outputs of an LSTM layer; once a layer.")] = [512],  # noqa: B006
    cell_dim: Annotated[int, options.nodes("Cells of each layer; the paper has 800 to 512, 1500 to 1024.")] = 800,
    cv_dir: CvDir = None,
    learn_rate: LearnRate = 0.008,
    momentum: Momentum = 0.0,
    num_streams: Annotated[int, options.whole(1, 1000, "Utterances side by side, on all ranks together.")] = 4,
    batch_size: Annotated[int, options.whole(1, 10_000, "Frames of truncated back-propagation through time.")] = 20,
    targets_delay: Annotated[
        int, options.whole(0, options.MOST_DELAY, "Frames that the net sees ahead of its label.")
    ] = 5,
    param_scale: Annotated[float, options.real(0, 1e3, "Initial LSTM weights are uniform in +-this.")] = 0.01,
    clip_gradient: Annotated[float, options.real(0, 1e6, "Bound on each element of an update; 0 is off.")] = 5.0,
    scheduler: SchedulerOption = Scheduler.newbob,
    max_iters: MaxIters = 20,
    halving_factor: HalvingFactor = 0.5,
    keep_lr_iters: KeepLrIters = 0,
    min_iters: MinIters = 0,
    start_halving_impr: StartHalving = 0.01,
    end_halving_impr: EndHalving = 0.001,
    seed: Seed = 777,
    device: computing.DeviceOption = computing.Device.auto,
    threads: computing.Threads = 1,
) -> None:
    """Train an LSTM with peepholes and projection on sequences, as nnet1's nnet-train-lstm-streams does.

    A killed run goes on when started again. N processes share the work: torchrun --nproc-per-node N -m lstmgenre ...
    The paper's options are a file of its recipe: lstmgenre recipe ismir2004 ismir2004
    Example: lstmgenre train-lstm data/train exp/lstm1 --config ismir2004/conf/paper.toml --hidden 512 --cell-dim 800
    """
    from lstmgenre.nnet1 import init
    from lstmgenre.training.streams import StreamOptions

    with _training(context, exp_dir, where := computing.set_up(device, threads)):
        datasets = _set_up(data_dir, exp_dir, cv_dir, seed)
        options = StreamOptions(**_fields_of(StreamOptions, context))
        cells = [cell_dim] * len(hidden)
        nnet = init.lstm(datasets.input_dim, hidden, cells, len(datasets.genres), seed, param_scale, clip_gradient)
        _train(nnet, datasets, exp_dir, options, _schedule(scheduler, context), where)


@contextmanager
def _training(context: typer.Context, exp_dir: Path, device: str) -> Iterator[None]:
    """One rank of torchrun's, or all there is: the first logs and keeps the record, the others are silent."""
    from lstmgenre.files import exclusive
    from lstmgenre.training import ranks

    with ranks.joined(device):
        if ranks.first():
            with exclusive(exp_dir), run_record(context, exp_dir):
                yield
        else:
            logging.disable()
            yield


def _set_up(data_dir: Path, exp_dir: Path, cv_dir: Path | None, seed: int) -> Datasets:
    from lstmgenre.datadir import DataDir
    from lstmgenre.training.datasets import set_up

    need = ["feats.scp", "utt2genre"]
    cv = DataDir.read(cv_dir, need) if cv_dir else None
    return set_up(exp_dir, DataDir.read(data_dir, [*need, "utt2spk"]), cv, seed=seed)


def _schedule(scheduler: Scheduler, context: typer.Context) -> Schedule:
    from lstmgenre.training.schedule import Decay, DecayBest, Newbob

    kinds = {Scheduler.newbob: Newbob, Scheduler.decay: Decay, Scheduler.decay_best: DecayBest}
    kind = kinds[scheduler]
    return kind(**_fields_of(kind, context))


def _fields_of(kind: type, context: typer.Context) -> dict[str, Any]:
    """The command's options that are fields of a dataclass."""
    names = {field.name for field in dataclasses.fields(kind)}
    return {name: value for name, value in context.params.items() if name in names}


def _train(
    nnet: Nnet,
    datasets: Datasets,
    exp_dir: Path,
    options: FrameOptions | StreamOptions,
    schedule: Schedule,
    device: str,
) -> None:
    from lstmgenre.expdir import ExpDir
    from lstmgenre.training import ranks
    from lstmgenre.training.trainer import train

    done = 0
    show = console.progress(f"training {exp_dir}", schedule.max_iters, lambda: done)
    with show if ranks.first() else nullcontext():
        for epoch in train(
            nnet,
            datasets.train,
            datasets.cv,
            exp_dir,
            options,
            schedule,
            datasets.transform,
            device,
        ):
            done = epoch.iteration
            trained = (
                "" if epoch.train_loss is None else f"train loss {epoch.train_loss:.4f} {epoch.train_accuracy:.1f} %, "
            )
            verdict = "" if epoch.accepted else ", rejected"
            logger.info(
                "%s: epoch %d: %sheld-out loss %.4f, %.1f %% of frames%s",
                exp_dir,
                epoch.iteration,
                trained,
                epoch.cv_loss,
                epoch.cv_accuracy,
                verdict,
            )
    logger.info("wrote %s", ExpDir(exp_dir).nnet)
