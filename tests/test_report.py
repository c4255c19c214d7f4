"""The report: against the paper's own lines, the recipe's steps taken one by one, and parsers of what it writes."""

import csv
import json
import logging
import re
import shutil
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from typer.testing import CliRunner

from lstmgenre import segments, svm
from lstmgenre.cli.app import app
from lstmgenre.datadir import DataDir
from lstmgenre.errors import DataError, FormatError
from lstmgenre.expdir import Epoch
from lstmgenre.nnet1 import init
from lstmgenre.report import figures, render
from lstmgenre.report.experiments import Experiment, read_experiments
from lstmgenre.report.results import column, mcnemar_table, splits_table, table2, table4
from lstmgenre.report.thresholds import Tracks, sweep
from lstmgenre.report.writing import write
from lstmgenre.scoring import Accuracy, Report, TrackScore
from lstmgenre.tables import TableWriter, read_table

GENRES = ["classical", "rock", "world"]
DIM = 5


def posteriors(rng, genre, frames):
    """Softmax of noise that leans towards the true genre."""
    raw = np.exp(rng.normal(size=(frames, len(GENRES))) + 1.5 * (np.arange(len(GENRES)) == genre))
    return (raw / raw.sum(axis=1, keepdims=True)).astype(np.float32)


def write_table(path, entries, kind="matrix"):
    path.parent.mkdir(parents=True, exist_ok=True)
    with TableWriter(f"ark,scp:{path.with_suffix('.ark')},{path}", kind) as table:
        for name, value in entries.items():
            table.write(name, value)


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def scored(utt2genre, frames=None, **predictions):
    report = Report(GENRES)
    if frames:
        report.add_posteriors(frames.items(), utt2genre)
    for name, genres in predictions.items():
        report.add_tracks(name, genres, utt2genre)
    return report


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """What a recipe leaves: data/{train,test} and exp/ with a DNN, an LSTM with its segment features, a baseline."""
    root = tmp_path_factory.mktemp("recipe")
    rng = np.random.default_rng(1)
    post = {}
    for split in ("train", "test"):
        data = DataDir(root / "data" / split, genre_order=GENRES)
        # The artists a0 to a3 of the test set have tracks in training, b4 and b5 have none.
        artists = [("b" if split == "test" and k > 3 else "a") + str(k) for k in range(6)]
        names = {f"{artists[k % 6]}-{split}{k:02}": k % 3 for k in range(24)}
        data.utt2spk = {name: name[:2] for name in names}
        data.utt2genre = {name: GENRES[genre] for name, genre in names.items()}
        post[split] = {name: posteriors(rng, genre, 20 + genre) for name, genre in names.items()}
        feats = {name: rng.normal(size=(20 + genre, DIM)).astype(np.float32) for name, genre in names.items()}
        write_table(data.path / "feats.scp", feats)
        data.feats = DataDir.read(data.path).feats
        data.write()
    truth = data.utt2genre
    init.dnn(DIM, [4], 3, seed=1).write(root / "exp/dnn1/final.nnet")
    init.lstm(DIM, [2], [3], 3, 1, 0.1, 5.0).write(root / "exp/lstm1/final.nnet")
    epochs = [
        Epoch(0, "nnet.init", True, 1.2, 30.0, 90.0),
        Epoch(1, "one", True, 0.8, 60.0, 90.0, 0.01, 0.9, 55.0, 500.0),
        Epoch(2, "two", False, 0.9, 55.0, 90.0, 0.01, 0.7, 65.0, 500.0),
    ]
    for name in ("dnn1", "lstm1"):
        for split in post:
            write_table(root / f"exp/{name}/{split}/post.scp", post[split])
        write_json(root / f"exp/{name}/training.json", {"settings": {}, "epochs": msgspec.to_builtins(epochs)})
        kind = name.rstrip("1").replace("lstm", "train-lstm").replace("dnn", "train-dnn")
        write_json(
            root / f"exp/{name}/log/{kind}.json",
            {
                "name": kind,
                "command": f"lstmgenre {kind} data/train exp/{name} | weird",
                "options": {"data_dir": str(root / "data/train"), "seed": 4711},
                "versions": {"torch": "9.8.7", "python": "3.99"},
                "started": "2026-01-02T03:04:05+0000",
                "seconds": 3725.0,
            },
        )
    decisions = {}
    for name, feats in (("lseg", {}), ("fseg", {s: dict(read_table(f"scp:{root}/data/{s}/feats.scp")) for s in post})):
        vectors = {split: dict(segments.pool_all(post[split].items(), 0.9, feats.get(split))) for split in post}
        train = DataDir.read(root / "data/train")
        blocks = segments.blocks_of(vectors["train"], len(GENRES))
        model = svm.train(vectors["train"], train.utt2genre, GENRES, blocks=blocks)
        model.pooling = segments.Pooling(0.9, fuse=bool(feats))
        model.save(root / "exp/lstm1" / name)
        decisions[name] = model.predict(vectors["test"])
    write_json(root / "exp/dnn1/test/score.json", scored(truth, post["test"]).as_dict())
    score = scored(truth, post["test"], **decisions)
    score.add_artists(data.utt2spk, train.utt2spk)
    write_json(root / "exp/lstm1/test/score.json", score.as_dict())
    majority = dict.fromkeys(truth, "classical")
    write_json(root / "exp/majority/test/score.json", scored(truth, majority=majority).as_dict())
    return root


