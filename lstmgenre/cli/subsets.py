"""subset-data: a part of a data directory."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from lstmgenre.cli import options
from lstmgenre.cli.app import app, run_record

logger = logging.getLogger(__name__)


@app.command("subset-data")
def subset_data(
    context: typer.Context,
    data_dir: Annotated[Path, typer.Argument(metavar="DATA_DIR")],
    out: Annotated[Path, typer.Argument(metavar="OUT")],
    utt_list: Annotated[
        Path | None, typer.Option(metavar="FILE", help="These utterances, the first word of each line.")
    ] = None,
    genre: Annotated[list[str] | None, typer.Option(help="Of this genre; once a genre.")] = None,
    per_genre: Annotated[
        int | None,
        options.whole(1, options.MOST_TRACKS, "N of each genre, from all over its list.", "N"),
    ] = None,
    first: Annotated[int | None, options.whole(1, options.MOST_TRACKS, "The first N.", "N")] = None,
) -> None:
    """Write some utterances of DATA_DIR, with their artists and recordings, to OUT. Options narrow in the order above.

    Example: lstmgenre subset-data data/train data/train_small --per-genre 10
    """
    from lstmgenre.datadir import DataDir, choose

    if not (utt_list or genre or per_genre or first):
        raise typer.BadParameter("say which utterances: --utt-list, --genre, --per-genre or --first")
    if out.resolve() == data_dir.resolve():
        raise typer.BadParameter(f"{out}: a part would take the place of the whole: give another OUT")
    data = DataDir.read(data_dir)
    part = choose(data, utt_list, genre or (), per_genre, first)
    with run_record(context, out):
        part.write(out)
        logger.info("%s: %d of %d utterances", out, len(part.utterances), len(data.utterances))
