"""Training against runs of Kaldi's own tools (data/kaldi_nnet1): the networks, the logged losses, the file names."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.main import get_command

from lstmgenre.cli import app
from lstmgenre.errors import DataError, FormatError, ModelError
from lstmgenre.nnet1 import init
from lstmgenre.nnet1.components import AddShift, AffineTransform, Softmax
from lstmgenre.nnet1.nnet import Nnet
from lstmgenre.tables import TableWriter, read_table
from lstmgenre.training import frames, streams
from lstmgenre.training.examples import Example, Examples, read_ahead
from lstmgenre.training.frames import FrameOptions
from lstmgenre.training.schedule import Decay, DecayBest, Newbob, Schedule
from lstmgenre.training.streams import StreamOptions
from lstmgenre.training.trainer import train
from tests.glibc_rand import Glibc
from tests.kaldi_nnet1 import DATA, content, read, start

RUNS = list(csv.DictReader((DATA / "runs.tsv").open(), delimiter="\t"))


def golden(data: str = "feats7", target: str = "post3", weighted: bool = False) -> list[Example]:
    posteriors = dict(read_table(f"ark:{DATA}/in/{target}.txt", "posterior"))
    weights = dict(read_table(f"ark:{DATA}/in/weights.txt", "vector")) if weighted else {}
    classes = 6 if target == "post6" else 3
    return [
        Example.of(utterance, matrix, posteriors[utterance], classes, weights.get(utterance))
        for utterance, matrix in read_table(f"ark:{DATA}/in/{data}.ark")
    ]


def toy(*lengths: int, dim: int = 7, classes: int = 3, seed: int = 0) -> list[Example]:
    rng = np.random.default_rng(seed)
    return [
        Example.of(f"utt{k}", rng.standard_normal((length, dim)), k % classes, classes)
        for k, length in enumerate(lengths)
    ]


def assert_same(nnet: Nnet, reference: Nnet, tolerance: float = 1e-5) -> None:
    own, other = nnet.state_dict(), reference.state_dict()
    assert own.keys() == other.keys()
    for name in own:
        torch.testing.assert_close(own[name], other[name], rtol=0, atol=tolerance)


def run_of_kaldi(command: str, version: str):
    """The arguments of our trainers for a command line of Kaldi's."""
    words = command.split()[1:]
    given_options = dict(word[2:].split("=") for word in words if word.startswith("--"))
    feats, posts, model, *result = (word for word in words if not word.startswith("--"))
    examples = golden(Path(feats).stem, Path(posts).stem, "frame-weights" in given_options)
    names = {
        "learn-rate": "learn_rate",
        "momentum": "momentum",
        "l1-penalty": "l1_penalty",
        "l2-penalty": "l2_penalty",
        "minibatch-size": "minibatch_size",
        "randomizer-size": "randomizer_size",
        "num-stream": "num_streams",
        "num-streams": "num_streams",
        "batch-size": "batch_size",
        "targets-delay": "targets_delay",
    }
    values = {names[key]: float(value) for key, value in given_options.items() if key in names}
    values = {key: int(value) if key.endswith(("size", "streams", "delay")) else value for key, value in values.items()}
    if command.startswith("nnet-train-frmshuff"):
        options = FrameOptions(randomize=given_options.get("randomize") != "false", **values)
    elif version == "head":
        options = StreamOptions(**{"targets_delay": 0, "keep_tails": False, **values})
        if command.startswith("nnet-train-perutt"):
            options = replace(options, num_streams=1, batch_size=max(len(example.features) for example in examples))
    else:
        options = StreamOptions(**values)
    transform = given_options.get("feature-transform")
    return (
        start(version, Path(model).name),
        examples,
        options,
        read(f"{version}/{transform}") if transform else None,
        given_options.get("cross-validate") == "true",
        result,
    )