@pytest.fixture(scope="module")
def out(recipe, tmp_path_factory):
    out = tmp_path_factory.mktemp("report")
    write(recipe / "exp", out)
    return out


@pytest.fixture
def undrawn(monkeypatch):
    """Figures have all but their pictures, which take longer than all else; the fixture `out` has those."""
    monkeypatch.setattr(figures, "_save", lambda figure, format: b"")


def experiment(label, layers, recurrent, *systems, rights=8):
    utt2genre = {f"t{k}": GENRES[k % 3] for k in range(12)}
    wrong = {f"t{k}": GENRES[(k + (k >= rights)) % 3] for k in range(12)}
    frames = {u: np.eye(3, dtype=np.float32)[[GENRES.index(g)]] for u, g in wrong.items()}
    score = scored(utt2genre, frames if layers else None, **dict.fromkeys(systems, wrong))
    return Experiment(Path("exp") / label, f"{label}({layers})" if layers else label, score, layers, recurrent)


def test_tables_have_the_papers_accuracies_beside_those_of_the_same_layers():
    layers = ["512", "1024", "512-512", "1024-1024"]
    networks = [experiment("baseline-DNN1", "525-1024-6", False), experiment("baseline-DNN2", "525-1024-1024-6", False)]
    networks += [experiment("LSTM", f"525-{hidden}-6", True, "lseg", "fseg") for hidden in layers]

    def paper(table):
        assert [cell for cell in table.head if cell != "paper"] == [table.head[0], *table.head[1::2]]
        return [" ".join([row[0], *row[2::2]]) for row in table.rows]

    # Lines of the paper's Tables 2 and 4 as they are printed there.
    assert paper(table2(networks).as_table()) == [
        "baseline-DNN1(525-1024-6) 75.92% 85.32%",
        "baseline-DNN2(525-1024-1024-6) 76.35% 84.35%",
        "LSTM(525-512-6) 83.85% 87.52%",
        "LSTM(525-1024-6) 83.78% 87.65%",
        "LSTM(525-512-512-6) 81.66% 86.28%",
        "LSTM(525-1024-1024-6) 80.44% 82.99%",
    ]
    assert paper(table4(networks).as_table()) == [
        "LSTM(525-512-6) 87.52% 88.07% 89.71%",
        "LSTM(525-1024-6) 87.65% 88.34% 88.07%",
        "LSTM(525-512-512-6) 86.28% 86.14% 88.48%",
        "LSTM(525-1024-1024-6) 82.99% 83.95% 86.42%",
    ]


def test_the_terminal_shows_the_papers_columns():
    networks = [experiment("baseline-DNN1", "525-9-3", False), experiment("LSTM", "525-8-3", True, "lseg", rights=12)]
    assert table2(networks).as_lines()[2:] == [
        "model(layers)           Frame acc    Seg acc",
        "baseline-DNN1(525-9-3)     66.67%     66.67%",
        "LSTM(525-8-3)             100.00%    100.00%",
    ]
    assert table4(networks).as_lines()[2:] == [
        "model(LSTM layer)    Seg acc   LSeg acc   FSeg acc",
        "LSTM(525-8-3)        100.00%    100.00%          -",
    ]
    assert "paper" not in table2(networks).as_table().head


