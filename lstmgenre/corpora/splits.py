"""Training, held-out and test set, such that songs that come, go or get another name move no other song.

1. What stays on one side is a group: the tracks of an artist, since a model that knows the artist scores too high;
   where the artist is not known, the tracks of a folder, or else the copies of one recording.
2. A group that was there in the last run stays where it was; a hash of its name and the seed decides for any other.
3. Where a genre has no track to train on, one of its groups moves there, a new one if it has any. Then, where a genre
   has none to test on, a new group moves there, if others are left to train on.
"""

from __future__ import annotations

import hashlib
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from lstmgenre.corpora.naming import Track
from lstmgenre.errors import DataError

logger = logging.getLogger(__name__)

TEST_FRACTION = 0.5  # paper, table 1: half

TRAIN, VALID, TEST = "train", "valid", "test"


@dataclass(frozen=True)
class Shares:
    """What part of the groups is to be tested on, what part of the others held out of training, and which, by `seed`.

    Raises DataError where nothing would be left to train on.
    """

    test_fraction: float
    held_out: float
    seed: int

    def __post_init__(self) -> None:
        for name, share in (("test fraction", self.test_fraction), ("held-out share", self.held_out)):
            if not 0 <= share < 1:
                raise DataError(f"{name} {share}: want a number from 0 to less than 1")

    def draw(self, group: str) -> float:
        """A number of [0, 1) that looks like chance, and is the same on every machine."""
        digest = hashlib.sha256(f"{self.seed}:{group}".encode("utf-8", "surrogateescape")).digest()
        return int.from_bytes(digest[:7]) / 2**56

    def set_of(self, group: str) -> str:
        """The test set takes the low end, the held-out set the high end: more of one takes nothing from the other."""
        number = self.draw(group)
        if number < self.test_fraction:
            return TEST
        return VALID if number >= 1 - (1 - self.test_fraction) * self.held_out else TRAIN


def choose(
    tracks: Iterable[Track], shares: Shares, before: Callable[[Track], tuple[str, str | None] | None]
) -> dict[Track, str]:
    """The set of each track. `before` gives set and artist of a track in the last run, None for one that is new."""
    groups = _groups(tracks, before, is_split=shares.test_fraction + shares.held_out > 0)
    sets, settled = {}, set()
    for group, members in groups.items():
        if former := _former_sets(members, before):
            settled.add(group)
        sets[group] = former.pop() if former else shares.set_of(group)
    _fill(groups, sets, settled, shares)
    return {track: sets[group] for group, members in groups.items() for track in members}


def _groups(
    tracks: Iterable[Track], before: Callable[[Track], tuple[str, str | None] | None], is_split: bool
) -> dict[str, list[Track]]:
    """What stays on one side, by name; where all go to one side, what is divided goes untold."""
    groups: dict[str, list[Track]] = defaultdict(list)
    for track in tracks:
        groups[_name(track)].append(track)
    groups_of = _by_genre(groups)
    for genre, names in sorted(groups_of.items()):
        if len(names) == 1 and len(members := [t for t in groups[names[0]] if t.genre == genre]) > 1:
            if is_split:
                logger.warning("genre %s: has one artist only: split by track, so its score will flatter", genre)
            _divide(groups, names[0], members)
    for name, members in list(groups.items()):
        if len(_former_sets(members, before)) > 1:  # it had been alone in its genre
            logger.warning("%s: stays in several sets, as in the last run: the score will flatter", name)
            _divide(groups, name, members)
    return dict(groups)


def _name(track: Track) -> str:
    if track.speaker is not None:
        return f"artist {track.speaker}"
    return f"folder {track.folder}" if track.folder else f"recording {track.content or track.path}"


def _divide(groups: dict[str, list[Track]], name: str, members: list[Track]) -> None:
    """Make each of these tracks of a group one of its own."""
    for track in members:
        groups[f"{name}, track {track.name}{track.path.suffix}"] = [track]
    groups[name] = [track for track in groups[name] if track not in members]
    if not groups[name]:
        del groups[name]


def _former_sets(members: Iterable[Track], before: Callable[[Track], tuple[str, str | None] | None]) -> set[str]:
    """The sets in which the last run had these tracks, under the artist that they have now."""
    former = [(before(track), track.speaker) for track in members]
    return {entry[0] for entry, artist in former if entry and artist in (None, entry[1])}


def _by_genre(groups: Mapping[str, list[Track]]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = defaultdict(list)
    for name, members in groups.items():
        for genre in {track.genre for track in members}:
            names[genre].append(name)
    return names


def _fill(groups: Mapping[str, list[Track]], sets: dict[str, str], settled: set[str], shares: Shares) -> None:
    """Give genres what they lack of training and test tracks."""
    groups_of = _by_genre(groups)
    middle = (shares.test_fraction + 1 - (1 - shares.test_fraction) * shares.held_out) / 2  # of what trains
    for genre, names in sorted(groups_of.items()):
        if TRAIN not in {sets[name] for name in names}:
            nearest = min(names, key=lambda name: (name in settled, abs(shares.draw(name) - middle), name))
            if nearest in settled:
                logger.warning("genre %s: had no track left to train on: %s moves there", genre, nearest)
            sets[nearest] = TRAIN
    for genre, names in sorted(groups_of.items()) if shares.test_fraction else ():
        if TEST in {sets[name] for name in names}:
            continue
        training = {g: [name for name in groups_of[g] if sets[name] == TRAIN] for g in groups_of}
        spare = [
            name
            for name in names
            if name not in settled and all(training[t.genre] != [name] for t in groups[name])
        ]  # fmt: skip
        if spare:
            sets[min(spare, key=lambda name: (shares.draw(name), name))] = TEST
        else:
            logger.warning("genre %s: no track of it can be spared to test on", genre)