@pytest.mark.parametrize(
    "run",
    [run for run in RUNS if not run["name"].startswith("epochs3")],
    ids=lambda run: f"{run['version']}-{run['trainer']}-{run['name']}",
)
def test_an_epoch_gives_the_network_and_the_log_of_kaldi(run, monkeypatch):
    monkeypatch.setattr(np.random, "default_rng", Glibc)  # for the one run that shuffles
    nnet, examples, options, transform, cv, result = run_of_kaldi(run["command"], run["version"])
    module = frames if isinstance(options, FrameOptions) else streams
    epoch = module.cross_validate if cv else module.train_epoch
    before = {name: value.clone() for name, value in nnet.state_dict().items()}
    loss = epoch(nnet, examples, options, transform)
    assert f"AvgLoss: {run['loss']} (Xent)" in loss.report()
    assert f"FRAME_ACCURACY >> {run['accuracy']}% <<" in loss.report()
    if cv:
        assert all(torch.equal(before[name], value) for name, value in nnet.state_dict().items())
    else:
        assert result
        assert_same(nnet, read(f"{run['version']}/train/{run['trainer']}_{run['name']}.txt"))


def test_three_epochs_each_with_momentum_from_zero():
    nnet = start("2016", "lstm20.start.bin")
    options = StreamOptions(learn_rate=0.01, momentum=0.8, batch_size=60)
    logged = [run["loss"] for run in RUNS if run["name"].startswith("epochs3")]
    losses = [f"{streams.train_epoch(nnet, golden('feats20', 'post6'), options).loss:g}" for _ in range(3)]
    assert losses == logged
    assert_same(nnet, read("2016/train/lstm_epochs3.txt"))


# Schedules: whole runs of train_scheduler.sh

LSTM = StreamOptions(learn_rate=0.003, momentum=0.8, num_streams=2, batch_size=60)
DNN = FrameOptions(learn_rate=0.02, momentum=0.8, minibatch_size=32)
NEWBOB = Newbob(max_iters=30, halving_factor=0.7)
TRAIN, CV, MIX = slice(0, 4), slice(4, 6), slice(2, 6)
SCHEDULED: dict[str, tuple[StreamOptions | FrameOptions, Schedule, slice, slice]] = {
    "lstm_same": (LSTM, NEWBOB, TRAIN, TRAIN),
    "lstm_rand": (LSTM, NEWBOB, TRAIN, CV),
    "lstm_keep": (LSTM, replace(NEWBOB, keep_lr_iters=5), TRAIN, TRAIN),
    "lstm_min": (
        LSTM,
        replace(NEWBOB, min_iters=12, start_halving_impr=0.05, end_halving_impr=0.02),
        TRAIN,
        TRAIN,
    ),
    "lstm_mix": (replace(LSTM, learn_rate=0.05, batch_size=20, targets_delay=0), NEWBOB, TRAIN, MIX),
    "lstm_paper": (
        StreamOptions(learn_rate=0.00002, momentum=0.8, batch_size=60),
        Newbob(max_iters=50, halving_factor=0.9),
        slice(0, 6),
        slice(0, 6),
    ),
    "dnn_same": (DNN, NEWBOB, TRAIN, TRAIN),
    "dnn_rand": (DNN, NEWBOB, TRAIN, CV),
    "dnn_mix": (replace(DNN, learn_rate=0.03), NEWBOB, TRAIN, MIX),
    "dnn_mix_hi": (replace(DNN, learn_rate=0.2), NEWBOB, TRAIN, MIX),
}


def logged(case: str) -> dict[str, tuple[str, str]]:
    lines = (DATA / "sched" / case / "losses.txt").read_text().split("\n")
    return {name: (loss, accuracy) for name, loss, accuracy in (line.split() for line in lines if line)}


def listed(case: str) -> list[str]:
    """The networks of a run, less those that are links."""
    names = (DATA / "sched" / case / "listing.txt").read_text().split()
    return sorted({name for name in names if name.startswith("nnet_iter") and not name.endswith("_final_")})


def parts(name: str) -> tuple[str, float, float, float, str]:
    """A network's name, its numbers as numbers: bash rounds some last digits otherwise, and keeps '0.00002'."""
    match = re.fullmatch(r"(?:nnet/)?(nnet_iter\d+)_learnrate([\d.e-]+)_tr([\d.]+)_cv(\d+\.\d+)(.*)", name)
    assert match, name
    return match[1], float(match[2]), round(float(match[3]), 3), round(float(match[4]), 3), match[5]


