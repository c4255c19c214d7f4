"""The wavelet banks: which filters, at which rate, and which pairs of them make a path.

Every filter here is a Gaussian on the frequency axis, less (for a Morlet wavelet) a second Gaussian at 0 that takes its
mean away. A bank only holds their numbers; :mod:`lstmgenre.scattering.transform` evaluates them at the bins it needs.

Two banks exist: ScatNet's (Andén and Mallat, "Deep scattering spectrum", 2014; the paper uses it twice, with 8 and with
1 wavelets per octave) and kymatio's. Frequencies are in rad/sample, times in samples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from lstmgenre.errors import DataError

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.integer]

SCATNET_S0 = 2 / math.sqrt(3)  # ScatNet: width of the mother wavelet
SCATNET_NORM_LENGTH = 2**18  # the length at which a layer is normalised: for Q = 1 the peak drifts with it
KYMATIO_SIGMA0 = 0.1  # kymatio: width of the lowpass of one sample, in cycles
KYMATIO_ALPHA = 5.0  # kymatio: the filter's half width in standard deviations, for its subsampling


@dataclass(frozen=True)
class Wavelet:
    """gain * (g(w - centre) - dc * g(w)) with g(w) = exp(-w^2 std^2 / 2); `dc` is 0 for a Gabor wavelet.

    The modulus of what it lets through is kept every 2^log2_step samples (or every step of its input, if longer).
    """

    centre: float
    std: float
    log2_step: int
    gain: float = 1.0
    dc: float = 0.0

    def response(self, omega: FloatArray) -> FloatArray:
        """The transfer function at the frequencies `omega`, not periodised: aliases are the caller's to add."""
        return self.gain * (_gaussian(omega - self.centre, self.std) - self.dc * _gaussian(omega, self.std))

    def reach(self, negligible: float) -> float:
        """How far from its centre the response falls to `negligible` times its peak, in rad/sample."""
        return math.sqrt(-2 * math.log(negligible)) / self.std

    def bins(self, length: int, negligible: float) -> IntArray:
        """The bins of a DFT of `length` samples outside which the response is below `negligible` times its peak.

        Consecutive integers; below 0 and from `length` on they are aliases.
        """
        reach = self.reach(negligible)
        low, high = self.centre - reach, self.centre + reach
        if self.dc > negligible:
            low = min(low, -math.sqrt(-2 * math.log(negligible / self.dc)) / self.std)
        return np.arange(math.floor(low * length / (2 * np.pi)), math.ceil(high * length / (2 * np.pi)) + 1)


@dataclass(frozen=True)
class Bank:
    """Two layers of wavelets, the lowpass of each, and the rule for what becomes a path.

    `lowpass` is the time standard deviation of the Gaussian that averages order 0, and of the one that averages orders
    1 and 2. `children[j1]` are the second-layer wavelets that follow first-layer wavelet j1.
    """

    name: str
    first: tuple[Wavelet, ...]
    second: tuple[Wavelet, ...]
    children: tuple[tuple[int, ...], ...]
    lowpass: tuple[float, float]
    gain: float

    @property
    def paths(self) -> list[tuple[int, ...]]:
        """All paths in the order of the rows: (), (j1,) ..., (j1, j2) ..."""
        first = [(j1,) for j1 in range(len(self.first))]
        second = [(j1, j2) for j1, followers in enumerate(self.children) for j2 in followers]
        return [(), *first, *second]

    @property
    def memory(self) -> float:
        """Time standard deviation of the longest cascade of filters."""
        layers = (max(w.std for w in layer) for layer in (self.first, self.second))
        return math.hypot(*layers, max(self.lowpass))


def scatnet_bank(quality: tuple[int, int], window: int) -> Bank:
    """ScatNet's bank for `quality` = wavelets per octave in each layer, averaged over about `window` samples.

    Gabor wavelets in the first layer and Morlet wavelets in the second, as in the ScatNet authors' experiments on
    music; a path (j1, j2) exists where the second wavelet's centre lies inside the bandwidth of the first.
    """
    first, lowpass_first = _scatnet_layer(quality[0], window, morlet=False)
    second, lowpass_second = _scatnet_layer(quality[1], window, morlet=True)
    children = tuple(
        tuple(j2 for j2, w2 in enumerate(second) if _scatnet_bandwidth(w1.std) > w2.centre) for w1 in first
    )
    return Bank(
        name=f"scatnet-{quality[0]}-{quality[1]}",
        first=first,
        second=second,
        children=children,
        lowpass=(lowpass_first, lowpass_second),
        gain=math.sqrt(window / 2),  # 2^(resolution / 2): ScatNet keeps the energy, not the level, when it subsamples
    )


