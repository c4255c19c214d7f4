"""Parts of data directories that keep artists apart, and directories put together."""

from __future__ import annotations

import logging
import random
import warnings
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lstmgenre.datadir.content import FILES, DataDir, line_of, some
from lstmgenre.errors import DataError
from lstmgenre.tables import numbered_lines

logger = logging.getLogger(__name__)


def hold_out(data: DataDir, fraction: float = 0.1, seed: int = 777) -> tuple[DataDir, DataDir]:
    """Training and cross-validation part, `PATH_tr90` and `PATH_cv10`.

    Whole artists are held out, and every genre stays represented in training:

    1. The artists are put in an order by chance, which `seed` decides.
    2. In that order, an artist is held out if that brings the held-out tracks of the genres, all in all, nearer to
       `fraction` of each genre.
    3. Once more in that order, an artist is held out if that brings them no further from it, as long as no more than
       `fraction` of all tracks are.
    4. If nobody has been held out, the artist with the fewest tracks is.

    So the genres have the same shares in both parts to within half an artist of one genre.

    Raises DataError where no artist can be spared, or the fraction is none.
    """
    if not 0 < fraction < 1:
        raise DataError(f"hold out {fraction}: ask for a share between 0 and 1")
    artists = data.spk2utt
    genres_of = {a: Counter(data.utt2genre.get(u, "") for u in utterances) for a, utterances in artists.items()}
    total = sum(genres_of.values(), Counter())
    order = sorted(artists)
    random.Random(seed).shuffle(order)
    held: set[str] = set()
    counts: Counter[str] = Counter()

    def can_go(artist: str) -> bool:
        return all(total[genre] > counts[genre] + count for genre, count in genres_of[artist].items())

    def distance(counts: Counter[str]) -> float:
        return sum(abs(fraction * total[genre] - counts[genre]) for genre in total)

    def closer(artist: str) -> float:
        return round(distance(counts) - distance(counts + genres_of[artist]), 6)

    for room, least in ((len(data.utterances), 1e-6), (fraction * len(data.utterances), 0)):
        for artist in order:
            size = len(held | set(artists[artist]))
            if len(held) < size <= room and can_go(artist) and closer(artist) >= least:
                held.update(artists[artist])
                counts += genres_of[artist]
    if not held:
        spare = [artist for artist in order if can_go(artist)]
        if not spare:
            raise DataError(f"{data.path}: no artist can be held out with every genre left to train on; add artists")
        held.update(artists[min(spare, key=lambda artist: len(artists[artist]))])
    percent = round(100 * fraction)
    parts = {f"_tr{100 - percent}": set(data.utterances) - held, f"_cv{percent}": held}
    # The held-out part may lack a genre: both keep the classes, and their order, of the whole.
    train, cv = (
        replace(data.subset(part), path=data.path.parent / (data.path.name + ending), genre_order=data.genres)
        for ending, part in parts.items()
    )
    return train, cv


def folds(data: DataDir, n: int, seed: int = 777) -> list[tuple[DataDir, DataDir]]:
    """`n` divisions into a training and a test part, `PATH/1/train` and `PATH/1/test` and so on; each utterance is
    in one of the test parts.

    An artist's utterances stay together, and every test part has about the same share of each genre; `seed` picks
    who is in which. A genre of a single artist is divided by utterance, with a warning. Raises DataError where a
    training part would lack a genre.
    """
    from sklearn.model_selection import StratifiedGroupKFold  # takes a second to import

    for name, content in (("utt2genre", data.utt2genre), ("utt2spk", data.utt2spk)):
        if lost := set(data.utterances) - content.keys():
            raise DataError(f"{data.path / name}: no line for {some(lost)}; run {data.fix_command}")
    utterances = data.utterances
    genres = [data.utt2genre[utterance] for utterance in utterances]
    artists: dict[str, set[str]] = defaultdict(set)
    for utterance, genre in zip(utterances, genres, strict=True):
        artists[genre].add(data.utt2spk[utterance])
    alone = {genre for genre, names in artists.items() if len(names) == 1}
    groups = [u if genre in alone else data.utt2spk[u] for u, genre in zip(utterances, genres, strict=True)]
    if not 2 <= n <= min(len(set(groups)), max(Counter(genres).values(), default=0)):
        raise DataError(f"{data.path}: {len(genres)} tracks of {len(set(groups))} artists do not make {n} folds")
    divisions = []
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", UserWarning
        )  # a genre of fewer tracks than folds, which is not in all test parts
        rows_of_folds = list(StratifiedGroupKFold(n, shuffle=True, random_state=seed).split(utterances, genres, groups))
    for i, rows in enumerate(rows_of_folds, 1):
        parts = [data.subset(utterances[row] for row in part) for part in rows]
        train, test = (
            replace(part, path=data.path / str(i) / name, genre_order=data.genres)
            for part, name in zip(parts, ("train", "test"), strict=True)
        )
        if lost := set(genres) - set(train.utt2genre.values()):
            raise DataError(f"{train.path}: all tracks of {some(lost)} would be held out; ask for other folds")
        divisions.append((train, test))
    for genre in sorted(alone):
        logger.warning("genre %s: has one artist only: divided by track, so its score will flatter", genre)
    return divisions


