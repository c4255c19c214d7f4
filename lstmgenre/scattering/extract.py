"""A data directory's audio to feats.scp: the features of every utterance, each computed once.

DATA/data holds archives scat.N.ark (archives.py), each with its journal (journal.py), scat.json (their configuration,
see scat_json.py) and scat_paths.txt (what each row is); DATA/log a log per job; DATA gets feats.scp, utt2num_frames and
utt2dur when all is done.

A recording that has its features already keeps them, whatever it was called then. Only what was added or changed is
read, into new archives, one per job. A job writes its archive under a `.part` name. A run that was killed goes on, when
it is started again, with the archives that it had begun: it redoes nothing and ends with the same bytes. At the end,
archives of which feats.scp names nothing are removed; `compact` copies what it names into new ones.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from threadpoolctl import threadpool_limits

from lstmgenre import audio, files, tables
from lstmgenre.datadir import DataDir
from lstmgenre.errors import DataError
from lstmgenre.parallel import loky
from lstmgenre.parallel.engine import Engine
from lstmgenre.parallel.run import run
from lstmgenre.scattering import scat_json
from lstmgenre.scattering.archives import Places, copy_named, divide, places_in, remove_all_but
from lstmgenre.scattering.features import PAPER, FeatureConfig, ScatteringFeatures, format_paths
from lstmgenre.scattering.journal import (
    Entry,
    Journal,
    Shard,
    Source,
    begin,
    digest,
    is_begun,
    read_journals,
)
from lstmgenre.tables.encoding import encode, matrix_header
from lstmgenre.tables.rules import is_utf8

logger = logging.getLogger(__name__)

MAX_FAILED = 0.05  # a feature job that loses more than 5 % of its utterances fails, as Kaldi's do
PATHS_NAME = "scat_paths.txt"


@dataclass(frozen=True)
class Extraction:
    """What has its features now, and per utterance that has none, why; `computed` were not there before."""

    done: int
    failed: dict[str, str]
    computed: int = 0


def extract(
    data: DataDir,
    config: FeatureConfig = PAPER,
    *,
    jobs: int = 1,
    compress: bool = False,
    compact: bool = False,
    max_failed: float = MAX_FAILED,
    engine: Engine = loky.processes,
) -> Extraction:
    """See to it that every utterance of `data` has its features, and write feats.scp, utt2num_frames and utt2dur.

    `jobs` are run at a time, wherever `engine` has them run. Features are those of a recording's content (of a command,
    of what stands there), excerpt and configuration. An utterance that cannot be read is reported and left out. Raises
    DataError if that befalls more than a share `max_failed` of them, or all, and where another run is at it; what was
    there before stays then.
    """
    if not is_utf8(str(data.path.absolute())):
        raise DataError(f"{data.path}: this path is not UTF-8, and no line of feats.scp could name it: rename it")
    if not data.utterances:
        raise DataError(f"{data.path}: has no utterances: make it with lstmgenre prep-data")
    with files.exclusive(data.path / "data") as folder:
        archives = folder.absolute()
        journals = read_journals(archives)
        sources = _sources(data, journals, config, compress, jobs)
        places = places_in(journals)
        todo = {source.key: source for source in reversed(sources) if source.key not in places}
        if kept := sum(source.key in places for source in sources):
            logger.info("%s: %d of %d utterances have their features already", data.path, kept, len(sources))
        shards = divide(archives, journals, sources, todo, config, compress, jobs)
        failed = _run(data, shards, sources, jobs, engine)
        if len(failed) > min(max_failed * len(sources), len(sources) - 1):
            raise DataError(
                f"{data.path}: {len(failed)} of {len(sources)} utterances failed, more than {100 * max_failed:.4g}%: "
                f"mend or remove what is named above, or allow more by --max-failed (log: {data.path}/log)"
            )
        places = places_in(read_journals(archives))
        done = [source for source in sources if source.utterance not in failed]
        if compact:
            places = copy_named(archives, done, places, config, compress, jobs)
        _write_maps(data, done, places, config)
        remove_all_but({places[source.key][0] for source in done}, archives)
    return Extraction(len(done), failed, len(todo.keys() & places.keys()))


def _sources(
    data: DataDir, journals: Iterable[Journal], config: FeatureConfig, compress: bool, jobs: int
) -> list[Source]:
    """Every utterance with the key of its features. Recordings are read for that, unless a journal knows them."""
    recordings = {utterance: data.recording_of(utterance) for utterance in data.utterances}
    names = sorted({rxfilename for rxfilename, _, _ in recordings.values()})
    states = {name: [name, *files.state_of(tables.file_of(name) or name)[1:]] for name in names}
    known = {tuple(entry.state): entry.content for journal in journals for entry in journal.entries}
    unknown = sorted({tables.file_of(name) or name for name in names if (*states[name],) not in known})
    with ThreadPoolExecutor(jobs) as threads:  # each file once: an archive has thousands of recordings
        digests = dict(zip(unknown, threads.map(_digest_of_file, unknown), strict=True))
    contents = {name: known.get((*states[name],)) or _content(name, digests) for name in names}
    made_by = config.to_json(), compress
    return [
        Source(utterance, name, start, end, states[name], contents[name], digest(contents[name], start, end, *made_by))
        for utterance, (name, start, end) in recordings.items()
    ]


def _content(rxfilename: str, digests: Mapping[str, str]) -> str:
    """The digest of a file, and the place in it where the name has one; of a command, the command."""
    name = tables.file_of(rxfilename)
    return digests[name] + rxfilename[len(name) :] if name and digests[name] else rxfilename


def _digest_of_file(name: str) -> str:
    """ "" for what is none, or cannot be read."""
    try:
        if Path(name).is_file():
            with open(name, "rb") as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest()
    except (OSError, ValueError):  # the extraction will fail for it, and say why
        pass
    return ""


def _run(
    data: DataDir, shards: Sequence[Shard], sources: Sequence[Source], jobs: int, engine: Engine
) -> dict[str, str]:
    """Run the shards; returns the utterances that failed, and why. Several may be of the same recording."""
    if not shards:
        return {}
    reasons: dict[str, str] = {}
    for failures in run(extract_shard, shards, jobs, str(data.path / "log" / "extract_scat.JOB.log"), engine):
        reasons.update(failures)
    failed = {source.utterance: reasons[source.key] for source in sources if source.key in reasons}
    for utterance, reason in sorted(failed.items()):
        logger.warning("%s: left out: %s", utterance, reason)
    return failed


def _write_maps(data: DataDir, done: Sequence[Source], places: Places, config: FeatureConfig) -> None:
    """Write what says where the features are, unless it is there already."""
    archives = data.path / "data"
    before = scat_json.read(archives)
    if not before or before.config != config:
        # What is there is of another configuration, until all of it is written.
        (data.path / "feats.scp").unlink(missing_ok=True)
        with files.atomic_output(archives / PATHS_NAME) as stream:
            stream.write(format_paths(ScatteringFeatures(config).paths))
        scat_json.write(archives, config)
    at = {source.utterance: places[source.key] for source in done}
    for name, content in {
        "utt2num_frames": {utterance: str(entry.frames) for utterance, (_, entry) in at.items()},
        "utt2dur": {utterance: f"{entry.duration:.3f}" for utterance, (_, entry) in at.items()},
        "feats.scp": {utterance: f"{archive}:{entry.offset}" for utterance, (archive, entry) in at.items()},
    }.items():
        path = data.path / name
        if not path.is_file() or tables.read_map(path) != content:
            tables.write_map(path, content)


def extract_shard(shard: Shard) -> dict[str, str]:
    """Write the shard's archive, going on where a killed run left off; returns the keys that failed and why.

    Raises DataError where the archive cannot be written.
    """
    import lstmgenre.audio.resampling  # noqa: F401 (torch: a second that the command which starts workers is spared)

    transform = ScatteringFeatures(shard.config)
    try:
        with threadpool_limits(1), _locked(shard.lock):  # of torch, too, which came later than the worker's limit
            return _extract_shard(shard, transform)
    except OSError as error:
        raise DataError(f"{error.filename or shard.part}: cannot be written: {error.strerror}") from error


def _extract_shard(shard: Shard, transform: ScatteringFeatures) -> dict[str, str]:
    if not is_begun(shard):
        raise DataError(
            f"{shard.journal}: no command that runs wants this archive: another run has made it, or made others instead"
        )
    if shard.archive.exists() and not shard.part.exists():
        os.replace(shard.archive, shard.part)  # a process that was lost had come to its end
    before = Journal.read(shard.journal)
    finished = {entry.key for entry in before.entries}
    failed: dict[str, str] = {}
    done = sum(source.key in finished for source in shard.sources)
    logger.info("%d of %d utterances are done already", done, len(shard.sources))
    begin(shard, before.plan, before.entries)  # less a last line that a kill cut short
    config = shard.config
    with (
        files.open_own(shard.part, "ab") as archive,
        files.open_own(shard.journal) as journal,
        audio.Tracks(sample_rate=config.sample_rate, quantise=config.quantise) as tracks,
    ):
        archive.truncate(before.entries[-1].end if before.entries else 0)
        archive.seek(0, os.SEEK_END)
        for source in shard.sources:
            if source.key in finished:
                continue
            end = archive.tell()
            try:
                samples = tracks.open(source.rxfilename, source.start, source.end)
                entry = _write(archive, source, samples, shard, transform)
            except DataError as error:
                archive.truncate(end)  # less what was written before it failed
                archive.seek(end)
                logger.warning("%s: %s", source.utterance, error)
                failed[source.key] = str(error)
                continue
            # The archive first: a journal line stands for bytes that are there, after a power cut, too.
            archive.flush()
            os.fsync(archive.fileno())
            journal.write(entry.line())
            journal.flush()
            logger.info("%s: %d frames", entry.utterance, entry.frames)
        is_empty = not archive.tell()
    if is_empty:  # nothing in it could be read, and the next run plans it anew
        shard.part.unlink()
        shard.journal.unlink()
    else:
        os.replace(shard.part, shard.archive)
    return failed


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Wait for whoever is at the same shard: a worker that a cluster took for lost, or that outlived its command."""
    with files.open_own(path) as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.warning("%s: held by another process, which writes this archive: waiting for its end", path)
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _write(
    archive: IO[bytes], source: Source, samples: audio.Samples, shard: Shard, transform: ScatteringFeatures
) -> Entry:
    frames = transform.frames(samples)
    archive.write(f"{source.utterance} ".encode())
    offset = archive.tell()
    if shard.compress:  # which has to see all of a matrix before it can write the first number
        archive.writelines(encode(transform(samples), "matrix", text=False, method=1))
    else:  # a day of audio has a gigabyte of features
        archive.write(matrix_header(frames, transform.dim))
        for block in transform.blocks(samples):
            archive.write(np.ascontiguousarray(block, "<f4").data)
    seconds = len(samples) / shard.config.sample_rate
    recording = source.state, source.content
    return Entry(source.utterance, source.key, offset, archive.tell(), frames, seconds, *recording)
