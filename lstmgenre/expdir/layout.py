"""Where things are in an experiment directory, with Kaldi's names.

::

    EXP_DIR/genres                    the classes, in the order of the network's outputs
            train.scp  cv.scp         the features that the network is trained on, and those held out
            utt2genre                 the genre of each track of these two
            scat.json                 the configuration of these features (scattering/scat_json.py)
            nnet.init                 the net that training starts from
            final.feature_transform   applied to all features (if there is one)
            nnet/nnet_iter03_learnrate0.014_tr1.0541_cv1.0481[_rejected]
            training.json             the settings and every epoch's numbers (history.py); resuming starts here
            final.nnet                the best net; it exists when training has ended
            log/                      what was run (runs.py), and the losses of every epoch as Kaldi logs them
            SPLIT/score.json          how well a set of tracks was classified (scoring.py)
            SVM/svm.json              a classifier of segment vectors (svm.py)
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lstmgenre.datadir import DataDir

SCORE = "score.json"


@dataclass(frozen=True)
class ExpDir:
    """The files of an experiment directory; none of them need be there."""

    path: Path

    @property
    def nnet(self) -> Path:
        return self.path / "final.nnet"

    @property
    def initial_nnet(self) -> Path:
        return self.path / "nnet.init"

    @property
    def feature_transform(self) -> Path:
        return self.path / "final.feature_transform"

    @property
    def training(self) -> Path:
        return self.path / "training.json"

    @property
    def genres_file(self) -> Path:
        return self.path / "genres"

    @property
    def train_scp(self) -> Path:
        return self.path / "train.scp"

    @property
    def cv_scp(self) -> Path:
        return self.path / "cv.scp"

    @property
    def labels(self) -> Path:
        return self.path / "utt2genre"

    def score(self, split: str) -> Path:
        return self.path / split / SCORE

    @property
    def scores(self) -> list[Path]:
        """The scores that are there, one for each split."""
        return sorted(self.path.glob(f"*/{SCORE}"))

    def genres(self) -> list[str]:
        """The classes. Raises FormatError for a damaged file; [] where there is none."""
        return DataDir.read(self.path).genre_order  # the file has the format of a data directory's


def is_of_experiment(file: Path) -> bool:
    """Whether the file lies in an experiment directory or one below."""
    around = (ExpDir(directory) for directory in (file.parent, file.absolute().parent.parent))
    return any(files.nnet.exists() or files.training.exists() for files in around)


def scores_below(root: Path, split: str = "*") -> list[Path]:
    """The scores of all experiments directly below `root`, on one split or on all."""
    return sorted(root.glob(f"*/{split}/{SCORE}"))
