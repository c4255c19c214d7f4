"""The commands that Kaldi has too, against what Kaldi's own programs wrote, and lines as people paste them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from lstmgenre.cli import app
from lstmgenre.datadir import DataDir
from lstmgenre.errors import DataError, LstmGenreError, ModelError
from lstmgenre.nnet1 import init
from lstmgenre.tables import TableWriter, read_table

KALDI = Path(__file__).parent / "data" / "kaldi_io"
FEATURES = f"ark:{KALDI}/in/feats7.ark"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a command in tmp_path; gives its standard output. An error of its input is raised."""
    monkeypatch.chdir(tmp_path)

    def run(line):
        done = CliRunner().invoke(app, line.split())
        if isinstance(done.exception, LstmGenreError):
            raise done.exception
        assert done.exit_code == 0, done.output
        return done.stdout

    return run


@pytest.mark.parametrize(
    ("line", "written"),
    [
        (f"copy-feats {FEATURES} ark,t:o", "feats7_t.ark"),
        (f"copy-vector ark:{KALDI}/io/vec.ark ark,t:o", "vec.txt"),
        (f"feat-to-len {FEATURES} ark,t:o", "utt2num_frames"),
        *(
            (f"copy-feats --compress=true --compression-method={m} {FEATURES} ark:o", f"comp_m{m}.ark")
            for m in range(1, 8)
        ),
        (f"copy-feats --compress=false {FEATURES} ark:o --write-num-frames=ark,t:n", "../in/feats7.ark"),
    ],
)
def test_what_kaldi_s_programs_write(run, tmp_path, line, written):
    run(line)
    assert (tmp_path / "o").read_bytes() == (KALDI / "io" / written).read_bytes()
    if "num-frames" in line:
        assert (tmp_path / "n").read_bytes() == (KALDI / "io" / "utt2num_frames").read_bytes()


def test_lengths_and_dimensions_are_printed(run, tmp_path):
    lengths = [int(line.split()[1]) for line in (KALDI / "io" / "utt2num_frames").read_text().splitlines()]
    assert run(f"feat-to-len {FEATURES}") == f"{sum(lengths)}\n"
    assert run(f"feat-to-dim {FEATURES}") == run(f"feat-to-dim {FEATURES} -") == "7\n"
    run(f"feat-to-dim {FEATURES} dim")
    assert (tmp_path / "dim").read_text() == "7\n"
    run(f"feat-to-dim {FEATURES} ark,t:dims")
    assert [value for _, value in read_table("ark:dims", "int")] == [7] * len(lengths)


@pytest.mark.parametrize("command", ["copy-feats {} ark:o", "copy-vector {} ark:o", "feat-to-dim {} o"])
def test_nothing_makes_nothing(run, tmp_path, command):
    with pytest.raises(DataError, match="ark:/dev/null: holds"):
        run(command.format("ark:/dev/null"))
    assert not (tmp_path / "o").exists()


@pytest.fixture
def model(tmp_path, run):
    """A network for the features of Kaldi's archive, and their posteriors."""
    torch.manual_seed(0)
    init.dnn(7, [5], 3, seed=1).write(tmp_path / "final.nnet")
    run(f"forward final.nnet {FEATURES} ark:post")
    return dict(read_table("ark:post"))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--apply-log=true", np.log),
        ("--apply-log=false --no-softmax=false --use-gpu=no", np.array),
        ("--use-gpu=optional --apply-log --print-args=false --verbose=1", np.log),
        ("--no_softmax=true --no-softmax=false --verbose=0 --use-gpu no", np.array),
        ("--apply-log=true --apply-log=false --device=cpu", np.array),
    ],
)
def test_pasted_options_of_nnet_forward_do_what_they_say(run, model, options, expected):
    run(f"forward {options} final.nnet {FEATURES} ark:o")
    for utterance, output in read_table("ark:o"):
        np.testing.assert_allclose(output, expected(model[utterance]), rtol=1e-5, atol=1e-6)


def test_no_softmax_leaves_out_what_makes_probabilities(run, model):
    run(f"forward --no-softmax=true --use-gpu=no --verbose=0 final.nnet {FEATURES} ark:o")
    for utterance, output in read_table("ark:o"):
        np.testing.assert_allclose(torch.from_numpy(output).softmax(-1), model[utterance], atol=1e-6)


def test_a_gpu_that_is_asked_for_must_be_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for option in "--use-gpu=yes", "--device=cuda", "--use-gpu=wait":
        done = CliRunner().invoke(app, ["forward", option, "m", "ark:a", "ark:b"])
        assert done.exit_code == 2
        assert "torch sees no GPU here" in done.output
    done = CliRunner().invoke(app, ["forward", "--use-gpu=perhaps", "m", "ark:a", "ark:b"])
    assert "perhaps is none of auto, cpu, cuda, yes, wait, no, optional" in " ".join(done.output.split())


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.system)])
def test_features_that_do_not_fit_are_told_with_table_and_utterance(run, model, tmp_path, jobs):
    with TableWriter("ark,scp:wide.ark,wide.scp") as table:
        for name in "song-1", "song-2":
            table.write(name, np.zeros((4, 9), np.float32))
    with pytest.raises(ModelError, match=r"scp:wide\.scp: song-[12]: the net takes 7 inputs, the features have 9"):
        run(f"forward final.nnet scp:wide.scp ark:o --nj {jobs}")
    assert not (tmp_path / "o").exists()


@pytest.fixture
def data(tmp_path):
    """data/train of four artists with five tracks each, and a segment vector of every track."""
    genres = {f"a{k}-t{t}": f"genre{k % 2}" for k in range(4) for t in range(5)}
    DataDir(tmp_path / "data" / "train", utt2spk={name: name[:2] for name in genres}, utt2genre=genres).write()
    with TableWriter(f"ark:{tmp_path}/seg.ark", "vector") as table:
        for name, genre in genres.items():
            table.write(name, np.array([int(genre[-1]), int(name[-1])], np.float32))
    return tmp_path / "data" / "train"


def test_a_subset_is_written_with_its_artists(run, data):
    run("subset-data data/train data/part --genre genre1 --per-genre 3")
    part = DataDir.read(data.parent / "part")
    assert part.utterances == ["a1-t0", "a1-t3", "a3-t1"]
    assert part.damage == []  # spk2utt agrees
    (data.parent / "list").write_text("a0-t4\na2-t0\n")
    run("subset-data data/train data/listed --utt-list data/list --first 1")
    assert DataDir.read(data.parent / "listed").utterances == ["a0-t4"]
    for line, said in (("data/train data/x", "say which utterances"), ("data/train data/train --first 2", "the whole")):
        done = CliRunner().invoke(app, ["subset-data", *line.split()])
        assert done.exit_code == 2
        assert said in " ".join(done.output.split())
    assert len(DataDir.read(data).utterances) == 20


def test_an_svm_does_without_one_label_in_twenty(run, data):
    lines = (data / "utt2genre").read_text().splitlines(keepends=True)
    (data / "utt2genre").write_text("".join(lines[1:]))
    run("train-svm data/train ark:seg.ark svm")
    (data / "utt2genre").write_text("".join(lines[2:]))
    with pytest.raises(DataError, match="2 of 20 tracks have a segment vector but no line in utt2genre"):
        run("train-svm data/train ark:seg.ark svm2")