@lru_cache(4)  # the paper's two banks have their second layer in common
def _scatnet_layer(quality: int, window: int, *, morlet: bool) -> tuple[tuple[Wavelet, ...], float]:
    ratio = 2 ** (-1 / quality)
    multiplier = 2 if quality == 1 else 1
    octave_steps = 1 + _round(quality * math.log2(window * multiplier / (4 * quality)))
    if octave_steps < 2:
        raise DataError(f"scattering: a window of {window} samples is too short for {quality} wavelets per octave")
    centre = math.pi / 2 * (ratio + 1)
    std = SCATNET_S0 / 2 / (1 - ratio)
    lowpass = std / multiplier
    geometric = [(centre * ratio**j, std / ratio**j) for j in range(octave_steps)]

    # Below the last geometric wavelet, wavelets of its width at equal distances fill the axis down to the lowpass.
    count = _round((ratio - SCATNET_S0 / (4 * lowpass)) / (1 - ratio))
    lowest, longest = geometric[-1]
    span = math.pi * ratio**octave_steps * (1 - SCATNET_S0 / (4 * lowpass) / ratio)
    linear = [(lowest - j * span / count, longest) for j in range(1, count + 1)]

    wavelets = [_scatnet_wavelet(xi, sigma, morlet=morlet) for xi, sigma in geometric + linear]
    gain = math.sqrt(2 / _peak_energy(wavelets[:octave_steps], SCATNET_NORM_LENGTH))
    return tuple(replace(w, gain=gain) for w in wavelets), lowpass / ratio ** (octave_steps - 1)


def _scatnet_wavelet(centre: float, std: float, *, morlet: bool) -> Wavelet:
    log2_step = max(_round(math.log2(math.pi / _scatnet_bandwidth(std))) - 1, 0)
    return Wavelet(centre, std, log2_step, dc=_mean_ratio(centre, std) if morlet else 0.0)


def _scatnet_bandwidth(std: float) -> float:
    return math.pi / 2 * SCATNET_S0 / std


def _peak_energy(wavelets: Sequence[Wavelet], length: int) -> float:
    energy = np.zeros(length)
    for wavelet in wavelets:
        bins = wavelet.bins(length, negligible=1e-12)
        response = wavelet.response(2 * np.pi * bins / length)
        if len(bins) > length:  # it overlaps with its aliases
            energy += np.bincount(bins % length, weights=response, minlength=length) ** 2
        else:
            energy[bins % length] += response**2
    return float(energy.max())


def kymatio_bank(quality: tuple[int, int], octaves: int, window: int) -> Bank:
    """The bank of kymatio's Scattering1D(J=octaves, Q=quality, T=window, oversampling=1): Morlet in both layers.

    The centres, widths and steps come from kymatio. Its arrays do not, neither here nor for ScatNet's bank: `morlet_1d`
    evaluates a filter on the whole axis of one FFT length, several periods of it (minutes for a bank at 2^20), where
    the transform wants a short band at many lengths; and it fixes the sum of the impulse response's modulus, where
    ScatNet fixes the peak of a layer's summed energy.
    """
    from kymatio.scattering1d.filter_bank import compute_params_filterbank  # slow to import, and the paper's needs none

    sigma_min = KYMATIO_SIGMA0 / 2**octaves
    first, second = (list(zip(*compute_params_filterbank(sigma_min, q, KYMATIO_ALPHA), strict=True)) for q in quality)
    children = tuple(tuple(j2 for j2, (_, _, k2) in enumerate(second) if k2 > k1) for _, _, k1 in first)
    lowpass = window / (2 * math.pi * KYMATIO_SIGMA0)
    last = int(math.log2(window))
    layers = [
        tuple(_kymatio_wavelet(xi, sigma, max(min(step, last) - 1, 0)) for xi, sigma, step in layer)
        for layer in (first, second)
    ]
    name = f"kymatio-{octaves}-{quality[0]}-{quality[1]}"
    return Bank(name, layers[0], layers[1], children, (lowpass, lowpass), gain=1.0)


def _kymatio_wavelet(cycles: float, sigma: float, log2_step: int) -> Wavelet:
    centre, std = 2 * math.pi * cycles, 1 / (2 * math.pi * sigma)
    dc = _mean_ratio(centre, std)
    times = np.arange(-math.ceil(8 * std), math.ceil(8 * std) + 1)
    envelope = _gaussian(times, 1 / std)
    norm = np.sum(envelope * np.abs(np.exp(1j * centre * times) - dc)) / envelope.sum()
    return Wavelet(centre, std, log2_step, gain=1 / float(norm), dc=dc)


def _mean_ratio(centre: float, std: float) -> float:
    """What a Gabor wavelet lets through at frequency 0, relative to the Gaussian at 0, both with their aliases."""
    aliases = 2 * np.pi * np.arange(-4, 5)
    return float(_gaussian(aliases - centre, std).sum() / _gaussian(aliases, std).sum())


def _gaussian(offset: FloatArray | IntArray, std: float) -> FloatArray:
    return np.exp(-0.5 * (offset * std) ** 2)


def _round(value: float) -> int:
    return math.floor(value + 0.5)  # half up, as Octave rounds; Python's round goes to even
