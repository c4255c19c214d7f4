"""A data directory's audio to feats.scp: the features of every utterance, in one archive per job.

DATA/data holds the archives scat.JOB.ark with scat.json (what made them, see scat_json.py) and scat_paths.txt (what
each row is); DATA/log a log per job; DATA gets feats.scp, utt2num_frames and utt2dur when all is done.

A job writes its archive under a `.part` name with a journal beside it (journal.py). A run that was killed and is
started again redoes nothing and ends with the same bytes, be it with another number of processes: the archives stay
those that were begun.
"""

from __future__ import annotations

import fcntl
import functools
import json
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from lstmgenre import audio, files, tables
from lstmgenre.datadir import DataDir
from lstmgenre.errors import DataError
from lstmgenre.parallel import loky
from lstmgenre.parallel.engine import Engine
from lstmgenre.parallel.run import run
from lstmgenre.scattering import scat_json
from lstmgenre.scattering.features import PAPER, FeatureConfig, ScatteringFeatures, format_paths
from lstmgenre.scattering.journal import Entry, Shard, Source, begin, begun, fingerprint, is_begun, read_journal
from lstmgenre.tables.encoding import encode

logger = logging.getLogger(__name__)

MIN_SUCCESS = 0.95  # a feature job that loses more than 5 % of its utterances fails, as Kaldi's do
PATHS_NAME = "scat_paths.txt"


@dataclass(frozen=True)
class Extraction:
    """What came through, and per utterance that did not, why."""

    done: int
    failed: dict[str, str]


def extract(
    data: DataDir,
    config: FeatureConfig = PAPER,
    *,
    jobs: int = 1,
    compress: bool = False,
    engine: Engine = loky.processes,
) -> Extraction:
    """Extract the features of every utterance of `data` and write feats.scp, utt2num_frames and utt2dur.

    `jobs` are run at a time, wherever `engine` has them run. There are as many archives, or as many as a run that did
    not come to its end had begun. Nothing is done where all is already there from the same audio (by name, size and
    date; of a command, by what stands there) and configuration. An utterance that cannot be read is reported and left
    out. Raises DataError if that befalls more than 5 % of them, and where another run is at it.
    """
    state_of = functools.cache(files.state_of)
    recordings = {utterance: data.recording_of(utterance) for utterance in data.utterances}
    sources = tuple(Source(utterance, *part, state_of(part[0])) for utterance, part in recordings.items())
    if not sources:
        raise DataError(f"{data.path}: has no utterances: make it with lstmgenre prep-data")
    with files.exclusive(data.path / "data") as archives:
        return _extract(data, archives, sources, config, jobs, compress, engine)


def _extract(
    data: DataDir,
    archives: Path,
    sources: tuple[Source, ...],
    config: FeatureConfig,
    jobs: int,
    compress: bool,
    engine: Engine,
) -> Extraction:
    made_from = fingerprint(config, compress, sources)
    before = scat_json.read(archives)
    if before and before[1] == made_from and _is_whole(DataDir.read(data.path)):
        return Extraction(len(sources), {})

    shards = _divide(sources, archives.absolute(), config, compress, jobs)
    for shard in shards:
        if not is_begun(shard):
            begin(shard, [])
    failed: dict[str, str] = {}
    log = str(data.path / "log" / "extract_scat.JOB.log")
    for failures in run(extract_shard, shards, jobs, log, engine):
        failed.update(failures)
    for utterance, reason in sorted(failed.items()):
        logger.warning("%s: left out: %s", utterance, reason)
    if len(failed) > (1 - MIN_SUCCESS) * len(sources):
        raise DataError(
            f"{data.path}: {len(failed)} of {len(sources)} utterances failed, more than {1 - MIN_SUCCESS:.0%}: "
            f"mend or remove what is named above (log: {data.path}/log)"
        )
    entries = [(shard, entry) for shard in shards for entry in read_journal(shard)]
    (data.path / "feats.scp").unlink(missing_ok=True)
    _remove_others(archives, shards)
    with files.atomic_output(archives / PATHS_NAME) as stream:
        stream.write(format_paths(ScatteringFeatures(config).paths))
    scat_json.write(archives, config, made_from)
    tables.write_map(data.path / "utt2num_frames", {e.utterance: str(e.frames) for _, e in entries})
    tables.write_map(data.path / "utt2dur", {e.utterance: f"{e.duration:.3f}" for _, e in entries})
    tables.write_map(data.path / "feats.scp", {e.utterance: f"{s.archive}:{e.offset}" for s, e in entries})
    for shard in shards:
        if not failed:  # else the next run finds by it what is still to do
            shard.journal.unlink()
        shard.lock.unlink()
    return Extraction(len(entries), failed)


