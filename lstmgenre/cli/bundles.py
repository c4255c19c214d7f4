"""bundle and predict: a trained system in one directory, and what it says about songs."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lstmgenre import console
from lstmgenre.cli.app import Json, app, run_record
from lstmgenre.errors import LstmGenreError

if TYPE_CHECKING:
    from lstmgenre.bundle import Prediction

logger = logging.getLogger(__name__)


@app.command("bundle")
def bundle(
    context: typer.Context,
    experiments: Annotated[list[Path], typer.Argument(metavar="EXP_DIR")],
    out: Annotated[Path, typer.Argument(metavar="OUT")],
    svm: Annotated[
        str, typer.Option(metavar="NAME", help="The SVM to take, a directory in EXP_DIR; vote: none, but the network.")
    ] = "fseg",
) -> None:
    """Pack features, network, SVM and a model card in OUT; of several EXP_DIR, the one of the lowest held-out loss.

    Example: lstmgenre bundle exp/lstm1 exp/lstm2 exp/bundle
    """
    from lstmgenre.bundle import pack

    # A directory of experiments keeps a record; elsewhere the bundle comes alone.
    roots = {experiment.resolve().parent for experiment in experiments}
    with run_record(context, out.parent, out.name) if out.resolve().parent in roots else nullcontext():
        logger.info("wrote %s, from %s", out, pack(experiments, svm, out) / svm)


@app.command("predict")
def predict(
    directory: Annotated[Path, typer.Argument(metavar="BUNDLE")],
    songs: Annotated[list[Path], typer.Argument(metavar="AUDIO")],
    timeline: Annotated[bool, typer.Option("--timeline", help="The likeliest genre over time, too.")] = False,
    as_json: Json = False,
) -> None:
    """Name the genre of audio files, with the score of every genre; the largest decides.

    A file that cannot be served is an error on stderr, and the exit status is 1, but the others are served.
    Example: lstmgenre predict exp/bundle song.mp3 --timeline
    """
    from lstmgenre.bundle import Bundle

    system = Bundle.load(directory)
    served = []
    for song in songs:
        try:
            prediction = system.predict(song)
        except LstmGenreError as error:
            console.fail(str(error))
            continue
        result = {"file": str(song), **prediction.as_dict()}
        if not timeline:
            del result["timeline"]
        served.append(result)
        if not as_json:
            console.emit(_for_a_person(song, prediction, timeline))
    if as_json:
        console.emit([], served, as_json)
    if len(served) < len(songs):
        raise typer.Exit(1)


def _for_a_person(song: Path, prediction: Prediction, timeline: bool) -> list[str]:
    ranked = sorted(prediction.scores.items(), key=lambda item: -item[1])
    lines = [f"{song}: {prediction.genre} ({', '.join(f'{genre} {score:.2f}' for genre, score in ranked)})"]
    if timeline:
        lines += [
            f"  {_clock(span.start)} - {_clock(span.end)}  {span.genre} ({span.posterior:.0%})"
            for span in prediction.timeline
        ]
    return lines


def _clock(seconds: float) -> str:
    return f"{int(seconds // 60)}:{seconds % 60:04.1f}"