@pytest.mark.parametrize("case", SCHEDULED)
def test_newbob_decides_as_train_scheduler(case):
    options, schedule, _, _ = SCHEDULED[case]
    log = logged(case)
    losses = [float(log["iter00.initial.log"][0])]
    rates, plan = [], schedule.plan(losses, options.learn_rate)
    while plan.learn_rate is not None:
        rates.append(plan.learn_rate)
        losses.append(float(log[f"iter{len(losses):02d}.cv.log"][0]))
        plan = schedule.plan(losses, options.learn_rate)
    names = [parts(name) for name in listed(case)]
    assert rates == [rate for _, rate, _, _, _ in names]
    assert plan.accepted == [not suffix.endswith("_rejected") for *_, suffix in names]
    assert plan.best == max((k for k, accepted in enumerate(plan.accepted, start=1) if accepted), default=0)


@pytest.mark.parametrize("case", SCHEDULED)
def test_a_whole_run_has_the_losses_and_names_of_kaldi(case, tmp_path, monkeypatch):
    monkeypatch.setattr(np.random, "default_rng", Glibc)
    options, schedule, train_slice, cv_slice = SCHEDULED[case]
    large = case == "lstm_paper"
    examples = golden("feats20", "post6") if large else golden()
    model = "lstm20" if large else case.split("_")[0] + "7"
    epochs = list(
        train(
            start("2016", f"{model}.start.bin"), examples[train_slice], examples[cv_slice], tmp_path, options, schedule
        )
    )
    log = logged(case)
    assert len(log) == 2 * len(epochs) - 1
    for epoch in epochs:
        name = "iter00.initial.log" if epoch.iteration == 0 else f"iter{epoch.iteration:02d}.cv.log"
        written = (tmp_path / "log" / name).read_text()
        assert f"AvgLoss: {epoch.cv_loss:g} " in written
        np.testing.assert_allclose([epoch.cv_loss, epoch.cv_accuracy], np.float64(log[name]), rtol=2e-5)
        if epoch.iteration:
            expected = np.float64(log[f"iter{epoch.iteration:02d}.tr.log"])
            np.testing.assert_allclose([epoch.train_loss, epoch.train_accuracy], expected, rtol=2e-5)
    produced = sorted(path.name for path in (tmp_path / "nnet").iterdir())
    assert len(produced) == len(listed(case))
    for ours, theirs in zip(produced, listed(case), strict=True):
        for own, other in zip(parts(ours), parts(theirs), strict=True):
            assert own == (pytest.approx(other, abs=2e-3) if isinstance(other, float) else other)
    if case not in ("lstm_mix", "dnn_rand"):  # where every epoch is rejected, Kaldi's script breaks off without a net
        assert_same(Nnet.read(tmp_path / "final.nnet"), read(f"sched/{case}/final.nnet.txt"))


def test_without_any_better_epoch_the_initial_net_is_the_final_one(tmp_path, caplog):
    options, schedule, train_slice, cv_slice = SCHEDULED["lstm_mix"]
    examples = golden()
    epochs = list(
        train(start("2016", "lstm7.start.bin"), examples[train_slice], examples[cv_slice], tmp_path, options, schedule)
    )
    assert not any(epoch.accepted for epoch in epochs[1:])
    assert (tmp_path / "final.nnet").read_bytes() == content("2016/init/lstm7.start.bin")
    assert "no epoch was better" in caplog.text


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=30), st.integers(0, 5), st.integers(0, 5))
def test_newbob_only_ever_lowers_the_rate_and_ends(losses, keep, least):
    schedule = Newbob(max_iters=12, keep_lr_iters=keep, min_iters=least)
    rates = [schedule.plan(losses[: k + 1], 0.008).learn_rate for k in range(len(losses))]
    running = [rate for rate in rates if rate is not None]
    assert running == sorted(running, reverse=True)
    assert all(rate is None for rate in rates[12:])
    assert running[: keep + 1] == [0.008] * len(running[: keep + 1])


def test_decay_is_constant_for_three_epochs_then_shrinks_in_each():
    rates = [Decay(max_iters=6).plan([1.0] * k, 0.00002).learn_rate for k in range(1, 8)]
    assert rates == [2e-05, 2e-05, 2e-05, 1.8e-05, 1.62e-05, 1.458e-05, None]
    plan = Decay().plan([1.0, 0.5, 2.0], 0.1)
    assert (plan.accepted, plan.best, plan.result) == ([True, True], 2, 2)  # the last, not the best


