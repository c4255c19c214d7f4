"""What the tests of Kaldi tables share: a value of each kind, whole tables in and out, and their comparison."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st

from lstmgenre.tables import (
    TableWriter,
    open_table,
)

GOLDEN = Path(__file__).parent / "data" / "kaldi_io"
RANDOM = np.random.default_rng(1)
SEVEN_DIGITS = 1e-6  # of Kaldi's text

VALUES = {
    "matrix": RANDOM.standard_normal((5, 3)).astype(np.float32),
    "vector": RANDOM.standard_normal(4).astype(np.float32),
    "int-vector": np.array([3, -1, 2**31 - 1], np.int32),
    "posterior": [[(0, 0.25), (5, 0.75)], [], [(1, 1.0)]],
    "int": -7,
    "float": 0.5,
    "token": "jazz_blues",
}


keys = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8).filter(
    lambda key: key.split() == [key] and "\0" not in key
)


def load(rspecifier, kind="matrix"):
    with open_table(rspecifier, kind) as table:
        return {key: table[key] for key in table}


def save(wspecifier, entries, kind="matrix", **options):
    with TableWriter(wspecifier, kind, **options) as table:
        for key, value in entries.items():
            table.write(key, value)


def assert_same(got, expected, rtol=0.0):
    assert list(got) == list(expected)
    for key in expected:
        if isinstance(expected[key], np.ndarray):
            assert got[key].dtype == expected[key].dtype
            np.testing.assert_allclose(got[key], expected[key], rtol=rtol, atol=rtol, err_msg=key)
        elif isinstance(expected[key], list):
            assert [[label for label, _ in frame] for frame in got[key]] == [
                [label for label, _ in frame] for frame in expected[key]
            ]
            weights = [[weight for frame in value for _, weight in frame] for value in (got[key], expected[key])]
            np.testing.assert_allclose(*weights, rtol=rtol, atol=rtol)
        else:
            assert got[key] == (
                pytest.approx(expected[key], rel=rtol) if isinstance(expected[key], float) else expected[key]
            )
