"""The systems on tracks that they have not heard: the choice among them, and scores that `lstmgenre report` reads."""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from lstmgenre import provenance, score_json
from lstmgenre.datadir import DataDir
from lstmgenre.expdir import ExpDir
from lstmgenre.learning.settings import Means
from lstmgenre.nnet1.forward import forward
from lstmgenre.parallel import loky
from lstmgenre.parallel.run import run
from lstmgenre.parallel.table import map_table
from lstmgenre.scoring import Report
from lstmgenre.segments import mean_vector
from lstmgenre.selection import SCAT, VOTE, Evidence, Selection, System, Trial, select, try_out, variants
from lstmgenre.svm import SegmentSvm
from lstmgenre.tables import read_table
from lstmgenre.text import counted

logger = logging.getLogger(__name__)

FOLDS = "folds"
"""The split whose scores are those of cross-validation."""
TEST = "test"

_SCAT, _MAJORITY = "scat_svm", "majority"  # baselines, by the names that `lstmgenre report` knows
_WORTH_A_PROCESS = 200  # tracks: of fewer, all trials together take no longer than processes take to start
_TRIED = b"tried out"


def evidence_of(train: DataDir, folds: list[list[str]], exp: Path) -> Evidence:
    means = {utterance: mean_vector(matrix) for utterance, matrix in read_table(f"scp:{train.path / 'feats.scp'}")}
    posteriors = dict(read_table(f"scp:{exp / FOLDS / 'post.scp'}"))
    return Evidence(train.genres, train.utt2genre, folds, means, posteriors)


def choose(train: DataDir, evidence: Evidence, exp: Path, system: str | None, means: Means) -> Selection:
    """Choose, and keep in EXP_DIR the choice, its scores, and an SVM of each system that has one."""
    chosen = select(evidence, _trials(evidence, exp, means), system)
    chosen.save(exp)
    for name, variant in chosen.best.items():
        if name != VOTE:
            evidence.fit(variant).save(exp / name)
            provenance.write(exp / name, train.feats, evidence.utt2genre)
    scores = Report(evidence.genres)
    scores.add_posteriors(evidence.posteriors.items(), evidence.utt2genre)
    for name, score in chosen.scores.tracks.items():
        if name != VOTE:
            scores.add_tracks(name, score.predictions, evidence.utt2genre)
    _write(scores, exp, FOLDS)
    _score_majority(evidence.utt2genre, evidence.utt2genre, evidence.genres, exp, FOLDS)
    right = ", ".join(f"{name} {chosen.scores.tracks[name].accuracy.correct}" for name in chosen.best)
    logger.info("systems: right of %d tracks: %s; %s is taken", chosen.worth.accuracy.total, right, chosen.chosen.name)
    return chosen


@dataclass(frozen=True)
class _Shard:
    """Systems that one process tries out."""

    evidence: Evidence
    systems: list[System]


def _trials(evidence: Evidence, exp: Path, means: Means) -> list[Trial]:
    """A trial of every variant, in the order of preference."""
    systems = variants()
    jobs = means.jobs if len(evidence.utt2genre) >= _WORTH_A_PROCESS else 1
    logs = [exp / "log" / f"systems.{k + 1}.log" for k in range(jobs)]
    for log in logs:
        log.unlink(missing_ok=True)
    shards = [_Shard(evidence, systems[k::jobs]) for k in range(jobs)]

    def count() -> int:
        return sum(log.read_bytes().count(_TRIED) for log in logs if log.exists())

    with means.progress("trying systems", len(systems), count):
        engine = means.engine if jobs > 1 else loky.processes
        parts = run(_try_out, shards, jobs, str(exp / "log" / "systems.JOB.log"), engine)
    trials = {trial.system: trial for part in parts for trial in part}
    return [trials[system] for system in systems]


def _try_out(shard: _Shard) -> list[Trial]:
    trials = []
    for trial in try_out(shard.evidence, shard.systems):
        logger.info("%s: %s", _TRIED.decode(), trial.system)
        trials.append(trial)
    return trials


def score_test(test: DataDir, train: DataDir, exp: Path) -> Report:
    """The scores of all systems on tracks that none has heard, in EXP_DIR/test/score.json."""
    features, out = f"scp:{test.path / 'feats.scp'}", exp / TEST
    map_table(forward, {"model": exp}, features, f"ark,scp:{out / 'post.ark'},{out / 'post.scp'}")
    posteriors = dict(read_table(f"scp:{out / 'post.scp'}"))
    means = {utterance: mean_vector(matrix) for utterance, matrix in read_table(features)}
    evidence = Evidence(train.genres, test.utt2genre, [], means, posteriors)
    scores = Report(train.genres)
    scores.add_posteriors(posteriors.items(), test.utt2genre)
    for name, variant in Selection.load(exp).best.items():
        if name != VOTE:
            model = SegmentSvm.load(exp / name)
            scores.add_tracks(name, model.predict(evidence.vectors(variant, posteriors)), test.utt2genre)
    scores.add_artists(test.utt2spk, train.utt2spk)
    scores.seen = provenance.seen(provenance.contents_of(test.feats), provenance.contents_of(train.feats))
    if scores.seen:
        logger.warning("test: no test score: %s", scores.about_seen())
    _write(scores, exp, TEST)
    _score_majority(train.utt2genre, test.utt2genre, train.genres, exp, TEST)
    logger.info("test: scored on %s", counted(len(scores.truth), "track"))
    return scores


def forget_test(exp: Path) -> None:
    """Remove the scores of a run before, which had tracks to test on."""
    for directory in (exp, exp.parent / _SCAT, exp.parent / _MAJORITY):
        shutil.rmtree(directory / TEST, ignore_errors=True)


def _write(scores: Report, exp: Path, split: str) -> None:
    """Those of the network's systems in EXP_DIR, and of the SVM that needs none in a directory beside it, as of the
    recipe's baseline."""
    tracks = dict(scores.tracks)
    alone = {_SCAT: tracks.pop(SCAT)}
    score_json.write(ExpDir(exp).score(split), replace(scores, tracks=tracks))
    score_json.write(ExpDir(exp.parent / _SCAT).score(split), replace(scores, frames=None, tracks=alone))


def _score_majority(
    train: Mapping[str, str], test: Mapping[str, str], genres: list[str], exp: Path, split: str
) -> None:
    scores = Report(genres)
    scores.add_tracks(_MAJORITY, dict.fromkeys(test, Counter(train.values()).most_common(1)[0][0]), test)
    score_json.write(ExpDir(exp.parent / _MAJORITY).score(split), scores)


def report(exp: Path, split: str, name: str) -> Path:
    """Report on the scores of a split of the corpus of that name; returns the page."""
    from lstmgenre.report.writing import write  # brings in matplotlib, where that is there

    write(exp, exp / "report", split, name=name, figure_3=False)
    logger.info("report: wrote %s", exp / "report" / "report.html")
    return exp / "report" / "report.html"