@given(st.lists(st.sampled_from([0.3, 0.5, 0.7, 0.9]), min_size=1, max_size=8))
def test_decay_best_goes_the_way_of_decay_and_results_in_the_first_net_of_the_lowest_loss(losses):
    decay, best = Decay(max_iters=6).plan(losses, 0.1), DecayBest(max_iters=6).plan(losses, 0.1)
    assert (best.best, best.learn_rate) == (decay.best, decay.learn_rate)
    assert best.result == losses.index(min(losses))
    assert [k for k, accepted in enumerate(best.accepted, start=1) if accepted][-1:] == [best.result][: best.result]


@pytest.mark.parametrize(
    ("command", "kind", "not_offered"),
    [
        ("train-dnn", FrameOptions, {"randomize", "randomizer_size", "randomizer_seed"}),
        ("train-lstm", StreamOptions, {"l1_penalty", "l2_penalty", "keep_tails"}),
        ("train-dnn", Newbob, set()),
        ("train-lstm", Newbob, set()),
        ("train-lstm", Decay, {"constant_iters"}),
    ],
)
def test_settings_are_options_of_the_command_by_the_same_names_and_defaults(command, kind, not_offered):
    options = {option.name: option.default for option in get_command(app).commands[command].params}
    for field in fields(kind):
        assert (field.name in options) == (field.name not in not_offered), field.name
        if kind is not Decay and field.name in options:
            assert options[field.name] == field.default


# Resuming


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", ["lstm", "dnn"])
@pytest.mark.parametrize("epochs_before", [0, 1, 2])
def test_a_killed_run_ends_with_the_same_bytes(kind, epochs_before, tmp_path):
    options = replace(LSTM, learn_rate=0.01) if kind == "lstm" else DNN
    arguments = (golden("feats7_raw")[:4], golden("feats7_raw"))
    rest = (options, Newbob(max_iters=4), start("2016", "cmvn-g.bin"))

    def run(folder: str):
        return train(start("2016", f"{kind}7.start.bin"), *arguments, tmp_path / folder, *rest)

    whole = list(run("whole"))
    killed = run("killed")
    part = [next(killed) for _ in range(epochs_before)]
    killed.close()
    assert not (tmp_path / "killed" / "final.nnet").exists()
    resumed = list(run("killed"))
    assert part + resumed == whole
    assert files(tmp_path / "killed") == files(tmp_path / "whole")
    assert list(run("killed")) == []
    assert [epoch["cv_loss"] for epoch in json.loads((tmp_path / "whole/training.json").read_text())["epochs"]] == [
        epoch.cv_loss for epoch in whole
    ]


def test_will_not_resume_another_run(tmp_path):
    nnet, schedule = start("2016", "dnn7.start.bin"), Newbob(max_iters=1)
    list(train(nnet, golden(), golden(), tmp_path, DNN, schedule))
    with pytest.raises(ModelError, match=r"begun with learn_rate 0\.02, now it is 0\.5: give the same"):
        next(train(nnet, golden(), golden(), tmp_path, replace(DNN, learn_rate=0.5), schedule))
    with pytest.raises(ModelError, match="begun with max_iters 1, now it is 2"):
        next(train(nnet, golden(), golden(), tmp_path, DNN, Newbob(max_iters=2)))
    with pytest.raises(ModelError, match="begun with another initial net: of other layers"):
        next(train(start("2016", "dnn7_maxnorm.start.bin"), golden(), golden(), tmp_path, DNN, schedule))
    for damage in [
        '{"settings": {}, "epochs": [{"iteration": 0}]}',
        '{"settings": {}, "epochs": []}',
        "[1]",
        "{",
        "\xff",
    ]:
        (tmp_path / "training.json").write_text(damage, encoding="latin-1")
        with pytest.raises(FormatError, match=r"training\.json: damaged .*delete .* and train anew"):
            next(train(nnet, golden(), golden(), tmp_path, DNN, schedule))


# Corners


