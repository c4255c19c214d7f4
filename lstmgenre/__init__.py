"""Music genres from scattering features, nnet1 networks and segment features. One track walks through these modules:

    corpora      a collection of music on disk, or a synthesised one   -> a Kaldi data directory
    datadir      wav.scp, segments, utt2genre, utt2spk (the artist)    -> utterances
    audio        a path, a pipe or a segment                           -> 22 050 Hz mono samples
    scattering   samples                                               -> 525 coefficients a frame
    training     features and genres                                   -> an nnet1 model
    nnet1        a network's components and files, features            -> genre probabilities a frame
    segments     posteriors, and features to fuse with                 -> one vector a track
    svm          segment vectors                                       -> a genre a track
    scoring      posteriors and genres                                 -> accuracies and confusions
    selection    features, and posteriors of networks in folds         -> the system that suits a corpus, and its worth
    baselines    features, or audio                                    -> what the paper's systems have to beat
    report       the scores of experiments                             -> the paper's tables
    bundle       a trained system in one directory, an audio file      -> its genre
    model_card   what is recorded about that system                    -> a page that says it
    learning     a collection of music, by way of all of these         -> the bundle that suits it

below them all: errors, files (whole or absent), documents (JSON and TOML), tables (Kaldi archives), parallel (many
processes), text (how names are shown), console (what a person sees). `load` is the way from a bundle to the genres of
audio files.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lstmgenre.bundle import Bundle


def load(directory: str | os.PathLike[str]) -> Bundle:
    """The system that `lstmgenre bundle` packed: `load("exp/bundle").predict("song.mp3").genre`."""
    from lstmgenre.bundle import Bundle  # brings in torch and scikit-learn

    return Bundle.load(Path(directory))
