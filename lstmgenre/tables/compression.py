"""Kaldi's compressed matrices: one or two bytes a value, about a quarter or half of float32.

All three forms start with a header (minimum, range, rows, columns). CM2 and CM3 spread 65 536 or 256 levels evenly over
the range. CM keeps four percentiles a column and spreads 64, 128 and 63 levels over the gaps between them.
extract-scat --compress writes CM. The others are read, and written by copy-feats, for Kaldi's sake alone.
"""

from __future__ import annotations

import struct

import numpy as np

from lstmgenre.errors import DataError

HEADER = struct.Struct("<ffii")  # minimum, range, rows, columns
LEVELS = {"CM2": 65535, "CM3": 255}

# Codes of the four percentiles 0, 25, 75, 100 in CM, and the levels in each of the three gaps.
_CODES = np.array([0, 64, 192, 255])
_GAPS = np.diff(_CODES).astype(np.float32)

# Kaldi's CompressionMethod: 1 automatic (2 from 9 rows on, else 3), 2 CM, 3 CM2, 4 CM2 of int16, 5 CM3, 6 CM3 of uint8,
# 7 CM3 of 0..1. Those with fixed limits: minimum and range.
METHODS = range(1, 8)
_TOKENS = {2: "CM", 3: "CM2", 4: "CM2", 5: "CM3", 6: "CM3", 7: "CM3"}
_LIMITS = {4: (-32768.0, 65535.0), 6: (0.0, 255.0), 7: (0.0, 1.0)}


def compress(matrix: np.ndarray, method: int) -> bytes:
    """The payload, token first, of a finite float32 (rows, cols) matrix that is not empty."""
    if method == 1:
        method = 2 if len(matrix) > 8 else 3
    low, high = matrix.min(), matrix.max()
    if low == high:
        high = low + (1 + abs(low))
    low, span = _LIMITS.get(method, (low, float(high) - float(low)))
    if span > float(np.finfo(np.float32).max):
        raise DataError("the values lie too far apart to be compressed")
    token = _TOKENS[method]
    header = token.encode() + b" " + HEADER.pack(low, span, *matrix.shape)
    if token == "CM":
        return header + _compress_columns(matrix, low, span)
    return header + _quantise(matrix, low, span, LEVELS[token]).astype("<u2" if token == "CM2" else "u1").tobytes()


def uniform(codes: np.ndarray, low: float, span: float, token: str) -> np.ndarray:
    """Decode CM2 or CM3: codes (rows, cols) -> float32 of the same shape."""
    return np.float32(low) + codes.astype(np.float32) * np.float32(span / LEVELS[token])


def columns(percentiles: np.ndarray, codes: np.ndarray, low: float, span: float) -> np.ndarray:
    """Decode CM: percentiles uint16 (cols, 4) and codes uint8 (cols, rows) -> float32 (rows, cols)."""
    knots = uniform(percentiles, low, span, "CM2")
    gap = (codes > _CODES[1]).astype(np.intp) + (codes > _CODES[2])
    start = np.take_along_axis(knots, gap, axis=1)
    end = np.take_along_axis(knots, gap + 1, axis=1)
    # Kaldi multiplies in single and scales and adds in double precision.
    steps = (end - start) * (codes - _CODES[gap]).astype(np.float32)
    return np.ascontiguousarray((start + steps * (1.0 / _GAPS[gap].astype(np.float64))).astype(np.float32).T)


def _compress_columns(matrix: np.ndarray, low: float, span: float) -> bytes:
    values = np.ascontiguousarray(matrix.T)
    percentiles = _percentiles(values, low, span)
    knots = uniform(percentiles, low, span, "CM2")
    gap = (values >= knots[:, 1:2]).astype(np.intp) + (values >= knots[:, 2:3])
    start = np.take_along_axis(knots, gap, axis=1)
    end = np.take_along_axis(knots, gap + 1, axis=1)
    levels = ((values - start) / (end - start) * _GAPS[gap] + np.float32(0.5)).astype(np.int64)
    codes = _CODES[gap] + np.clip(levels, 0, _GAPS[gap].astype(np.int64))
    return percentiles.astype("<u2").tobytes() + codes.astype("u1").tobytes()


def _percentiles(values: np.ndarray, low: float, span: float) -> np.ndarray:
    """Four strictly rising uint16 a column, shape (cols, 4), of values (cols, rows)."""
    rows = values.shape[1]
    quarter = rows // 4
    at = [0, quarter, 3 * quarter, rows - 1] if rows >= 5 else list(range(rows))
    codes = _quantise(np.sort(values, axis=1)[:, at], low, span, LEVELS["CM2"])
    knots = np.zeros((len(values), 4), dtype=np.int64)
    for i in range(4):
        least = knots[:, i - 1] + 1 if i else 0
        most = 65532 + i  # room for the knots that follow
        knots[:, i] = np.clip(codes[:, i], least, most) if i < codes.shape[1] else least
    return knots


def _quantise(values: np.ndarray, low: float, span: float, levels: int) -> np.ndarray:
    share = np.clip((values - np.float32(low)) / np.float32(span), 0, 1)
    # .499 and not .5 is Kaldi's, added in double precision: a value in the middle goes down.
    return ((share * np.float32(levels)).astype(np.float64) + 0.499).astype(np.int64)
