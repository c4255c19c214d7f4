"""predict: what a trained system says about songs."""

from __future__ import annotations

import enum
import json
import logging
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lstmgenre import console
from lstmgenre.cli import options
from lstmgenre.cli.app import Json, app
from lstmgenre.errors import DataError
from lstmgenre.text import counted, visible, visible_json

if TYPE_CHECKING:
    from lstmgenre.prediction import Answers, Brief, Prediction
    from lstmgenre.serving import Answer, Song

logger = logging.getLogger(__name__)


class Form(enum.StrEnum):
    """How songs are written."""

    lines = enum.auto()
    csv = enum.auto()
    jsonl = enum.auto()
    json = enum.auto()


@app.command("predict")
def predict(
    directory: Annotated[Path, typer.Argument(metavar="BUNDLE")],
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="PATH", help="Audio files, folders to search, - for standard input.")
    ] = None,
    files_from: Annotated[
        str | None, typer.Option("--files-from", metavar="FILE", help="Has paths, one a line; - for standard input.")
    ] = None,
    feats: Annotated[
        str | None, typer.Option(metavar="RSPECIFIER", help="Features of songs, in place of the songs.")
    ] = None,
    nj: Annotated[int, options.jobs("Parallel jobs.")] = 1,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_jsonl: Annotated[bool, typer.Option("--jsonl", help="Print a line of JSON for each song.")] = False,
    as_json: Json = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Add the songs that are not in it yet: as CSV, or by --jsonl."),
    ] = None,
    m3u: Annotated[
        Path | None, typer.Option("--m3u", metavar="DIR", help="Write a playlist for each genre there.")
    ] = None,
    min_probability: Annotated[float, options.real(0, 1, "Say unknown where it is less.", "--min-probability")] = 0.0,
    against_tags: Annotated[
        bool, typer.Option("--against-tags", help="Print songs whose genre tags differ, the most certain first.")
    ] = False,
    timeline: Annotated[bool, typer.Option("--timeline", help="The likeliest genre over time, too.")] = False,
) -> None:
    """Name the genre of songs, with a score of every genre; the largest decides. A learnt system tells probabilities.

    A file that cannot be served is an error on stderr, and the exit status is 1, but the others are served.
    Example: lstmgenre predict model ~/music --nj 4 --out genres.csv --m3u playlists
    """
    form = _form(as_csv, as_jsonl, as_json, bool(out), timeline)
    if not paths and not files_from and feats is None:
        raise typer.BadParameter("nothing to name: give files, folders, -, --files-from or --feats")
    if feats is not None and (paths or files_from or m3u or against_tags):
        raise typer.BadParameter("--feats takes the place of PATH and --files-from; without files no --m3u, no tags")
    if files_from == "-" and "-" in (paths or []):
        raise typer.BadParameter("standard input holds audio or names of files, not both")
    if out == Path("-"):
        raise typer.BadParameter("--out takes a file, which another run can add to; without it all is printed")
    if out and "-" in (paths or []):
        raise typer.BadParameter("--out knows songs by their names, and what comes by standard input has none")
    if nj > 1:
        from lstmgenre.parallel.stream import begin_imports

        begin_imports("lstmgenre.bundle", "lstmgenre.audio.resampling", "av")
    from lstmgenre import serving
    from lstmgenre.files import check_writable
    from lstmgenre.prediction import UNKNOWN, Answers, write_playlists

    if m3u:
        check_writable(m3u)
    answers = Answers(out, form is Form.jsonl) if out else None
    if answers:
        answers.warn_if_older(directory)
    if answers and against_tags:
        answers.check_has("tag", "--against-tags")
    if answers and min_probability:
        answers.check_has("probability", "--min-probability")
    printer = _Printer(form, answers, against_tags, timeline, min_probability)
    total: int | None = None
    songs: AbstractContextManager[Iterable[Song]]
    if feats is not None:
        source = feats
        songs = nullcontext(printer.unanswered(serving.with_features(directory, feats, timeline)))
    else:
        names = [*(paths or []), *(serving.read_list(files_from) if files_from else [])]
        source = (names or [str(files_from)])[0]
        left = list(printer.unanswered(serving.find(names)))
        songs, total = serving.without_standard_input(left), len(left)
    # On a terminal the songs themselves show how far it is.
    quiet = sys.stdout.isatty() and not (out or against_tags)
    progress = nullcontext() if quiet else console.progress("songs", total, lambda: printer.done)
    with songs as here, progress:
        for answer in serving.answers(directory, here, nj, against_tags):
            printer.take(answer)
    if not printer.names:
        raise DataError(
            f"{source}: {'holds nothing' if feats else 'no audio there: give files, or a folder that holds some'}"
        )
    named = printer.end()
    if m3u:
        genres = answers.genres if answers else printer.genres
        write_playlists(m3u, (song for song in named if song.file != "-"), [*genres, UNKNOWN])
    if len(printer.names) > 1:
        logger.info("%s", _summary(named, printer.before, printer.failed, against_tags))
    if printer.failed:
        raise typer.Exit(1)


