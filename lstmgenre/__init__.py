"""Music genres from scattering features, nnet1 networks and segment features. One track walks through these modules:

    corpora      a collection of music on disk, or a synthesised one   -> a Kaldi data directory
    datadir      wav.scp, segments, utt2genre, utt2spk (the artist)    -> utterances
    audio        a path, a pipe or a segment                           -> 22 050 Hz mono samples
    scattering   samples                                               -> 525 coefficients a frame
    provenance   a model's directory, and features                     -> which of them it has learnt from
    training     features and genres                                   -> an nnet1 model
    nnet1        a network's components and files, features            -> genre probabilities a frame
    segments     posteriors, and features to fuse with                 -> one vector a track
    svm          segment vectors                                       -> a genre a track
    scoring      posteriors and genres                                 -> accuracies and confusions
    selection    features, and posteriors of networks in folds         -> the system that suits a corpus, and its worth
    evaluation   posteriors, an own statistic and classifier           -> decisions to score beside the others
    baselines    features, or audio                                    -> what the paper's systems have to beat
    report       the scores of experiments                             -> the paper's tables
    bundle       a trained system in one directory, an audio file      -> its genre
    model_card   what is recorded about that system                    -> a page that says it
    calibration  scores of tracks that were not learnt from            -> a probability a genre
    packing      experiments                                           -> the bundle of the best of them
    prediction   what a bundle says of a song                          -> a line of CSV or JSON
    serving      many songs, a bundle, processes                       -> predictions in order
    learning     a collection of music, by way of all of these         -> the bundle that suits it

below them all: errors, files (whole or absent), documents (JSON and TOML), tables (Kaldi archives), parallel (many
processes), expdir (what a run leaves), score_json (scores as a file), text (how names are shown), console (what a
person sees); beside them: docs and recipes, which shipped hands out, and cli, the commands.

In Python, see `lstmgenre docs python`:

    scatter, scatter_rows, FeatureConfig, BankConfig, PAPER    samples to features, and what their columns are
    read_table, TableWriter                                    Kaldi's tables
    Nnet                                                       an nnet1 network, of arrays or tensors
    pool                                                       posteriors to the segment feature
    evaluate                                                   another statistic and classifier in its place
    load, Bundle                                               a trained system, and the genres of audio

Importing lstmgenre imports none of that. A name brings in what it needs when it is first used.
"""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lstmgenre.bundle import Bundle
    from lstmgenre.evaluation import evaluate
    from lstmgenre.nnet1.nnet import Nnet
    from lstmgenre.scattering.arrays import scatter, scatter_rows
    from lstmgenre.scattering.features import PAPER, BankConfig, FeatureConfig
    from lstmgenre.segments import pool
    from lstmgenre.tables import TableWriter, read_table

    __version__: str
else:  # where a type checker does not see it: of a name that is nowhere it would think that it may be anything

    def __getattr__(name: str) -> object:
        """Import what is public when it is first asked for: torch and scikit-learn take seconds."""
        if name == "__version__":
            value = import_module("importlib.metadata").version(__name__)
        elif name in _HOMES:
            value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value
        return value


__all__ = [
    "PAPER",
    "BankConfig",
    "Bundle",
    "FeatureConfig",
    "Nnet",
    "TableWriter",
    "evaluate",
    "load",
    "pool",
    "read_table",
    "scatter",
    "scatter_rows",
]

_HOMES = {
    "PAPER": "scattering.features",
    "BankConfig": "scattering.features",
    "Bundle": "bundle",
    "FeatureConfig": "scattering.features",
    "Nnet": "nnet1.nnet",
    "TableWriter": "tables",
    "evaluate": "evaluation",
    "pool": "segments",
    "read_table": "tables",
    "scatter": "scattering.arrays",
    "scatter_rows": "scattering.arrays",
}


def load(directory: str | os.PathLike[str]) -> Bundle:
    """The system that `lstmgenre bundle` or `lstmgenre learn` packed.

    Raises DataError, FormatError or ModelError for files that are missing, damaged, or not of one system. Nothing in a
    bundle can run code.

    Examples
    --------
    >>> import lstmgenre
    >>> system = lstmgenre.load("model")
    >>> system.predict("song.wav").genre
    'low'
    """
    from lstmgenre.bundle import Bundle

    return Bundle.load(Path(directory))


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
