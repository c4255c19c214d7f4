"""JSON and TOML documents: what does not fit its schema is one line with file and field, whatever it is."""

import copy
import json
import os
import re
import resource
import signal
from pathlib import Path

import msgspec
import numpy as np
import pytest

from lstmgenre import score_json
from lstmgenre.documents import decode_json, read_json, read_options, write_json
from lstmgenre.errors import DataError, FormatError, LstmGenreError, ModelError
from lstmgenre.expdir import Epoch, History
from lstmgenre.expdir.runs import Run, read_run
from lstmgenre.scattering import scat_json
from lstmgenre.scattering.features import PAPER, BankConfig, FeatureConfig, ScatteringFeatures
from lstmgenre.scoring import Report
from lstmgenre.svm import SegmentSvm

HISTORY = {
    "settings": {"trainer": "StreamOptions", "targets_delay": 5, "learn_rate": 1e-5, "feature transform": None},
    "epochs": [
        msgspec.to_builtins(Epoch(0, "nnet.init", True, 1.79, 16.0, 900.0)),
        msgspec.to_builtins(Epoch(1, "nnet/nnet_iter01", True, 1.5, 40.0, 900.0, 1e-5, 1.6, 35.0, 9000.0)),
    ],
}
RUN = {
    "name": "train-lstm",
    "command": "lstmgenre train-lstm data exp",
    "options": {"data_dir": "data", "seed": 777, "hidden": [512, 512], "cv_dir": None, "momentum": 0.9},
    "versions": {"torch": "2.13.0"},
    "started": "2026-11-25T08:00:00+0000",
    "seconds": 3.5,
}
SVM = {
    "genres": ["a", "b", "c"],
    "mean": [0.0, 1.0],
    "scale": [1.0, 2.0],
    "planes": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]],
    "offsets": [0, 1, 2],
    "c": 1,
    "pooling": {"threshold": 0.9, "fuse": False},
}
SCAT = json.loads(json.dumps({"config": msgspec.to_builtins(PAPER), "made_from": "abc"}))


def _score():
    report = Report(["a", "b"])
    truth = {"u1": "a", "u2": "b", "u3": "b"}
    posteriors = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]], np.float32)
    report.add_posteriors([(utterance, posteriors) for utterance in truth], truth)
    report.add_tracks("svm", {"u1": "a", "u2": "b", "u3": "a"}, truth)
    report.add_artists({"u1": "x", "u2": "x", "u3": "y"}, {"t": "x"})
    return json.loads(json.dumps(report.as_dict()))


SCORE = _score()
DOCUMENTS = {"training": HISTORY, "run": RUN, "svm": SVM, "scat": SCAT, "score": SCORE}
SCHEMAS = {"training": History, "run": Run, "svm": SegmentSvm, "scat": scat_json.Record, "score": score_json.Score}


def read(name, path):
    return read_json(path, SCHEMAS[name], "make it again")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_that_is_written_is_read(name, tmp_path):
    write_json(tmp_path / name, DOCUMENTS[name])
    first = read(name, tmp_path / name)
    write_json(tmp_path / "again", first)
    again = read(name, tmp_path / "again")
    assert json.loads((tmp_path / "again").read_text()) == DOCUMENTS[name]
    if name != "svm":  # whose arrays have no one truth
        assert again == first