def _form(as_csv: bool, as_jsonl: bool, as_json: bool, to_file: bool, timeline: bool) -> Form:
    asked_for = [form for form, wanted in zip(list(Form)[1:], (as_csv, as_jsonl, as_json), strict=True) if wanted]
    if len(asked_for) > 1:
        raise typer.BadParameter(f"--{asked_for[0]} or --{asked_for[1]}, not both")
    form = asked_for[0] if asked_for else Form.lines
    if to_file and form is Form.json:
        raise typer.BadParameter("--out takes --csv or --jsonl: another run goes on behind the last line")
    if timeline and (form is Form.csv or (to_file and form is Form.lines)):
        raise typer.BadParameter("--timeline has no column in CSV: give --jsonl")
    return form


class _Printer:
    """Prints songs as they are done, or those that differ from their tags at the end."""

    def __init__(
        self, form: Form, answers: Answers | None, against_tags: bool, timeline: bool, min_probability: float
    ) -> None:
        self._form, self._answers = form, answers
        self._against_tags, self._timeline, self._min_probability = against_tags, timeline, min_probability
        self._briefs: dict[str, Brief] = answers.briefs if answers else {}
        self._rows = 0
        self.names: dict[str, None] = {}  # in order
        self.genres: list[str] = []
        self.done = self.failed = self.before = 0

    def unanswered(self, songs: Iterable[Song]) -> Iterator[Song]:
        """Those to listen to; all of `songs` are what comes in the end. A file has each of them once."""
        for song in songs:
            is_first = song.name not in self.names
            is_done = self._answers is not None and song.name in self._answers.briefs
            self.names[song.name] = None
            self.before += is_first and is_done
            if not self._answers or (is_first and not is_done):
                yield song

    def take(self, answer: Answer) -> None:
        from lstmgenre.prediction import record

        self.done += 1
        if answer.prediction is None:
            self.failed += 1
            console.fail(answer.error)
            return
        prediction = answer.prediction
        if self._min_probability:
            prediction = prediction.unless_below(self._min_probability)
        self.genres = list(prediction.scores)
        fields = record(answer.name, prediction, answer.tag, self._timeline)
        if self._answers:
            self._answers.add(fields)
            return
        self._briefs[answer.name] = prediction.brief(answer.name, answer.tag)
        if self._against_tags:
            return
        if self._form is Form.lines:
            console.emit(_for_a_person(answer.name, prediction, self._timeline))
        else:
            self._print(fields)

    def end(self) -> list[Brief]:
        """Print what comes at the end; gives the songs in order, each once."""
        from lstmgenre.prediction import UNKNOWN

        named = [self._briefs[name] for name in self.names if name in self._briefs]
        named = [s._replace(genre=UNKNOWN) if s.certainty < self._min_probability else s for s in named]
        if self._against_tags:
            self._print_differing(named)
        if self._form is Form.json:
            print("\n]" if self._rows else "[]")
        if self._answers:
            self._answers.close()
        return named

    def _print_differing(self, named: Sequence[Brief]) -> None:
        from lstmgenre.corpora.labels import is_same_genre
        from lstmgenre.prediction import differing

        for song in differing(named, is_same_genre):
            if self._form is Form.lines:
                console.emit([f"{song.file}: tagged {song.tag}, sounds like {song.genre} ({song.certainty:.2f})"])
            else:
                self._print(song._asdict())

    def _print(self, fields: dict[str, Any]) -> None:
        from lstmgenre.prediction import csv_line, row

        if self._form is Form.csv:
            cells = fields if self._against_tags else row(fields)
            if sys.stdout.isatty():  # whose cursor no name must move; a file or a program gets it as it is
                cells = {name: visible(cell) if isinstance(cell, str) else cell for name, cell in cells.items()}
            print(("" if self._rows else csv_line(cells)) + csv_line(cells.values()), end="", flush=True)
        elif self._form is Form.jsonl:
            print(visible_json(json.dumps(fields, ensure_ascii=False)), flush=True)
        else:
            lines = visible_json(json.dumps(fields, indent=1, ensure_ascii=False)).replace("\n", "\n ")
            print(",\n " if self._rows else "[\n ", lines, sep="", end="", flush=True)
        self._rows += 1


def _summary(named: Sequence[Brief], before: int, failed: int, against_tags: bool) -> str:
    counts = Counter(song.genre for song in named).most_common()
    parts = [counted(len(named), "song")]
    if counts:
        parts[0] += f": {', '.join(f'{count} {genre}' for genre, count in counts)}"
    if before:
        parts.append(f"{before} of them by an earlier run")
    if against_tags:
        parts.append(f"{sum(bool(song.tag) for song in named)} with a genre tag")
    if failed:
        parts.append(f"{failed} could not be served")
    return "; ".join(parts)


def _for_a_person(name: str, prediction: Prediction, timeline: bool) -> list[str]:
    probabilities = prediction.probabilities or {}
    ranked = sorted(prediction.scores.items(), key=lambda item: -item[1])
    numbers = (
        f"{genre} {score:.2f}{f' = {probabilities[genre]:.0%}' if probabilities else ''}" for genre, score in ranked
    )
    lines = [f"{name}: {prediction.genre} ({', '.join(numbers)})"]
    if timeline:
        lines += [
            f"  {_clock(span.start)} - {_clock(span.end)}  {span.genre} ({span.posterior:.0%})"
            for span in prediction.timeline
        ]
    return lines


def _clock(seconds: float) -> str:
    return f"{int(seconds // 60)}:{seconds % 60:04.1f}"