def _divide(
    sources: tuple[Source, ...], archives: Path, config: FeatureConfig, compress: bool, jobs: int
) -> list[Shard]:
    """The shards of a run that was begun, if one of them has something to go on with; else one for each job."""
    for count in (*sorted(begun(archives)), jobs):
        shards = [
            Shard(archives / f"scat.{k + 1}.ark", sources[k::count], config, compress, count)
            for k in range(min(count, len(sources)))
        ]
        if count != jobs and any(read_journal(shard) for shard in shards):
            logger.info("%s: going on with the %d archives that were begun", archives, count)
            break
    return shards


def _remove_others(archives: Path, shards: list[Shard]) -> None:
    """Remove the archives of more jobs, which nothing will name any more."""
    own = {path for shard in shards for path in (shard.archive, shard.part, shard.journal, shard.lock)}
    for path in archives.absolute().glob("scat.*"):
        if path not in own and re.fullmatch(r"scat\.\d+\.(ark|ark\.part|journal|lock)", path.name):
            path.unlink()


def _is_whole(data: DataDir) -> bool:
    """Whether every utterance has its features, and they are where feats.scp says."""
    keys = set(data.utterances)
    archives = {tables.file_of(entry) for entry in data.feats.values()}
    maps = (data.feats, data.utt2num_frames, data.utt2dur)
    return all(keys == content.keys() for content in maps) and all(Path(archive).exists() for archive in archives)


def extract_shard(shard: Shard) -> dict[str, str]:
    """Write the shard's archive, going on where a killed run left off; returns the utterances that failed and why.

    Raises DataError where the archive cannot be written.
    """
    transform = ScatteringFeatures(shard.config)
    try:
        with _locked(shard.lock):
            return _extract_shard(shard, transform)
    except OSError as error:
        raise DataError(f"{error.filename or shard.part}: cannot be written: {error.strerror}") from error


def _extract_shard(shard: Shard, transform: ScatteringFeatures) -> dict[str, str]:
    if not is_begun(shard):
        raise DataError(
            f"{shard.journal}: no command that runs wants this archive: another run has made it, or made others instead"
        )
    if shard.archive.exists() and not shard.part.exists() and read_journal(shard):
        _rename(shard.archive, shard.part, shard)  # whole, but some of its utterances had failed
    size = shard.part.stat().st_size if shard.part.exists() else 0
    entries = [entry for entry in read_journal(shard) if entry.end <= size]
    finished = {entry.utterance for entry in entries}
    failed: dict[str, str] = {}
    logger.info("%d of %d utterances are done already", len(finished), len(shard.sources))
    begin(shard, entries)  # less a last line that a kill cut short
    with files.open_own(shard.part, "ab") as archive, files.open_own(shard.journal) as journal:
        archive.truncate(entries[-1].end if entries else 0)
        archive.seek(0, os.SEEK_END)
        for source in shard.sources:
            if source.utterance in finished:
                continue
            try:
                entry = _write(archive, source, shard, transform)
            except DataError as error:
                logger.warning("%s: %s", source.utterance, error)
                failed[source.utterance] = str(error)
                continue
            # The archive first: a journal line stands for bytes that are there, after a power cut, too.
            archive.flush()
            os.fsync(archive.fileno())
            journal.write(json.dumps(vars(entry)) + "\n")
            journal.flush()
            logger.info("%s: %d frames", entry.utterance, entry.frames)
    _rename(shard.part, shard.archive, shard)
    return failed


def _rename(old: Path, new: Path, shard: Shard) -> None:
    """The first archive that is replaced ends an older feats.scp, which would point into it: not sooner, lest a cluster
    that does not answer cost the features that are there."""
    shard.listed.unlink(missing_ok=True)
    os.replace(old, new)


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


def _write(archive: IO[bytes], source: Source, shard: Shard, transform: ScatteringFeatures) -> Entry:
    samples = audio.open_track(
        source.rxfilename,
        sample_rate=shard.config.sample_rate,
        start=source.start,
        end=source.end,
        quantise=shard.config.quantise,
    )
    features = transform(samples)
    archive.write(f"{source.utterance} ".encode())
    offset = archive.tell()
    archive.writelines(encode(features, "matrix", text=False, method=int(shard.compress)))
    seconds = len(samples) / shard.config.sample_rate
    return Entry(source.utterance, offset, archive.tell(), len(features), seconds, source.state)
