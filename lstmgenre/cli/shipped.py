"""recipe and docs: a paper's whole experiment, and pages to read, for someone who has no clone."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from lstmgenre.cli.app import app

logger = logging.getLogger(__name__)


@app.command("recipe")
def lay_out_recipe(
    name: Annotated[str, typer.Argument(metavar="NAME", help="ismir2004: the paper's experiment.")],
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A new directory.")],
) -> None:
    """Lay out a recipe in DIR: run.sh and its scripts, conf/ with options and models, a README.

    Example: lstmgenre recipe ismir2004 ismir2004 && ismir2004/run.sh
    """
    from lstmgenre.shipped import lay_out

    lay_out(name, directory)
    logger.info("%s: laid out; to start it: %s", directory, directory / "run.sh")


@app.command("docs")
def show_docs(page: Annotated[str | None, typer.Argument(metavar="PAGE")] = None) -> None:
    """Print a page of the documentation, or which pages there are.

    Example: lstmgenre docs kaldi | less
    """
    from lstmgenre import shipped

    if page:
        typer.echo(shipped.page(page), nl=False)
    else:
        typer.echo("\n".join(f"{name:<12} {title}" for name, title in shipped.pages().items()))
