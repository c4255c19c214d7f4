"""Wrong calls: what each gets is one line that says why, and an exit status; no traceback, and nothing is written."""

import math
import re
import shutil
import typing
from pathlib import Path

import numpy as np
import pytest
import typer

from lstmgenre.cli import app
from lstmgenre.cli.reference import commands
from lstmgenre.datadir import DataDir
from lstmgenre.expdir import history
from lstmgenre.nnet1 import init
from lstmgenre.tables import TableWriter

USAGE, BAD_DATA = 2, 1
ROOT = typer.main.get_command(app)
COMMANDS = dict(commands(ROOT))


def kind_of(param):
    """int or float, for an option that takes numbers; also in lists, and where it may be left out."""
    annotation = param.type_descriptor.annotation
    return next((kind for kind in (int, float) if kind in (annotation, *typing.get_args(annotation))), None)


NUMBERS = [
    (name, param, kind) for name, command in COMMANDS.items() for param in command.params if (kind := kind_of(param))
]


@pytest.fixture
def error_of(command, monkeypatch):
    """The one line that a call gets on stderr, and nothing on stdout; its exit status is as expected."""
    # Typer would build the commands anew at each call, which takes longest.
    monkeypatch.setattr("lstmgenre.cli.app", lambda: ROOT.main(prog_name="lstmgenre"))
    monkeypatch.setenv("LSTMGENRE_NO_PIPES", "")  # and take back what --no-pipes leaves there

    def run(line, status):
        done = command(line)
        assert done.stdout == ""
        assert done.returncode == status, done.stderr
        assert done.stderr.count("\n") == 1, done.stderr
        assert done.stderr.startswith("lstmgenre: error: ")
        return done.stderr.removeprefix("lstmgenre: error: ").rstrip("\n")

    return run


def test_the_options_that_are_numbers_are_found():
    named = {(name, param.opts[0]) for name, param, _ in NUMBERS}
    assert {("train-lstm", "--hidden"), ("prep-data folders", "--test-fraction"), ("train-svm", "--c")} <= named
    assert {("extract-scat", "--window"), ("pool-segments", "--threshold"), ("forward", "--threads")} <= named
    assert len(named) > 50


@pytest.mark.parametrize(("name", "param", "kind"), NUMBERS, ids=lambda value: getattr(value, "name", None))
def test_every_number_has_a_range_and_no_other_is_taken(name, param, kind, here, error_of):
    low, high = (0, 1) if param.metavar == "PERCENT%" else (param.min, param.max)
    assert low is not None
    assert high is not None
    assert low < high < 2**53
    small, large = (low - 1, high + 1) if kind is int else (math.nextafter(low, -math.inf), math.nextafter(high, 1e99))
    outside = [small, large, -(10**20), 10**20, 2**64, -(2**63), "nan", "inf", "-inf", "1e400", "-1e308"]
    nonsense = ["", " ", "x", "0x10", "1,5", "½", "9" * 5000, "None", "true", "1e", "[1]"]
    words = ["a", "b", "c"][: sum(p.param_type_name == "argument" for p in COMMANDS[name].params)]
    for value in outside + nonsense + ["1.5"] * (kind is int):
        line = error_of([*name.split(), *words, f"{param.opts[0]}={value}"], USAGE)
        assert param.opts[0] in line
        assert len(line) < 400
    for value in (low, high):
        made = COMMANDS[name].make_context("x", [*words, f"{param.opts[0]}={value}"], resilient_parsing=True)
        assert made.params[param.name] == ([value] if param.multiple else value)
    assert not list(here.iterdir())


def test_the_ranges_are_those_of_the_library():
    ranges = {(name, param.name): (param.min, param.max) for name, param, _ in NUMBERS}
    assert ranges["train-lstm", "targets_delay"][1] == ranges["forward", "time_shift"][1] == history._LONGEST_DELAY


