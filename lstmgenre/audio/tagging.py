"""Artist, album artist, album, title and genre of an audio file, whatever its format calls them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.container import InputContainer

NAMES = ("artist", "album_artist", "album", "title", "genre")

# What FFmpeg leaves as the format, or a program that wrote it, has it.
_OTHER_NAMES = {
    "albumartist": "album_artist",
    "album artist": "album_artist",
    "wm/albumartist": "album_artist",
    "author": "artist",
    "wm/albumtitle": "album",
    "wm/genre": "genre",
}
_JOINED = ("flac", "ogg")  # FFmpeg joins the values of a Vorbis comment that comes more than once by semicolons


def clean_tags(container: InputContainer, stream: Any) -> dict[str, str]:
    """Those of `NAMES` that there are, each without control characters, and of several values the first.

    Where FFmpeg cannot know of several values, in an ID3v2.3 tag say, they stay as they are.
    """
    tags: dict[str, str] = {}
    for metadata in (container.metadata, stream.metadata if stream else {}):
        for key, value in metadata.items():
            name = _OTHER_NAMES.get(key.lower(), key.lower())
            if container.format.name in _JOINED:
                value = value.split(";")[0]
            value = "".join(c if c.isprintable() else " " for c in value.split("\0")[0])
            value = " ".join(value.split())
            if name in NAMES and value:
                tags.setdefault(name, value)
    return {name: tags[name] for name in NAMES if name in tags}
