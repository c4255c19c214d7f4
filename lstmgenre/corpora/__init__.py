"""Corpora as Kaldi data directories: each module's `prepare` turns one kind of source into DATA/train, DATA/test, ...

    folders    any tree GENRE/.../TRACK                   tagged     any tree, genres from the tags
    table      a CSV of paths, genres, artists and sets   ismir2004  the paper's corpus
    gtzan      GTZAN                                      fma        the Free Music Archive's dumps
    demo       a small corpus that is synthesised

Each offers files with what it knows of them (`Offer`); the way from there to data directories is one for all, `intake`:

    search     a folder                        -> the audio files in it, by their names
    probing    files                           -> what they hold, by decoding them
    labels     tags, folders and lists         -> artist and genre
    splits     artists                         -> training, held-out and test set
    naming     tracks                          -> utterance ids
    changes    the last run                    -> what has changed since, and who stays where
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from lstmgenre.corpora.naming import Track, rxfilename, slug, write_data_dir

__all__ = ["SETS", "LeftOut", "Offer", "Track", "rxfilename", "slug", "write_data_dir"]

SETS = ("train", "valid", "test", "evaluation")  # the data directories that a corpus may have


@dataclass(frozen=True)
class Offer:
    """A file that a corpus offers, with what is known of it before it is opened.

    `name` tells it from the others of its artist. What is None is found out: the genre and the artist by the tags, then
    the artist by `folder_artist`; the set by the split. Where the artist stays unknown, files of one `folder` stay
    together in the split. `note` is what is known of common copies of the file, told where it cannot be used.
    """

    path: Path
    name: str
    genre: str | None = None
    artist: str | None = None
    set: str | None = None
    folder_artist: str | None = None
    folder: str = ""
    note: str = ""


class LeftOut(NamedTuple):
    """A file that is not used: the kind of reason, and what else there is to say."""

    path: Path
    reason: str
    detail: str = ""