def test_cross_fitted_and_unknown_systems_are_columns_and_baselines_rows():
    experiments = [
        experiment("LSTM", "525-8-3", True, "fseg", "lseg", "tuned", "lseg_cf5", "fseg_cf5_sel"),
        experiment("majority class", "", False, "majority"),
        experiment("both", "", False, "mean", "max", rights=6),
    ]
    table = table4(experiments).as_table()
    columns = ["Seg", "LSeg", "FSeg", "tuned", "LSeg-cf5", "FSeg-cf5-sel", "Baseline"]
    assert table.head[1:] == [f"{name} acc" for name in columns]
    assert [row[0] for row in table.rows] == ["LSTM(525-8-3)", "majority class", "both, mean", "both, max"]
    assert table.rows[0][-1] == "–"
    assert [row[1:-1] for row in table.rows[1:]] == [["–"] * 6] * 3
    assert table.rows[2][-1].startswith("50.00% [")


def test_mcnemars_tests_are_all_pairs_once():
    experiments = [experiment(str(k), "", False, "svm", rights=k) for k in (2, 7, 11, 12)]
    table = mcnemar_table(experiments)
    assert len(table.records) == 6
    assert len({frozenset((r["first"], r["second"])) for r in table.records}) == 6
    # 5 tracks that only one of two systems has right: 2 / 2^5 in either tail; 9 of them: 2 / 2^9.
    assert [row[2:] for row in table.rows] == [
        ["", "", ""],
        ["0.062", "", ""],
        ["0.004*", "0.125", ""],
        ["0.002*", "0.062", "1.000"],
    ]


def test_networks_of_the_same_layers_are_told_apart(recipe, tmp_path):
    for name in ("lstm1", "seed2"):
        shutil.copytree(recipe / "exp/lstm1", tmp_path / name)
    labels = [e.label for e in read_experiments(tmp_path)]
    assert len(set(labels)) == 2
    assert all(name in label for name, label in zip(("lstm1", "seed2"), labels, strict=True))


def test_other_splits_stand_beside():
    here, there = [experiment("svm", "", False, "x", rights=12)], [experiment("svm", "", False, "x", rights=6)]
    table = splits_table("test", here, {"by artist": there, "elsewhere": [experiment("y", "", False, "x")]})
    assert table.head == ["system", "test", "by artist", "elsewhere"]
    (row,) = table.rows
    assert [cell.split()[0] for cell in row] == ["svm", "100.00%", "50.00%", "–"]


@pytest.fixture
def lstm(recipe, tmp_path):
    """The LSTM of the recipe, to be changed; and the tracks that it was trained and tested on."""
    shutil.copytree(recipe / "exp/lstm1", tmp_path / "lstm1")
    (network,) = read_experiments(tmp_path)
    return network, *(Tracks.read(DataDir.read(recipe / "data" / split)) for split in ("train", "test"))


def test_figure_3_at_the_papers_k_is_what_the_recipe_scored(lstm):
    network, train, test = lstm
    curves = dict(sweep(network, train, test, "test", [0.5, 0.9]))
    assert {system: curve[0.9] for system, curve in curves.items()} == {
        system: network.score.tracks[system].accuracy for system in ("lseg", "fseg")
    }
    # At k = 0.5 the recipe's steps, taken by hand.
    pooled = {s: dict(segments.pool_all(network.posteriors(s).items(), 0.5)) for s in ("train", "test")}
    predictions = svm.train(pooled["train"], train.data.utt2genre, GENRES).predict(pooled["test"])
    right = sum(genre == test.data.utt2genre[utterance] for utterance, genre in predictions.items())
    assert curves["lseg"][0.5] == Accuracy(right, 24)


def test_figure_3_has_the_c_and_the_posteriors_of_the_svm(lstm, monkeypatch):
    network, train, test = lstm
    # Posteriors of the next genre: what learns from these is wrong wherever it is sure.
    turned = {name: np.roll(frames, 1, axis=1) for name, frames in network.posteriors("train").items()}
    write_table(network.directory / "train/post_cf2.scp", turned)
    model = svm.SegmentSvm.load(network.directory / "lseg")
    for system, model.c in (("lseg_cf2", 1.0), ("lseg_cf2_sel", 0.01)):
        model.save(network.directory / system)
        network.score.add_tracks(system, {}, {})
    penalties = []
    train_svm = svm.train
    monkeypatch.setattr(svm, "train", lambda *arguments: penalties.append(arguments[3]) or train_svm(*arguments))
    curves = dict(sweep(network, train, test, "test", [0.9]))
    assert list(curves) == ["lseg", "fseg", "lseg_cf2", "lseg_cf2_sel"]
    assert penalties == [1.0, 1.0, 1.0, 0.01]
    assert curves["lseg"][0.9].rate > 0.7
    assert curves["lseg_cf2"][0.9].rate < 0.3


