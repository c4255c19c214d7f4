"""score-baselines: what the paper's systems have to beat."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from lstmgenre.cli import options
from lstmgenre.cli.app import app, run_record
from lstmgenre.text import distinct_names

logger = logging.getLogger(__name__)


@app.command("score-baselines")
def score_baselines(
    context: typer.Context,
    train_dir: Annotated[Path, typer.Argument(metavar="TRAIN_DIR")],
    test_dir: Annotated[Path, typer.Argument(metavar="TEST_DIR")],
    exp_root: Annotated[Path, typer.Argument(metavar="EXP_ROOT")],
    nj: Annotated[int, options.jobs("Parallel jobs, for the MFCCs.")] = 1,
) -> None:
    """Majority class, mean scattering and MFCC statistics with the linear SVM: EXP_ROOT/NAME/SPLIT/score.json of each.

    Example: lstmgenre score-baselines data/train data/test exp
    """
    from lstmgenre import baselines, score_json
    from lstmgenre.datadir import DataDir
    from lstmgenre.expdir import ExpDir

    need = ["feats.scp", "utt2genre", "utt2spk"]
    (split,) = distinct_names([test_dir])
    with run_record(context, exp_root, f"score-baselines-{split}"):
        for name, report in baselines.score(DataDir.read(train_dir, need), DataDir.read(test_dir, need), nj):
            score_json.write(ExpDir(exp_root / name).score(split), report)
            accuracy = report.tracks[name].accuracy
            logger.info("%s: %d of %d tracks", name, accuracy.correct, accuracy.total)
