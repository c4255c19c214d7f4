"""The parsers, each with golden files and how they are damaged."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from lstmgenre import score_json
from lstmgenre.bundle import System
from lstmgenre.corpora import ismir2004, labels, probing
from lstmgenre.datadir import DataDir, validate
from lstmgenre.documents import decode_json, read_options
from lstmgenre.errors import FormatError, LstmGenreError
from lstmgenre.expdir import History
from lstmgenre.expdir.runs import Run, _ArchiveRun
from lstmgenre.learning.stages import _Mark
from lstmgenre.nnet1.fileformat import read_components, write_components
from lstmgenre.prediction import Answers
from lstmgenre.scattering import journal, scat_json
from lstmgenre.segments import Pooling
from lstmgenre.selection import _Document
from lstmgenre.svm import SegmentSvm
from lstmgenre.tables import Kind, read_script, read_table
from lstmgenre.tables.opening import split_offset
from lstmgenre.tables.records import Record
from lstmgenre.tables.specifiers import parse_range, parse_rspecifier, parse_wspecifier, split_range
from tests.fuzz.mutation import damaged, damaged_json
from tests.kaldi_nnet1 import content as model

DATA = Path(__file__).parents[1] / "data"
TABLES = DATA / "kaldi_io"


@dataclass(frozen=True)
class Target:
    """A parser: `goldens` gives what it takes, `parse` lets it read a content, in a folder for files."""

    name: str
    goldens: Callable[[], list[bytes]]
    parse: Callable[[bytes, Path], None]
    damage: Callable[[bytes, Random, Sequence[bytes]], bytes] = damaged


# nnet1


def _models(ending: str) -> list[bytes]:
    names = [
        f"{version}/init/{name}.{ending}" for version in ("2016", "head") for name in ("dnn7.start", "lstm7.start")
    ]
    transforms = [f"2016/init/{name}.{ending.split('.')[-1]}" for name in ("splice1", "delay5", "cmvn-g")]
    return [model(name) for name in (*names, *transforms)]


def _read_model(content: bytes, folder: Path) -> None:
    components = read_components(content, "model")
    for binary in (True, False):  # what is read can be written, and be read again
        assert len(read_components(write_components(components, binary, "head"), "again")) == len(components)


# Tables

KINDS: tuple[Kind, ...] = ("matrix", "vector", "int-vector", "posterior", "int", "float", "token")


def _archives() -> list[bytes]:
    names = ["in/feats7.ark", "io/comp_m1.ark", "io/comp_m3.ark", "io/comp_m5.ark", "io/feats7_t.ark", "io/vec.ark"]
    names += ["io/vec.txt", "io/int.ark", "io/int.txt", "io/post.ark", "io/post.txt", "io/special.txt"]
    return [(TABLES / name).read_bytes() for name in names]


def _read_archive(content: bytes, folder: Path) -> None:
    path = folder / "fuzz.ark"
    path.write_bytes(content)
    errors = []
    for kind in KINDS:
        try:
            for _ in read_table(f"ark:{path}", kind):
                pass
        except LstmGenreError as error:
            errors.append(error)
    if len(errors) == len(KINDS):
        raise errors[0]


def _scripts() -> list[bytes]:
    archive = TABLES / "in/feats7.ark"
    offset = archive.read_bytes().index(b"\0B")
    return [
        f"u1 {archive}:{offset}\nu2 {archive}:{offset}[0:3]\nu3 cat {archive} |\nu4 {archive}:7[0:3,1:2]\n".encode()
    ]


def _read_script(content: bytes, folder: Path) -> None:
    if b"/dev/zero" in content:
        return
    path = folder / "fuzz.scp"
    path.write_bytes(content)
    list(read_script(f"scp:{path}"))
    for _ in read_table(f"scp,p:{path}"):
        pass


def _specifiers() -> list[bytes]:
    texts = ("ark:a.ark", "ark,t:-", "scp,p,s,cs:data/feats.scp", "ark,scp:a.ark,a.scp", "ark:gunzip -c a.gz |")
    return [text.encode() for text in (*texts, "a.ark:123[0:4,2:3]", "b,o,s,cs,np,ark:x", "scp:x[0:1]")]


def _read_specifier(content: bytes, folder: Path) -> None:
    text = content.decode("utf-8", "surrogateescape")
    parsers: list[Callable[[str], object]] = [parse_rspecifier, parse_wspecifier, partial(parse_range, shape=(9, 5))]
    errors = []
    for parse in parsers:
        try:
            parse(text)
        except LstmGenreError as error:
            errors.append(error)
    name, wanted = split_range(text)
    file, offset = split_offset(name)
    assert text.startswith(file)
    assert 0 <= offset < 10**18
    if wanted:
        parse_range(wanted, (9, 5))
    if len(errors) == len(parsers) and file == text:
        raise errors[0]


# Data directories and lists of tracks

FILES = {
    "wav.scp": "a-r1 /music/1.wav\na-r2 sox x.mp3 -t wav - |\nb-r1 /music/3.wav\n",
    "segments": "a-1 a-r1 0 10.5\na-2 a-r2 1e1 -1\nb-1 b-r1 0.5 3\n",
    "utt2spk": "a-1 a\na-2 a\nb-1 b\n",
    "spk2utt": "a a-1 a-2\nb b-1\n",
    "utt2genre": "a-1 rock\na-2 rock\nb-1 jazz\n",
    "genres": "jazz\nrock\n",
    "feats.scp": "a-1 x.ark:4\na-2 x.ark:400\nb-1 x.ark:800[0:3]\n",
    "utt2num_frames": "a-1 10\na-2 20\nb-1 7\n",
    "utt2dur": "a-1 10.5\na-2 20\nb-1 2.5\n",
    "reco2dur": "a-r1 30\na-r2 30.25\nb-r1 9\n",
    "cmvn.scp": "a c.ark:2\nb c.ark:80\n",
}
_DIVIDER = b"=====\n"


def _data_dir() -> list[bytes]:
    return [_DIVIDER.join(text.encode() for text in FILES.values())]


def _read_data_dir(content: bytes, folder: Path) -> None:
    data = folder / "data"
    data.mkdir(exist_ok=True)
    parts = content.split(_DIVIDER)
    for k, name in enumerate(FILES):
        (data / name).write_bytes(parts[k] if k < len(parts) else b"")
    loose = DataDir.read(data, strict=False)
    validate(loose)
    DataDir.read(data)


def _tracklists() -> list[bytes]:
    head = '"class","artist","album","track","track_number","file_path"\n'
    rows = '"rock_pop","ann","one","song","1","rock/1.mp3"\n"world","bo, jr","x ""y""","t","2","w/2.mp3"\n'
    return [(head + rows).encode(), rows.replace("\n", ',"7"\n').encode()]