GENRES = ["classical", "rock"]


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    """data/train and data/test, exp/dnn/final.nnet, post.ark and seg.ark; and files that are none of these."""
    root = tmp_path_factory.mktemp("pipeline")
    rng = np.random.default_rng(5)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        for split in ("train", "test"):
            data = DataDir(Path("data", split), genre_order=GENRES)
            data.path.mkdir(parents=True)
            with TableWriter(f"ark,scp:data/{split}/f.ark,data/{split}/feats.scp") as table:
                for k in range(6):
                    name = f"{split}{k}-t"
                    data.utt2spk[name], data.utt2genre[name] = f"{split}{k}", GENRES[k % 2]
                    table.write(name, rng.normal(size=(9, 3)).astype(np.float32))
            data.feats = DataDir.read(data.path).feats
            data.write()
        init.dnn(3, [4], 2, seed=1).write("exp/dnn/final.nnet")
        with TableWriter("ark,scp:post.ark,post.scp") as posts, TableWriter("ark:seg.ark", "vector") as vectors:
            for name in DataDir.read("data/test").utterances:
                posts.write(name, np.full((9, 2), 0.5, np.float32))
                vectors.write(name, np.zeros(8, np.float32))
        for name, content in FILES.items():
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_text(content)
    return root


FILES = {
    "junk": "junk",
    "junk.json": "{",
    "junk.toml": "[train-dnn",
    "other.toml": "[train-dnn]\nno-such = 1\n",
    "nan.toml": "[train-dnn]\nlearn_rate = nan\n",
    "text.toml": "[train-dnn]\nhidden = 'wide'\n",
    "command.toml": "[train]\nhidden = 3\n",
    "empty.scp": "",
    "gone.scp": "u gone.ark:5\n",
    "twice.scp": "u post.ark:8\nu post.ark:8\n",
    "unsorted.scp": "b post.ark:8\na post.ark:8\n",
    "bad/wav.scp": "u junk |\n",
    "bad/utt2spk": "u\n",
    "music/rock/song.mp3": "no audio",
    "list.csv": "a,b\n1,2\n",
    "svm/svm.json": '{"genres": ["a"]}',
    "bundle/svm.json": "[]",
    "scored/x/test/score.json": "[]",
    "dir/file": "",
}


