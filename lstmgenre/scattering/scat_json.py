"""Which configuration made an archive: scat.json beside it, and in the directory of a model that was trained on it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from lstmgenre.documents import read_json, write_json
from lstmgenre.errors import ModelError
from lstmgenre.scattering.features import FeatureConfig
from lstmgenre.tables import first_file

NAME = "scat.json"


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A configuration. `made_from`, once a fingerprint of the audio, may be there and means nothing any more."""

    config: FeatureConfig
    made_from: str | None = None


def write(directory: Path, config: FeatureConfig) -> None:
    write_json(directory / NAME, Record(config))


def read(directory: Path) -> Record | None:
    """What is recorded about the features in `directory`, None where nothing is."""
    path = directory / NAME
    return read_file(path) if path.exists() else None


def read_file(path: Path) -> Record:
    """As `read`, of a file that has to be there. Raises DataError if it is not, FormatError if it is no record."""
    return read_json(path, Record, "give the scat.json of features that extract-scat made, or extract them again")


def of_features(rspecifier: str) -> FeatureConfig | None:
    """The configuration of features, by the file of the first of them; None where it is not recorded."""
    first = first_file(rspecifier)
    found = read(Path(first).parent) if first else None
    return found.config if found else None


def check(model_dir: Path, rspecifier: str) -> None:
    """Raise ModelError where a model was trained on features of another configuration than `rspecifier` gives."""
    trained_on, given = read(model_dir), of_features(rspecifier)
    if trained_on and given and trained_on.config != given:
        raise ModelError(
            f"{rspecifier}: features of another bank, sample rate or rounding than {model_dir} was trained on: "
            f"extract them as {model_dir / NAME} says"
        )
