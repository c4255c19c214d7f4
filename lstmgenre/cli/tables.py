"""copy-feats, copy-vector, feat-to-dim and feat-to-len: what Kaldi's programs of these names do."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from lstmgenre.cli import options
from lstmgenre.cli.app import app, archive_record

logger = logging.getLogger(__name__)

Features = Annotated[str, typer.Argument(metavar="FEATS_RSPECIFIER")]


@app.command("copy-feats")
def copy_feats(
    context: typer.Context,
    features: Features,
    target: Annotated[str, typer.Argument(metavar="FEATS_WSPECIFIER")],
    compress: Annotated[bool, typer.Option("--compress", help="Write compressed matrices.")] = False,
    compression_method: Annotated[int, options.whole(1, 7, "Kaldi's number; 1 is its own choice.")] = 1,
    write_num_frames: Annotated[
        str | None, typer.Option(metavar="WSPECIFIER", help="Where the number of frames of each goes.")
    ] = None,
) -> None:
    """Copy features: from archive to text, from many archives to one, to compressed ones.

    Example: lstmgenre copy-feats scp:data/test/feats.scp ark,t:- | less
    """
    from lstmgenre.tables.copying import copy

    with archive_record(context, target):
        count = copy(features, target, "matrix", compress and compression_method, write_num_frames)
        logger.info("copied %d feature matrices", count)


@app.command("copy-vector")
def copy_vector(
    context: typer.Context,
    vectors: Annotated[str, typer.Argument(metavar="VECTOR_RSPECIFIER")],
    target: Annotated[str, typer.Argument(metavar="VECTOR_WSPECIFIER")],
) -> None:
    """Copy vectors, those of pool-segments for one.

    Example: lstmgenre copy-vector scp:exp/lstm1/test/fseg.scp ark,t:- | less
    """
    from lstmgenre.tables.copying import copy

    with archive_record(context, target):
        logger.info("copied %d vectors", copy(vectors, target, "vector"))


@app.command("feat-to-dim")
def feat_to_dim(
    features: Features,
    target: Annotated[str, typer.Argument(metavar="OUT", help="A file, or a wspecifier for that of each.")] = "-",
) -> None:
    """Print how many numbers a frame has: those of the first utterance, or of each.

    Example: lstmgenre feat-to-dim scp:data/test/feats.scp
    """
    from lstmgenre.tables.copying import dimension

    dimension(features, target)


@app.command("feat-to-len")
def feat_to_len(
    features: Features,
    target: Annotated[str | None, typer.Argument(metavar="WSPECIFIER", help="For the number of each.")] = None,
) -> None:
    """Print how many frames all utterances have together, or each of them.

    Example: lstmgenre feat-to-len scp:data/test/feats.scp ark,t:-
    """
    from lstmgenre.tables.copying import measure, num_frames

    if target:
        measure(features, len, target)
    else:
        typer.echo(num_frames(features))
