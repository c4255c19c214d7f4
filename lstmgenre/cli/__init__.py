"""The command line: every command parses, calls one library function and shows the result."""

# Each registers its commands, in the order in which --help shows them: that of the pipeline.
# isort: off
from lstmgenre.cli import data, features, training, networks, segments, scores, baselines, bundles, recipes  # noqa: F401

# isort: on
from lstmgenre.cli.app import app

__all__ = ["app"]