CALLS = [
    # The command line itself.
    ("nothing", USAGE, "No such command 'nothing'"),
    ("--nothing", USAGE, "No such option.*--nothing"),
    ("--no-pipes=maybe info-nnet exp/dnn", USAGE, "--no-pipes=maybe: give true or false"),
    ("train", USAGE, "No such command 'train'.*train-dnn"),
    ("prep-data", USAGE, "Missing command"),
    ("prep-data nothing a b", USAGE, "No such command 'nothing'"),
    ("train-dnn", USAGE, "Missing argument 'DATA_DIR'; see lstmgenre train-dnn --help"),
    ("train-dnn data/train", USAGE, "Missing argument 'EXP_DIR'"),
    ("train-dnn data/train a b", USAGE, "unexpected extra argument"),
    ("train-dnn data/train a --hidden", USAGE, "--hidden"),
    ("train-dnn data/train a --no-such 1", USAGE, "No such option.*--no-such"),
    ("train-dnn data/train a --verbose=x", USAGE, "--verbose=x: give a whole number"),
    ("train-dnn data/train a --scheduler never", USAGE, "never"),
    ("train-dnn data/train a --device tpu", USAGE, "tpu"),
    # --config
    ("train-dnn data/train a --config gone.toml", USAGE, "gone.toml: .*No such file"),
    ("train-dnn data/train a --config dir", USAGE, "dir: "),
    ("train-dnn data/train a --config junk.toml", USAGE, "junk.toml: not TOML"),
    ("train-dnn data/train a --config other.toml", USAGE, "other.toml: .*no option 'no_such'"),
    ("train-dnn data/train a --config nan.toml", USAGE, "--learn-rate"),
    ("train-dnn data/train a --config text.toml", USAGE, "--hidden"),
    ("train-dnn data/train a --config command.toml", USAGE, "command.toml: train is no command"),
    # Data
    ("recipe nothing new", USAGE, "no such recipe"),
    ("docs nothing", USAGE, "nothing: no such page: there are"),
    ("recipe ismir2004 dir", BAD_DATA, "dir: "),
    ("prep-data folders gone new", BAD_DATA, "gone: "),
    ("prep-data folders junk new", BAD_DATA, "junk: "),
    ("prep-data folders music new --artists gone.csv", BAD_DATA, "gone.csv: "),
    ("prep-data folders music new --test-fraction 1.5", USAGE, "--test-fraction"),
    ("prep-data tags gone new", BAD_DATA, "gone: "),
    ("prep-data table gone.csv new", BAD_DATA, "gone.csv: "),
    ("prep-data table list.csv new", BAD_DATA, "list.csv:1: has no columns path"),
    ("prep-data ismir2004 gone new", BAD_DATA, "gone"),
    ("prep-data gtzan gone new", BAD_DATA, "gone"),
    ("prep-data gtzan music new --split best", USAGE, "best"),
    ("prep-data fma gone gone new", BAD_DATA, "gone"),
    ("prep-data demo junk", BAD_DATA, "junk"),
    ("prep-data demo new --seed -1", USAGE, "--seed"),
    ("validate-data gone", BAD_DATA, "gone: no such data directory"),
    ("validate-data junk", BAD_DATA, "junk: no such data directory"),
    ("split-data gone new", BAD_DATA, "gone: no such data directory"),
    ("split-data data/test new --folds 1", USAGE, "--folds"),
    ("split-data data/test new --folds 9", BAD_DATA, "9"),
    ("subset-data data/test new", USAGE, "say which utterances"),
    ("subset-data data/test data/test --first 2", USAGE, "data/test: a part would take the place"),
    ("subset-data gone new --first 2", BAD_DATA, "gone: no such data directory"),
    ("subset-data data/test new --genre polka", BAD_DATA, "polka"),
    ("subset-data data/test new --utt-list gone", BAD_DATA, "gone: "),
    # Features
    ("extract-scat", USAGE, "DATA_DIR is missing"),
    ("extract-scat gone", BAD_DATA, "gone: no such data directory"),
    ("extract-scat data/test", BAD_DATA, "data/test/wav.scp: not there"),
    ("extract-scat bad", BAD_DATA, "bad/"),
    ("extract-scat data/test --bank gone.json", BAD_DATA, "gone.json: "),
    ("extract-scat data/test --bank junk.json", BAD_DATA, "junk.json: damaged"),
    ("extract-scat data/test --window 5000", BAD_DATA, "power of two"),
    ("extract-scat data/test --octaves 60 --bank kymatio", USAGE, "--octaves"),
    ("extract-scat data/test --quality 1000000000 --bank kymatio", USAGE, "--quality"),
    ("extract-scat data/test --backend dask", USAGE, "--backend dask needs --scheduler"),
    ("extract-scat data/test --scheduler tcp://x:1", USAGE, "--scheduler is for --backend dask"),
    ("copy-feats post.scp ark:new", USAGE, "'post.scp': no rspecifier"),
    ("copy-feats scp:post.scp new", USAGE, "'new': no wspecifier"),
    ("copy-feats scp:gone.scp ark:new", BAD_DATA, "u: gone.ark: .*No such file"),
    ("copy-feats scp:gone.scp ark:new --compression-method 9", USAGE, "--compression-method"),
    ("copy-feats ark:junk ark:new", BAD_DATA, "junk, byte 0: "),
    ("copy-feats scp:twice.scp ark:new", BAD_DATA, "comes twice"),
    ("copy-vector ark:post.ark ark:new", BAD_DATA, "post.ark"),
    ("feat-to-dim ark:gone.ark", BAD_DATA, "gone.ark: "),
    ("feat-to-dim scp:empty.scp", BAD_DATA, "empty.scp"),
    ("feat-to-len ark:gone.ark", BAD_DATA, "gone.ark: "),
    ("feat-to-len scp:post.scp new", USAGE, "'new': no wspecifier"),
    # Networks
    ("train-dnn gone a", BAD_DATA, "gone: no such data directory"),
    ("train-dnn data/train junk", BAD_DATA, "junk: "),
    ("train-dnn data/train a --cv-dir gone", BAD_DATA, "gone: no such data directory"),
    ("train-dnn data/train a --minibatch-size 0", USAGE, "--minibatch-size"),
    ("train-lstm gone a", BAD_DATA, "gone: no such data directory"),
    ("train-lstm data/train a --hidden 100000000000000000000", USAGE, "--hidden"),
    ("train-lstm data/train a --num-streams -1", USAGE, "--num-streams"),
    ("train-lstm data/train a --targets-delay 99999999999", USAGE, "--targets-delay"),
    ("train-lstm data/train a --threads 10000000000", USAGE, "--threads"),
    ("forward exp/dnn post.scp ark:new", USAGE, "'post.scp': no rspecifier"),
    ("forward exp/dnn scp:post.scp new", USAGE, "'new': no wspecifier"),
    ("forward exp/gone scp:post.scp ark:new", BAD_DATA, "exp/gone"),
    ("forward junk scp:post.scp ark:new", BAD_DATA, "junk"),
    ("forward exp/dnn scp:post.scp ark:new", BAD_DATA, "3 inputs"),
    ("forward exp/dnn scp:gone.scp ark:new", BAD_DATA, "gone.ark"),
    ("forward exp/dnn scp:empty.scp ark:new", BAD_DATA, "empty.scp: holds nothing"),
    ("forward exp/dnn s,scp:unsorted.scp ark:new", BAD_DATA, "unsorted.scp"),
    ("forward exp/dnn ark:post.ark ark:new --nj 2", USAGE, "--nj above 1 needs an scp:"),
    ("forward exp/dnn scp:data/test/feats.scp ark:- --nj 2", USAGE, "--nj above 1 needs an scp:"),
    ("forward exp/dnn scp:data/test/feats.scp ark:junk/new", BAD_DATA, "junk"),
    ("forward exp/dnn scp:data/test/feats.scp ark:new --apply-log --no-softmax", USAGE, "--no-softmax leaves no"),
    ("forward exp/dnn scp:data/test/feats.scp ark:new --time-shift -1", USAGE, "--time-shift"),
    ("--no-pipes forward exp/dnn 'ark:cat post.ark |' ark:new", BAD_DATA, "'cat post.ark': commands are forbidden"),
    ("forward exp/dnn 'ark:exit 3 |' ark:new", BAD_DATA, "failed with exit status 3"),
    ("forward exp/dnn scp:data/test/feats.scp ark:new --backend dask", USAGE, "--backend dask needs --scheduler"),
    ("forward exp/dnn scp:data/test/feats.scp ark:new --scheduler tcp://x:1", USAGE, "--scheduler is for"),
    ("copy-nnet gone new", BAD_DATA, "gone: "),
    ("copy-nnet junk new", BAD_DATA, "junk: "),
    ("copy-nnet exp/dnn/final.nnet new --format 2020", USAGE, "2020"),
    ("info-nnet gone", BAD_DATA, "gone: "),
    ("info-nnet dir", BAD_DATA, "dir/final.nnet: "),
    # Segments
    ("pool-segments ark:post.ark new", USAGE, "'new': no wspecifier"),
    ("pool-segments ark:post.ark ark:new --threshold nan", USAGE, "--threshold"),
    ("pool-segments ark:post.ark ark:new --fuse scp:empty.scp", BAD_DATA, "features to fuse"),
    ("pool-segments scp:data/test/feats.scp ark:new", BAD_DATA, "outside \\[0, 1\\]"),
    ("pool-segments ark:post.ark ark:new --backend dask --scheduler x", USAGE, "--backend dask needs --scheduler"),
    ("pool-segments ark:/dev/null ark:new", BAD_DATA, "holds nothing"),
    ("select-svm gone ark:post.ark new", BAD_DATA, "gone: no such data directory"),
    ("select-svm data/test ark:post.ark new --folds 1", USAGE, "--folds"),
    ("train-svm gone ark:seg.ark new", BAD_DATA, "gone: no such data directory"),
    ("train-svm data/train ark:seg.ark new", BAD_DATA, "utt2genre"),
    ("train-svm data/test ark:post.ark new", BAD_DATA, "post.ark"),
    ("train-svm data/test ark:seg.ark new --c inf", USAGE, "--c"),
    # Results
    ("score data/test", USAGE, "nothing to score"),
    ("score data/test --decisions gone", BAD_DATA, "gone: "),
    ("score data/test --decisions dir", BAD_DATA, "dir"),
    ("score data/test --decisions junk", BAD_DATA, "junk"),
    ("score data/test --svm svm", USAGE, "one --segments for each --svm"),
    ("score gone --post ark:post.ark", BAD_DATA, "gone: no such data directory"),
    ("score data/train --post ark:post.ark", BAD_DATA, "no line in utt2genre"),
    ("score data/test --post ark:post.ark --out dir", BAD_DATA, "dir"),
    ("score data/test --svm svm --segments ark:seg.ark", BAD_DATA, "svm/svm.json: damaged"),
    ("score data/test --svm gone --segments ark:seg.ark", BAD_DATA, "gone/svm.json: "),
    ("score data/test --svm svm --svm svm --segments ark:seg.ark --segments ark:seg.ark", USAGE, "svm: given twice"),
    ("score-baselines gone data/test new", BAD_DATA, "gone: no such data directory"),
    ("score-baselines data/train data/test new --nj 1000000", USAGE, "--nj"),
    ("report gone", BAD_DATA, "gone: no .*score.json"),
    ("report scored", BAD_DATA, "score.json: damaged"),
    # Use
    ("learn", USAGE, "Missing argument"),
    ("learn new", USAGE, "give MUSIC and MODEL"),
    ("learn music new --train data/train", USAGE, "give MUSIC and MODEL"),
    ("learn music new --test data/test", USAGE, "--test goes with --train"),
    ("learn new --train data/train --test-fraction 0.5", USAGE, "--test-fraction is of MUSIC"),
    ("learn gone new", BAD_DATA, "gone: "),
    ("learn new --train gone", BAD_DATA, "gone: no such data directory"),
    ("learn music new --system best", USAGE, "best"),
    ("bundle exp/dnn", USAGE, "Missing argument"),
    ("bundle exp/gone new", BAD_DATA, "exp/gone"),
    ("bundle exp/dnn new", BAD_DATA, "exp/dnn/training.json"),
    ("predict gone song.mp3", BAD_DATA, "gone: no such directory"),
    ("predict bundle song.mp3", BAD_DATA, "bundle/"),
    ("predict bundle", USAGE, "nothing to name"),
    ("predict gone music --nj 1 --out new.csv", BAD_DATA, "music: no audio there|gone: "),
    ("predict bundle song.mp3 --feats scp:post.scp", USAGE, "--feats takes the place of PATH"),
    ("predict bundle --feats post.scp", USAGE, "'post.scp': no rspecifier"),
    ("predict gone --feats scp:post.scp", BAD_DATA, "gone: no such directory"),
    ("predict bundle --feats scp:empty.scp", BAD_DATA, "scp:empty.scp: holds nothing"),
    ("predict bundle --feats scp:post.scp", BAD_DATA, "bundle/scat.json: not there"),
    ("predict bundle song.mp3 --files-from gone", BAD_DATA, "gone: cannot be read"),
    ("predict bundle song.mp3 --files-from dir", BAD_DATA, "dir: "),
    ("predict bundle song.mp3 --nj 0", USAGE, "--nj"),
    ("predict bundle song.mp3 --csv --jsonl", USAGE, "--csv or --jsonl, not both"),
    ("predict bundle song.mp3 --out dir", BAD_DATA, "dir: "),
    ("predict bundle song.mp3 --out junk", BAD_DATA, "junk:1: not a CSV that predict has written"),
    ("predict bundle song.mp3 --min-probability nan", USAGE, "--min-probability"),
]


def snapshot(root):
    """Every file and its content, but for what runs log in their own directories."""
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file() and path.parent.name != "log"}


@pytest.mark.parametrize(("line", "status", "said"), CALLS, ids=lambda value: str(value)[:60])
def test_what_a_wrong_call_gets(line, status, said, pipeline, here, error_of):
    shutil.copytree(pipeline, here, dirs_exist_ok=True, symlinks=True)
    before = snapshot(here)
    assert re.search(said, error_of(line, status))
    assert snapshot(here) == before


def test_the_table_covers_every_command():
    assert len(CALLS) >= 100
    lines = [line for line, _, _ in CALLS]
    assert {name for name in COMMANDS if not any(line.startswith(f"{name} ") for line in lines)} == set()
