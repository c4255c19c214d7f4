"""The model card of a bundle: what is recorded about a system, how it was chosen, and its scores, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lstmgenre import provenance, score_json, selection
from lstmgenre.bundle import Bundle
from lstmgenre.expdir import ExpDir, History, Run
from lstmgenre.expdir.runs import read_run
from lstmgenre.scoring import MAJORITY_VOTE
from lstmgenre.selection import SYSTEMS, VOTE, Selection
from lstmgenre.tables import read_map
from lstmgenre.text import counted, distinct_names, markdown, markdown_code

_NO_SCORES = "Not measured yet: lstmgenre score --out EXP_DIR/PART/score.json, and pack the bundle again.\n\n"


def model_card(system: Bundle, experiment: Path, name: str, candidates: Sequence[Path]) -> str:
    """The card of a system of `experiment`, which was chosen among `candidates`. Raises FormatError for a damaged
    record.
    """
    files = ExpDir(experiment)
    genres = system.svm.genres if system.svm else system.genres
    directories = [experiment] * bool(system.forward) + [experiment / name] * bool(system.svm)
    logs = [log for directory in directories for log in sorted(directory.glob("log/train-*.json"))]
    logs += experiment.parent.glob("log/learn.json")
    learnt = "".join(
        [
            _network(experiment, candidates) if system.forward else "",
            f"{markdown_code(map(_command, map(read_run, logs)))}\n\n" if logs else "",
            _selection(Selection.load(experiment), name) if (experiment / selection.NAME).exists() else "",
        ]
    )
    scores = "".join(_scores_on(path, MAJORITY_VOTE if name == VOTE else name) for path in files.scores)
    return f"""# Music genre classifier {markdown(*distinct_names([experiment]))} / {markdown(name)}

Names one of {len(genres)} genres for {"an audio file" if system.features else "the features of a song"}: {
        markdown(", ".join(genres))
    }.

{_features(system)}{_parts(system)}
## Training

{learnt}## Scores

{scores or _NO_SCORES}## Limits

- It knows its genres and no other, and always names one of them.
- Scores are {"the SVM's decision values" if system.svm else "shares of the frames"}, not probabilities.{
        _calibration(system)
    }
- Figures hold for the tracks they were measured on. Where their artists are in the training set as well, they flatter;
  music of another time, style or production will fare worse.
"""


def _calibration(system: Bundle) -> str:
    if not (told := system.calibration):
        return ""
    return f"""
- Probabilities are a softmax of the scores times {told.slope:.4g}, the likeliest on {told.tracks} held-out tracks;
  their expected calibration error in cross-validation is {told.error:.1%}."""


def _features(system: Bundle) -> str:
    if not system.features:
        return f"""- Features: {system.dim} numbers a frame, which have to be given: lstmgenre predict BUNDLE --feats
  RSPECIFIER. How they are made is not recorded.
"""
    config = system.features.config
    return f"""- Features: {system.dim} scattering coefficients a frame, from windows of {config.window} samples at
  {config.sample_rate} Hz{", audio rounded to 16 bits" if config.quantise else ""} (scat.json).
"""


def _parts(system: Bundle) -> str:
    network, decision = "", "the genre that the network finds likeliest in most frames"
    if system.forward:
        parameters = sum(p.numel() for p in system.forward.nnet.parameters())
        network = f"- Network: nnet1, {parameters:,} parameters (final.nnet, training.json).\n"
    if system.svm and system.svm.pooling:
        pooling = system.svm.pooling
        statistics = (
            ""
            if pooling.threshold is None
            else f"maximum, minimum, mean and share above {pooling.threshold:g} of each genre's posteriors"
        )
        numbers = ", then ".join(part for part in ("the mean feature vector" * pooling.fuse, statistics) if part)
        decision = f"a linear SVM on {system.svm.dim} numbers a track: {numbers} (svm.json)"
    return f"{network}- Decision: {decision}.\n"


def _network(experiment: Path, candidates: Sequence[Path]) -> str:
    files = ExpDir(experiment)
    held_out, learnt = (len(read_map(scp)) for scp in (files.cv_scp, files.train_scp))
    recordings = {content for content in provenance.read(experiment).values() if content != provenance.UNKNOWN}
    different = f" ({len(recordings)} different recordings)" if 0 < len(recordings) < held_out + learnt else ""
    why = "It was the only one to choose from."
    if len(candidates) > 1:
        names = markdown(", ".join(distinct_names(candidates)))
        why = f"That is the lowest of {names}, and why it was chosen: test tracks had no part in it."
    return (
        f"The network learnt from {counted(learnt, 'track')}; its cross-entropy on {counted(held_out, 'other')}"
        f"{different} is {History.read(experiment).held_out_loss:.4f}.\n{why}\n\n"
    )


def _selection(selected: Selection, name: str) -> str:
    """Of how many tracks each system was right in cross-validation, by how much the best one won, and its worth."""
    rows = []
    for system in (selected.best[name] for name in SYSTEMS if name in selected.best):
        right = selected.scores.tracks[system.name].accuracy
        numbers = ("" if number is None else f"{number:g}" for number in (system.threshold, system.c))
        rows.append(f"| {' | '.join([markdown(system.name), *numbers, str(right.correct)])} |\n")
    total, (low, high) = selected.worth.accuracy.total, selected.worth.interval
    return f"""Systems were tried out by cross-validation on {total} tracks, in {selected.folds} folds: no network and
no SVM had learnt from a track that it decided on, nor from others of its artist, except where a genre is by one artist
only. For each, the best k and C:

| system | k | C | right |
| --- | ---: | ---: | ---: |
{"".join(rows)}
{_why(selected, name)} That choice is worth {selected.worth.accuracy.rate:.1%} (95 % interval {low:.1%} to
{high:.1%}): the accuracy of a nested cross-validation, where each fold is decided by what wins on the others.

"""


def _why(selected: Selection, name: str) -> str:
    chosen, margin = selected.chosen.name, selected.margin
    if name != chosen:
        return f"{chosen} was chosen, and {name}, which is packed here, was not."
    tracks = counted(abs(margin), "track")
    if margin < 0:
        return f"{chosen} was asked for; another gets {tracks} more."
    if selected.asked_for:
        return f"{chosen} was asked for; it gets {tracks} more than the next."
    if margin == 0:
        return f"{chosen} is the simplest of those that get most tracks right."
    return f"{chosen} wins by {tracks}."


def _command(run: Run) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in run.versions.items())
    return f"{run.command}  # {versions}"


def _scores_on(path: Path, system: str) -> str:
    """The right decisions on a test set, in all and per genre; nothing where the system was not scored."""

    report = score_json.read(path)
    if system not in report.tracks:
        return ""
    track = report.tracks[system]
    rows = [
        f"| {markdown(genre)} | {sum(row)} | {row[k]} |\n"
        for k, (genre, row) in enumerate(zip(report.genres, track.confusion.tolist(), strict=True))
    ]
    correct, total = track.accuracy.correct, track.accuracy.total
    return (
        f"On {markdown(path.parent.name)}, {correct} of {total} tracks are right ({track.accuracy.rate:.2%}):\n\n"
        f"| genre | tracks | right |\n| --- | ---: | ---: |\n{''.join(rows)}\n"
    )
