"""The feature vectors that the models see: scattering, renormalised and in the logarithm, one row per frame."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import msgspec
import numpy as np

from lstmgenre.errors import DataError
from lstmgenre.scattering.filters import Bank, FloatArray, kymatio_bank, scatnet_bank
from lstmgenre.scattering.transform import Scattering, Signal

SILENCE = 2.0**-20  # ScatNet: what is added before a division or a logarithm, times the bank's gain


# What a bank may be, so that it takes seconds to build and megabytes to run; the paper's and kymatio's are far inside.
MAX_QUALITY = 64
MAX_OCTAVES = 16
MAX_WINDOW = 2**17
MAX_SAMPLE_RATE = 384_000
_MAX_BANKS = 8
_MAX_LONGEST = 2**19  # wavelets per octave times the samples of the octaves
_MAX_ROWS = 8192
_MAX_ROWS_PER_SAMPLE = 2  # of the window: a song's features hold at most four times as many numbers as the song


class BankConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One wavelet bank: `quality` is the number of wavelets per octave in the first and the second layer.

    `kind` is "scatnet" or "kymatio"; kymatio's bank needs its J as `octaves`. Raises DataError for numbers that make no
    bank, or one that nobody could compute.

    Examples
    --------
    kymatio's ``Scattering1D(J=8, Q=8, T=8192)``, by the same door as the paper's:

    >>> import numpy as np
    >>> import lstmgenre
    >>> kymatio = lstmgenre.FeatureConfig(banks=(lstmgenre.BankConfig("kymatio", (8, 1), octaves=8),))
    >>> lstmgenre.scatter(np.zeros(22050), 22050, kymatio).shape
    (6, 234)

    References
    ----------
    .. [#andreux2020] M. Andreux et al., "Kymatio: Scattering transforms in Python", Journal of Machine Learning
       Research, vol. 21, no. 60, pp. 1-6, 2020.
    """

    kind: str
    quality: tuple[int, int]
    octaves: int | None = None

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "quality", tuple(self.quality))  # a caller may give a list
        if self.kind not in ("scatnet", "kymatio"):
            raise DataError(f"scattering: no kind of bank is called {self.kind!r}: use scatnet or kymatio")
        if len(self.quality) != 2 or not all(1 <= q <= MAX_QUALITY for q in self.quality):
            raise DataError(f"scattering: quality {self.quality} should be two numbers from 1 to {MAX_QUALITY}")
        if (self.kind == "kymatio") != (self.octaves is not None):
            raise DataError(f"scattering: octaves={self.octaves} for {self.kind}: kymatio needs it, scatnet has none")
        if self.octaves is not None:
            if not 1 <= self.octaves <= MAX_OCTAVES:
                raise DataError(f"scattering: octaves {self.octaves} should be from 1 to {MAX_OCTAVES}")
            if max(self.quality) << self.octaves > _MAX_LONGEST:
                raise DataError(
                    f"scattering: quality {max(self.quality)} over {self.octaves} octaves makes wavelets that are too "
                    "long: lower one of them"
                )

    def build(self, window: int) -> Bank:
        return _built(self, window)


@lru_cache(_MAX_BANKS)
def _built(config: BankConfig, window: int) -> Bank:
    if config.octaves is None:
        return scatnet_bank(config.quality, window)
    return kymatio_bank(config.quality, config.octaves, window)


class FeatureConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All that decides the numbers of a feature archive; frames are `window` / 2 samples apart.

    `renorm` divides order 2 by its parent in order 1, `log` takes the logarithm of all rows; `quantise` asks whoever
    loads the audio to round it to 16 bits first, as the paper's WAV files are (section 3.1). The defaults are the
    paper's: 8192 samples at 22 050 Hz (371.5 ms). Raises DataError for numbers that make no features, or ones that
    nobody could compute.

    Examples
    --------
    ScatNet's bank of 8 wavelets per octave alone, with neither renormalisation nor logarithm:

    >>> import lstmgenre
    >>> config = lstmgenre.FeatureConfig(banks=(lstmgenre.BankConfig("scatnet", (8, 1)),), renorm=False, log=False)
    >>> len(lstmgenre.scatter_rows(config))
    433
    """

    sample_rate: int = 22050
    window: int = 8192
    banks: tuple[BankConfig, ...]
    renorm: bool = True
    log: bool = True
    quantise: bool = False

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "banks", tuple(self.banks))
        if not 4 <= self.window <= MAX_WINDOW or self.window & (self.window - 1):
            raise DataError(
                f"scattering: the window should be a power of two from 4 to {MAX_WINDOW}, not {self.window} samples"
            )
        if not 1 <= self.sample_rate <= MAX_SAMPLE_RATE:
            raise DataError(f"scattering: sample_rate should be from 1 to {MAX_SAMPLE_RATE} Hz, not {self.sample_rate}")
        if not 1 <= len(self.banks) <= _MAX_BANKS:
            raise DataError(f"scattering: {len(self.banks)} banks: give from 1 to {_MAX_BANKS}")

    def to_json(self) -> str:
        """One line, of which the fingerprints of extractions are made: no release may write it otherwise."""
        return json.dumps(msgspec.to_builtins(self))


PAPER = FeatureConfig(banks=(BankConfig("scatnet", (8, 1)), BankConfig("scatnet", (1, 1))))
"""Of its bank the paper says only that it has 525 rows; of all ScatNet's banks and pairs of banks, just 8 and 1
wavelets per octave together have as many (433 + 92)."""


class FeatureRow(NamedTuple):
    """What one row of the features is: the wavelets that the signal went through, and their centres in Hz."""

    row: int
    bank: str
    wavelets: tuple[int, ...]
    centres: tuple[float, ...]

    @property
    def order(self) -> int:
        return len(self.wavelets)


class ScatteringFeatures:
    """From the samples of a track to its feature vectors.

    `dim` is the length of a vector, `paths` says what each of its numbers is.
    """

    def __init__(self, config: FeatureConfig = PAPER) -> None:
        self.config = config
        banks = [bank.build(config.window) for bank in config.banks]
        rows = sum(len(bank.paths) for bank in banks)
        most = min(_MAX_ROWS, _MAX_ROWS_PER_SAMPLE * config.window)
        if rows > most:
            raise DataError(
                f"scattering: {rows} features a frame, {most} at most from a window of {config.window} samples: lower "
                "the quality or the octaves, or take a longer window"
            )
        self.transform = Scattering(banks, config.window // 2)
        self.paths = _paths(banks, config.sample_rate)
        self.dim = len(self.paths)
        gains = [np.full(len(bank.paths), bank.gain) for bank in banks]
        self._silence = (SILENCE * np.concatenate(gains)).astype(np.float32)[:, np.newaxis]
        row_of = {(path.bank, path.wavelets): path.row for path in self.paths}
        self._second = [path.row for path in self.paths if path.order == 2]
        self._parent = [row_of[path.bank, path.wavelets[:1]] for path in self.paths if path.order == 2]

    def __call__(self, samples: Signal) -> FloatArray:
        """Features (frames, dim), float32, of `samples` (samples,) at the config's rate, in [-1, 1].

        There are 1 + floor((samples - 1) / hop) frames; frame m is centred on sample m * hop. `samples` may be a memory
        map, see :class:`Scattering`. Raises DataError for less than one window, and for NaN or infinity.
        """
        features = np.empty((self.frames(samples), self.dim), np.float32)
        done = 0
        for block in self.blocks(samples):
            features[done : done + len(block)] = block
            done += len(block)
        return features

    @property
    def hop(self) -> float:
        """From a frame to the next, in seconds."""
        return self.transform.hop / self.config.sample_rate

    def frames(self, samples: Signal) -> int:
        """How many frames there will be. Raises DataError for less than one window."""
        if len(samples) < self.config.window:
            raise DataError(
                f"{len(samples)} samples are less than one window of {self.config.window}: leave the track out"
            )
        return 1 + (len(samples) - 1) // self.transform.hop

    def blocks(self, samples: Signal) -> Iterator[FloatArray]:
        """The same features, float32 (frames, dim), a minute or two of a track at a time."""
        self.frames(samples)
        for block in self.transform(samples):
            features = self.normalise(block).T
            if not np.isfinite(features).all():
                raise DataError("the samples hold NaN or infinity: decode the track again")
            yield features

    def normalise(self, block: FloatArray) -> FloatArray:
        """Renormalise raw scattering (rows, frames), in place, and take its logarithm, as the config has it."""
        if self.config.renorm:
            block[self._second] /= block[self._parent] + self._silence[self._parent]
        return np.log(np.abs(block) + self._silence) if self.config.log else block


def _paths(banks: Sequence[Bank], sample_rate: int) -> list[FeatureRow]:
    paths: list[FeatureRow] = []
    for bank in banks:
        hz = [[wavelet.centre * sample_rate / (2 * np.pi) for wavelet in layer] for layer in (bank.first, bank.second)]
        for wavelets in bank.paths:
            centres = tuple(layer[j] for layer, j in zip(hz, wavelets, strict=False))
            paths.append(FeatureRow(len(paths), bank.name, wavelets, centres))
    return paths


def format_paths(paths: Sequence[FeatureRow]) -> str:
    """The paths as text, one line each: row, bank, order, centre frequencies in Hz ("-" where there is none)."""
    lines = [f"{'row':>4} {'bank':<14} {'order':>5} {'f1_hz':>10} {'f2_hz':>10}"]
    for path in paths:
        f1, f2 = ([f"{hz:.3f}" for hz in path.centres] + ["-", "-"])[:2]
        lines.append(f"{path.row:>4} {path.bank:<14} {path.order:>5} {f1:>10} {f2:>10}")
    return "\n".join(lines) + "\n"
