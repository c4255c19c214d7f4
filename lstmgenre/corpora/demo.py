"""A small corpus that is synthesised: six classes with the names of the paper's genres, to show the pipeline at work.

It is not music, and no accuracy on it says anything about music. What it shows is the paper's claim. rock_pop goes
round three chords, jazz_blues goes round them the other way: track for track the same chords of the same lengths in
another order, so that frames cannot tell the two apart and sequences can. The other four differ in timbre and rhythm.
In every track one of these four is also heard in the background, now faintly, now as loud as the track's own genre.
"""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from scipy.signal import resample_poly

from lstmgenre.audio import SAMPLE_RATE
from lstmgenre.corpora import Offer
from lstmgenre.corpora.intake import Intake
from lstmgenre.datadir import DataDir
from lstmgenre.errors import DataError
from lstmgenre.files import atomic_output

logger = logging.getLogger(__name__)

PAIR = ("jazz_blues", "rock_pop")  # the genres that differ in nothing but order
SECONDS = (15.0, 20.0)  # the shortest and the longest track

_TRACKS_PER_ARTIST = 2
# Extension, libsndfile's subtype, sample rate as a multiple of SAMPLE_RATE, channels.
_FORMATS = (
    ("wav", "PCM_24", 2, 2),
    ("flac", "PCM_16", 2, 2),
    ("mp3", "MPEG_LAYER_III", 2, 1),
    ("ogg", "VORBIS", 1, 2),
    ("wav", "PCM_16", 1, 1),
)
_BACKGROUND = (-20.0, 0.0)  # level of the genre in the background against the track's own, dB
_WRONG_WAY = 0.05  # probability that a step between chords goes against the genre's direction


class Artist(NamedTuple):
    """What the tracks of an artist share: the pitch of the key in Hz, a brightness and a tempo around 1."""

    key: float
    brightness: float
    tempo: float


def prepare(
    out: str | os.PathLike[str], *, seed: int = 0, tracks: int = 10, seconds: tuple[float, float] = SECONDS
) -> dict[str, DataDir]:
    """Write `out`/audio, `out`/train and `out`/test: `tracks` tracks of each genre in each, of a length in `seconds`.

    The same `seed` gives the same decoded audio. The tracks come in turn as wav, flac, mp3 and ogg, at 44.1 or 22.05
    kHz, in stereo or mono. An artist has two tracks, and no artist is in both train and test.

    Raises DataError for a negative seed.
    """
    if seed < 0:
        raise DataError(f"seed {seed}: want 0 or more")
    out = Path(out)
    offers = []
    for split_number, split in enumerate(("train", "test")):
        for genre in GENRES:
            for number in range(tracks):
                artist = f"{split}_{genre}_{number // _TRACKS_PER_ARTIST + 1}"
                extension, subtype, upsampling, channels = _FORMATS[number % len(_FORMATS)]
                path = out / "audio" / split / genre / f"{artist}_track_{number + 1}.{extension}"
                stream = PAIR[0] if genre in PAIR else genre  # the pair draws the same numbers
                samples = _track(genre, (seed, split_number, GENRES.index(stream)), number, seconds)
                _write(path, samples, subtype, upsampling, channels)
                offers.append(Offer(path, f"track_{number + 1}", genre, artist, split))
        logger.info("%s: synthesised %d tracks for %s", out, tracks * len(GENRES), split)
    return Intake(genres=GENRES, check=False).take(out, offers)


