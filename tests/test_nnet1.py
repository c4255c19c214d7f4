"""nnet1 against what Kaldi's own tools wrote (data/kaldi_nnet1), torch.nn.LSTM, and finite differences."""

from __future__ import annotations

import io
import os
import re
import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lstmgenre.errors import DataError, FormatError, ModelError
from lstmgenre.files import open_fifo
from lstmgenre.nnet1 import init
from lstmgenre.nnet1.components import AddShift, AffineTransform, LstmProjected, Sigmoid, Softmax, Splice, Tanh
from lstmgenre.nnet1.lstm import Clips, Weights, lstm_projected
from lstmgenre.nnet1.nnet import Nnet
from lstmgenre.tables import read_table
from tests.glibc_rand import Glibc, GlibcMatrices
from tests.kaldi_nnet1 import DATA, content, start

VERSIONS = ["2016", "head"]
INITIALISED = ["dnn7", "dnn7_maxnorm", "lstm7", "lstm7_clip", "lstm7x2", "lstm20"]
TRANSFORMS = ["cmvn-g", "splice1", "delay5"]
FILES = [
    *(f"{model}.{suffix}" for model in INITIALISED for suffix in ("bin", "start.bin", "start.txt")),
    *(f"{transform}.{suffix}" for transform in TRANSFORMS for suffix in ("bin", "txt")),
    *("splice1_cmvn-g.txt", "delay5_cmvn-g.txt"),
]


def features(name: str) -> dict[str, torch.Tensor]:
    return {key: torch.tensor(value) for key, value in read_table(f"ark:{DATA}/in/{name}.ark")}


def written(nnet: Nnet, **options) -> bytes:
    stream = io.BytesIO()
    nnet.write(stream, **options)
    return stream.getvalue()


# Files


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", FILES)
def test_reads_and_writes_the_bytes_of_kaldi(version, name):
    expected = content(f"{version}/init/{name}")
    assert written(start(version, name), binary=name.endswith("bin"), format=version) == expected


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("binary", "text"),
    [
        *((f"{model}.bin", f"{model}.start.txt") for model in INITIALISED),
        *((f"{name}.bin", f"{name}.txt") for name in TRANSFORMS),
    ],
)
def test_binary_goes_to_the_text_of_kaldi(version, binary, text):
    assert written(start(version, binary), binary=False, format=version) == content(f"{version}/init/{text}")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", [*(f"{model}.start" for model in INITIALISED), "splice1", "delay5"])
def test_text_goes_to_the_binary_of_kaldi(version, name):  # those that have no more digits than the text
    assert written(start(version, f"{name}.txt"), format=version) == content(f"{version}/init/{name}.bin")


def test_2016_goes_to_head_and_back_unchanged(tmp_path):
    nnet = start("2016", "lstm7x2.start.bin")
    nnet.write(tmp_path / "head", format="head")
    there = Nnet.read(tmp_path / "head")
    assert written(there) == content("2016/init/lstm7x2.start.bin")
    x = features("feats7")["utt-a"]
    torch.testing.assert_close(there(x)[0], nnet(x)[0], rtol=0, atol=0)


def test_2016_has_no_place_for_another_cell_clip(caplog):
    nnet = start("head", "lstm7.start.bin")
    written(nnet, format="2016")
    assert "diff_clip 1" in caplog.text  # matters to training alone: written, with a warning
    with pytest.raises(FormatError, match=r"clips the cell at 50, this model at 0\.6"):
        written(start("head", "lstm7_clip.start.bin"), format="2016")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("suffix", ["bin", "txt"])
