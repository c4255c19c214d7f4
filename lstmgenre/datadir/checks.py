"""What is wrong with a data directory by Kaldi's rules, and mending it."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from lstmgenre.datadir.content import FILES, MAX_OVERSHOOT, DataDir, Problem, maker, some
from lstmgenre.errors import DataError
from lstmgenre.files import atomic_output

logger = logging.getLogger(__name__)


def validate(data: DataDir) -> list[Problem]:
    """Everything that breaks a rule of data directories, first what showed as the files were read."""
    return [*data.damage, *_check_presence(data), *_check_keys(data), *_check_names(data), *_check_times(data)]


def fix(data: DataDir) -> DataDir:
    """Only the utterances that every file has, in order. Raises DataError if there is none."""
    common = set(data.utterances)
    for name in data.per_utterance():
        common &= getattr(data, FILES[name][0]).keys()
    if data.segments:
        common = {utterance for utterance in common if data.segments[utterance].recording in data.wav_scp}
    if data.cmvn and data.utt2spk:
        common = {utterance for utterance in common if data.utt2spk.get(utterance) in data.cmvn}
    if not common:
        raise DataError(f"{data.path}: no utterance is in every file; make the directory again")
    return data.subset(common)


def mend(path: str | Path) -> None:
    """Fix a data directory on the disk, say what was wrong and what is dropped, and keep the old files in .backup/; in
    .backup.1/ and so on where that is there.

    Raises DataError if no utterance is in every file, and where the old files cannot be kept.
    """
    data = DataDir.read(path, strict=False)
    problems = validate(data)
    if not problems:
        return
    for problem in problems:
        logger.warning("%s: %s", problem.where, problem.message)
    fixed = fix(data)
    if dropped := set(data.utterances) - set(fixed.utterances):
        logger.warning("%s: %d of %d utterances dropped: %s", path, len(dropped), len(data.utterances), some(dropped))
    backup = _new_backup(data.path)
    for name in (*FILES, "spk2utt", "genres"):
        if (data.path / name).is_file():
            with atomic_output(backup / name, "wb") as stream:
                stream.write((data.path / name).read_bytes())
    logger.info("%s: the old files are in %s", path, backup)
    fixed.write()


def _new_backup(path: Path) -> Path:
    """A directory that was not there: what an earlier mending has kept, whole or not, stays as it is."""
    for number in count():
        backup = path / (f".backup.{number}" if number else ".backup")
        try:
            backup.mkdir()
        except FileExistsError:
            continue
        except OSError as error:
            raise DataError(f"{backup}: cannot be made, so nothing is mended: {error.strerror}") from error
        return backup
    raise AssertionError


def _check_presence(data: DataDir) -> Iterator[Problem]:
    if not data.utt2spk:
        yield data.problem("no utterances", "utt2spk")
    if not data.wav_scp and not data.feats:
        yield data.problem("neither audio nor features", "wav.scp")


def _check_keys(data: DataDir) -> Iterator[Problem]:
    utterances = set(data.utterances)
    for name in data.per_utterance():
        keys = getattr(data, FILES[name][0]).keys()
        if missing := utterances - keys:
            yield data.problem(f"no line for {some(missing)}", name, f"{maker(name, data.path)}, or {data.fix_command}")
        if extra := keys - utterances:
            yield data.problem(f"{some(extra)} not in utt2spk", name, data.fix_command)
    if lost := {utterance for utterance, part in data.segments.items() if part.recording not in data.wav_scp}:
        yield data.problem(f"the recording of {some(lost)} is not in wav.scp", "segments", data.fix_command)
    if data.segments and (idle := data.wav_scp.keys() - {part.recording for part in data.segments.values()}):
        yield data.problem(f"no segment is of the recording {some(idle)}", "wav.scp", data.fix_command)
    if data.cmvn and data.utt2spk:
        artists = data.spk2utt.keys()
        if missing := artists - data.cmvn.keys():
            remedy = f"remove the file, or {data.fix_command}"
            yield data.problem(f"no line for the artist {some(missing)}", "cmvn.scp", remedy)
        if extra := data.cmvn.keys() - artists:
            yield data.problem(f"{some(extra)} is no artist of utt2spk", "cmvn.scp", data.fix_command)


def _check_names(data: DataDir) -> Iterator[Problem]:
    rename = "name utterances ARTIST-TRACK and make the directory again"
    if alien := {utterance for utterance, artist in data.utt2spk.items() if not utterance.startswith(artist)}:
        yield data.problem(f"the name of {some(alien)} does not start with the artist's", "utt2spk", rename)
    artists = [data.utt2spk[utterance] for utterance in sorted(data.utt2spk)]
    if artists != sorted(artists):
        yield data.problem("sorted by utterance, it is not sorted by artist", "utt2spk", rename)
    if data.genre_order and (alien := set(data.utt2genre.values()).difference(data.genre_order)):
        yield data.problem(
            f"genre {min(alien)} is not in the file genres", "utt2genre", f"add it to {data.path}/genres"
        )


def _check_times(data: DataDir) -> Iterator[Problem]:
    """Segments against the durations that are known."""
    for name, past in ("reco2dur", _past_recordings(data)), ("utt2dur", _past_utterances(data)):
        if past:
            message = f"{some(past)} lies past the end of its recording, by {name}"
            yield data.problem(message, "segments", "mend its times, or drop its line")


def _past_recordings(data: DataDir) -> set[str]:
    durations = {utterance: data.reco2dur.get(part.recording, math.inf) for utterance, part in data.segments.items()}
    return {
        utterance
        for utterance, part in data.segments.items()
        if part.start >= durations[utterance] or part.end > durations[utterance] + MAX_OVERSHOOT
    }


def _past_utterances(data: DataDir) -> set[str]:
    past = set()
    for utterance, part in data.segments.items():
        if part.end == -1 or utterance not in data.utt2dur:
            continue
        duration, length = data.utt2dur[utterance], part.end - part.start
        # A duration less than the segment's is all that there was of it. One that is more is of the whole recording: it
        # had no segments then.
        if (part.end if duration > length + MAX_OVERSHOOT else length) > duration + MAX_OVERSHOOT:
            past.add(utterance)
    return past
