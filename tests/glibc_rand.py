"""Kaldi's random numbers, in the place of numpy's generator: glibc's rand() and rand_r(), and its use of them."""

from __future__ import annotations

import math

import numpy as np

RAND_MAX = 2**31 - 1


class Glibc:
    """The generator behind srand(seed): x[n] = x[n - 3] + x[n - 31] mod 2^32, its upper 31 bits."""

    def __init__(self, seed: int) -> None:
        first = [seed]
        for _ in range(30):
            first.append(16807 * first[-1] % RAND_MAX)
        self.history = [*first, *first[:3]][3:]
        for _ in range(310):
            self.rand()

    def rand(self) -> int:
        self.history.append((self.history[-3] + self.history.pop(0)) % 2**32)
        return self.history[-1] >> 1

    def unit(self) -> float:
        return (self.rand() + 1.0) / (RAND_MAX + 2.0)

    # The methods of numpy's Generator that the library calls.

    def standard_normal(self, shape: tuple[int, ...]) -> np.ndarray:
        values = [
            math.sqrt(-2 * math.log(self.unit())) * math.cos(2 * math.pi * self.unit()) for _ in range(math.prod(shape))
        ]
        return np.array(values).reshape(shape)

    def uniform(self, low: float, high: float, shape: int | tuple[int, ...]) -> np.ndarray:
        values = [self.unit() for _ in range(int(np.prod(shape)))]
        return low + (high - low) * np.array(values).reshape(shape)

    def permutation(self, count: int) -> np.ndarray:
        """libstdc++'s std::random_shuffle of 0 .. count - 1."""
        order = list(range(count))
        for last in range(1, count):
            other = self.rand() % (last + 1)
            order[last], order[other] = order[other], order[last]
        return np.array(order)


class GlibcMatrices(Glibc):
    """Kaldi's SetRandUniform: a matrix takes its numbers from rand_r, which starts from the next rand()."""

    def uniform(self, low: float, high: float, shape: int | tuple[int, ...]) -> np.ndarray:
        if isinstance(shape, int) or len(shape) == 1:
            return super().uniform(low, high, shape)
        state = (self.rand() + 27437) % 2**32

        def rand_r() -> int:
            nonlocal state
            result = 0
            for bits in (11, 10, 10):
                state = (state * 1103515245 + 12345) % 2**32
                result = result << bits | (state >> 16) % 2**bits
            return result

        values = [(rand_r() + 1.0) / (RAND_MAX + 2.0) for _ in range(int(np.prod(shape)))]
        return low + (high - low) * np.array(values).reshape(shape)
