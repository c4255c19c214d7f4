"""Which configuration made an archive: scat.json beside it, and in the directory of a model that was trained on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lstmgenre.errors import ModelError
from lstmgenre.files import read_json, write_json
from lstmgenre.scattering.features import FeatureConfig
from lstmgenre.tables import first_file

NAME = "scat.json"


def write(directory: Path, config: FeatureConfig, made_from: str | None = None) -> None:
    """Write the record; `made_from` is a fingerprint of the audio and the options that went in."""
    write_json(directory / NAME, {"config": json.loads(config.to_json()), "made_from": made_from})


def read(directory: Path) -> tuple[FeatureConfig, str | None] | None:
    """Configuration and fingerprint of the features in `directory`, None where nothing is recorded."""
    path = directory / NAME
    return read_file(path) if path.exists() else None


def read_file(path: Path) -> tuple[FeatureConfig, str | None]:
    """As `read`, of a file that has to be there. Raises DataError if it is not, FormatError if it is no record."""
    return read_json(path, _parse, "give the scat.json of features that extract-scat made, or extract them again")


def _parse(fields: Any) -> tuple[FeatureConfig, str | None]:
    return FeatureConfig.from_json(json.dumps(fields["config"])), fields.get("made_from")


def of_features(rspecifier: str) -> FeatureConfig | None:
    """The configuration of features, by the file of the first of them; None where it is not recorded."""
    first = first_file(rspecifier)
    found = read(Path(first).parent) if first else None
    return found and found[0]


def check(model_dir: Path, rspecifier: str) -> None:
    """Raise ModelError where a model was trained on features of another configuration than `rspecifier` gives."""
    trained_on, given = read(model_dir), of_features(rspecifier)
    if trained_on and given and trained_on[0] != given:
        raise ModelError(
            f"{rspecifier}: features of another bank, sample rate or rounding than {model_dir} was trained on: "
            f"extract them as {model_dir / NAME} says"
        )
