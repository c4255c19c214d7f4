"""A bundle from experiments: their best, with its system, what it has learnt from and a model card."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lstmgenre import provenance, selection, svm
from lstmgenre.bundle import SYSTEM_NAME, Bundle
from lstmgenre.calibration import Calibration
from lstmgenre.documents import write_json
from lstmgenre.expdir import ExpDir, History
from lstmgenre.files import atomic_directory, check_directory
from lstmgenre.model_card import model_card
from lstmgenre.scattering import scat_json
from lstmgenre.selection import VOTE, Selection
from lstmgenre.tables import write_map

_CARD = "README.md"
_TAKEN = "is there and no bundle: remove it or name another directory"


def check_place(out: Path) -> None:
    """Raises DataError where `pack` could write no bundle: whoever trains for hours wants to know before."""
    check_directory(out, _kinds(), _TAKEN)


def pack(experiments: Sequence[Path], name: str, out: Path) -> Path:
    """Write to `out` the experiment of the lowest held-out loss with its system `name`, an SVM of that name or "vote";
    returns that experiment.

    The held-out loss is of tracks that were kept from training, so that test scores have no part in the choice. `out`
    appears whole or not at all, and takes the place of an older bundle in one step. Raises as Bundle.load, and
    DataError where `out` is something else, or holds something else.
    """
    best = min(experiments, key=lambda experiment: History.read(experiment).held_out_loss)
    svm_dir = None if name == VOTE else best / name
    system = Bundle.of(best, svm_dir)
    system = replace(system, calibration=_calibration(system, best, name))
    card = model_card(system, best, name, experiments)
    files = ExpDir(best)
    sources = [best / scat_json.NAME] if system.features else []
    sources += [files.feature_transform, files.nnet, files.training, files.genres_file] if system.forward else []
    sources += [svm_dir / svm.NAME] if svm_dir else []
    learnt = {
        track: content
        for directory in (best if system.forward else None, svm_dir)
        if directory
        for track, content in provenance.read(directory).items()
    }
    with atomic_directory(out, _kinds(), _TAKEN) as new:
        for source in sources:
            (new / source.name).write_bytes(source.read_bytes())  # not shutil.copy: it blames a full disk on the source
            shutil.copystat(source, new / source.name)
        told = {"system": name, "calibration": system.calibration}
        write_json(new / SYSTEM_NAME, told if system.features else {**told, "features_given": True}, indent=None)
        write_map(new / provenance.NAME, learnt)
        (new / _CARD).write_text(card, encoding="utf-8")
    return best


def _calibration(system: Bundle, experiment: Path, name: str) -> Calibration | None:
    """What cross-validation has found for this very system."""
    if not (experiment / selection.NAME).exists():
        return None
    selected = Selection.load(experiment)
    variant = selected.best.get(name)
    of_svm = (system.svm.pooling, system.svm.c) if system.svm else (None, None)
    same = variant is not None and (variant.pooling, variant.c) == of_svm
    return selected.calibrations.get(name) if same else None


def _kinds() -> list[set[str]]:
    """The names of the files of each kind of bundle, the last without the name of its system: as it was at first."""
    files = ExpDir(Path())
    common = {_CARD, SYSTEM_NAME, scat_json.NAME}
    network = {path.name for path in (files.feature_transform, files.nnet, files.training, files.genres_file)}
    whole = common | network | {svm.NAME}
    kinds = [whole, whole - {svm.NAME}, whole - network]
    kinds += [*(kind - {scat_json.NAME} for kind in kinds), whole - {SYSTEM_NAME}]
    return [kind | more for kind in kinds for more in ({provenance.NAME}, set())]