def test_posteriors_without_features_are_named(lstm):
    network, train, test = lstm
    strange = Tracks(train.data, {name: mean for name, mean in train.means.items() if name != "a0-train00"})
    with pytest.raises(DataError, match=r"feats\.scp: no features of a0-train00"):
        dict(sweep(network, strange, test, "test"))


def test_everything_is_written(out):
    figure_names = ["figure2", "figure3", "learning-loss", "learning-accuracy"]
    figure_names += [f"confusion-{name}" for name in ("dnn1", "lstm1", "majority")]
    tables = ["table2", "table4", "figure3", "recall", "mcnemar", "artists", "splits", "networks", "versions", "runs"]
    expected = {"RESULTS.md", "report.html", "results.json", *(f"{name}.csv" for name in tables)}
    expected |= {f"{name}.{suffix}" for name in figure_names for suffix in ("png", "svg")}
    assert {path.name for path in out.iterdir()} == expected
    for name in figure_names:
        assert (out / f"{name}.png").read_bytes().startswith(b"\x89PNG\r\n")
        assert ElementTree.parse(out / f"{name}.svg").getroot().tag.endswith("svg")


def test_json_and_csv_hold_the_same_numbers_as_the_scores(recipe, out):
    results = json.loads((out / "results.json").read_text())
    score = json.loads((recipe / "exp/lstm1/test/score.json").read_text())
    row = next(r for r in results["table4"] if r["model"].startswith("LSTM") and r["system"] == "FSeg")
    assert (row["accuracy"], row["low"], row["high"]) == (
        score["tracks"]["fseg"]["accuracy"],
        *score["tracks"]["fseg"]["interval"],
    )
    recalls = score["tracks"]["fseg"]["recall"]
    of_fseg = [r for r in results["recall"] if r["system"].endswith("FSeg")]
    assert {r["genre"]: r["accuracy"] for r in of_fseg} == {**recalls, "macro average": np.mean(list(recalls.values()))}
    assert {r["split"] for r in results["splits"]} == {"test", "test, known artists", "test, other artists"}
    assert all(r["low"] <= r["accuracy"] <= r["high"] for r in results["splits"])
    assert {(r["command"], r["seed"], r["seconds"]) for r in results["runs"]} == {
        ("train-dnn", 4711, 3725.0),
        ("train-lstm", 4711, 3725.0),
    }
    assert results["artists"] == [{"split": "test", "tracks": 24, "by known artists": 16}]
    assert {"name": "torch", "version": "9.8.7"} in results["versions"]
    assert [r["held-out loss"] for r in results["networks"]] == [0.8, 0.8]  # of the last epoch that was accepted
    for name, records in results.items():
        with open(out / f"{name}.csv", newline="", encoding="utf-8") as stream:
            assert list(csv.DictReader(stream)) == [
                {key: "" if value is None else str(value) for key, value in record.items()} for record in records
            ]


def test_results_md_says_what_a_reader_must_know(out):
    text = (out / "RESULTS.md").read_text(encoding="utf-8")
    assert text.startswith("# Results of exp, test\n")
    # Six artists with four test tracks each, of whom four are known from training.
    assert "| test | 24 | 16 |" in text
    assert "choice in which no test track has a part. Of these that is LSTM(5-2-3), whose FSeg has" in text
    facts = ("| torch | 9.8.7 |", "4711", "1:02:05", "lstmgenre train-lstm data/train exp/lstm1")
    assert all(fact in text for fact in facts)
    for image in re.findall(r"\]\((.+?)\)", text):
        assert (out / image).exists()
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        columns = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(columns) == 1


PAPER_SAYS = "4.39 points over its baseline-DNN1 (85.32%) and 2.19 points over the majority vote"