# Field -> a value that it cannot have; the message has to name the field.
WRONG = [
    ("training", "epochs.1.cv_loss", "1.5"),
    ("training", "epochs.0.cv_accuracy", 17939.0),
    ("training", "epochs.0.cv_frames", -1),
    ("training", "epochs.0.iteration", 1),
    ("training", "epochs.0.nnet", "/etc/passwd"),
    ("training", "epochs.0.nnet", "../../nnet"),
    ("training", "epochs.1.learn_rate", -1.0),
    ("training", "epochs", []),
    ("training", "epochs", {}),
    ("training", "settings.targets_delay", 10**6),
    ("training", "settings.targets_delay", 2.5),
    ("training", "settings.targets_delay", True),
    ("training", "settings", None),
    ("run", "command", None),
    ("run", "options.seed", "777"),
    ("run", "options.data_dir", 3),
    ("run", "options", [1]),
    ("run", "versions", {"torch": 2.13}),
    ("run", "seconds", -5),
    ("run", "started", 5),
    ("svm", "genres", ["a", "b", "a"]),
    ("svm", "genres", ["a"]),
    ("svm", "genres", ["a", "b", "c d"]),
    ("svm", "planes", [[1.0, 2.0], [3.0], [5.0, 6.0]]),
    ("svm", "planes", [[1.0, "2.0"], [3.0, 4.0], [5.0, 6.0]]),
    ("svm", "planes", [[1.0, True], [3.0, 4.0], [5.0, 6.0]]),
    ("svm", "planes", [[1.0, 2.0], 3.0, [5.0, 6.0]]),
    ("svm", "offsets", [0, 1]),
    ("svm", "mean", [[0.0, 1.0]]),
    ("svm", "scale", [1.0, 0.0]),
    ("svm", "c", 0),
    ("svm", "pooling.threshold", 1.5),
    ("svm", "pooling.fuse", 1),
    ("scat", "config.banks.0.octaves", [1]),
    ("scat", "config.banks.0.quality", [8]),
    ("scat", "config.banks.0.quality", [8, 1.5]),
    ("scat", "config.banks.0.quality", [10**9, 1]),
    ("scat", "config.banks.0.kind", "mel"),
    ("scat", "config.banks", []),
    ("scat", "config.window", 5000),
    ("scat", "config.window", 2**40),
    ("scat", "config.sample_rate", 0),
    ("scat", "config.sample_rate", 10**12),
    ("scat", "config.log", 1),
    ("scat", "made_from", 7),
    ("score", "frames.correct", 4),
    ("score", "frames.by_track", {"u1": [5, 3]}),
    ("score", "frames.by_track", {"u1": [-1, 3]}),
    ("score", "frames.accuracy", 179.39),
    ("score", "frames.accuracy", 0.5),
    ("score", "frames.interval", [0.1, 1.5]),
    ("score", "tracks.svm.accuracy", 0.9),
    ("score", "tracks.svm.total", 4),
    ("score", "tracks.svm.confusion", [[1, 0], [0, 2]]),
    ("score", "tracks.svm.confusion", [[1.5, 0], [0, 2]]),
    ("score", "tracks.svm.macro_recall", "0.5"),
    ("score", "tracks.svm.recall", {"a": 1.0, "b": 0.75}),
    ("score", "tracks.svm.predictions", {"u1": "a", "u2": "b", "u9": "a"}),
    ("score", "tracks.svm.by_artists", {}),
    ("score", "genres", ["a", "a"]),
    ("score", "truth", {"u1": "a"}),
    ("score", "known_artists", ["u9"]),
]


@pytest.mark.parametrize(("name", "field", "value"), WRONG)
def test_a_wrong_field_is_one_line_with_file_and_field(name, field, value, tmp_path):
    fields = copy.deepcopy(DOCUMENTS[name])
    *parents, last = field.split(".")
    place = fields
    for parent in parents:
        place = place[int(parent) if isinstance(place, list) else parent]
    place[last] = value
    (tmp_path / "document.json").write_text(json.dumps(fields))
    with pytest.raises(FormatError, match=r"document\.json: damaged .*make it again$") as caught:
        read(name, tmp_path / "document.json")
    told = str(caught.value)
    assert "\n" not in told
    assert last in told or (last == "truth" and "has no truth" in told)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_field_that_is_lost_or_strange_is_named(name, tmp_path):
    path = tmp_path / "document.json"
    for field in DOCUMENTS[name]:
        fields = {key: value for key, value in DOCUMENTS[name].items() if key != field}
        path.write_text(json.dumps(fields))
        optional = {("run", "name"), ("run", "seconds"), ("scat", "made_from"), ("score", "seen")}
        if (name, field) not in optional and not field.startswith("unknown"):
            with pytest.raises(FormatError, match=field):
                read(name, path)
    path.write_text(json.dumps(DOCUMENTS[name] | {"colour": "red"}))
    with pytest.raises(FormatError, match="colour"):
        read(name, path)


DIGITS = b"1" * 5000
ODD = {
    "nothing": b"",
    "null": b"null",
    "list": b"[]",
    "number": b"7",
    "string": b'"x"',
    "byte order mark": b'\xef\xbb\xbf{"command": "x"}',
    "UTF-16": '{"command": "x"}'.encode("utf-16"),
    "not UTF-8": b'{"command": "\xff"}',
    "NUL": b'{"command": "x"}\0',
    "NaN": b'{"seconds": NaN}',
    "infinity": b'{"seconds": Infinity}',
    "minus infinity": b'{"seconds": -Infinity}',
    "too large for a float": b'{"seconds": 1e400}',
    "5000 digits": b'{"seconds": ' + DIGITS + b"}",
    "5000 digits as an option": b'{"options": {"a": ' + DIGITS + b"}}",
    "50 digits as an option": b'{"options": {"a": ' + DIGITS[:50] + b"}}",
    "5000 digits and a point": b'{"seconds": ' + DIGITS + b".0}",
    "brackets": b"[" * 100_000,
    "brackets in a field": b'{"options": {"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
    "braces": b'{"a":' * 100_000,
    "half a surrogate": b'{"command": "\\ud800"}',
    "a field twice": b'{"command": "x", "options": {}, "versions": {}, "started": "", "command": "y"}',
    "an option twice": b'{"command": "x", "options": {"a": 1, "a": 2}, "versions": {}, "started": ""}',
    "cut off": b'{"command": "x", "opt',
    "more after the end": b'{"command": "x", "options": {}, "versions": {}, "started": ""} {}',
    "long unknown field": b'{"' + b"x" * 100_000 + b'": 1}',
    "newline in an unknown field": b'{"a\\nb": 1}',
}


