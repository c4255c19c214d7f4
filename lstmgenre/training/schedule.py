"""The learning rate from epoch to epoch. A schedule looks at all cross-validation losses so far and says what comes
next, so that a training run that was killed finds its place again from the losses alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Verdict:
    """What follows from the losses."""

    accepted: list[bool]
    """For each iteration so far, whether its net was kept."""
    best: int
    """The iteration to go on from; 0 is the initial net."""
    learn_rate: float | None
    """Of the next iteration; None: training is finished."""

    @property
    def result(self) -> int:
        """The iteration whose net is the result: the last that was kept; 0 is the initial net."""
        return max((iteration for iteration, kept in enumerate(self.accepted, start=1) if kept), default=0)


@dataclass(frozen=True, kw_only=True)
class Newbob:
    """Kaldi's train_scheduler.sh with its defaults of 2016: go on from the best net, cut the rate once the gain is
    small, stop when it is smaller still.
    """

    max_iters: int = 20
    keep_lr_iters: int = 0
    """So many iterations at the initial rate, each accepted."""
    min_iters: int = 0
    """No stop before, each accepted."""
    start_halving_impr: float = 0.01
    end_halving_impr: float = 0.001
    halving_factor: float = 0.5

    def plan(self, losses: Sequence[float], learn_rate: float) -> Verdict:
        """losses: the initial net's, then each iteration's, as logged (6 digits); learn_rate: the first iteration's."""
        accepted: list[bool] = []
        best, halving = 0, False
        for iteration, loss in enumerate(losses[1:], start=1):
            before = losses[best]
            accepted.append(loss < before or iteration <= max(self.keep_lr_iters, self.min_iters))
            if accepted[-1]:
                best = iteration
            if iteration <= self.keep_lr_iters:
                continue
            improvement = (before - losses[best]) / before
            if halving and improvement < self.end_halving_impr:
                if iteration > self.min_iters:
                    return Verdict(accepted, best, None)
                continue
            halving = halving or improvement < self.start_halving_impr
            if halving:
                learn_rate = _six_digits(learn_rate * self.halving_factor)
        return Verdict(accepted, best, learn_rate if len(losses) <= self.max_iters else None)

    def suffix(self, iteration: int) -> str:
        """What train_scheduler.sh adds to the name of an accepted net."""
        return (f"_min-iters-{self.min_iters}" if iteration <= self.min_iters else "") + (
            f"_keep-lr-iters-{self.keep_lr_iters}" if iteration <= self.keep_lr_iters else ""
        )


@dataclass(frozen=True, kw_only=True)
class Decay:
    """The schedule of the LSTM scripts of the paper's time: constant, then times the factor in each epoch from the
    fourth on.

    Every net is accepted, the last one is the result. Defaults: the paper's Table 3.
    """

    max_iters: int = 50
    constant_iters: int = 3
    halving_factor: float = 0.9

    def plan(self, losses: Sequence[float], learn_rate: float) -> Verdict:
        done = len(losses) - 1
        for _ in range(self.constant_iters, done + 1):
            learn_rate = _six_digits(learn_rate * self.halving_factor)
        return Verdict([True] * done, done, learn_rate if done < self.max_iters else None)

    def suffix(self, iteration: int) -> str:
        return ""


@dataclass(frozen=True, kw_only=True)
class DecayBest(Decay):
    """As Decay, but a net is kept only if it is better than all before it, so that the best is the result. Training
    goes on from the others, too. Ours, for corpora so small that the held-out loss turns and rises.
    """

    def plan(self, losses: Sequence[float], learn_rate: float) -> Verdict:
        accepted = [loss < min(losses[:iteration]) for iteration, loss in enumerate(losses[1:], start=1)]
        return replace(super().plan(losses, learn_rate), accepted=accepted)


Schedule = Newbob | Decay | DecayBest


def _six_digits(rate: float) -> float:
    # Kaldi's script computes rates in awk, which prints 6 digits.
    return float(f"{rate:.6g}")