def _track(genre: str, seeds: tuple[int, ...], number: int, seconds: tuple[float, float]) -> np.ndarray:
    """Two channels of a track at SAMPLE_RATE: the genre, another in the background, and a little noise."""
    artist_rng = np.random.default_rng([*seeds, number // _TRACKS_PER_ARTIST])
    artist = Artist(
        key=110 * 2 ** artist_rng.uniform(-0.25, 0.25),
        brightness=artist_rng.uniform(0.7, 1.4),
        tempo=artist_rng.uniform(0.85, 1.15),
    )
    rng = np.random.default_rng([*seeds, number // _TRACKS_PER_ARTIST, number])
    length = round(rng.uniform(*seconds) * SAMPLE_RATE)
    others = [other for other in TEXTURES if other != genre]
    foreground = _chords(rng, artist, length, genre) if genre in PAIR else TEXTURES[genre](rng, artist, length)
    background = TEXTURES[others[rng.integers(len(others))]](rng, artist, length)
    background *= 10 ** (rng.uniform(*_BACKGROUND) / 20)
    noise = 10 ** (rng.uniform(-45, -30) / 20) * rng.standard_normal((length, 2))
    pan = rng.uniform(-0.5, 0.5)
    stereo = np.stack([(1 + pan) * foreground + background, (1 - pan) * foreground + background], axis=1) + noise
    return 10 ** (rng.uniform(-9, -3) / 20) * stereo / np.abs(stereo).max()


# --- the genres: each gives (length,) samples with a mean square of 1


def _chords(rng: np.random.Generator, artist: Artist, length: int, genre: str) -> np.ndarray:
    """Three chords in a circle, for several frames each; the first genre of the pair plays the second's backwards."""
    count = round(length / SAMPLE_RATE * artist.tempo / rng.uniform(0.5, 0.65)) + 1
    degrees = np.cumsum(np.where(rng.random(count) < _WRONG_WAY, -1, 1)) % 3
    seconds = rng.uniform(0.85, 1.15, count)
    seconds *= length / SAMPLE_RATE / seconds.sum()
    if genre == PAIR[0]:
        degrees, seconds = degrees[::-1], seconds[::-1]
    # Chord, octave and brightness change together, so that a frame shows well which of the three it is.
    chords = [((1, 5 / 4, 3 / 2), 1, 0.5), ((4 / 3, 5 / 3, 2), 2, 1.5), ((3 / 2, 15 / 8, 9 / 4), 4, 3.0)]
    fade = 0.04  # s, in and out alike, so that a change of chords sounds the same backwards
    notes = []
    for degree, start, duration in zip(degrees, np.cumsum(seconds) - seconds, seconds, strict=True):
        ratios, octave, index = chords[degree]
        t = _time(duration + fade)
        envelope = np.minimum(1, np.minimum(t, t[-1] - t) / fade)
        tones = [_tone(t, artist.key * octave * ratio, index * artist.brightness) for ratio in ratios]
        notes.append((start, envelope * np.sum(tones, axis=0)))
    return _lay(notes, length)


def _bowed(rng: np.random.Generator, artist: Artist, length: int) -> np.ndarray:
    """Slow chords that swell, with vibrato."""
    notes = []
    for start in _beats(rng, 0.7 / artist.tempo, length, jitter=0.3):
        t = _time(rng.uniform(1.0, 1.8))
        swell = np.sin(np.pi * t / t[-1])
        for octave in (1, 2, 4):
            frequency = octave * artist.key * _degree(rng, (0, 2, 4, 5, 7, 9, 11))
            vibrato = 0.15 * np.sin(2 * np.pi * rng.uniform(4.5, 6) * t)
            notes.append((start, swell * _tone(t, frequency, artist.brightness, phase=frequency / 100 * vibrato)))
    return _lay(notes, length)


def _machine(rng: np.random.Generator, artist: Artist, length: int) -> np.ndarray:
    """A drum machine: kick on the beat, hiss off it, a bass that runs in sixteenths."""
    beat = rng.uniform(0.43, 0.5) / artist.tempo
    t = _time(0.2)
    kick = 3 * np.exp(-t / 0.08) * np.sin(2 * np.pi * (45 * t - 6 * np.exp(-t / 0.03)))
    hiss = np.exp(-t / 0.03) * np.diff(rng.standard_normal(len(t) + 1))
    notes = [(start, kick) for start in _beats(rng, beat, length)]
    notes += [(start + beat / 2, hiss) for start in _beats(rng, beat, length)]
    t = _time(beat / 4)
    for start in _beats(rng, beat / 4, length):
        frequency = artist.key / 2 * _degree(rng, (0, 0, 3, 7, 12))
        notes.append((start, np.exp(-t / 0.1) * _tone(t, frequency, 4 * artist.brightness)))
    return _lay(notes, length)


def _distorted(rng: np.random.Generator, artist: Artist, length: int) -> np.ndarray:
    """Fast power chords through an overdriven amplifier, and a snare."""
    beat = rng.uniform(0.16, 0.2) / artist.tempo
    notes = []
    frequency = artist.key
    for number, start in enumerate(_beats(rng, beat, length)):
        if number % 8 == 0:
            frequency = artist.key * _degree(rng, (-4, -2, 0, 1, 3))
        t = _time(beat)
        power_chord = np.sum([_tone(t, frequency * ratio, 1) for ratio in (1, 3 / 2, 2)], axis=0)
        notes.append((start, np.tanh(4 * artist.brightness * power_chord) * np.exp(-t / 0.3)))
    t = _time(0.15)
    notes += [(s, np.exp(-t / 0.05) * rng.standard_normal(len(t))) for s in _beats(rng, 4 * beat, length)]
    return _lay(notes, length)


def _plucked(rng: np.random.Generator, artist: Artist, length: int) -> np.ndarray:
    """Plucked strings in five tones over a drone, and a hand drum."""
    beat = rng.uniform(0.24, 0.34) / artist.tempo
    notes = []
    for start in _beats(rng, beat, length, jitter=0.1):
        t = _time(0.8)
        frequency = 4 * artist.key * _degree(rng, (0, 2, 5, 7, 9))
        pluck = np.exp(-t / 0.25) * _tone(t, frequency, 3 * artist.brightness * np.exp(-t / 0.08), ratio=3)
        notes.append((start, pluck))
    t = _time(0.25)
    drum = 2 * np.exp(-t / 0.1) * np.sin(2 * np.pi * (95 * t - 2 * np.exp(-t / 0.02)))
    notes += [(start, drum) for start in _beats(rng, beat, length, jitter=0.1) if rng.random() < 0.5]
    t = _time(length / SAMPLE_RATE)
    notes.append((0, 0.2 * _tone(t, artist.key, artist.brightness) * (1 + 0.5 * np.sin(2 * np.pi * 0.8 * t))))
    return _lay(notes, length)


TEXTURES: dict[str, Callable[[np.random.Generator, Artist, int], np.ndarray]] = {
    "classical": _bowed,
    "electronic": _machine,
    "metal_punk": _distorted,
    "world": _plucked,
}
GENRES = tuple(sorted([*TEXTURES, *PAIR]))


# --- their means


def _time(seconds: float) -> np.ndarray:
    return np.arange(round(seconds * SAMPLE_RATE), dtype=np.float32) / SAMPLE_RATE


def _tone(
    t: np.ndarray, frequency: float, index: float | np.ndarray, ratio: float = 1, phase: float | np.ndarray = 0
) -> np.ndarray:
    """Two-operator frequency modulation: `index` sets how bright it is, `ratio` how far apart its partials are."""
    angle = 2 * np.pi * frequency * t + phase
    return np.sin(angle + index * np.sin(ratio * angle))


def _degree(rng: np.random.Generator, semitones: Iterable[int]) -> float:
    return 2 ** (float(rng.choice(list(semitones))) / 12)


def _beats(rng: np.random.Generator, period: float, length: int, jitter: float = 0) -> np.ndarray:
    """Start times in seconds, one per period, moved by up to `jitter` periods."""
    beats = np.arange(0, length / SAMPLE_RATE, period)
    return beats + period * jitter * rng.random(len(beats))


def _lay(notes: Iterable[tuple[float, np.ndarray]], length: int) -> np.ndarray:
    """Add up (start in seconds, samples), cut at `length`, at unit power."""
    track = np.zeros(length)
    for start, samples in notes:
        first = round(start * SAMPLE_RATE)
        part = track[first : first + len(samples)]
        part += samples[: len(part)]
    return track / np.sqrt(np.mean(track**2))


def _write(path: Path, stereo: np.ndarray, subtype: str, upsampling: int, channels: int) -> None:
    samples = stereo if channels == 2 else stereo.mean(axis=1)
    samples = resample_poly(samples, upsampling, 1) if upsampling > 1 else samples
    encoded = io.BytesIO()  # what cannot be written to a file, libsndfile would tell by tracebacks
    soundfile.write(encoded, samples, upsampling * SAMPLE_RATE, format=path.suffix[1:], subtype=subtype)
    with atomic_output(path, "wb") as stream:
        stream.write(encoded.getbuffer())
