"""The batched forward pass against the network run on one utterance at a time."""

import numpy as np
import pytest
import torch

from lstmgenre.errors import DataError, ModelError
from lstmgenre.nnet1 import forward
from lstmgenre.nnet1.components import AffineTransform, LstmProjected, Rescale, Softmax, Splice
from lstmgenre.nnet1.forward import Forward
from lstmgenre.nnet1.nnet import Nnet

DIM, CLASSES = 5, 3


def affine(inputs, outputs):
    return AffineTransform(torch.randn(outputs, inputs), torch.randn(outputs))


def lstm(inputs, cells, outputs):
    shapes = [(4 * cells, inputs), (4 * cells, outputs), (4 * cells,), (cells,), (cells,), (cells,), (outputs, cells)]
    # Small enough weights that rounding dies out instead of growing from frame to frame.
    return LstmProjected(*(0.3 * torch.randn(shape) for shape in shapes))


@pytest.fixture(params=["dnn", "lstm", "lstm x 2", "spliced"])
def nnet(request):
    torch.manual_seed(3)
    layers = {
        "dnn": [affine(DIM, 4), affine(4, CLASSES)],
        "lstm": [lstm(DIM, 7, 4), affine(4, CLASSES)],
        "lstm x 2": [lstm(DIM, 7, 4), lstm(4, 6, 4), affine(4, CLASSES)],
        "spliced": [Splice(DIM, [-2, 5]), lstm(2 * DIM, 7, 4), affine(4, CLASSES)],
    }
    return Nnet([*layers[request.param], Softmax(CLASSES, CLASSES)])


@pytest.fixture
def utterances(monkeypatch):
    """150 utterances of 1 to 200 frames, read in several windows, run in several batches and chunks."""
    monkeypatch.setattr(forward, "_WINDOW_FRAMES", 9000)
    rng = np.random.default_rng(5)
    lengths = [1, 1, 60, 61, 120, 2, *rng.integers(1, 200, 144)]
    return [(f"u{k}", rng.normal(size=(n, DIM)).astype(np.float32)) for k, n in enumerate(lengths)]


def alone(nnet, matrix):
    with torch.inference_mode():
        return nnet(torch.from_numpy(matrix))[0].numpy()


def test_a_batch_gives_what_one_at_a_time_gives_in_the_same_order(nnet, utterances):
    outputs = list(Forward(nnet)(utterances))
    assert [name for name, _ in outputs] == [name for name, _ in utterances]
    for (_, matrix), (_, output) in zip(utterances, outputs, strict=True):
        np.testing.assert_allclose(output, alone(nnet, matrix), atol=1e-6)


@pytest.mark.parametrize("size", [1, 7])
def test_the_rest_of_the_table_changes_no_bit(nnet, utterances, size):
    utterances = utterances[:70]
    whole = dict(Forward(nnet)(utterances))
    for start in range(0, len(utterances), size):
        for name, output in Forward(nnet)(utterances[start : start + size]):
            assert output.tobytes() == whole[name].tobytes()


def test_the_feature_transform_comes_first(nnet, utterances):
    doubled = [(name, 2 * matrix) for name, matrix in utterances[:9]]
    transform = Nnet([Rescale(torch.full((DIM,), 2.0))])
    for (_, given), (_, expected) in zip(Forward(nnet, transform)(utterances[:9]), Forward(nnet)(doubled), strict=True):
        np.testing.assert_allclose(given, expected, atol=1e-6)


def test_no_softmax_and_apply_log_are_what_their_names_say(nnet, utterances):
    for (_, plain), (_, raw), (_, log) in zip(
        Forward(nnet)(utterances[:9]),
        Forward(nnet, no_softmax=True)(utterances[:9]),
        Forward(nnet, apply_log=True)(utterances[:9]),
        strict=True,
    ):
        np.testing.assert_allclose(torch.from_numpy(raw).softmax(-1), plain, atol=1e-6)
        np.testing.assert_allclose(np.exp(log), plain, atol=1e-6)


def test_a_time_shift_drops_the_first_outputs_and_repeats_the_last_input(nnet, utterances):
    for (_, matrix), (_, output) in zip(utterances[:9], Forward(nnet, time_shift=4)(utterances[:9]), strict=True):
        longer = np.concatenate([matrix, np.repeat(matrix[-1:], 4, axis=0)])
        np.testing.assert_allclose(output, alone(nnet, longer)[4:], atol=1e-6)


def test_logs_of_vanished_probabilities_are_finite():
    certain = Nnet([AffineTransform(torch.tensor([[0.0], [900.0]]), torch.zeros(2)), Softmax(2, 2)])
    ((_, log),) = Forward(certain, apply_log=True)([("u", np.ones((3, 1), np.float32))])
    assert np.isfinite(log).all()


def test_features_that_do_not_fit_are_refused(nnet):
    with pytest.raises(ModelError, match="5 inputs, the features have 4"):
        list(Forward(nnet)([("u", np.zeros((7, 4), np.float32))]))
    with pytest.raises(DataError, match="song: has no frames"):
        list(Forward(nnet)([("song", np.zeros((0, DIM), np.float32))]))


def test_a_training_directory_brings_its_feature_transform(nnet, tmp_path):
    nnet.write(tmp_path / "final.nnet")
    Nnet([Rescale(torch.full((DIM,), 2.0))]).write(tmp_path / "final.feature_transform")
    features = [("u", np.ones((6, DIM), np.float32))]
    ((_, from_directory),) = Forward.load(tmp_path)(features)
    ((_, from_file),) = Forward.load(tmp_path / "final.nnet", tmp_path / "final.feature_transform")(features)
    np.testing.assert_allclose(from_directory, alone(nnet, 2 * features[0][1]), atol=1e-6)
    np.testing.assert_array_equal(from_directory, from_file)


@pytest.mark.parametrize("sizes", [[1], [59, 1], [61], [7, 200, 13], [60, 60]])
@pytest.mark.parametrize("options", [{}, {"apply_log": True}, {"no_softmax": True}, {"time_shift": 2}])
def test_a_stream_of_blocks_gives_what_the_whole_gives(nnet, sizes, options):
    run = Forward(nnet, **options)
    matrix = np.random.default_rng(0).normal(size=(sum(sizes), DIM)).astype(np.float32)
    ((_, whole),) = run([("a", matrix)])
    blocks = np.split(matrix, np.cumsum(sizes)[:-1])
    np.testing.assert_array_equal(np.concatenate(list(run.stream(blocks))), whole)
