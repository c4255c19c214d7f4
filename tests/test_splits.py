"""The split: a hash decides, what was there stays, every genre trains."""

import collections
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstmgenre.corpora import Track
from lstmgenre.corpora.splits import Shares, choose
from lstmgenre.errors import DataError

HALF = Shares(0.5, 0.0, 0)


def nobody(track):
    return None


def remember(sets):
    """What `choose` asks of the last run, by path."""
    former = {track.path: (name, track.speaker) for track, name in sets.items()}
    return lambda track: former.get(track.path)


def song(genre, artist, number, folder=""):
    return Track(genre, artist, f"{genre}/{number}", Path(f"/x/{genre}/{number}.wav"), f"content of {number}", folder)


songs = st.lists(
    st.builds(song, st.sampled_from("abc"), st.sampled_from([None, *"pqrstuv"]), st.integers(0, 99)),
    min_size=1,
    max_size=60,
    unique_by=lambda track: track.path,
)
shares = st.builds(Shares, st.sampled_from([0.0, 0.2, 0.5, 0.9]), st.sampled_from([0.0, 0.3]), st.integers(0, 5))


def sides(sets, of):
    found = collections.defaultdict(set)
    for track, name in sets.items():
        found[of(track)].add(name)
    return found


@given(songs, shares)
def test_every_genre_trains_and_no_artist_of_genres_with_others_is_on_two_sides(tracks, shares):
    sets = choose(tracks, shares, nobody)
    assert sets.keys() == set(tracks)
    assert all("train" in names for names in sides(sets, lambda track: track.genre).values())
    artists_of = collections.defaultdict(set)
    for track in tracks:
        artists_of[track.genre].add(track.artist or track.content)
    alone = {next(iter(artists)) for artists in artists_of.values() if len(artists) == 1}
    for artist, names in sides(sets, lambda track: track.artist or track.content).items():
        assert len(names) == 1 or artist in alone
    if not shares.test_fraction:
        assert "test" not in sets.values()
    if not shares.held_out:
        assert "valid" not in sets.values()


@given(songs, songs, shares)
def test_songs_that_come_and_go_move_no_other(tracks, others, shares):
    before = choose(tracks, shares, nobody)
    kept = [track for track in tracks if int(track.path.stem) % 3]
    new = [track for track in others if track.path not in {t.path for t in tracks}]
    after = choose([*kept, *new], shares, remember(before))
    # Only those move, to train, without whom a genre would have nothing to train on.
    genres_of = collections.defaultdict(set)
    for track in after:
        genres_of[track.artist or track.content].add(track.genre)
    untrained = {t.genre for t in after} - {track.genre for track in kept if before[track] == "train"}
    for track in kept:
        if before[track] != after[track]:
            assert after[track] == "train"
            assert genres_of[track.artist or track.content] & untrained


def test_of_enough_artists_a_fresh_run_over_more_songs_has_the_same_split():
    tracks = [song(genre, f"{genre} {i % 20}", i) for genre in "abc" for i in range(60)]
    more = [song(genre, f"{genre} {i % 31}", i) for genre in "abc" for i in range(60, 90)]
    few, many = choose(tracks, HALF, nobody), choose([*tracks, *more], HALF, nobody)
    assert {track: many[track] for track in tracks} == few
    assert set(few.values()) == {"train", "test"}


@pytest.mark.parametrize(("fraction", "held_out"), [(0.5, 0), (0.2, 0.25), (0, 0.1), (0.9, 0)])
def test_shares_are_kept_over_many_artists(fraction, held_out):
    tracks = [song("a", f"{i}", i) for i in range(4000)]
    counts = collections.Counter(choose(tracks, Shares(fraction, held_out, 3), nobody).values())
    assert counts["test"] == pytest.approx(4000 * fraction, abs=120)
    assert counts["valid"] == pytest.approx(4000 * (1 - fraction) * held_out, abs=120)


