"""Many songs through a system: found, named one after the other or by several processes, each with what befell it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from shutil import copyfileobj
from typing import TYPE_CHECKING, NamedTuple

from threadpoolctl import threadpool_limits

from lstmgenre import audio
from lstmgenre.corpora import labels
from lstmgenre.corpora.search import search
from lstmgenre.errors import LstmGenreError
from lstmgenre.files import in_temporary_directory, read_file
from lstmgenre.parallel.engine import Lost
from lstmgenre.parallel.stream import stream
from lstmgenre.prediction import Prediction
from lstmgenre.tables import open_input

if TYPE_CHECKING:
    from lstmgenre.bundle import Bundle

STANDARD_INPUT = "-"

_LARGEST_LIST = 1 << 28  # bytes of a list of files


class Song(NamedTuple):
    """A file by the name that it was given by, and where it is; with an `error`, none."""

    name: str
    path: str
    error: str = ""


@dataclass(frozen=True)
class Answer:
    """A prediction, with the genre tag of the file where that was asked for ("" where it has none); or an error."""

    name: str
    prediction: Prediction | None = None
    tag: str | None = None
    error: str = ""


def read_list(file: str) -> list[str]:
    """The lines of a file, or of standard input (-), less empty ones. Raises DataError where it cannot be read."""
    if file == STANDARD_INPUT:
        with open_input(file) as stream_of_names:
            content = stream_of_names.read()
    else:
        content = read_file(file, _LARGEST_LIST)
    lines = (line.removesuffix(b"\r") for line in content.split(b"\n"))
    return [os.fsdecode(line) for line in lines if line]


def find(names: Sequence[str]) -> Iterator[Song]:
    """Every file, and the audio in every folder and the folders in it, in C order; what else lies there is no song."""
    for name in names:
        if name == STANDARD_INPUT or not os.path.isdir(name):
            yield Song(name, name)
            continue
        found, top = search(Path(name), quiet=True), os.path.abspath(name)
        for path in found.files:
            as_given = os.path.join(name, os.path.relpath(path, top))
            yield Song(as_given, as_given)
        for path, reason, detail in found.left_out:
            as_given = os.path.normpath(os.path.join(name, os.path.relpath(path, top)))
            yield Song(as_given, as_given, f"{as_given}: {reason}: {detail}")


@contextmanager
def without_standard_input(songs: Iterable[Song]) -> Iterator[list[Song]]:
    """The songs, with what comes by standard input in a file that is there for the block."""
    songs = list(songs)
    if all(song.name != STANDARD_INPUT for song in songs):
        yield songs
        return
    with in_temporary_directory():
        kept = tempfile.NamedTemporaryFile(prefix="lstmgenre.")  # noqa: SIM115
    with kept:
        with open_input(STANDARD_INPUT) as stream, in_temporary_directory():
            copyfileobj(stream, kept)
            kept.flush()
        yield [song._replace(path=kept.name) if song.name == STANDARD_INPUT else song for song in songs]


def answers(bundle: Path, songs: Collection[Song], jobs: int = 1, with_tags: bool = False) -> Iterator[Answer]:
    """An answer to every song, in order, each by one thread of `jobs` processes that load the bundle once.

    Raises as Bundle.load. What cannot be served is an error in its answer.
    """
    jobs = min(jobs, len(songs))
    if jobs > 1:
        for song, answer in zip(songs, stream(partial(_in_process, bundle, with_tags), songs, jobs), strict=True):
            yield Answer(song.name, error=f"{song.name}: {answer}") if isinstance(answer, Lost) else answer
        return
    from lstmgenre.bundle import Bundle

    answer_of = partial(_answer, Bundle.load(bundle).predict, with_tags)
    with threadpool_limits(1):  # as in several processes, so that their number changes nothing
        yield from map(answer_of, songs)


@lru_cache(maxsize=1)
def _loaded(bundle: Path) -> Bundle:
    from lstmgenre.bundle import Bundle

    return Bundle.load(bundle)


def _in_process(bundle: Path, with_tags: bool, song: Song) -> Answer:
    return _answer(_loaded(bundle).predict, with_tags, song)


def _answer(predict: Callable[[Path], Prediction], with_tags: bool, song: Song) -> Answer:
    if song.error:
        return Answer(song.name, error=song.error)
    try:
        prediction = predict(Path(song.path))
        tag = (labels.genre_in(audio.tags(song.path)) or "") if with_tags else None
    except LstmGenreError as error:
        return Answer(song.name, error=str(error).replace(song.path, song.name))
    return Answer(song.name, prediction, tag)
