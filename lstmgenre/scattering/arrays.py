"""Scattering features of samples in memory, and what each of their columns is."""

from __future__ import annotations

import threading
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from lstmgenre import audio
from lstmgenre.scattering.features import PAPER, FeatureConfig, ScatteringFeatures

_KEPT = 4  # configurations whose filters stay in memory


class _Transforms(threading.local):
    """Each thread has its own: a transform works in memory that it keeps from track to track."""

    def __init__(self) -> None:
        self.of = lru_cache(_KEPT)(ScatteringFeatures)


_transforms = _Transforms()


def scatter(samples: npt.ArrayLike, sample_rate: float, config: FeatureConfig = PAPER) -> npt.NDArray[np.float32]:
    """Scattering features (frames, dim) of samples in memory: (frames, 525) with the paper's configuration.

    They are to the last bit what `lstmgenre extract-scat` computes of a file that holds these samples.

    Parameters
    ----------
    samples : (samples,) or (samples, channels)
        Channels are averaged. Floats have their full scale at [-1, 1]; integers of 8, 16 or 32 bits are divided by
        that of their type.
    sample_rate : in Hz, from 1000 to 768000
        The samples are resampled to the rate of the configuration, 22 050 Hz.
    config :
        Which banks, what window, and whether order 2 is renormalised and the logarithm taken. kymatio's bank is
        ``FeatureConfig(banks=(BankConfig("kymatio", (8, 1), octaves=13),))``.

    Returns
    -------
    float32 (frames, dim), a row every half window: with the paper's 8192 samples frame m is centred on second
    m * 4096 / 22050. There are 1 + floor((n - 1) / 4096) of them for n samples at 22 050 Hz. `scatter_rows` says what
    the columns are.

    Raises
    ------
    DataError : for less than one window (372 ms), samples that are not finite, and types, shapes and rates that are
        none of the above.

    Examples
    --------
    A second of a 440 Hz tone, stereo, in 16 bits. Of the wavelets of the first order the one next to it answers most:

    >>> import numpy as np
    >>> import lstmgenre
    >>> tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(44100) / 44100)
    >>> stereo = np.stack([tone, tone], axis=1)
    >>> features = lstmgenre.scatter(np.int16(32767 * stereo), 44100)
    >>> features.shape, features.dtype
    ((6, 525), dtype('float32'))
    >>> rows = lstmgenre.scatter_rows()
    >>> first = (rows["order"] == 1) & (rows["bank"] == "scatnet-8-1")
    >>> print(rows[first][features[3, first].argmax()]["f1_hz"].round())
    428.0

    References
    ----------
    .. [#anden2014] J. Andén and S. Mallat, "Deep scattering spectrum", IEEE Transactions on Signal Processing, vol. 62,
       no. 16, pp. 4114-4128, 2014.
    .. [#dai2016] J. Dai, S. Liang, W. Xue, C. Ni and W. Liu, "Long short-term memory recurrent neural network based
       segment features for music genre classification", ISCSLP, 2016: section 3.1, for the configuration.
    """
    track = audio.from_array(samples, sample_rate, sample_rate=config.sample_rate, quantise=config.quantise)
    return _transforms.of(config)(track)


def scatter_rows(config: FeatureConfig = PAPER) -> npt.NDArray[np.void]:
    """What each column of the features of `scatter` is: a structured array (dim,).

    Returns
    -------
    Fields: `order` 0, 1 or 2; `bank`; `j1` and `j2`, which wavelet of the first and of the second layer, -1 where
    there is none; `f1_hz` and `f2_hz`, their centre frequencies in Hz, NaN where there is none. What scat_paths.txt
    beside an archive of features says.

    Raises
    ------
    DataError : as `scatter`, for a configuration that makes no bank.

    Examples
    --------
    >>> import lstmgenre
    >>> rows = lstmgenre.scatter_rows()
    >>> rows.dtype.names
    ('order', 'bank', 'j1', 'j2', 'f1_hz', 'f2_hz')
    >>> [int((rows["order"] == order).sum()) for order in (0, 1, 2)]
    [2, 89, 434]

    The paper's two banks follow one another:

    >>> print(rows["bank"][0], rows["bank"][524])
    scatnet-8-1 scatnet-1-1
    """
    paths = _transforms.of(config).paths
    longest = max(len(path.bank) for path in paths)
    fields = [("order", "i4"), ("bank", f"U{longest}"), ("j1", "i4"), ("j2", "i4"), ("f1_hz", "f8"), ("f2_hz", "f8")]
    nowhere = float("nan")
    rows = [
        (path.order, path.bank, *(*path.wavelets, -1, -1)[:2], *(*path.centres, nowhere, nowhere)[:2]) for path in paths
    ]
    return np.array(rows, dtype=fields)
