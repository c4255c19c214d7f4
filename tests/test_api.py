"""The Python API against ScatNet's output, the commands, and its own page: what stands in docs/python.md is so."""

import doctest
import inspect
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from kymatio.scattering1d.frontend.numpy_frontend import ScatteringNumPy1D
from msgspec import structs

import lstmgenre
from lstmgenre import audio, svm
from lstmgenre.audio import mixing
from lstmgenre.corpora import Track, write_data_dir
from lstmgenre.datadir import DataDir
from lstmgenre.errors import DataError, ModelError
from lstmgenre.nnet1 import init
from lstmgenre.scattering import scat_json
from lstmgenre.scattering.extract import extract
from lstmgenre.segments import Pooling

ROOT = Path(__file__).parents[1]
SMALL = lstmgenre.FeatureConfig(sample_rate=4000, window=256, banks=(lstmgenre.BankConfig("scatnet", (1, 1)),))
RAW = lstmgenre.FeatureConfig(banks=(lstmgenre.BankConfig("scatnet", (8, 1)),), renorm=False, log=False)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A directory with `song.wav`, a low note, and `model`, a bundle that tells low notes from high ones."""
    root = tmp_path_factory.mktemp("model")
    time = np.arange(3 * 22050) / 22050
    noise = 0.05 * np.random.default_rng(0).standard_normal(len(time))
    notes = {f"{genre}-{k}": base * (1 + k / 10) for genre, base in (("low", 100), ("high", 1000)) for k in range(6)}
    vectors = {
        key: lstmgenre.scatter(0.3 * np.sin(2 * np.pi * hz * time) + noise, 22050).mean(0) for key, hz in notes.items()
    }
    classifier = svm.train(vectors, {key: key.partition("-")[0] for key in notes}, ["high", "low"])
    classifier.pooling = Pooling(None, fuse=True)
    classifier.save(root / "model")
    scat_json.write(root / "model", lstmgenre.PAPER)
    soundfile.write(root / "song.wav", 0.3 * np.sin(2 * np.pi * 112 * time) - noise, 22050)
    return root


def run(examples: doctest.DocTest) -> None:
    output: list[str] = []
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(examples, out=output.append)
    assert result.attempted
    assert not result.failed, "".join(output)


@pytest.mark.parametrize("name", sorted({*lstmgenre.__all__} - {"PAPER", "Bundle"}))
def test_every_public_name_has_an_example_that_runs(name, model, monkeypatch):
    monkeypatch.chdir(model)
    (examples,) = [
        test for test in doctest.DocTestFinder(recurse=False).find(getattr(lstmgenre, name), name) if test.examples
    ]
    run(examples)


@pytest.mark.slow
def test_the_page_is_so_and_has_every_public_name(model, monkeypatch):
    monkeypatch.chdir(model)
    page = (ROOT / "docs/python.md").read_text()
    run(doctest.DocTestParser().get_doctest(page, {}, "python.md", "python.md", 0))
    assert [name for name in lstmgenre.__all__ if f"lstmgenre.{name}" not in page] == []


def test_importing_it_brings_in_nothing_heavy(python):
    done = python(
        """
        import sys
        before = set(sys.modules)
        import lstmgenre
        print(dir(lstmgenre), lstmgenre.__all__)
        ours = {name for name in set(sys.modules) - before if not name.startswith("lstmgenre")}
        print({name.partition(".")[0] for name in ours} - sys.stdlib_module_names)
        lstmgenre.read_table, lstmgenre.TableWriter
        print("torch" in sys.modules, "sklearn" in sys.modules)
        """
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().splitlines()[1:] == ["set()", "False False"]


def test_every_public_name_is_there_and_no_other():
    assert set(lstmgenre.__all__) <= set(dir(lstmgenre))
    assert all(getattr(lstmgenre, name) is not None for name in lstmgenre.__all__)
    with pytest.raises(AttributeError, match="no attribute 'scater'"):
        lstmgenre.scater  # noqa: B018
    assert lstmgenre.__version__.split(".")[0].isdigit()


@pytest.fixture(scope="module")
def golden():
    with np.load(ROOT / "tests/data/scatnet/scatnet.npz", allow_pickle=False) as arrays:
        return dict(arrays)


def test_scatter_is_scatnets_whatever_the_type_of_the_samples(golden):
    signal = golden["signal"]  # in 16 bits
    features = lstmgenre.scatter(signal.astype(np.int16), 22050, RAW)
    edge = 5  # frames at either end that ScatNet's padding of every layer changes by more than that
    expected = golden["raw_q8"].T[edge:-edge]
    assert np.linalg.norm(features[edge:-edge] - expected) < 5e-4 * np.linalg.norm(expected)
    for same in (
        signal / 32768,
        (signal / 32768).astype(np.float32),
        signal.astype(np.int32) << 16,
        np.stack([signal, signal], axis=1).astype(np.int16),
        torch.from_numpy(signal / 32768),
        (signal / 32768).tolist(),
        signal.astype(">i2"),
        signal[::-1].copy()[::-1],
    ):
        np.testing.assert_array_equal(lstmgenre.scatter(same, 22050, RAW), features)


def test_eight_bits_are_centred_on_their_middle():
    coarse = np.random.default_rng(0).integers(0, 256, 9000)
    expected = lstmgenre.scatter((coarse - 128) / 128, 22050)
    np.testing.assert_array_equal(lstmgenre.scatter(coarse.astype(np.uint8), 22050), expected)
    np.testing.assert_array_equal(lstmgenre.scatter((coarse - 128).astype(np.int8), 22050), expected)


@pytest.mark.parametrize("rate", [4000, 8000, 44100, 44101])
@pytest.mark.parametrize(("subtype", "dtype"), [("PCM_16", "int16"), ("PCM_32", "int32"), ("FLOAT", "float32")])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_scatter_is_extract_scats_to_the_last_bit(tmp_path, rate, subtype, dtype, channels):
    rng = np.random.default_rng(rate)
    sound = 0.2 * rng.standard_normal((3 * rate, channels))
    soundfile.write(tmp_path / "a.wav", sound, rate, subtype=subtype)
    write_data_dir(tmp_path / "data", [Track("noise", "nobody", "a", tmp_path / "a.wav")], ["noise"])
    data = DataDir.read(tmp_path / "data")
    extract(data, SMALL)
    ((_, expected),) = lstmgenre.read_table(f"scp:{tmp_path}/data/feats.scp")
    samples, _ = soundfile.read(tmp_path / "a.wav", dtype=dtype)
    np.testing.assert_array_equal(lstmgenre.scatter(samples, rate, SMALL), expected)
    np.testing.assert_array_equal(audio.from_array(samples, rate), audio.load(str(tmp_path / "a.wav")))
    lines = (tmp_path / "data/data/scat_paths.txt").read_text().splitlines()[1:]
    assert [line.split()[1:] for line in lines] == [
        [row["bank"], str(row["order"]), *("-" if np.isnan(f) else f"{f:.3f}" for f in (row["f1_hz"], row["f2_hz"]))]
        for row in lstmgenre.scatter_rows(SMALL)
    ]


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_an_array_of_many_blocks_is_as_a_file_of_many_blocks(tmp_path, monkeypatch, channels):
    monkeypatch.setattr(mixing, "BLOCK", 1000)
    monkeypatch.setattr(mixing, "_AT_ONCE", 700)
    sound = np.random.default_rng(6).standard_normal((30_011, channels)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", sound, 16000, subtype="FLOAT")
    for options in ({}, {"sample_rate": 16000}, {"quantise": True}):
        expected = audio.load(str(tmp_path / "a.wav"), **options)
        np.testing.assert_array_equal(audio.from_array(sound, 16000, **options), expected)


def test_kymatios_bank_comes_by_the_same_door():
    x = np.random.default_rng(7).standard_normal(2**14) + 0.5
    theirs = ScatteringNumPy1D(6, len(x), (4, 1), T=256, oversampling=1)
    # kymatio 0.3.0 takes a mean over the aliases of a coarse filter where a sum is due (its issue 984).
    for filter_ in (theirs.phi_f, *theirs.psi2_f):
        filter_["levels"] = [level * 2**k for k, level in enumerate(filter_["levels"])]
    bank = lstmgenre.BankConfig("kymatio", [4, 1], 6)  # lists, as they come from JSON, are as good
    config = lstmgenre.FeatureConfig(banks=[bank], window=256, renorm=False, log=False)
    edge = 24  # frames whose filters reach past the ends, which kymatio extends in another way
    actual = lstmgenre.scatter(x, 22050, config).T[:, edge:-edge]
    expected = theirs.scattering(x)[:, edge:-edge]
    assert np.linalg.norm(actual - expected) < 1e-5 * np.linalg.norm(expected)
    rows, meta = lstmgenre.scatter_rows(config), theirs.meta()
    assert rows["order"].tolist() == meta["order"].tolist()
    np.testing.assert_allclose(np.column_stack([rows["f1_hz"], rows["f2_hz"]]), 22050 * meta["xi"])
    assert [(j1,) if j2 < 0 else (j1, j2) for j1, j2 in rows[["j1", "j2"]][1:]] == meta["key"][1:]


def test_rows_are_scatnets(golden):
    rows = lstmgenre.scatter_rows()
    for field in ("order", "j1", "j2"):
        np.testing.assert_array_equal(rows[field], golden[field])
    for field in ("f1_hz", "f2_hz"):
        np.testing.assert_allclose(np.nan_to_num(rows[field]), golden[field], rtol=1e-9)
    assert (np.isnan(rows["f1_hz"]) == (rows["j1"] == -1)).all()
    assert (np.isnan(rows["f2_hz"]) == (rows["j2"] == -1)).all()
    assert rows["bank"].tolist() == [f"scatnet-{q}-1" for q in golden["bank"]]


def test_scatter_in_sixteen_bits_is_that_of_sixteen_bits():
    sound = 0.1 * np.random.default_rng(1).standard_normal(9000)
    quantised = structs.replace(SMALL, quantise=True)
    sixteen = np.round(sound.astype(np.float32) * 32768).clip(-32768, 32767).astype(np.int16)
    np.testing.assert_array_equal(lstmgenre.scatter(sound, 4000, quantised), lstmgenre.scatter(sixteen, 4000, SMALL))


def test_threads_do_not_disturb_one_another():
    rng = np.random.default_rng(2)
    sounds = [rng.standard_normal(rng.integers(20_000, 60_000)) for _ in range(12)]
    alone = [lstmgenre.scatter(sound, 4000, SMALL) for sound in sounds]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda sound: lstmgenre.scatter(sound, 4000, SMALL), sounds))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_is_given_back_is_the_callers():
    sound = np.random.default_rng(3).standard_normal(9000).astype(np.float32)
    before = sound.copy()
    first = lstmgenre.scatter(sound, 4000, SMALL)
    kept = first.copy()
    lstmgenre.scatter(sound[::-1], 4000, SMALL)
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(sound, before)
    assert first.flags.c_contiguous
    assert first.flags.writeable


NOISE = np.random.default_rng(4).standard_normal(30_000)


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (NOISE[:8191], 22050, "8191 samples are less than one window"),
        (NOISE[:0], 22050, "shape"),
        (np.float64(3), 22050, "shape"),
        (22050, NOISE, "shape"),
        (NOISE.reshape(2, -1), 22050, "transpose"),
        (NOISE.reshape(2, 3, -1), 22050, "shape"),
        (NOISE.astype(np.int64), 22050, "type int64"),
        (NOISE.astype(complex), 22050, "type complex128"),
        (NOISE > 0, 22050, "type bool"),
        (["a", "b"], 22050, "type <U1"),
        ([[1.0], [1.0, 2.0]], 22050, "no array"),
        (torch.zeros(9000, requires_grad=True), 22050, "no array"),
        (np.where(np.arange(30_000) == 22050, np.nan, NOISE), 22050, r"near 1\.00 s is not a finite number"),
        (NOISE * 1e300, 22050, "not a finite number"),
        (NOISE, 0, "rate of 0 Hz"),
        (NOISE, 999, "rate of 999 Hz"),
        (NOISE, 22050.5, r"rate of 22050\.5 Hz"),
        (NOISE, float("nan"), "rate of nan Hz"),
        (NOISE, "22050", "rate of '22050' Hz"),
        (NOISE, None, "rate of None Hz"),
        (NOISE, 10**9, "rate of 1000000000 Hz"),
    ],
)
def test_what_is_no_audio_is_refused_in_one_line(samples, rate, message):
    with pytest.raises(DataError, match=message) as refused:
        lstmgenre.scatter(samples, rate)
    assert "\n" not in str(refused.value)


def test_a_rate_may_be_a_number_of_any_type():
    expected = lstmgenre.scatter(NOISE, 44100)
    for rate in (44100.0, np.int32(44100), np.float64(44100)):
        np.testing.assert_array_equal(lstmgenre.scatter(NOISE, rate), expected)


@pytest.mark.parametrize("shape", [(7, 5), (7, 3, 5)])
@pytest.mark.parametrize("function", ["__call__", "forward", "logits"])
def test_a_network_takes_arrays_as_tensors(shape, function):
    net = init.lstm(5, [3], [4], 2, 777, 0.5, 5.0)
    x = np.random.default_rng(5).standard_normal(shape)
    x.flags.writeable = False
    y, state = getattr(net, function)(x)
    expected, expected_state = getattr(net, function)(torch.tensor(x, dtype=torch.float32))
    assert (type(y), y.dtype, expected.requires_grad) == (np.ndarray, np.float32, True)
    np.testing.assert_array_equal(y, expected.detach().numpy())
    torch.testing.assert_close(state, expected_state)
    first, state = getattr(net, function)(x[:3])
    rest, _ = getattr(net, function)(x[3:], state)
    np.testing.assert_allclose(np.concatenate([first, rest]), y, atol=1e-6)


@pytest.mark.parametrize("x", [np.zeros((7, 4)), np.zeros(5), np.zeros((1, 2, 3, 5)), torch.zeros(()), torch.zeros(5)])
def test_features_that_do_not_fit_a_network_are_refused(x):
    with pytest.raises(ModelError, match=r"the net takes 5 inputs|features of shape"):
        init.lstm(5, [3], [4], 2, 777)(x)


def test_posteriors_are_pooled_by_the_equations_whatever_holds_them():
    posteriors = np.random.default_rng(8).dirichlet([0.05] * 3, 40)
    by_hand = [[max(p), min(p), sum(p) / 40, sum(x > 0.8 for x in p) / 40] for p in posteriors.T.tolist()]
    for same in (posteriors, posteriors.tolist(), torch.from_numpy(posteriors)):
        np.testing.assert_allclose(lstmgenre.pool(same, 0.8).reshape(4, 3).T, by_hand, rtol=1e-6)


@pytest.mark.parametrize("posteriors", [np.zeros(6), np.zeros((0, 6)), np.zeros((6, 0)), np.zeros((2, 2, 2)), [[2.0]]])
def test_what_is_no_posteriors_is_not_pooled(posteriors):
    with pytest.raises(DataError, match=r"^has (the shape .*|no frames to pool)$|^holds values outside"):
        lstmgenre.pool(posteriors)


def test_the_map_of_the_modules_has_every_one():
    folder = Path(lstmgenre.__file__).parent
    there = {path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    there = {name for name in there if not name.startswith("_")}
    assert there - set(re.findall(r"\w+", lstmgenre.__doc__)) == set()
    lines = re.findall(r"^    (\w+) {2,}\S.*->", lstmgenre.__doc__, re.MULTILINE)
    assert len(lines) > 10
    assert set(lines) <= there


def test_signatures_show_what_is_needed():
    assert str(inspect.signature(lstmgenre.scatter)).startswith("(samples: ")
    assert list(inspect.signature(lstmgenre.scatter).parameters) == ["samples", "sample_rate", "config"]