def test_a_larger_test_set_holds_the_smaller():
    tracks = [song("a", f"{i}", i) for i in range(100)]
    small, large = (
        {track for track, name in choose(tracks, Shares(fraction, 0, 0), nobody).items() if name == "test"}
        for fraction in (0.2, 0.5)
    )
    assert small < large


def test_the_seed_picks():
    tracks = [song("a", f"{i}", i) for i in range(50)]
    first, again, other = (choose(tracks, Shares(0.5, 0, seed), nobody) for seed in (1, 1, 2))
    assert first == again != other


def test_where_the_artist_is_unknown_folders_and_copies_stay_together():
    tracks = [song("a", None, i, folder=f"a/album {i // 10}") for i in range(100)]
    assert all(len(names) == 1 for names in sides(choose(tracks, HALF, nobody), lambda track: track.folder).values())
    copies = [Track("a", None, f"{i}", Path(f"/x/{i}"), f"content {i // 2}") for i in range(100)]
    assert all(len(names) == 1 for names in sides(choose(copies, HALF, nobody), lambda t: t.content).values())


def test_a_genre_of_one_artist_is_split_by_track_said_and_stays_so(caplog):
    tracks = [song("a", "p", 1), song("a", "q", 2), *(song("b", "r", i) for i in range(10, 20))]
    before = choose(tracks, HALF, nobody)
    assert "genre b: has one artist only" in caplog.text
    assert {before[track] for track in tracks if track.genre == "b"} == {"train", "test"}
    more = [*tracks, song("b", "s", 30), song("b", "r", 31)]
    after = choose(more, HALF, remember(before))
    assert {track: after[track] for track in tracks} == before
    assert "artist r: stays in several sets" in caplog.text


def test_where_nothing_is_split_nothing_is_said_of_a_split(caplog):
    tracks = [song("a", "p", 1), song("a", "q", 2), *(song("b", "r", i) for i in range(10, 20))]
    assert set(choose(tracks, Shares(0, 0, 0), nobody).values()) == {"train"}
    assert caplog.text == ""


def test_a_song_whose_artist_becomes_known_joins_the_artist():
    tracks = [song("a", f"{i}", i) for i in range(10)] + [song("b", f"{i}", i) for i in range(20, 30)]
    before = choose([*tracks, song("a", None, 99)], HALF, nobody)
    for artist in (track.artist for track in tracks if track.genre == "a"):
        after = choose([*tracks, song("a", artist, 99)], HALF, remember(before))
        assert len({name for track, name in after.items() if track.artist == artist}) == 1
        assert {track: after[track] for track in tracks} == {track: before[track] for track in tracks}


def test_a_single_track_trains_and_that_is_said(caplog):
    tracks = [song("a", "p", 1), song("b", "q", 2), song("b", "r", 3)]
    sets = choose(tracks, Shares(0.9, 0, 0), nobody)
    assert sets[tracks[0]] == "train"
    assert {sets[tracks[1]], sets[tracks[2]]} == {"train", "test"}
    assert "genre a: no track of it can be spared to test on" in caplog.text


def test_genres_that_no_split_by_artist_can_serve_all_train(caplog):
    two = {"a": "xy", "b": "yz", "c": "xz"}  # to test all, two of x, y, z would have to: a genre's both artists
    tracks = [song(genre, artist, i) for genre, artists in two.items() for i, artist in enumerate(artists)]
    sets = choose(tracks, HALF, nobody)
    assert all("train" in names for names in sides(sets, lambda track: track.genre).values())
    assert all(len(names) == 1 for names in sides(sets, lambda track: track.artist).values())
    assert "can be spared" in caplog.text


@pytest.mark.parametrize("share", [-0.1, 1, 7, float("nan"), float("inf")])
def test_shares_that_leave_nothing_to_train_on(share):
    with pytest.raises(DataError, match="test fraction"):
        Shares(share, 0, 0)
    with pytest.raises(DataError, match="held-out"):
        Shares(0.5, share, 0)