def test_the_paper_and_ismir_2004_are_told_of_where_they_are_in_it(recipe, tmp_path, undrawn):
    root = shutil.copytree(recipe, tmp_path / "copy")
    write(root / "exp", tmp_path / "own", figure_3=False)
    own = (tmp_path / "own/RESULTS.md").read_text(encoding="utf-8")
    own = own.partition("## How this was made")[0]  # where paths are
    assert not re.search("paper|ismir|729|Table [24]", own, re.IGNORECASE)
    run = {"name": "prep-data ismir2004", "command": "x", "options": {}, "versions": {}, "started": "2026"}
    write_json(root / "exp/log/prep-data.json", run | {"seconds": 1.0})
    write(root / "exp", tmp_path / "ismir", figure_3=False)
    ismir = (tmp_path / "ismir/RESULTS.md").read_text(encoding="utf-8")
    for words in (PAPER_SAYS, "Table 4. Segment features", "ISMIR 2004's evaluation part"):
        assert words in ismir


class Page(HTMLParser):
    """Collects every tag of a page, and checks that they close in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "img", "source"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def test_the_page_needs_nothing_but_itself_and_can_be_read_aloud(out):
    text = (out / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    targets = [a[key] for _, a in page.tags for key in ("src", "href", "srcset") if key in a]
    ids = {a["id"] for _, a in page.tags if "id" in a}
    assert all(t.startswith("data:image/svg+xml;base64,") or t.removeprefix("#") in ids for t in targets)
    assert not {"script", "link", "iframe"} & {tag for tag, _ in page.tags}
    assert "url(" not in text
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("img")) == len(page.all("source")) == 7
    assert all(image["alt"] for image in page.all("img"))
    assert all("scope" in heading for heading in page.all("th"))
    assert all("aria-label" in a for _, a in page.tags if "tabindex" in a)
    assert all("dark" in source["media"] for source in page.all("source"))


def test_what_looks_like_markup_stays_text():
    table = render.ReportTable("t", "<b>", ["a|b", "&"], [["<i>", "x|y"]], [])
    sections = [render.Section("<h>", ["1 < 2", table, render.Code(["<pre> | &"])])]
    page = Page(render.html("<title>", sections))
    assert not {"b", "i", "h"} & {tag for tag, _ in page.tags}
    assert r"| \<i> | x\|y |" in render.markdown("t", sections)


def test_no_genre_hides_another_in_figure_2():
    even = {f"t{k}": np.full((400, 3), 1 / 3, np.float32) for k in range(12)}  # all points lie on one another
    drawn = figures.scores(even, {name: GENRES[int(name[1:]) % 3] for name in even}, GENRES)
    FigureCanvasAgg(drawn).draw()
    pixels = np.asarray(drawn.canvas.buffer_rgba())[..., :3].reshape(-1, 3) / 255
    pixels = pixels[np.ptp(pixels, axis=1) > 0.3]  # those of a colour
    nearest = np.argmin([((pixels - to_rgb(f"C{k}")) ** 2).sum(axis=1) for k in range(3)], axis=0)
    counts = np.bincount(nearest, minlength=3)
    assert counts.min() > 0.25 * counts.max()


def test_figures_are_the_same_each_time_and_differ_by_theme():
    genres = ["rock", r"no $\math$ in names"]
    score = TrackScore(genres, dict(zip("ab", genres, strict=True)), {"a": "rock", "b": "rock"})
    first, second = (figures.render(lambda: figures.confusion({"system": score})) for _ in range(2))
    assert first == second
    assert first["svg"] != first["dark_svg"]


def test_without_matplotlib_all_but_the_plots_is_written(recipe, tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with caplog.at_level(logging.WARNING, "lstmgenre"):
        write(recipe / "exp", tmp_path)
    assert [record.message for record in caplog.records] == [
        "no plots: matplotlib is not installed: pip install 'lstmgenre[plot]'"
    ]
    assert not [path for path in tmp_path.iterdir() if path.suffix in (".png", ".svg")]
    assert "<img" not in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Accuracy on tracks over k" in (tmp_path / "RESULTS.md").read_text(encoding="utf-8")


def test_scores_alone_are_enough(tmp_path, caplog, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    truth = {"a": "rock", "b": "world"}
    write_json(tmp_path / "exp/mine/dev/score.json", scored(truth, svm=truth).as_dict())
    write_json(tmp_path / "exp/mine/dev2/score.json", scored(truth, svm=dict.fromkeys(truth, "rock")).as_dict())
    write(tmp_path / "exp", tmp_path / "out", "dev", beside=None)
    text = (tmp_path / "out/RESULTS.md").read_text(encoding="utf-8")
    assert "| system | dev | dev2 |" in text
    assert "--train-data" in caplog.text
    assert not (tmp_path / "out/table2.csv").exists()


def test_an_artist_grouped_split_is_shown_beside(recipe, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    truth = DataDir.read(recipe / "data/test").utt2genre
    wrong = {u: GENRES[(GENRES.index(g) + (u < "b")) % 3] for u, g in truth.items()}  # known artists wrong: 16 of 24
    write_json(tmp_path / "exp/svm/test/score.json", scored(truth, svm=truth).as_dict())
    write_json(tmp_path / "exp_artist/svm/test/score.json", scored(truth, svm=wrong).as_dict())
    write(tmp_path / "exp", tmp_path / "out", beside=tmp_path / "exp_artist")
    text = (tmp_path / "out/RESULTS.md").read_text(encoding="utf-8")
    assert "| system | test | exp_artist/test |" in text
    assert "svm, the best on test, has 33.33% (95% interval 18.0% to 53.3%) on exp_artist/test: -66.67 points" in text


def test_data_that_is_asked_for_must_be_there(recipe, tmp_path):
    with pytest.raises(DataError, match="nowhere"):
        write(recipe / "exp", tmp_path / "out", train_data=tmp_path / "nowhere", test_data=recipe / "data/test")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("damage", "error", "said"),
    [
        ({}, DataError, r"no \*/test/score\.json"),
        ({"exp/a/test/score.json": "{"}, FormatError, r"a/test/score\.json: damaged.* score again"),
        ({"exp/a/test/score.json": "[]"}, FormatError, "score again"),
        (
            {"exp/a/test/score.json": '{"genres": ["x"], "frames": null, "tracks": {}, "known_artists": null}'},
            FormatError,
            r"truth.*score again",
        ),
        ({"exp/a/test/score.json": json.dumps(Report(["x"]).as_dict())}, FormatError, "no track was scored"),
        ({"exp/a/log/train-dnn.json": "null"}, FormatError, r"train-dnn\.json: damaged.* delete it"),
        ({"exp/a/final.nnet": ""}, FormatError, r"final\.nnet"),
    ],
)
def test_damage_is_named(tmp_path, damage, error, said):
    if damage and "exp/a/test/score.json" not in damage:
        write_json(tmp_path / "exp/a/test/score.json", scored({"t": "rock"}, svm={"t": "rock"}).as_dict())
    for name, content in damage.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    with pytest.raises(error, match=said) as caught:
        write(tmp_path / "exp", tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_the_command_prints_and_writes_only_when_told_where(recipe, tmp_path, monkeypatch, undrawn):
    monkeypatch.chdir(tmp_path)
    shown = CliRunner().invoke(app, ["report", f"{recipe}/exp"])
    assert shown.exit_code == 0, shown.stderr
    assert shown.stdout.startswith("Table 2. ")
    assert "majority class" in shown.stdout
    assert list(tmp_path.iterdir()) == []
    told = CliRunner().invoke(app, ["report", f"{recipe}/exp", "out", "--json"])
    assert told.exit_code == 0, told.stderr
    assert {r["system"] for r in json.loads(told.stdout)["table4"]} == {"Seg", "LSeg", "FSeg", "Baseline"}
    assert "report.html" in told.stderr
    assert json.loads((tmp_path / "out/log/report.json").read_text())["seconds"] > 0


def test_damaged_learning_curves_are_named(tmp_path):
    write_json(tmp_path / "training.json", {"epochs": [{"iteration": 1}]})
    with pytest.raises(FormatError, match=r"training\.json: damaged.* train the network"):
        Experiment(tmp_path, "LSTM", Report(GENRES)).curve()


def test_no_system_goes_by_the_name_of_another():
    names = ["majority vote", "lseg", "fseg", "lseg_a_b", "lseg_a-b", "LSeg-a-b", "Seg", "FSeg", "LSeg", "svm", "lseg_"]
    assert len({column(name) for name in names}) == len(names)
    assert [column(name) for name in ("lseg_cf5_sel", "lseg", "other")] == ["LSeg-cf5-sel", "LSeg", "other"]