def _read_tracklist(content: bytes, folder: Path) -> None:
    path = folder / "tracklist.csv"
    path.write_bytes(content)
    list(ismir2004._read_tracklist(path, folder))


def _manifests() -> list[bytes]:
    return [
        b'path,artist,genre,split\nrock/1.wav,ann,rock,train\n"jazz/2, live.wav",bo,jazz,test\n',
        b"Path,Genre\n\xef\xbb\xbfx.wav,Hip-Hop\ny.wav,hip hop\n",
        b"Hip-Hop,hiphop\nhip hop,hiphop\nSpoken,\n",
    ]


def _read_manifest(content: bytes, folder: Path) -> None:
    path = folder / "manifest.csv"
    path.write_bytes(content)
    errors = []
    for read in (
        lambda: list(labels.read_table(path, ("path", "genre"))),
        lambda: labels.read_artists(folder, path),
        lambda: labels.merge_genres(["Hip Hop", "hip-hop", "Rock"], labels.read_genres(path)),
    ):
        try:
            read()
        except FormatError as error:
            errors.append(error)
    if len(errors) == 3:
        raise errors[0]


def _intakes() -> list[bytes]:
    found = asdict(probing.Probed("/music/1.wav", 9, 99, "abc", 1.5, {"artist": "ann"}))
    return [json.dumps({"seed": 1}).encode() + b"\n" + json.dumps(found).encode() + b"\n"]


def _read_intake(content: bytes, folder: Path) -> None:
    (folder / "intake.jsonl").write_bytes(content)
    probing.kept_head(folder)
    probing.kept(folder)