@pytest.mark.parametrize("model", ["lstm7", "dnn7"])
def test_every_truncated_file_is_a_format_error(version, suffix, model):
    file = content(f"{version}/init/{model}.start.{suffix}")
    whole = len(file.rstrip())
    for size in range(0, whole, 1 if suffix == "bin" else 7):
        with pytest.raises(FormatError, match=r"^the model: (byte|line) \d+: "):
            Nnet.read(io.BytesIO(file[:size]))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_damaged_file_is_a_format_error_or_a_finite_model(data):
    version, name = data.draw(st.sampled_from([("2016", "lstm7.start.bin"), ("head", "dnn7.start.txt")]))
    damaged = bytearray(content(f"{version}/init/{name}"))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        nnet = Nnet.read(io.BytesIO(bytes(damaged)))
    except FormatError:
        return
    assert all(bool(parameter.isfinite().all()) for parameter in nnet.parameters())


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("<Sigmoid>", "<Sigmoidal>", r"line 13: unknown component <Sigmoidal>; known are .*<Tanh>"),
        ("<MaxNorm>", "<MinNorm>", "line 3: unknown tag <MinNorm> in <AffineTransform>"),
        (
            "<AffineTransform> 8 7",
            "<AffineTransform> 8 6",
            r"linearity, which ends here, is \(8, 7\), should be \(8, 6\)",
        ),
        ("<AffineTransform> 3 8", "<AffineTransform> 0 8", "line 26: <AffineTransform> has dimensions 0 8"),
        ("<AffineTransform> 3 8", "<AffineTransform> three 8", "line 26: 'three' where an integer"),
        ("-0.1470557", "nan", "linearity, which ends here, has values that are not finite"),
        ("-0.1470557", "1e99", "linearity, which ends here, has values that are not finite"),
        ("-0.1470557", "minus", "something in it that is no number"),
        ("<MaxNorm> 0", "<MaxNorm> inf", "line 3: inf where a finite number"),
        ("<Sigmoid> 8 8", "<Sigmoid> 9 8", "line 13: <Sigmoid> says 9 8, but it has 8 8"),
        ("<Nnet>", "<NnetProto>", "line 1: '<NnetProto>' where <Nnet> should be"),
        ("</Nnet>", "</Nnet> more", "there is more after </Nnet>"),
        ("<MaxNorm> 0", "<MaxNorm> -1", "line 3: <MaxNorm> of <AffineTransform> is -1: it should be 0"),
        ("<MaxNorm> 0", "<MaxNorm> 1e39", "line 3: 1e39 where a finite number should be that has room in 32 bits"),
        ("<MaxNorm> 0", "<MaxNorm> 1_0", "line 3: '1_0' where a number should be"),
        ("<MaxNorm> 0", "<MaxNorm> 0 <MaxNorm> 0", "line 3: <MaxNorm> comes twice in <AffineTransform>"),
        ("<MaxNorm> 0", f"<MaxNorm> 0.{'0' * 200}1", "line 3: .* is no tag and no number"),
        ("<AffineTransform> 3 8", f"<AffineTransform> 3 {10**21}", "line 26: .* where an integer"),
        ("<AffineTransform> 3 8", "<AffineTransform> 3 0_8", "line 26: '0_8' where an integer"),
        ("-0.1470557", "-0.14_7", "something in it that is no number"),
    ],
)
def test_says_where_and_what_is_wrong(before, after, message):
    text = content("2016/init/dnn7.start.txt").decode()
    assert before in text
    with pytest.raises(FormatError, match=message):
        Nnet.read(io.BytesIO(text.replace(before, after, 1).encode()))


@pytest.mark.parametrize("offset", [10**21, 2**31, -(2**31) - 1, "1_0", "0x1", "1.5", "٣"])
def test_an_offset_that_is_no_32_bit_integer_is_refused(offset):
    text = f"<Nnet> <Splice> 4 2 [ 0 {offset} ] </Nnet>"
    with pytest.raises(FormatError, match="a vector of integers that ends here has something else in it"):
        Nnet.read(io.BytesIO(text.encode()))


@pytest.mark.parametrize("clip", ["<CellClip>", "<DiffClip>", "<CellDiffClip>", "<GradClip>"])
@pytest.mark.parametrize("binary", [True, False])
def test_a_negative_or_second_clip_is_refused(clip, binary):
    model = written(start("head", "lstm7.start.bin"), binary=binary, format="head")
    at = model.index(clip.encode())
    value = b"\4" + np.float32(-1).tobytes() if binary else b" -1 "
    end = at + len(clip) + (6 if binary else len(re.match(rb"\s*\S+", model[at + len(clip) :])[0]))
    with pytest.raises(FormatError, match=f"{clip} of <LstmProjected> is -1"):
        Nnet.read(io.BytesIO(model[:at] + clip.encode() + b" " * binary + value + model[end:]))
    with pytest.raises(FormatError, match=f"{clip} comes twice"):
        Nnet.read(io.BytesIO(model[:end] + b" " * (not binary) + model[at:end] + model[end:]))


