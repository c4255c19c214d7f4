"""score-baselines: what the paper's systems have to beat."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Annotated

import typer

from lstmgenre.cli.app import app, recorded
from lstmgenre.files import atomic_output

logger = logging.getLogger(__name__)


@app.command("score-baselines")
def score_baselines(
    context: typer.Context,
    train_dir: Annotated[Path, typer.Argument(metavar="TRAIN_DIR")],
    test_dir: Annotated[Path, typer.Argument(metavar="TEST_DIR")],
    exp_root: Annotated[Path, typer.Argument(metavar="EXP_ROOT")],
    nj: Annotated[int, typer.Option("--nj", min=1, help="Parallel jobs, for the MFCCs.")] = 1,
) -> None:
    """Majority class, mean scattering and MFCC statistics with the linear SVM: EXP_ROOT/NAME/SPLIT/score.json of each.

    Example: lstmgenre score-baselines data/train data/test exp
    """
    from lstmgenre import baselines
    from lstmgenre.datadir import DataDir

    need = ["feats.scp", "utt2genre", "utt2spk"]
    with recorded(context, exp_root, f"score-baselines-{test_dir.name}"):
        for name, report in baselines.score(DataDir.read(train_dir, need), DataDir.read(test_dir, need), nj):
            with atomic_output(exp_root / name / test_dir.name / "score.json") as stream:
                json.dump(report.as_dict(), stream, indent=1)
            accuracy = report.tracks[name].accuracy
            logger.info("%s: %d of %d tracks", name, accuracy.correct, accuracy.total)