def test_streams_use_every_frame_of_fewer_utterances_than_streams():
    nnet = init.lstm(7, [4], [5], 3, seed=1)
    loss = streams.train_epoch(nnet, toy(23, 1), StreamOptions(num_streams=8))
    assert loss.frames == 24


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(1, 50), min_size=1, max_size=12),
    st.integers(1, 6),
    st.integers(1, 25),
    st.integers(0, 7),
)
def test_streams_show_each_frame_once_in_order(lengths, num_streams, batch_size, delay):
    examples = [
        Example.of(str(k), 100.0 * k + np.arange(length)[:, None], np.eye(1)[[0] * length] * (k + 1), 1)
        for k, length in enumerate(lengths)
    ]
    options = StreamOptions(num_streams=num_streams, batch_size=batch_size, targets_delay=delay)
    seen: dict[int, list[float]] = {k: [] for k in range(len(lengths))}
    running: list[int] = []
    for chunk in streams.chunks(examples, options):
        rows = []
        for row, previous in enumerate(chunk.previous.tolist()):
            utterance = round(chunk.targets[0, row, 0].item()) - 1
            assert seen[utterance] == [] if previous < 0 else running[previous] == utterance
            valid = chunk.weights[:, row] > 0
            assert (chunk.targets[:, row, 0] == utterance + 1).all()
            seen[utterance] += chunk.features[valid, row, 0].tolist()
            rows.append(utterance)
        running = rows
    for k, length in enumerate(lengths):
        assert seen[k] == [100.0 * k + min(t + delay, length - 1) for t in range(length)]


def test_frames_of_no_weight_change_nothing():
    shown, hidden = toy(40, 30)
    half = shown._replace(weights=torch.cat([torch.ones(20), torch.zeros(20)]))
    cut = Example(*(part if isinstance(part, str) else part[:20] for part in shown))
    options = FrameOptions(minibatch_size=10, learn_rate=0.1)
    nets = [init.dnn(7, [5], 3, seed=1) for _ in range(2)]
    losses = [frames.train_epoch(net, [first, hidden], options) for net, first in zip(nets, (half, cut), strict=True)]
    assert losses[0] == losses[1]
    assert_same(*nets, tolerance=0)


def test_frames_leave_less_than_a_minibatch_at_the_very_end_only():
    seen = []
    options = FrameOptions(minibatch_size=16, randomizer_size=30, randomize=True)
    for _, targets, _ in frames._minibatches(toy(20, 20, 20, 20, 21, classes=5), options, None, True):
        assert len(targets) == 16
        seen.append(targets.sum(0))
    assert sum(seen).sum() == 96  # of 101
    shuffled = [
        frames.train_epoch(init.dnn(7, [5], 3, seed=1), toy(50, 60), replace(options, randomizer_seed=s))
        for s in (1, 1, 2)
    ]
    assert shuffled[0] == shuffled[1] != shuffled[2]


def test_too_little_to_train_on():
    dnn, lstm = init.dnn(7, [5], 3, seed=1), init.lstm(7, [4], [5], 3, seed=1)
    with pytest.raises(DataError, match="30 frames of weight over 0 are fewer than a minibatch of 256"):
        frames.train_epoch(dnn, toy(30), FrameOptions())
    with pytest.raises(DataError, match="0 frames of weight over 0"):
        frames.cross_validate(dnn, [], FrameOptions())
    with pytest.raises(DataError, match="no utterances"):
        streams.train_epoch(lstm, [], StreamOptions())
    silent = [example._replace(weights=torch.zeros(9)) for example in toy(9)]
    with pytest.raises(DataError, match="no frame has both a weight and a target"):
        streams.cross_validate(lstm, silent, StreamOptions()).report()


def test_a_loss_that_is_not_finite_stops_training():
    with pytest.raises(ModelError, match=r"the loss is nan after .* frames: lower the learning rate"):
        streams.train_epoch(init.lstm(7, [4], [5], 3, seed=1), toy(400, 300), StreamOptions(learn_rate=1e38))


