"""What stands between a network that was trained in a directory and another run there."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lstmgenre.datadir import DataDir
from lstmgenre.errors import DataError
from lstmgenre.files import exclusive
from lstmgenre.tables import TableWriter
from lstmgenre.training import datasets

LINE = "train-dnn data exp --hidden 4 --minibatch-size 32 --max-iters 1"


def make(path, genres=("jazz", "rock"), seed=1, artists=8, dim=3):
    """A data directory of easy tracks, two an artist."""
    rng = np.random.default_rng(seed)
    data = DataDir(Path(path), genre_order=list(genres))
    data.path.mkdir(exist_ok=True)
    with TableWriter(f"ark,scp:{path}/f.ark,{path}/feats.scp") as table:
        for k in range(2 * artists):
            name = f"a{k // 2}-t{k}"
            data.utt2spk[name], data.utt2genre[name] = name[:2], genres[k % 2]
            table.write(name, (rng.normal(size=(20, dim)) + 2 * (k % 2)).astype(np.float32))
    data.feats = DataDir.read(data.path).feats
    data.write()


@pytest.fixture
def trained(here, command):
    make("data")
    assert command(LINE).returncode == 0
    return {path: path.read_bytes() for path in Path("exp").rglob("*") if path.is_file() and path.suffix != ".log"}


def test_a_track_of_another_genre_is_other_data(trained, command):
    data = DataDir.read("data")
    first, second = data.utterances[:2]  # of one artist, so that the same tracks are held out
    data.utt2genre[first], data.utt2genre[second] = data.utt2genre[second], data.utt2genre[first]
    data.write()
    refused = command(LINE)
    assert refused.returncode == 1
    assert "exp/utt2genre: training was begun with other genres of tracks" in refused.stderr
    assert all(path.read_bytes() == content for path, content in trained.items())


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"genres": ("blues", "metal")}, "other genres"),
        ({"genres": ("rock", "jazz")}, "other genres"),
        ({"genres": ("jazz", "rock", "folk")}, "other genres"),
        ({"seed": 2}, "another feature transform"),
        ({"artists": 9}, "another feature transform"),
        ({"dim": 4}, "another feature transform"),
    ],
    ids=str,
)
@pytest.mark.parametrize("finished", [True, False])
def test_other_data_are_refused_before_anything_is_written(trained, command, other, said, finished):
    if not finished:
        Path("exp/final.nnet").unlink()
        del trained[Path("exp/final.nnet")]
    make("data", **other)
    refused = command(LINE)
    assert refused.returncode == 1
    assert said in refused.stderr
    assert {path: path.read_bytes() for path in trained} == trained
    make("data")
    assert command(LINE).returncode == 0


def test_other_tracks_to_hold_out_are_refused(here, command):
    make("data")
    make("cv", seed=3, artists=2)
    assert command(f"{LINE} --cv-dir cv").returncode == 0
    lists = {path: path.read_bytes() for path in Path("exp").glob("*.scp")}
    make("cv", seed=3, artists=3)
    refused = command(f"{LINE} --cv-dir cv")
    assert refused.returncode == 1
    assert "cv.scp: training was begun with other tracks" in refused.stderr
    assert {path: path.read_bytes() for path in lists} == lists


def test_the_same_data_may_have_moved(trained, command):
    Path("data").rename("elsewhere")
    scp = Path("elsewhere/feats.scp")
    scp.write_text(scp.read_text().replace("data/", "elsewhere/"))
    assert command(LINE.replace("data", "elsewhere")).returncode == 0
    assert "elsewhere/f.ark" in Path("exp/train.scp").read_text()
    assert Path("exp/final.nnet").read_bytes() == trained[Path("exp/final.nnet")]


def test_features_of_several_widths_are_one_line(here, command):
    make("data")
    make("other", dim=4)
    lines = Path("data/feats.scp").read_text().splitlines(keepends=True)
    lines[3] = Path("other/feats.scp").read_text().splitlines(keepends=True)[3]
    Path("data/feats.scp").write_text("".join(lines))
    refused = command(LINE)
    assert refused.returncode == 1
    assert "columns, where the entries before it have" in refused.stderr
    assert not Path("exp/genres").exists()


@pytest.mark.parametrize("line", [LINE, "train-lstm data exp --hidden 2 --cell-dim 3 --num-streams 2 --max-iters 1"])
def test_one_run_at_a_time_trains_in_a_directory(here, command, line):
    make("data")
    with exclusive(Path("exp")):
        refused = command(line)
    assert refused.returncode == 1
    assert "exp: another run writes here" in refused.stderr
    assert list(Path("exp").iterdir()) == []
    assert command(line).returncode == 0


def test_the_lock_of_a_run_that_is_killed_goes_with_it(here):
    code = (
        "import os; from pathlib import Path; from lstmgenre.files import exclusive\n"
        "with exclusive(Path('exp')):\n    os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    with exclusive(Path("exp")), pytest.raises(DataError, match="another run"), exclusive(Path("exp")):
        pass


def test_data_that_are_refused_leave_no_list(here):
    make("data")
    data = DataDir.read("data")
    del data.utt2genre["a0-t0"]
    with pytest.raises(DataError, match="no line for a0-t0"):
        datasets.set_up(Path("exp"), data)
    assert not Path("exp").exists()


def test_a_record_that_is_damaged_is_told_before_anything_is_written(trained, command):
    fields = json.loads(trained[Path("exp/training.json")])
    del fields["epochs"]
    Path("exp/training.json").write_text(json.dumps(fields))
    make("data", genres=("blues", "metal"))
    assert "delete exp and train anew" in command(LINE).stderr
    assert Path("exp/genres").read_bytes() == trained[Path("exp/genres")]
