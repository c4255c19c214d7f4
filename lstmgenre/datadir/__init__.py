"""A Kaldi data directory: what it holds (content), its rules (checks), its parts (splits)."""

from lstmgenre.datadir.checks import fix, mend, validate
from lstmgenre.datadir.content import DataDir, Excerpt, Problem
from lstmgenre.datadir.splits import choose, combine, folds, hold_out

__all__ = ["DataDir", "Excerpt", "Problem", "choose", "combine", "fix", "folds", "hold_out", "mend", "validate"]