@pytest.mark.parametrize("binary", [True, False])
def test_what_could_not_be_read_is_not_written(binary):
    for nnet in (
        Nnet([Splice(2, [0, 10**21])]),
        Nnet([AffineTransform(torch.ones(2, 2), torch.ones(2), max_norm=1e39)]),
        Nnet([AffineTransform(torch.ones(2, 2), torch.ones(2), learn_rate_coef=float("nan"))]),
        Nnet([AffineTransform(torch.full((2, 2), float("inf")), torch.ones(2))]),
        Nnet([AffineTransform(torch.full((2, 2), 1e39, dtype=torch.float64), torch.ones(2))]),
    ):
        with pytest.raises(FormatError, match=r"^[^\n]+$"):
            nnet.write(io.BytesIO(), binary=binary)


def test_a_binary_number_beyond_32_bits_is_refused():
    model = written(Nnet([AffineTransform(torch.ones(2, 2), torch.ones(2))]))
    at = model.index(b"<MaxNorm> ") + len(b"<MaxNorm> ")
    with pytest.raises(FormatError, match="no room in 32 bits"):
        Nnet.read(io.BytesIO(model[:at] + b"\x08" + np.float64(1e39).tobytes() + model[at + 5 :]))


def test_a_device_without_end_is_refused_before_it_fills_memory(tmp_path):
    (tmp_path / "zero").symlink_to("/dev/zero")
    with pytest.raises(DataError, match="zero: is no regular file"):
        Nnet.read(tmp_path / "zero")
    with open("/dev/zero", "rb") as stream, pytest.raises(FormatError, match="no tag and no number"):
        Nnet.read(stream, "-")


def test_a_named_pipe_is_read_as_somebody_writes_to_it_and_refused_as_a_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="pipe: is no regular file"):
        Nnet.read(tmp_path / "pipe")
    with pytest.raises(DataError, match="nobody writes"), open_fifo(tmp_path / "pipe", patience=0.1):
        pass
    model = content("2016/init/dnn7.start.txt")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(model,))
    writer.start()
    with open_fifo(tmp_path / "pipe") as stream:
        assert Nnet.read(stream).input_dim == 7
    writer.join()


def test_a_component_must_take_what_the_one_before_gives():
    text = content("2016/init/dnn7.start.txt").decode()
    text = text.replace("<Sigmoid> 8 8", "<Sigmoid> 9 9", 1)
    with pytest.raises(FormatError, match="<Sigmoid> takes 9 inputs, the component before it gives 8"):
        Nnet.read(io.BytesIO(text.encode()))
    with pytest.raises(ModelError, match="component 2 takes 3 inputs, the one before it gives 2"):
        Nnet([Sigmoid(2, 2), Sigmoid(3, 3)])


def test_a_model_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match=r"nothing\.nnet: cannot be read: No such file"):
        Nnet.read(tmp_path / "nothing.nnet")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("model", ["lstm7x2", "dnn7"])
def test_info_has_the_numbers_of_nnet_info(version, model):
    def numbers(text: str) -> list[tuple[str, str]]:
        return re.findall(r"(input-dim|output-dim|number-of-parameters|min|max|mean|stddev) (-?[\d.e-]+)", text)

    # nnet-info saw the model before it was cut to 7 digits.
    ours = numbers(start(version, f"{model}.start.bin").info())
    theirs = numbers(content(f"{version}/init/{model}.info").decode())
    assert [name for name, _ in ours] == [name for name, _ in theirs]
    np.testing.assert_allclose([float(n) for _, n in ours], [float(n) for _, n in theirs], rtol=1e-5, atol=1e-7)


# Forward


