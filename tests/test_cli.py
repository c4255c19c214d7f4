"""The command line: in this process through Typer's runner, and through real pipes in a shell."""

import json
import signal
import struct
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import kaldiio
import numpy as np
import pytest
from msgspec import structs
from typer.testing import CliRunner

from lstmgenre.cli.app import app
from lstmgenre.datadir import DataDir
from lstmgenre.expdir import History
from lstmgenre.nnet1 import init
from lstmgenre.scattering import scat_json
from lstmgenre.scattering.features import PAPER
from lstmgenre.tables import NO_PIPES, TableWriter, read_table
from tests.music import make_tree, write_music

GENRES = ["classical", "rock_pop"]
COMMANDS = [
    *("prep-data", "validate-data", "extract-scat", "train-dnn", "train-lstm", "forward", "pool-segments"),
    *("train-svm", "score", "report", "copy-nnet", "info-nnet"),
]
DIM = 7


@pytest.fixture
def work(tmp_path, monkeypatch):
    """data/train and data/test of 24 and 8 easy tracks of 7 numbers a frame; run from tmp_path."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(4)
    for split, count in (("train", 24), ("test", 8)):
        data = DataDir(tmp_path / "data" / split, genre_order=GENRES)
        (data.path / "data").mkdir(parents=True)
        with TableWriter(f"ark,scp:data/{split}/data/f.ark,data/{split}/feats.scp") as table:
            for k in range(count):
                name = f"{split}{k % 8}-t{k:02}"
                data.utt2spk[name], data.utt2genre[name] = f"{split}{k % 8}", GENRES[k % 2]
                table.write(name, (rng.normal(size=(30 + k, DIM)) + 2 * (k % 2)).astype(np.float32))
        data.feats = DataDir.read(data.path).feats
        data.write()
    return tmp_path


@pytest.fixture
def model(work):
    nnet = init.dnn(DIM, [4], 2, seed=1)
    nnet.write("exp/dnn/final.nnet")
    return "exp/dnn"


def bash(line):
    """Change files with the tools one has at hand."""
    subprocess.run(["bash", "-e", "-c", line], check=True)


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_every_command_says_how_it_is_used_with_an_example():
    assert all(command in run("--help").stdout for command in COMMANDS)
    for command in COMMANDS:
        shown = run(command, "--help")
        assert shown.exit_code == 0
        assert command == "prep-data" or f"Example: lstmgenre {command}" in " ".join(shown.stdout.split())
    for corpus in ("folders", "tags", "table", "ismir2004", "gtzan", "fma", "demo"):
        assert f"Example: lstmgenre prep-data {corpus}" in " ".join(run("prep-data", corpus, "--help").stdout.split())


@pytest.mark.system
def test_help_loads_nothing_heavy():
    heavy = {"torch", "numpy", "scipy", "sklearn", "joblib", "rich"}
    code = f"import sys, lstmgenre.cli; print({heavy} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "set()"


def test_the_version_is_that_of_the_package(command):
    assert command("--version").stdout == f"lstmgenre {metadata.version('lstmgenre')}\n"


@pytest.mark.system
def test_python_m_is_the_same_command():
    shown = subprocess.run([sys.executable, "-m", "lstmgenre", "--help"], capture_output=True, text=True, check=True)
    assert "train-lstm" in shown.stdout


@pytest.mark.parametrize(
    "line",
    [
        "",
        "no-such-command",
        "score data/test",
        "pool-segments",
        "extract-scat",
        "forward m --no-softmax --apply-log a b",
    ],
)
def test_usage_errors_exit_2(command, line):
    done = command(line)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_options_come_from_the_config_unless_a_flag_says_otherwise(work):
    (work / "c.toml").write_text("[train-dnn]\nhidden = [3, 5]\nmax-iters = 1\nlearn-rate = 0.001\n[forward]\nx = 1\n")
    done = run(
        "train-dnn", "data/train", "exp/a", "--config", "c.toml", "--learn-rate", "0.002", "--minibatch-size", "32"
    )
    assert done.exit_code == 0, done.output
    options = json.loads((work / "exp/a/log/train-dnn.json").read_text())["options"]
    assert (options["hidden"], options["max_iters"], options["learn_rate"]) == ([3, 5], 1, 0.002)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[train-dnn]\nhiden = 3\n", "'hiden'"),
        ("train-dnn = 3\n", "train-dnn: no table"),
        ("[train_dnn]\nhidden = 3\n", "train_dnn is no command"),
        ("hidden = 3\n", "hidden: no table: an option stands under the [COMMAND]"),
        ("[train-dnn\n", "not TOML"),
        (None, "No such file"),
    ],
)
def test_a_config_with_a_mistake_is_a_usage_error(work, content, said):
    if content is not None:
        (work / "c.toml").write_text(content)
    done = run("train-dnn", "data/train", "exp/a", "--config", "c.toml")
    assert done.exit_code == 2
    assert said in " ".join(done.output.split())


@pytest.mark.parametrize("kind", ["dnn", "lstm"])
def test_train_forward_pool_svm_score(work, kind, command):
    """The whole chain on easy data, a step at a time; kaldiio, not our reader, looks at what was written."""
    shape = {
        "dnn": "--minibatch-size 32 --hidden 8",
        "lstm": "--hidden 6 --cell-dim 8 --batch-size 20 --param-scale 0.1",
    }[kind]
    for line in (
        f"train-{kind} data/train exp/{kind} {shape} --max-iters 4 --learn-rate 0.02",
        f"forward exp/{kind} scp:data/train/feats.scp ark,scp:train.ark,train.scp",
        f"forward exp/{kind} scp:data/test/feats.scp ark,scp:test.ark,test.scp",
        "pool-segments scp:train.scp ark,t:train.seg --fuse scp:data/train/feats.scp",
        "pool-segments scp:test.scp ark,t:test.seg --fuse scp:data/test/feats.scp",
        "train-svm data/train ark:train.seg svm",
        "score data/test --post scp:test.scp --svm svm --segments ark:test.seg --json",
    ):
        done = command(line)
        assert done.returncode == 0, done.stderr
    score = json.loads(done.stdout)
    assert score["frames"]["accuracy"] > 0.9
    assert score["tracks"]["majority vote"]["accuracy"] == score["tracks"]["svm"]["accuracy"] == 1
    posteriors = kaldiio.load_scp(str(work / "test.scp"))
    assert all(matrix.shape[1] == 2 for matrix in posteriors.values())
    np.testing.assert_allclose(np.concatenate(list(posteriors.values())).sum(axis=1), 1, atol=1e-5)
    segment = dict(read_table("ark:test.seg", "vector"))["test0-t00"]
    assert segment.shape == (DIM + 4 * 2,)
    experiment = work / "exp" / kind
    assert {path.name for path in experiment.iterdir()} >= {
        "final.nnet", "final.feature_transform", "genres", "log", "nnet", "train.scp", "cv.scp", "training.json",
    }  # fmt: skip
    held_out = {line.split()[0] for line in (experiment / "cv.scp").read_text().splitlines()}
    trained = {line.split()[0] for line in (experiment / "train.scp").read_text().splitlines()}
    utt2spk = DataDir.read("data/train").utt2spk
    assert held_out | trained == set(utt2spk)
    assert not {utt2spk[u] for u in held_out} & {utt2spk[u] for u in trained}


def test_commands_pipe_into_each_other(work, model, shell, command):
    piped = shell(
        f"cat data/test/feats.scp | lstmgenre forward {model} scp:- ark:- | lstmgenre pool-segments ark:- ark,t:- | "
        "tee piped.txt | lstmgenre train-svm data/test ark:- svm"
    )
    assert piped.returncode == 0, piped.stderr
    for line in (f"forward {model} scp:data/test/feats.scp ark:p.ark", "pool-segments ark:p.ark ark,t:s.txt"):
        assert command(line).returncode == 0
    assert (work / "piped.txt").read_text() == (work / "s.txt").read_text()


def test_a_reader_that_leaves_early_is_no_error_to_tell(work, model, shell):
    bash('for k in $(seq 400); do cat data/train/feats.scp | sed "s/^/$k-/"; done >big.scp')
    done = shell(f"lstmgenre forward {model} scp:big.scp ark:- | head -c 100 >/dev/null; exit ${{PIPESTATUS[0]}}")
    assert "Traceback" not in done.stderr
    assert "error" not in done.stderr.lower()
    assert done.returncode == 128 + signal.SIGPIPE


def test_a_writer_that_dies_fails_its_reader(work, model, command):
    done = command(f"forward {model} 'ark:cat data/train/data/f.ark | head -c 3000 |' ark:out.ark")
    assert done.returncode == 1
    assert not (work / "out.ark").exists()
    failing = command(f"forward {model} 'ark:cat nothing-here.ark |' ark:out.ark")
    assert failing.returncode == 1
    assert "nothing-here.ark" in failing.stderr


def one_line(done, status=1):
    """The one error line of a command that failed as it should."""
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if "error" in line]
    return line


@pytest.mark.parametrize("line", ["forward {} ark:/dev/null ark:o.ark", "pool-segments ark:/dev/null ark:o.ark"])
def test_an_empty_table_makes_no_archive(work, model, command, line):
    assert "holds nothing" in one_line(command(line.format(model)))
    assert not (work / "o.ark").exists()


def test_a_refused_run_leaves_the_record_of_the_one_that_made_the_model(work, command):
    line = "train-dnn data/train exp/a --hidden 4 --max-iters 1 --minibatch-size 32"
    assert command(line).returncode == 0
    record = (work / "exp/a/log/train-dnn.json").read_text()
    assert "was begun with" in one_line(command(f"{line} --learn-rate 5"))
    assert command(line).returncode == 0
    assert (work / "exp/a/log/train-dnn.json").read_text() == record


def test_while_a_run_is_under_way_the_record_is_its_own(work, command, monkeypatch):
    line = "train-dnn data/train exp/{} --hidden 4 --max-iters 1 --minibatch-size 32"
    assert command("train-dnn gone exp/other --hidden 4").returncode == 1
    seen, begin = [], History.write

    def spy(self, directory):
        seen.append(json.loads((work / "exp/other/log/train-dnn.json").read_text()))
        begin(self, directory)

    monkeypatch.setattr(History, "write", spy)
    assert command(line.format("other")).returncode == 0
    assert {run["command"] for run in seen} == {f"lstmgenre {line.format('other')}"}
    assert {run["seconds"] for run in seen} == {None}


def test_commands_that_write_a_table_keep_a_record_beside_it(work, model, command):
    assert command(f"forward {model} scp:data/test/feats.scp ark,scp:exp/post.ark,exp/post.scp").returncode == 0
    assert command("pool-segments scp:exp/post.scp ark:exp/seg.ark --threshold 0.7").returncode == 0
    assert command("score data/test --post scp:exp/post.scp --out exp/dnn/test/score.json").returncode == 0
    records = {name: json.loads((work / f"exp/{name}.json").read_text()) for name in ("post.ark", "seg.ark")}
    records["score"] = json.loads((work / "exp/dnn/test/log/score.json").read_text())
    assert [run["name"] for run in records.values()] == ["forward", "pool-segments", "score"]
    assert records["seg.ark"]["options"]["threshold"] == records["seg.ark"]["pooling"]["threshold"] == 0.7
    assert (
        records["score"]["command"] == "lstmgenre score data/test --post scp:exp/post.scp --out exp/dnn/test/score.json"
    )
    libraries = {"lstmgenre", "python", "numpy", "torch", "torchaudio", "scikit-learn", "soundfile"}
    assert all(libraries <= set(run["versions"]) for run in records.values())
    assert records["score"]["seconds"] >= 0
    assert not Path("exp/log").exists()
    before = set(work.rglob("*"))
    assert command(f"forward {model} scp:data/test/feats.scp ark:-").returncode == 0
    assert set(work.rglob("*")) == before


def test_the_record_has_the_commit_of_a_checkout(work, command):
    assert command("prep-data folders none nowhere").returncode == 1
    kept = json.loads((work / "nowhere/log/folders.json").read_text())
    assert kept["name"] == "prep-data folders"
    head = subprocess.run(
        ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert head.startswith(kept["versions"]["commit"].removesuffix("-dirty"))


def test_prep_data_tells_what_it_left_out_and_what_has_changed(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_tree(tmp_path / "music", ["blues", "jazz"], 6)
    (tmp_path / "music/jazz/empty.mp3").touch()
    (tmp_path / "music/jazz/\x1b[31m.mp3").touch()
    (tmp_path / "music/jazz/cover.jpg").touch()
    done = command("prep-data folders music data --held-out .3 --seed 1")
    assert (done.returncode, done.stdout) == (0, "")
    assert "left_out.csv (2 of 14):" in done.stderr
    assert "\x1b" not in done.stderr
    assert {path.parent.name for path in tmp_path.glob("data/*/wav.scp")} == {"train", "valid", "test"}
    write_music(tmp_path / "music/jazz/new.wav")
    again = command("prep-data folders music data --held-out .3 --seed 1")
    assert "since the last run: 1 added, 12 unchanged" in again.stderr
    assert command("validate-data data/train").returncode == 0


@pytest.mark.parametrize(
    ("line", "said", "status"),
    [
        ("tags music data --test-fraction 1", "test fraction 1", 1),
        ("tags music data", "of 0 genres", 1),
        ("folders music data --held-out nan", "held-out", 2),
        ("folders music data --genres gone.csv", "gone.csv", 1),
        ("folders music data --artists music/jazz/two.wav", "two.wav", 1),
        ("table gone.csv data", "gone.csv", 1),
        ("table music data", "music", 1),
        ("gtzan music data", "is this GTZAN", 1),
        ("fma music music data", "tracks.csv", 1),
        ("fma music music data --subset huge", "huge", 2),
        ("gtzan music data --split best", "best", 2),
        ("folders music data --nj 0", "nj", 2),
        ("folders music/jazz/two.wav data", "no such directory", 1),
        ("folders music music/jazz/two.wav", "two.wav", 1),
    ],
)
def test_what_prep_data_cannot_do_is_said(command, tmp_path, monkeypatch, line, said, status):
    monkeypatch.chdir(tmp_path)
    for name in ("blues/one.wav", "jazz/two.wav"):
        write_music(tmp_path / "music" / name)
    done = command(f"prep-data {line}")
    assert done.returncode == status
    assert said in done.stderr.splitlines()[-1] if status == 1 else said in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("data/*/wav.scp"))


@pytest.mark.parametrize(
    ("share", "status"),
    [("20%", 0), ("0.2", 0), (".2", 0), ("100%", 0), ("5%", 1), ("0%", 1), ("19.9%", 1)]
    + [(share, 2) for share in ("101%", "5", "nan", "-1%", "%", "1_0%", "5 %", "five")],
)
def test_extraction_goes_on_without_as_many_as_is_said(command, tmp_path, monkeypatch, share, status):
    monkeypatch.chdir(tmp_path)
    for k in range(5):
        write_music(tmp_path / f"{k}.wav")
    (tmp_path / "3.wav").write_bytes(b"no music")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/wav.scp").write_text("".join(f"u{k} {k}.wav\n" for k in range(5)))
    bank = "--bank kymatio --octaves 5 --quality 1 --window 256"
    done = command(f"extract-scat data {bank} --max-failed '{share}'")
    assert done.returncode == status
    assert (tmp_path / "data/feats.scp").exists() == (status == 0)


def test_score_writes_what_it_would_print(work, model, command):
    assert command(f"forward {model} scp:data/test/feats.scp ark:p.ark").returncode == 0
    line = "score data/test --post ark:p.ark --train-data data/train"
    printed = command(f"{line} --json").stdout
    written = command(f"{line} --out s.json")
    assert written.stdout == ""
    assert json.loads((work / "s.json").read_text()) == json.loads(printed)
    assert json.loads(printed)["known_artists"] == []


@pytest.mark.parametrize(
    "line",
    [
        "train-svm data/train ark:x svm --c inf",
        "train-svm data/train ark:x svm --c nan",
        "pool-segments ark:x ark:y --threshold nan",
        "train-dnn data/train exp/a --learn-rate inf",
        "train-dnn data/train exp/a --l2-penalty inf",
        "train-lstm data/train exp/a --clip-gradient inf",
        "train-lstm data/train exp/a --param-scale inf",
        "train-lstm data/train exp/a --end-halving-impr nan",
    ],
)
def test_numbers_that_are_not_finite_are_usage_errors(work, command, line):
    done = command(line)
    assert done.returncode == 2
    assert "Invalid value" in done.stderr
    (work / "c.toml").write_text("[train-svm]\nc = inf\n")
    assert command("train-svm data/train ark:x svm --config c.toml").returncode == 2


@pytest.mark.system
def test_systems_of_one_name_are_told_apart_or_refused(work, command):
    from lstmgenre import svm

    vectors = {"test0-t00": np.zeros(4), "test1-t01": np.ones(4)}
    with TableWriter("ark:v.ark", "vector") as table:
        for name, vector in vectors.items():
            table.write(name, vector.astype(np.float32))
    model = svm.train(vectors, dict(zip(vectors, GENRES, strict=True)), GENRES)
    for name in ("a/svm", "b/svm", "b/other"):
        model.save(work / name)
    line = "score data/test --json" + " --segments ark:v.ark" * 3
    done = command(f"{line} --svm a/svm --svm b/svm --svm b/other")
    assert list(json.loads(done.stdout)["tracks"]) == ["a/svm", "b/svm", "other"]
    assert "given twice" in one_line(command(f"{line} --svm a/svm --svm b/svm --svm a/svm/"), 2)


def test_scoring_and_pooling_load_no_torch(work, model):
    code = (
        "import sys, lstmgenre.scoring, lstmgenre.segments, lstmgenre.parallel.table, lstmgenre.svm; "
        "print({'torch', 'sklearn'} & set(sys.modules))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "set()"


def test_no_pipes_forbids_commands(work, model, command, monkeypatch):
    monkeypatch.setenv(NO_PIPES, "0")  # what the option sets is taken back after the test
    line = one_line(command(f"--no-pipes forward {model} 'ark:touch ran; cat data/test/data/f.ark |' ark:out.ark"))
    assert "touch ran" in line
    assert not (work / "ran").exists()


def test_features_of_another_dimension_are_refused(work, command):
    init.dnn(DIM + 1, [4], 2, seed=1).write("exp/wrong/final.nnet")
    line = one_line(command("forward exp/wrong scp:data/test/feats.scp ark:out.ark"))
    assert "8 inputs" in line
    assert "7" in line
    assert not (work / "out.ark").exists()


def test_features_of_another_bank_are_refused(work, model, command):
    scat_json.write(work / "exp/dnn", PAPER)
    scat_json.write(work / "data/test/data", structs.replace(PAPER, sample_rate=16000))
    (work / "ranged.scp").write_text((work / "data/test/feats.scp").read_text().replace("\n", "[0:9]\n"))
    for given in (
        "scp:data/test/feats.scp",
        "p,scp:data/test/feats.scp",
        "s,cs,scp:data/test/feats.scp",
        "scp,p: data/test/feats.scp ",
        "scp:ranged.scp",
        "ark:data/test/data/f.ark",
        "o,ark:data/test/data/f.ark",
    ):
        assert "another bank" in one_line(command(["forward", model, given, "ark:out.ark"]))
    assert not (work / "out.ark").exists()


@pytest.mark.parametrize(
    ("edit", "line", "said"),
    [
        ("sed -i 1d data/train/utt2genre", "train-dnn data/train exp/a", "train/utt2genre: no line for train0-t00"),
        ("rm data/train/utt2genre", "train-dnn data/train exp/a", "utt2genre: not there"),
        ("rm data/train/feats.scp", "train-lstm data/train exp/a", "extract-scat data/train"),
        ("sed -i 's/classical/polka/' data/train/utt2genre", "train-dnn data/train exp/a", "unknown genre 'polka'"),
        ("truncate -s -100 data/test/data/f.ark", "forward exp/dnn scp:data/test/feats.scp ark:o.ark", "f.ark"),
        ("printf 'x PKL' >bad.ark", "forward exp/dnn ark:bad.ark ark:o.ark", "bad.ark"),
        ("true", "forward exp/none scp:data/test/feats.scp ark:o.ark", "exp/none"),
        ("echo junk >exp/dnn/final.nnet", "forward exp/dnn scp:data/test/feats.scp ark:o.ark", "final.nnet"),
        ("true", "score data/test --post scp:none.scp", "none.scp"),
        ("true", "score data/nowhere --post scp:none.scp", "data/nowhere"),
        ("true", "report exp", "score.json"),
        ("true", "prep-data folders nowhere data2", "nowhere"),
        ("true", "extract-scat data/none", "data/none"),
    ],
)  # fmt: skip
def test_bad_input_gets_one_line_and_status_1(work, model, command, edit, line, said):
    bash(edit)
    assert said in one_line(command(line))
    assert not (work / "o.ark").exists()


def test_labels_that_miss_or_do_not_fit_are_named_by_score(work, model, command):
    assert run("forward", model, "scp:data/test/feats.scp", "ark:p.ark").exit_code == 0
    bash("sed -i '1s/classical/polka/' data/test/utt2genre")
    assert "unknown genre 'polka'" in one_line(command("score data/test --post ark:p.ark"))
    bash("sed -i 1d data/test/utt2genre")
    assert "no line in utt2genre" in one_line(command("score data/test --post ark:p.ark"))


def test_validate_data_says_what_mends_and_fix_mends_it(work, command):
    assert command("validate-data data/train").returncode == 0
    bash("sort -r data/train/utt2spk >u && mv u data/train/utt2spk && sed -i '1d; 3s/ .*//' data/train/feats.scp")
    broken = command("validate-data data/train")
    assert broken.returncode == 1
    assert "not in C order" in broken.stderr
    assert "feats.scp: line 2" in broken.stderr
    assert "lstmgenre validate-data data/train --fix" in broken.stderr
    assert command("validate-data data/train --fix").returncode == 0
    assert command("validate-data data/train").returncode == 0
    assert len(DataDir.read("data/train").utterances) == 22


def test_copy_nnet_and_info_nnet(work, model):
    assert run("copy-nnet", f"{model}/final.nnet", "text.nnet", "--text").exit_code == 0
    assert (work / "text.nnet").read_text().startswith("<Nnet>")
    assert run("copy-nnet", "text.nnet", "again.nnet", "--format", "head").exit_code == 0
    assert b"<!EndOfComponent>" in (work / "again.nnet").read_bytes()
    shown = run("info-nnet", f"{model}/final.nnet").stdout
    assert run("info-nnet", model).stdout == run("info-nnet", f"cat {model}/final.nnet |").stdout == shown
    assert "input-dim 7" in shown
    assert "output-dim 2" in shown


def test_forward_shifts_and_takes_logs_as_asked(work, model):
    for name, options in {"plain": [], "log": ["--apply-log"], "shifted": ["--time-shift", "3"]}.items():
        assert run("forward", model, "scp:data/test/feats.scp", f"ark:{name}.ark", *options).exit_code == 0
    plain, log, shifted = (dict(read_table(f"ark:{name}.ark")) for name in ("plain", "log", "shifted"))
    for name, matrix in plain.items():
        np.testing.assert_allclose(np.exp(log[name]), matrix, rtol=1e-5)
        np.testing.assert_allclose(shifted[name][:-3], matrix[3:], rtol=1e-5)


def test_a_full_disk_is_one_line(work, model, shell):
    line = one_line(shell(f"lstmgenre forward {model} scp:data/train/feats.scp ark:- >/dev/full"))
    assert "No space left" in line


def test_an_output_that_cannot_be_is_one_line(work, model, command):
    (work / "taken").write_text("a file where a directory is wanted")
    assert "taken" in one_line(command("train-dnn data/train taken"))
    assert "taken" in one_line(command(f"forward {model} scp:data/test/feats.scp ark:taken/post.ark"))
    assert (work / "taken").read_text() == "a file where a directory is wanted"


def test_an_archive_that_lies_about_its_size_is_refused(work, model, command):
    size = b"\4" + struct.pack("<i", 2**31 - 1)
    (work / "huge.ark").write_bytes(b"u \0BFM " + size + size)
    assert "huge.ark" in one_line(command(f"forward {model} ark:huge.ark ark:o.ark"))