@pytest.mark.parametrize("odd", ODD)
def test_what_is_no_document_is_one_short_line(odd, tmp_path):
    (tmp_path / "odd.json").write_bytes(ODD[odd])
    for schema in SCHEMAS.values():
        with pytest.raises(FormatError, match=r"odd\.json: damaged") as caught:
            read_json(tmp_path / "odd.json", schema, "make it again")
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 500 + len(str(tmp_path))


def test_a_field_that_comes_twice_is_named():
    with pytest.raises(FormatError, match="'a' comes twice"):
        decode_json(ODD["an option twice"], Run)


def no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    return [tmp_path / "pipe", tmp_path / "folder", tmp_path / "loop", "/dev/zero", "/dev/null", tmp_path / "none"]


def test_what_is_no_file_is_refused_at_once(tmp_path):
    signal.alarm(20)  # a named pipe that nobody writes to would wait for ever
    try:
        for path in no_files(tmp_path):
            with pytest.raises(DataError, match=re.escape(str(path))):
                read_json(path, Run, "make it again")
            with pytest.raises(DataError, match=re.escape(str(path))):
                read_options(path)
    finally:
        signal.alarm(0)


def test_a_document_beyond_its_size_is_not_read(tmp_path):
    with open(tmp_path / "large.json", "wb") as stream:
        stream.truncate(1 << 40)  # a hole: 1 TB that takes no room
    with pytest.raises(DataError, match=r"large\.json: is larger than 1000 bytes"):
        read_json(tmp_path / "large.json", Run, "make it again", largest=1000)


TOML = {
    "a number of 5000 digits": b"[train-dnn]\nseed = " + DIGITS,
    "a hexadecimal number": b"[train-dnn]\nseed = 0x" + DIGITS,
    "brackets": b"a = " + b"[" * 10_000,
    "100 000 brackets": b"a = " + b"[" * 100_000,
    "braces": b"a = " + b"{a=" * 5000,
    "a long dotted key": b"a" + b".a" * 5000 + b" = 1",
    "more than there is room for": b"#" * 20_000,
    "no TOML": b"[train-dnn",
    "not UTF-8": b"[train-dnn]\na = '\xff'",
    "NUL": b"\0",
    "a value outside a table": b"seed = 3",
    "a list of tables": b"[[train-dnn]]\nseed = 3",
    "a table in a table": b"[train-dnn.a.b]\nseed = 3",
    "a date": b"[train-dnn]\nseed = 2026-01-01",
    "a nested list": b"[train-dnn]\nhidden = [[1]]",
    "a key twice": b"[train-dnn]\nseed = 3\nseed = 4",
}


@pytest.mark.parametrize("odd", TOML)
def test_what_is_no_table_of_options_is_one_short_line(odd, tmp_path):
    (tmp_path / "odd.toml").write_bytes(TOML[odd])
    with pytest.raises(LstmGenreError, match=r"odd\.toml") as caught:
        read_options(tmp_path / "odd.toml")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500 + len(str(tmp_path))


def test_the_options_of_a_table_are_plain_values(tmp_path):
    (tmp_path / "good.toml").write_text('[train-lstm]\nhidden = [512, 512]\nlearn-rate = 1e-5\ndevice = "cpu"\n')
    assert read_options(tmp_path / "good.toml") == {
        "train-lstm": {"hidden": [512, 512], "learn-rate": 1e-5, "device": "cpu"}
    }


@pytest.mark.parametrize("field", ["mean", "planes", "offsets"])
def test_an_svm_of_huge_numbers_gives_no_score_and_no_warning(field, recwarn):
    fields = copy.deepcopy(SVM)
    fields[field] = (np.array(fields[field]) * 0 + 1e308).tolist()
    svm = decode_json(json.dumps(fields).encode(), SegmentSvm)
    with pytest.raises(ModelError, match=r"u1: .*no finite scores"):
        svm.scores({"u1": np.array([1e30, -3.0]), "u2": np.array([1e30, -3.0])})
    assert not recwarn.list