def test_nets_that_cannot_be_trained():
    affine = AffineTransform(torch.zeros(3, 7), torch.zeros(3))
    with pytest.raises(ModelError, match="ends in <Softmax>"):
        frames.train_epoch(Nnet([affine]), toy(300), FrameOptions())
    shift = AddShift(torch.zeros(7), learn_rate_coef=1.0)
    with pytest.raises(ModelError, match="training of AddShift is not supported"):
        frames.train_epoch(Nnet([shift, affine, Softmax(3, 3)]), toy(300), FrameOptions())
    with pytest.raises(ModelError, match="the net takes 7 inputs, the features have 8"):
        frames.train_epoch(Nnet([affine, Softmax(3, 3)]), toy(300, dim=8), FrameOptions())


# Examples


@pytest.fixture
def archive(tmp_path):
    def write(**matrices: np.ndarray) -> str:
        with TableWriter(f"ark:{tmp_path}/feats.ark") as writer:
            for utterance, matrix in matrices.items():
                writer.write(utterance, np.asarray(matrix, np.float32))
        return f"ark:{tmp_path}/feats.ark"

    return write


def test_examples_are_read_again_at_each_iteration(archive, caplog):
    examples = Examples(archive(a=np.ones((2, 3)), b=np.zeros((1, 3))), {"a": 1, "b": 0, "c": 0}, 2)
    first, second = list(examples), list(examples)
    assert [example.utterance for example in first] == ["a", "b"]
    assert first[0].targets.tolist() == [[0, 1], [0, 1]]
    assert first[0].weights.tolist() == [1, 1]
    assert torch.equal(first[1].features, second[1].features)
    assert "1 of 3 labelled utterances have no features" in caplog.text


@pytest.mark.parametrize(
    ("matrices", "message"),
    [
        ({"a": np.ones((2, 3)), "x": np.ones((2, 3))}, r"feats\.ark: x has features and no label"),
        ({"a": np.ones((2, 4))}, r"feats\.ark: a has 4 columns, expected 3"),
        ({"b": np.ones((1, 3))}, "b: class 7 of 2 classes"),
        ({}, "no utterances"),
    ],
)
def test_examples_name_what_is_wrong(archive, matrices, message):
    with pytest.raises(DataError, match=message):
        list(Examples(archive(**matrices), {"a": 1, "b": 7}, 2, input_dim=3))


def test_examples_take_posteriors_arrays_and_weights():
    x = np.ones((3, 2), np.float32)
    soft = Example.of("a", x, [[(0, 0.25), (1, 0.75)], [], [(1, 1.0)]], 2, np.array([1, 0.5, 0]))
    assert soft.targets.tolist() == [[0.25, 0.75], [0, 0], [0, 1]]
    assert soft.weights.tolist() == [1, 0.5, 0]
    assert len(Example.of("a", x, np.ones((7, 2)), 2).targets) == 3  # 4 frames more: cut
    for target, weights, message in [
        (np.ones((8, 2)), None, "3 frames of features, 8 of targets"),
        (np.ones((3, 3)), None, "rows of 2 classes"),
        (2, None, "a: class 2 of 2 classes"),
        ([[(0, 1.0)], [(3, 1.0)], []], None, "a: frame 1: class 3 with weight 1.0, of 2 classes"),
        (0, np.array([1, -1, 1]), "weights must be finite and not negative"),
    ]:
        with pytest.raises(DataError, match=message):
            Example.of("a", x, target, 2, weights)
    with pytest.raises(DataError, match="a: the features have values that are not finite"):
        Example.of("a", np.array([[1, np.nan]]), 0, 2)
    with pytest.raises(DataError, match="at least one frame"):
        Example.of("a", x[:0], 0, 2)


def test_reading_ahead_keeps_the_order_and_stops_with_the_reader_or_the_source():
    taken: list[int] = []

    def source():
        for k in range(100):
            taken.append(k)
            yield k
        raise DataError("the archive ends")

    with pytest.raises(DataError, match="the archive ends"):
        list(read_ahead(source(), depth=7))
    assert taken == list(range(100))
    taken.clear()
    reading = read_ahead(source(), depth=7)
    assert [next(reading) for _ in range(5)] == [0, 1, 2, 3, 4]
    reading.close()
    assert len(taken) <= 13


def test_the_reading_thread_takes_no_cores_from_the_computing_one():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        assert list(read_ahead((torch.get_num_threads() for _ in range(2)), depth=1)) == [1, 1]
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