FORWARD = [
    ("dnn7", "dnn7", "feats7", None),
    ("dnn7_ft", "dnn7", "feats7_raw", "cmvn-g.txt"),
    ("lstm7", "lstm7", "feats7", None),
    ("lstm7_applylog", "lstm7", "feats7", None),
    ("lstm7_nosoftmax", "lstm7", "feats7", None),
    ("lstm7_timeshift5", "lstm7", "feats7", None),
    ("lstm7_delay5_cmvn", "lstm7", "feats7_raw", "delay5_cmvn-g.txt"),
    ("lstm7_clip", "lstm7_clip", "feats7", None),
    ("lstm7x2", "lstm7x2", "feats7", None),
    ("lstm20", "lstm20", "feats20", None),
    ("ft_only", None, "feats7_raw", "cmvn-g.bin"),
    ("splice1_cmvn", None, "feats7_raw", "splice1_cmvn-g.txt"),
]


@pytest.mark.parametrize(
    ("version", "case", "model", "data", "transform"),
    # head's nnet-forward has no --time-shift
    [(version, *row) for version in VERSIONS for row in FORWARD if (version, row[0]) != ("head", "lstm7_timeshift5")],
)
def test_forward_gives_the_numbers_of_nnet_forward(version, case, model, data, transform):
    expected = dict(read_table(f"ark:{DATA}/{version}/forward/{case}.ark"))
    x = features(data)
    assert expected.keys() == x.keys()
    for utterance, y in x.items():
        if transform:
            y, _ = start(version, transform)(y)
        if case == "lstm7_timeshift5":
            y = torch.cat([y, y[-1:].expand(5, -1)])
        if model:
            nnet = start(version, f"{model}.start.bin")
            y, _ = (nnet.logits if case == "lstm7_nosoftmax" else nnet)(y)
        if case == "lstm7_applylog":
            y = y.log()
        if case == "lstm7_timeshift5":
            y = y[5:]
        np.testing.assert_allclose(y.detach().numpy(), expected[utterance], rtol=0, atol=1e-5)


def test_refuses_features_of_another_dimension():
    with pytest.raises(ModelError, match="the net takes 7 inputs, the features have 8"):
        start("2016", "dnn7.start.bin")(torch.zeros(3, 8))


def test_streams_side_by_side_and_in_chunks_give_what_each_gives_alone():
    nnet = start("2016", "lstm7x2.start.bin")
    x = features("feats7")["utt-c"]
    both = torch.stack([x[:60], x[60:120]], dim=1)
    first, state = nnet(both[:17])
    second, state = nnet(both[17:18], state)
    third, _ = nnet(both[18:], state)
    alone = torch.stack([nnet(x[:60])[0], nnet(x[60:120])[0]], dim=1)
    torch.testing.assert_close(torch.cat([first, second, third]), alone)


def test_splice_repeats_the_edges():
    x = torch.arange(4.0).reshape(4, 1)
    expected = torch.tensor([[0, 0, 2], [0, 1, 3], [0, 2, 3], [1, 3, 3]])
    torch.testing.assert_close(Splice(1, [-2, 0, 2])(x), expected.float())
    torch.testing.assert_close(Splice(1, [-2, 0, 2])(x.unsqueeze(1)), expected.float().unsqueeze(1))


def test_tanh():
    assert Nnet([Tanh(1, 1)])(torch.tensor([[0.5]]))[0].item() == pytest.approx(0.46211716)


# The LSTM's hand-written passes


def lstm_arrays(*, frames=6, streams=3, inputs=4, cells=5, outputs=2) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    shapes = [
        *[(frames, streams, inputs), (streams, cells), (streams, outputs)],
        *[(4 * cells, inputs), (4 * cells, outputs), (4 * cells,), (cells,), (cells,), (cells,), (outputs, cells)],
    ]
    return [torch.randn(s, dtype=torch.float64, generator=generator).requires_grad_() for s in shapes]


