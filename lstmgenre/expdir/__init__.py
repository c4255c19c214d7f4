"""An experiment directory: where things are in it (layout), how training went (history), what was run (runs)."""

from lstmgenre.expdir.history import Epoch, History
from lstmgenre.expdir.layout import ExpDir, is_of_experiment, scores_below
from lstmgenre.expdir.runs import Run, read_runs

__all__ = ["Epoch", "ExpDir", "History", "Run", "is_of_experiment", "read_runs", "scores_below"]