def choose(
    data: DataDir,
    utt_list: Path | None = None,
    genres: Collection[str] = (),
    per_genre: int | None = None,
    first: int | None = None,
) -> DataDir:
    """The utterances of a list (the first word of each line) that are of some genres; `per_genre` of each genre, all of
    one that has fewer; the `first` of these. What is not given does not narrow.

    As Kaldi's subset_data_dir.sh does, `per_genre` takes from all over a genre's list, where the first would be of one
    artist. The classes stay those of the whole, or are `genres`. Raises DataError for an utterance or a genre that is
    not there, where genres are asked for that are not known, and where fewer than `first` are left.
    """
    chosen = data.utterances
    if utt_list:
        listed = {line.split()[0].decode("utf-8", "replace") for _, line in numbered_lines(utt_list) if line.split()}
        if unknown := listed.difference(chosen):
            raise DataError(f"{utt_list}: no utterance {some(unknown)} in {data.path}: take it out of the list")
        chosen = sorted(listed)
    if (genres or per_genre) and (lost := set(chosen) - data.utt2genre.keys()):
        raise DataError(f"{data.path / 'utt2genre'}: no line for {some(lost)}; run {data.fix_command}")
    if unknown := set(genres).difference(data.genres):
        raise DataError(f"{data.path}: no genre {some(unknown)}: the genres are {', '.join(data.genres)}")
    if genres:
        chosen = [utterance for utterance in chosen if data.utt2genre[utterance] in genres]
    if per_genre:
        lists: dict[str, list[str]] = defaultdict(list)
        for utterance in chosen:
            lists[data.utt2genre[utterance]].append(utterance)
        for genre, utterances in sorted(lists.items()):
            if len(utterances) < per_genre:
                logger.warning("genre %s: has %d utterances only, all taken", genre, len(utterances))
        sizes = {genre: min(per_genre, len(utterances)) for genre, utterances in lists.items()}
        chosen = sorted(
            lists[genre][k * len(lists[genre]) // size] for genre, size in sizes.items() for k in range(size)
        )
    if first and first > len(chosen):
        raise DataError(f"{data.path}: {len(chosen)} utterances, not {first}, can be chosen from")
    chosen = chosen[:first]
    if not chosen:
        raise DataError(f"{data.path}: no utterance is left: ask for less")
    order = [genre for genre in data.genres if not genres or genre in genres]
    return replace(data.subset(chosen), genre_order=order)


def combine(directories: Sequence[DataDir]) -> DataDir:
    """All utterances of all directories; a file that only some of them have is left out, with a warning.

    The path is that of the first: write to another. Raises DataError where two disagree on an utterance, a recording or
    the file `genres`.
    """
    first = directories[0]
    combined: dict[str, dict[str, Any]] = {}
    for name, (attribute, _) in FILES.items():
        contents = [getattr(data, attribute) for data in directories]
        if any(contents) and not all(contents):
            logger.warning("%s is not in all of the directories: left out", name)
            continue
        merged: dict[str, Any] = {}
        for data, content in zip(directories, contents, strict=True):
            for key, value in content.items():
                if merged.setdefault(key, value) != value:
                    raise DataError(
                        f"{data.path / name}: {key}: another directory says {line_of(merged[key])}; rename one"
                    )
        combined[attribute] = dict(sorted(merged.items()))
    orders = [data.genre_order for data in directories]
    if any(order != first.genre_order for order in orders):
        raise DataError(f"{first.path / 'genres'}: the directories have different genres files; make them agree")
    return DataDir(first.path, genre_order=first.genre_order, **combined)  # type: ignore[arg-type]