def _answers() -> list[bytes]:
    song = {"file": "a.wav", "genre": "rock", "scores": {"jazz": 0.5, "rock": 1.5}, "timeline": []}
    lines = 'file,genre,score_jazz,score_rock\na.wav,rock,0.5,1.5\n"b, c.wav",jazz,2,0\n'
    return [b"".join(json.dumps(song | {"file": name}).encode() + b"\n" for name in "ab"), lines.encode()]


def _read_answers(content: bytes, folder: Path) -> None:
    path = folder / "answers"
    path.write_bytes(content)
    Answers(path, jsonl=content.startswith(b"{")).close()


# Documents


def _documents(*documents: Any) -> Callable[[], list[bytes]]:
    return lambda: [json.dumps(document).encode() for document in documents]


def _read_document(schema: Any, content: bytes, folder: Path) -> None:
    decode_json(content, schema)


def _read_svm(content: bytes, folder: Path) -> None:
    import numpy as np

    svm = decode_json(content, SegmentSvm)
    scores = svm.scores({"u": np.linspace(-3, 3, svm.dim)})
    assert all(np.isfinite(list(of_track.values())).all() for of_track in scores.values())


def _read_score(content: bytes, folder: Path) -> None:
    report = decode_json(content, score_json.Score).report()
    assert all(0 <= score.accuracy.correct <= score.accuracy.total for score in report.tracks.values())
    json.dumps(report.as_dict(), allow_nan=False)
    report.as_lines()


def _tomls() -> list[bytes]:
    return [
        b'# it\n[train-lstm]\nhidden = [512, 512]\nlearn-rate = 1e-5\ndevice = "cpu"\n\n[train-dnn]\nseed = 0x1f\n',
        b"[pool-segments]\nthreshold = 0.7\n[train-svm]\nc = 10.0\n",
    ]


def _read_toml(content: bytes, folder: Path) -> None:
    path = folder / "fuzz.toml"
    path.write_bytes(content)
    for table in read_options(path).values():
        str(table)


def _json_targets() -> list[Target]:
    from tests.test_documents import HISTORY, RUN, SCAT, SCORE, SVM

    entry = {"utterance": "u", "key": "k", "offset": 3, "end": 90, "frames": 4, "duration": 1.5, "state": ["x", 1, 2]}
    systems = {name: {"name": name, "threshold": None, "c": c} for name, c in (("scat", 1.0), ("vote", None))}
    tracks = dict.fromkeys(("scat", "vote", "choice"), SCORE["tracks"]["svm"])
    chosen = {"chosen": "scat", "best": systems, "scores": SCORE | {"tracks": tracks}, "folds": 3, "asked_for": False}
    schemas: dict[str, tuple[Any, Any]] = {
        "training.json": (History, HISTORY),
        "log": (Run, RUN),
        "ark.json": (_ArchiveRun, RUN | {"archive": "seg.ark", "pooling": SVM["pooling"]}),
        "ark.json's archive": (Record, {"archive": "seg.ark"}),
        "scat.json": (scat_json.Record, SCAT),
        "pooling": (Pooling, SVM["pooling"]),
        "selection.json": (_Document, chosen),
        "system.json": (System, {"system": "vote"}),
        "made_from.json": (_Mark, {"made_from": "abc"}),
        "journal": (journal.Entry, entry | {"content": "abc"}),
        "journal's head": (journal._Head, {"plan": "abc", "keys": ["a", "b"]}),
    }
    return [
        *(
            Target(name, _documents(golden), partial(_read_document, schema), damaged_json)
            for name, (schema, golden) in schemas.items()
        ),
        Target("svm.json", _documents(SVM), _read_svm, damaged_json),
        Target("score.json", _documents(SCORE), _read_score, damaged_json),
    ]


TARGETS = [
    Target("nnet1 binary", partial(_models, "bin"), _read_model),
    Target("nnet1 text", partial(_models, "txt"), _read_model),
    Target("archives", _archives, _read_archive),
    Target("lists", _scripts, _read_script),
    Target("specifiers", _specifiers, _read_specifier),
    Target("data directories", _data_dir, _read_data_dir),
    Target("tracklists", _tracklists, _read_tracklist),
    Target("manifests", _manifests, _read_manifest),
    Target("intakes", _intakes, _read_intake),
    Target("answers", _answers, _read_answers),
    Target("TOML", _tomls, _read_toml),
    *_json_targets(),
]
