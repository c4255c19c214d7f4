"""Many songs through a system: found, or given as features, named one after the other or by several processes, each
with what befell it.
"""

from __future__ import annotations

import os
import tempfile
from codecs import BOM_UTF8
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import chain, islice
from pathlib import Path
from shutil import copyfileobj
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from lstmgenre import audio
from lstmgenre.corpora import labels
from lstmgenre.corpora.search import search
from lstmgenre.errors import DataError, FormatError, LstmGenreError
from lstmgenre.files import in_temporary_directory, open_fifo, read_all, read_file
from lstmgenre.parallel.engine import Lost
from lstmgenre.prediction import Prediction
from lstmgenre.scattering import scat_json
from lstmgenre.tables import open_input, read_table

if TYPE_CHECKING:
    from lstmgenre.bundle import Bundle, Heard

STANDARD_INPUT = "-"

_AT_ONCE = 8  # songs that a process is given: as many go through the network together
_LARGEST_LIST = 1 << 28  # bytes of a list of files


class Song(NamedTuple):
    """A file by the name that it was given by, and where it is; with an `error`, none; or `features` (frames, dim)."""

    name: str
    path: str = ""
    error: str = ""
    features: np.ndarray | None = None


@dataclass(frozen=True)
class Answer:
    """A prediction, with the genre tag of the file where that was asked for ("" where it has none); or an error."""

    name: str
    prediction: Prediction | None = None
    tag: str | None = None
    error: str = ""


def read_list(file: str) -> list[str]:
    """The lines of a file, of a named pipe (`<(find ~/music)`) or of standard input (-), less empty ones, as Windows
    writes them, too. Raises DataError where it cannot be read, is no text, or names standard input.
    """
    if file == STANDARD_INPUT or Path(file).is_fifo():
        with open_input(file) if file == STANDARD_INPUT else open_fifo(file) as names:
            content = read_all(names, _LARGEST_LIST, file)
    else:
        content = read_file(file, _LARGEST_LIST)
    if b"\0" in content:
        raise DataError(
            f"{file}: is no list of files, one a line: it holds zero bytes; find writes one without -print0"
        )
    lines = (line.removesuffix(b"\r") for line in content.removeprefix(BOM_UTF8).split(b"\n"))
    paths = [os.fsdecode(line) for line in lines if line]
    if STANDARD_INPUT in paths:
        raise DataError(f"{file}: names -, which is no file: give it as PATH, or write ./- for a file of that name")
    return paths


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


def with_features(bundle: Path, rspecifier: str, timeline: bool = False) -> Iterator[Song]:
    """Every utterance of a table of features, for a bundle that takes such; where the table breaks off, an error.

    Raises UsageError for a wrong rspecifier, ModelError where features are recorded to be of another configuration, and
    DataError where a timeline is asked for and their rate is not recorded.
    """
    scat_json.check(bundle, rspecifier)
    if timeline and bundle.is_dir() and not scat_json.read(bundle):
        raise DataError(f"{bundle}: has no timeline: when a frame is, is not recorded of features from elsewhere")
    return _given(rspecifier, read_table(rspecifier))


def _given(rspecifier: str, entries: Iterator[tuple[str, np.ndarray]]) -> Iterator[Song]:
    try:
        for utterance, features in entries:
            yield Song(utterance, features=features)
    except (DataError, FormatError) as error:
        yield Song(rspecifier, error=str(error))


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


def answers(bundle: Path, songs: Iterable[Song], jobs: int = 1, with_tags: bool = False) -> Iterator[Answer]:
    """An answer to every song, in order, each by one thread of `jobs` processes that load the bundle once.

    Raises as Bundle.load, and where the system does not take such songs at all. What else cannot be served is an error
    in its answer.
    """
    songs = iter(songs)
    ahead = list(islice(songs, jobs))
    if not ahead:
        return
    songs = chain(ahead, songs)
    if len(ahead) == 1:
        system = _load(bundle)  # brings in the libraries whose threads are limited
        with threadpool_limits(1):  # as in several processes, so that their number changes nothing
            yield from _answers(system, with_tags, islice(songs, 1))  # it is told at once
            yield from _answers(system, with_tags, songs)
    else:
        yield from by_processes(partial(_in_process, bundle, with_tags), _tasks(songs, len(ahead)), len(ahead))


def _tasks(songs: Iterator[Song], jobs: int) -> Iterator[list[Song]]:
    """Songs to be served by one process, fewer towards the end, so that all processes end at the same time."""
    ahead = deque(islice(songs, 2 * _AT_ONCE * jobs))
    while ahead:
        size = max(1, len(ahead) // (2 * jobs))
        yield [ahead.popleft() for _ in range(size)]
        ahead.extend(islice(songs, size))


def by_processes(
    answers_to: Callable[[Sequence[Song]], list[Answer]], tasks: Iterable[Sequence[Song]], jobs: int
) -> Iterator[Answer]:
    """What `answers_to` says of each task, in order, by so many processes; a song that ends its own is an error."""
    from lstmgenre.parallel.stream import stream  # one job does without

    begun = deque[Sequence[Song]]()

    def noted() -> Iterator[Sequence[Song]]:
        for task in tasks:
            begun.append(task)
            yield task

    for done in stream(answers_to, noted(), jobs):
        task = begun.popleft()
        if not isinstance(done, Lost):
            yield from done
        elif len(task) == 1:
            yield Answer(task[0].name, error=f"{task[0].name}: {done}")
        else:  # one of them is to blame
            yield from by_processes(answers_to, ([song] for song in task), 1)


def _load(bundle: Path) -> Bundle:
    from lstmgenre.bundle import Bundle

    return Bundle.load(bundle)


_load_once = lru_cache(maxsize=1)(_load)


def _in_process(bundle: Path, with_tags: bool, songs: Sequence[Song]) -> list[Answer]:
    return list(_answers(_load_once(bundle), with_tags, songs))


def _answers(system: Bundle, with_tags: bool, songs: Iterable[Song]) -> Iterator[Answer]:
    begun = deque[Answer]()

    def heard() -> Iterator[Heard | LstmGenreError]:
        for song in songs:
            song_or_error, answer = _hear(system, with_tags, song)
            begun.append(answer)
            yield song_or_error

    for decision in system.decide(heard()):
        answer = begun.popleft()
        if isinstance(decision, LstmGenreError):
            yield replace(answer, error=answer.error or f"{answer.name}: {decision}")
        else:
            yield replace(answer, prediction=decision)


def _hear(system: Bundle, with_tags: bool, song: Song) -> tuple[Heard | LstmGenreError, Answer]:
    """The song, and its answer but for the prediction; or why there is none, which the answer tells."""
    if song.features is not None:
        try:
            return system.hear_features(song.features), Answer(song.name)
        except DataError as error:  # a system that it does not fit, fits no song
            return error, Answer(song.name, error=f"{song.name}: {error}")
    if song.error:
        return DataError(song.error), Answer(song.name, error=song.error)
    if not system.features:
        raise DataError("the system was trained on features from elsewhere: give those of the songs with --feats")
    try:
        heard = system.hear(song.path)
        tag = (labels.genre_in(audio.tags(song.path)) or "") if with_tags else None
    except LstmGenreError as error:
        message = str(error).replace(os.path.abspath(song.path), song.name)
        return error, Answer(song.name, error=message.replace(song.path, song.name))
    return heard, Answer(song.name, tag=tag)