def reference_lstm(x, c, r, w_x, w_r, bias, p_i, p_f, p_o, w_m, clip=50.0):
    """The equations (3)-(9) of the paper, frame by frame, for autograd."""
    outputs = []
    for frame in x:
        g, i, f, o = (frame @ w_x.T + r @ w_r.T + bias).chunk(4, dim=1)
        i, f = torch.sigmoid(i + p_i * c), torch.sigmoid(f + p_f * c)
        c = torch.tanh(g) * i + c * f
        c = c + (c.clamp(-clip, clip) - c).detach()  # Kaldi's derivative ignores the clip
        r = (torch.sigmoid(o + p_o * c) * torch.tanh(c)) @ w_m.T
        outputs.append(r)
    return torch.stack(outputs), c, r


def test_lstm_passes_gradcheck():
    def layer(x, cell, recurrent, *weights):
        return lstm_projected(x, cell, recurrent, Weights(*weights), Clips())

    assert torch.autograd.gradcheck(layer, lstm_arrays())


@pytest.mark.parametrize("clip", [50.0, 0.3])
def test_lstm_is_the_plain_equations_and_their_gradients(clip):
    arrays = lstm_arrays(frames=9)
    ours = lstm_projected(*arrays[:3], Weights(*arrays[3:]), Clips(cell=clip))
    plain = reference_lstm(*arrays, clip=clip)
    torch.testing.assert_close(ours, plain)
    weights = [torch.randn_like(y) for y in plain]
    torch.testing.assert_close(torch.autograd.grad(ours, arrays, weights), torch.autograd.grad(plain, arrays, weights))


def test_lstm_without_peepholes_is_torch_lstm():
    x, c, r, w_x, w_r, bias, *peepholes, w_m = (array.detach() for array in lstm_arrays())
    other = torch.nn.LSTM(4, 5, proj_size=2).double()

    def their_order(blocks: torch.Tensor) -> torch.Tensor:
        g, i, f, o = blocks.chunk(4)
        return torch.cat([i, f, g, o])

    with torch.no_grad():
        other.weight_ih_l0.copy_(their_order(w_x))
        other.weight_hh_l0.copy_(their_order(w_r))
        other.bias_ih_l0.copy_(their_order(bias))
        other.bias_hh_l0.zero_()
        other.weight_hr_l0.copy_(w_m)
    expected, (last_r, last_c) = other(x, (r[None], c[None]))
    zero = torch.zeros_like(peepholes[0])
    layer = LstmProjected(w_x, w_r, bias, zero, zero, zero, w_m)
    y, (own_c, own_r) = layer(x, (c, r))
    torch.testing.assert_close((y, own_c, own_r), (expected, last_c[0], last_r[0]))
    weights = torch.randn_like(y)
    y.backward(weights)
    expected.backward(weights)
    for own, theirs in [(layer.w_gifo_x, other.weight_ih_l0), (layer.w_gifo_r, other.weight_hh_l0)]:
        torch.testing.assert_close(their_order(own.grad), theirs.grad)
    torch.testing.assert_close(layer.w_r_m.grad, other.weight_hr_l0.grad)


# Initialisation


def play(monkeypatch, generator) -> None:
    """Let init draw Kaldi's random numbers."""
    monkeypatch.setattr(np.random, "default_rng", generator)


def test_dnn_draws_what_nnet_initialize_draws(monkeypatch):
    play(monkeypatch, Glibc)
    ours, theirs = init.dnn(7, [8, 8], 3, seed=777), start("2016", "dnn7.bin")
    for layer, stddev in (
        (0, 0.5),
        (2, 1.0),
        (4, 1.0),
    ):  # those of dnn7's prototype; the recipe's follow from the dimensions
        own, reference = ours.components[layer].linearity, theirs.components[layer].linearity
        recipe = 3.5 * (2 / sum(own.shape)) ** 0.5 * (12**-0.5 if layer == 0 else 1)
        torch.testing.assert_close(own * stddev / recipe, reference)
        torch.testing.assert_close(ours.components[layer].bias, theirs.components[layer].bias)
    assert ours.components[4].bias_learn_rate_coef == pytest.approx(theirs.components[4].bias_learn_rate_coef)