def bank(kind="kymatio", quality=(8, 1), octaves=13):
    return {"kind": kind, "quality": quality, "octaves": octaves}


@pytest.mark.parametrize(
    "fields",
    [
        {"banks": [bank(octaves=1_000_000)]},
        {"banks": [bank(octaves=60)]},
        {"banks": [bank(octaves=0)]},
        {"banks": [bank(quality=(10**9, 1))]},
        {"banks": [bank(quality=(64, 1), octaves=16)]},
        {"banks": [bank()], "window": 4},
        {"banks": [bank(quality=(64, 64))]},
        {"banks": [bank("scatnet", (64, 64), None)], "window": 131072},
        {"banks": [bank("scatnet", (8, 1), None)], "window": 2**30},
        {"banks": [bank("scatnet", (8, 1), None)] * 100_000},
    ],
)
def test_features_that_nobody_could_compute_are_refused_in_time_and_room(fields):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    signal.alarm(60)
    try:
        with pytest.raises(LstmGenreError, match=r"^[^\n]+$"):
            ScatteringFeatures(decode_json(json.dumps(fields).encode(), FeatureConfig))
    finally:
        signal.alarm(0)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 20  # KiB


def test_a_config_that_python_code_makes_has_the_same_ranges():
    with pytest.raises(DataError, match="octaves 60"):
        BankConfig("kymatio", (8, 1), 60)
    with pytest.raises(DataError, match="window"):
        msgspec.structs.replace(PAPER, window=2**20)


def test_a_record_without_a_name_has_that_of_its_file(tmp_path):
    write_json(tmp_path / "score.json", {key: value for key, value in RUN.items() if key != "name"})
    assert read_run(tmp_path / "score.json").name == "score"


@pytest.mark.parametrize(
    "value", ["5", "[1]", '["a"]', "[]", "true", '"x"', '""', "nan", "inf", "-1", "1e300", '"\\u0000"']
)
@pytest.mark.parametrize(
    "option", ["hidden", "seed", "learn-rate", "device", "cv-dir", "scheduler", "threads", "momentum"]
)
def test_any_value_of_an_option_in_toml_is_taken_or_refused_in_a_line(option, value, tmp_path, command):
    (tmp_path / "some.toml").write_text(f"[train-dnn]\n{option} = {value}\n")
    done = command(["train-dnn", "nothing", str(tmp_path / "exp"), "--config", str(tmp_path / "some.toml")])
    assert done.returncode in (1, 2)
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("what", ["pipe", "/dev/zero", "folder"])
@pytest.mark.parametrize(
    "call",
    [
        "train-dnn nothing exp --config {}",
        "extract-scat --describe --bank {}",
        "forward {} scp:nothing.scp ark:post.ark",
        "forward good.nnet scp:nothing.scp ark:post.ark --feature-transform {}",
        "validate-data data",
        "train-svm data ark:nothing.ark svm",
    ],
)
def test_what_is_no_file_is_refused_at_once_by_a_command(call, what, here, command):
    os.mkfifo("pipe")
    os.mkdir("folder")
    os.mkdir("data")
    for name in ("utt2spk", "utt2genre"):
        os.symlink(what if what.startswith("/") else f"../{what}", f"data/{name}")
    signal.alarm(60)
    try:
        done = command(call.format(what))
    finally:
        signal.alarm(0)
    assert done.returncode in (1, 2)
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_of_an_earlier_version_is_read(name):
    earlier = Path(__file__).parent / "data/documents"
    assert read(name, earlier / f"{name}.json")


def test_a_name_that_is_not_utf8_is_recorded_by_its_bytes(here, command):
    run = Run.begin("train-svm", ["train-svm", "caf\udce9"], {"data_dir": "caf\udce9", "fuse": "x\\y"})
    run.write(Path("run.json"))
    assert read_run(Path("run.json")).options == {"data_dir": r"caf\xe9", "fuse": "x\\y"}
    os.mkdir("caf\udce9")
    Path("caf\udce9/utt2genre").write_text("a rock\n")
    done = command(["train-svm", "caf\udce9", "ark:nothing.ark", "caf\udce9/svm"])
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    Path("caf\udce9/wav.scp").write_text("a nothing.wav\n")
    done = command(["extract-scat", "caf\udce9"])
    assert done.returncode == 1
    assert "this path is not UTF-8" in done.stderr
