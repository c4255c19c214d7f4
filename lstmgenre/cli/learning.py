"""learn: from a folder of music, or data directories, to a bundle."""

from __future__ import annotations

import enum
import os
import shlex
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lstmgenre import console
from lstmgenre.cli import options
from lstmgenre.cli.app import Address, Backend, BackendOption, Json, app, engine, run_record
from lstmgenre.text import counted

if TYPE_CHECKING:
    from lstmgenre.learning import Learnt
    from lstmgenre.scoring import TrackScore
    from lstmgenre.selection import Selection


class SystemName(enum.StrEnum):
    """Those of lstmgenre.selection."""

    scat = "scat"
    vote = "vote"
    lseg = "lseg"
    fseg = "fseg"


@app.command("learn")
def learn(
    context: typer.Context,
    paths: Annotated[list[Path], typer.Argument(metavar="[MUSIC] MODEL")],
    train: Annotated[
        Path | None, typer.Option("--train", metavar="DIR", help="A data directory to learn from, in place of MUSIC.")
    ] = None,
    test: Annotated[Path | None, typer.Option("--test", metavar="DIR", help="One to test on, beside --train.")] = None,
    test_fraction: Annotated[
        float, options.real(0, 1, "Share of MUSIC to keep to test on. 0: all is learnt from.")
    ] = 0.0,
    work: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where data/ and exp/ go. Default: MODEL.work")
    ] = None,
    system: Annotated[SystemName | None, typer.Option(help="Take this one, whichever is best.")] = None,
    seed: Annotated[int, options.seed("Of splits and networks.")] = 777,
    nj: Annotated[int, options.jobs("Parallel jobs; 0: as many as there are cores.", fewest=0)] = 0,
    backend: BackendOption = Backend.loky,
    scheduler: Address = None,
    as_json: Json = False,
) -> None:
    """Learn the genres of MUSIC, a folder with one for each genre, and pack in MODEL the system that does best.

    All tracks serve, and cross-validation says how good it is. A run that was killed goes on when started again.
    Example: lstmgenre learn ~/music model && lstmgenre predict model song.mp3
    """
    *music, model = paths
    if len(music) + (train is not None) != 1:
        raise typer.BadParameter("give MUSIC and MODEL, or MODEL and --train DIR")
    if test and not train:
        raise typer.BadParameter("--test goes with --train; of MUSIC, --test-fraction keeps tracks to test on")
    if train and test_fraction:
        raise typer.BadParameter("--test-fraction is of MUSIC; with --train, give --test DIR")
    if not model.name:
        raise typer.BadParameter(f"MODEL {str(model)!r} has no name of its own: give that of a directory to make")
    from lstmgenre.learning import Corpus, Means, Settings, learn
    from lstmgenre.packing import check_place

    check_place(model)
    work = work or model.with_name(f"{model.name}.work")
    for part in (work / "data", work / "exp"):  # and WORK itself
        if part.resolve().is_relative_to(model.resolve()) or model.resolve().is_relative_to(part.resolve()):
            raise typer.BadParameter(f"MODEL {str(model)!r} and --work {str(work)!r} overlap: give another --work")
    means = Means(nj or len(os.sched_getaffinity(0)), engine(backend, scheduler), console.progress)
    corpus = Corpus(music[0] if music else None, train, test, test_fraction)
    with run_record(context, work / "exp"):
        learnt = learn(corpus, model, work, system=system and system.value, settings=Settings(seed=seed), means=means)
    console.emit(_for_a_person(learnt, model, work), _for_a_program(learnt, model, work), as_json)


def _for_a_person(learnt: Learnt, model: Path, work: Path) -> list[str]:
    train = learnt.train
    counts = Counter(train.utt2genre.values())
    genres = ", ".join(f"{counts[genre]} {genre}" for genre in sorted(counts))
    lines = [
        (
            "learnt from",
            f"{counted(len(train.utterances), 'track')} by {counted(len(train.spk2utt), 'artist')}: {genres}",
        ),
        ("left out", _left_out(learnt.left_out, work)),
        ("system", _system(learnt.selection)),
        ("accuracy", f"{_rate(learnt.selection.worth)}: what the choice is worth on tracks that it is made without"),
    ]
    if learnt.test_score:
        lines.append(("on the test set", _rate(learnt.test_score)))
    songs = "SONG" if learnt.takes_audio else "--feats RSPECIFIER"
    lines += [
        ("by guessing", f"{learnt.largest.rate:.1%}: the largest genre"),
        ("report", str(learnt.report)),
        ("to use it", f"lstmgenre predict {shlex.quote(str(model))} {songs}"),
    ]
    return [f"{name:<16}{text}" for name, text in lines]


def _system(selection: Selection) -> str:
    """What was chosen, and by how much."""
    chosen = selection.chosen
    variant = ", ".join(f"{name} {value:g}" for name, value in (("k", chosen.threshold), ("C", chosen.c)) if value)
    right = {name: selection.scores.tracks[name].accuracy.correct for name in selection.best}
    own, total = right.pop(chosen.name), selection.worth.accuracy.total
    other = max(right, key=right.__getitem__)
    compared = f"{abs(selection.margin)} {'more' if selection.margin > 0 else 'fewer'} than {other}"
    return (
        f"{chosen.name}{f' ({variant})' * bool(variant)}, right on {own} of {total} tracks in cross-validation, "
        f"{compared if selection.margin else f'as many as {other}'}"
    )


def _left_out(count: int, work: Path) -> str:
    if not count:
        return "nothing"
    table = work / "data" / "left_out.csv"  # of what was found in MUSIC; what did not decode later is told of above
    return f"{counted(count, 'file')}, see {f'{table} and ' if table.exists() else ''}the warnings above"


def _rate(score: TrackScore) -> str:
    (low, high), accuracy = score.interval, score.accuracy
    return f"{accuracy.rate:.1%} [{low:.1%}, {high:.1%}] ({accuracy.correct} of {accuracy.total})"


def _for_a_program(learnt: Learnt, model: Path, work: Path) -> dict[str, Any]:
    selected, chosen = learnt.selection, learnt.selection.chosen
    return {
        "model": str(model),
        "tracks": len(learnt.train.utterances),
        "left_out": learnt.left_out,
        "system": {"name": chosen.name, "threshold": chosen.threshold, "c": chosen.c},
        "right": {name: selected.scores.tracks[name].accuracy.correct for name in selected.best},
        "accuracy": {**selected.worth.accuracy.as_dict(), "interval": selected.worth.interval},
        "test": learnt.test_score and learnt.test_score.accuracy.as_dict(),
        "largest_genre": learnt.largest.rate,
        "report": str(learnt.report),
        "work": str(work),
    }
