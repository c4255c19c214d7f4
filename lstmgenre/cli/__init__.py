"""The command line: every command parses, calls one library function and shows the result."""

# Each registers its commands; parsing.PIPELINE has their order.
from lstmgenre.cli import (  # noqa: F401
    baselines,
    bundles,
    corpora,
    data,
    features,
    learning,
    networks,
    predicting,
    scores,
    segments,
    shipped,
    subsets,
    tables,
    training,
)
from lstmgenre.cli.app import app

__all__ = ["app"]