@pytest.mark.parametrize(
    ("model", "sizes", "scale", "clip"),
    [
        ("lstm7", (7, [4], [5], 3), 0.5, 5.0),
        ("lstm7_clip", (7, [4], [5], 3), 0.5, 0.5),
        ("lstm7x2", (7, [4, 4], [5, 6], 3), 0.5, 5.0),
        ("lstm20", (20, [12], [16], 6), 0.4, 5.0),
    ],
)
def test_lstm_draws_what_nnet_initialize_draws(model, sizes, scale, clip, monkeypatch):
    play(monkeypatch, GlibcMatrices)
    ours, theirs = init.lstm(*sizes, seed=777, param_scale=scale, clip_gradient=clip), start("2016", f"{model}.bin")
    *layers, output, _ = theirs
    for own, layer in zip(ours, layers, strict=False):
        assert own.grad_clip == layer.grad_clip == pytest.approx(clip)
        for name, parameter in layer.named_parameters():
            torch.testing.assert_close(getattr(own, name), parameter)
    torch.testing.assert_close(ours.components[-2].linearity * 10, output.linearity)  # N(0, .4) there


@pytest.mark.parametrize(
    ("hidden", "deviations"), [([1024], [0.036305, 0.154228]), ([1024, 1024], [0.036305, 0.109375, 0.154228])]
)
def test_dnn_has_the_deviations_of_make_nnet_proto(hidden, deviations):
    affine = [c for c in init.dnn(525, hidden, 6, seed=3) if isinstance(c, AffineTransform)]
    for component, deviation in zip(affine, deviations, strict=True):
        weights = component.linearity.detach()
        assert abs(float(weights.std()) / deviation - 1) < 4 / (2 * weights.numel()) ** 0.5
        assert abs(float(weights.mean())) < 4 * deviation / weights.numel() ** 0.5
    bias = affine[0].bias.detach()
    assert -4 <= float(bias.min()) < -3.9
    assert -0.1 < float(bias.max()) <= 0
    assert abs(float(bias.mean()) + 2) < 4 * (4 / 12**0.5) / len(bias) ** 0.5
    assert not affine[-1].bias.any()


def test_lstm_is_uniform_and_its_output_layer_normal():
    nnet = init.lstm(525, [512, 256], [800, 300], 6, seed=3)
    first, second, output, _ = nnet
    assert (first.input_dim, first.cell_dim, first.output_dim) == (525, 800, 512)
    assert (second.input_dim, second.cell_dim, second.output_dim) == (512, 300, 256)
    for parameter in [*first.parameters(), *second.parameters()]:
        assert 0.0097 < parameter.abs().max().item() <= 0.01
        assert parameter.std().item() == pytest.approx(0.01 / 3**0.5, rel=4 * (0.2 / parameter.numel()) ** 0.5)
    assert output.linearity.std().item() == pytest.approx(0.04, rel=0.1)
    assert not output.bias.any()


def test_seeds_differ_and_repeat():
    nets = [written(init.lstm(7, [4], [5], 3, seed=seed)) for seed in (1, 1, 2)]
    assert nets[0] == nets[1] != nets[2]


def test_feature_transform_is_that_of_kaldi():
    ours = init.feature_transform([x.numpy() for x in features("feats7_raw").values()])
    theirs = start("2016", "cmvn-g.bin")
    torch.testing.assert_close(ours.components[0].shift_data, theirs.components[0].shift_data)
    torch.testing.assert_close(ours.components[1].scale_data, theirs.components[1].scale_data)


def test_feature_transform_leaves_a_constant_dimension_finite(caplog):
    x = np.stack([np.arange(5.0), np.full(5, 3.0)], axis=1)
    y, _ = init.feature_transform([x])(torch.tensor(x, dtype=torch.float32))
    torch.testing.assert_close(y[:, 1], torch.zeros(5))
    torch.testing.assert_close(y[:, 0].std(correction=0), torch.tensor(1.0))
    assert "1 of 2 feature dimensions do not vary" in caplog.text
    with pytest.raises(DataError, match="no frames"):
        init.feature_transform([])


def test_a_transform_is_not_trained():
    assert Nnet([AddShift(torch.zeros(2)), Softmax(2, 2)]).components[0].update_rules() == []
