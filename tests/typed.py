"""What a type checker sees of the Python API, whose names are imported when they are first used. mypy reads this file.

An ignore that is not needed is an error: a wrong call has to be one.
"""

from collections.abc import Iterator
from typing import Any, assert_type

import numpy as np
import numpy.typing as npt
import torch
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import lstmgenre
from lstmgenre.prediction import Prediction
from lstmgenre.scoring import TrackScore


def features(samples: npt.NDArray[np.int16]) -> None:
    assert_type(lstmgenre.scatter(samples, 44100), npt.NDArray[np.float32])
    assert_type(lstmgenre.scatter([0.5, 0.25], 44100.0, lstmgenre.PAPER), npt.NDArray[np.float32])
    assert_type(lstmgenre.scatter_rows(), npt.NDArray[np.void])
    lstmgenre.scatter(samples)  # type: ignore[call-arg]
    lstmgenre.scatter(samples, "44100")  # type: ignore[arg-type]
    lstmgenre.scater(samples, 44100)  # type: ignore[attr-defined]
    lstmgenre.FeatureConfig(window=4096)  # type: ignore[call-arg]


def networks(net: lstmgenre.Nnet, array: npt.NDArray[np.float64], tensor: torch.Tensor) -> None:
    assert_type(lstmgenre.Nnet.read("final.nnet"), lstmgenre.Nnet)
    assert_type(net.forward(array)[0], npt.NDArray[np.float32])
    assert_type(net.logits(tensor)[0], torch.Tensor)
    net.forward("features")  # type: ignore[call-overload]


def systems(posteriors: npt.NDArray[np.float32]) -> None:
    assert_type(lstmgenre.pool(posteriors), npt.NDArray[np.float32])
    assert_type(lstmgenre.load("model").predict("song.wav").genre, str)
    assert_type(lstmgenre.load("model"), lstmgenre.Bundle)
    assert_type(lstmgenre.load("model").predict_features(posteriors), Prediction)


def evaluation(genres: dict[str, str]) -> None:
    tracks = lstmgenre.read_table("scp:post.scp"), genres
    score = lstmgenre.evaluate(
        tracks, tracks, lambda posteriors: posteriors.std(axis=0), make_pipeline(StandardScaler())
    )
    assert_type(score, TrackScore)
    lstmgenre.evaluate(tracks, tracks, "mean", make_pipeline(StandardScaler()))  # type: ignore[arg-type]


def tables() -> None:
    for utterance, features in lstmgenre.read_table("scp:feats.scp"):
        assert_type(utterance, str)
        assert_type(features, npt.NDArray[np.float32])
    assert_type(lstmgenre.read_table("ark:ali.ark", "int-vector"), Iterator[tuple[str, Any]])
    lstmgenre.read_table("ark:a.ark", "matrices")  # type: ignore[call-overload]
    with lstmgenre.TableWriter("ark:a.ark", "vector") as table:
        assert_type(table, lstmgenre.TableWriter)
