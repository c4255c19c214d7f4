"""extract-scat: audio to scattering features."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lstmgenre import console
from lstmgenre.cli import options
from lstmgenre.cli.app import Address, Backend, BackendOption, Config, app, engine, run_record

if TYPE_CHECKING:
    from lstmgenre.scattering.features import FeatureConfig

logger = logging.getLogger(__name__)


@app.command("extract-scat")
def extract_scat(
    context: typer.Context,
    data_dir: Annotated[Path | None, typer.Argument(metavar="DATA_DIR")] = None,
    config: Config = None,
    nj: Annotated[
        int,
        options.jobs("Parallel jobs, each with an archive of its own for what is new."),
    ] = 1,
    backend: BackendOption = Backend.loky,
    scheduler: Address = None,
    compress: Annotated[bool, typer.Option(help="Write compressed matrices (8 bits a number).")] = False,
    bank: Annotated[
        str, typer.Option(help="paper, kymatio, or a JSON file as scat.json beside the features.")
    ] = "paper",
    octaves: Annotated[int, options.whole(1, 16, "J of the kymatio bank.")] = 13,
    quality: Annotated[int, options.whole(1, 64, "Q of the kymatio bank: wavelets per octave.")] = 8,
    window: Annotated[int | None, options.whole(4, 2**17, "T in samples, a power of two. Default: the bank's.")] = None,
    sample_rate: Annotated[int | None, options.whole(1, 384_000, "In Hz. Default: the bank's.")] = None,
    quantise: Annotated[
        bool | None,
        typer.Option(help="Round the audio to 16 bits, as the paper's WAV files. Default: the bank's, off."),
    ] = None,
    renorm: Annotated[bool | None, typer.Option(help="Divide order 2 by order 1. Default: the bank's, on.")] = None,
    log: Annotated[bool | None, typer.Option(help="Take the logarithm. Default: the bank's, on.")] = None,
    compact: Annotated[
        bool, typer.Option("--compact", help="Copy the features that are in use into new archives, one a job.")
    ] = False,
    max_failed: Annotated[
        float, options.percentage("Go on without the utterances that cannot be read, if there are no more of them.")
    ] = 0.05,
    describe: Annotated[bool, typer.Option("--describe", help="Print what each feature is, and end.")] = False,
) -> None:
    """Extract the scattering features of DATA_DIR: writes feats.scp, utt2num_frames and utt2dur.

    Only what was added or changed is computed, whatever else was renamed or removed.
    Example: lstmgenre extract-scat data/train --nj 4
    """
    import msgspec

    from lstmgenre.scattering.features import ScatteringFeatures, format_paths

    changes: dict[str, Any] = {
        "window": window,
        "sample_rate": sample_rate,
        "quantise": quantise,
        "renorm": renorm,
        "log": log,
    }
    features = _feature_config(bank, octaves, quality)
    features = msgspec.structs.replace(
        features, **{name: value for name, value in changes.items() if value is not None}
    )
    if describe:
        console.emit(format_paths(ScatteringFeatures(features).paths).splitlines())
        return
    if data_dir is None:
        raise typer.BadParameter("DATA_DIR is missing")
    from lstmgenre.datadir import DataDir
    from lstmgenre.scattering.extract import extract
    from lstmgenre.scattering.journal import count_done

    workers = engine(backend, scheduler)
    data = DataDir.read(data_dir, need=["wav.scp"])
    with run_record(context, data_dir):
        with console.progress(f"extract-scat {data_dir}", len(data.utterances), lambda: count_done(data.path / "data")):
            how: dict[str, Any] = {"jobs": nj, "compress": compress, "compact": compact, "max_failed": max_failed}
            result = extract(data, features, engine=workers, **how)
        left_out = f", {len(result.failed)} left out (named above)" if result.failed else ""
        logger.info(
            "%s: features of %d utterances, %d computed now%s", data_dir, result.done, result.computed, left_out
        )


def _feature_config(bank: str, octaves: int, quality: int) -> FeatureConfig:
    from lstmgenre.scattering import scat_json
    from lstmgenre.scattering.features import PAPER, BankConfig, FeatureConfig

    if bank == "paper":
        return PAPER
    if bank == "kymatio":
        return FeatureConfig(banks=(BankConfig("kymatio", (quality, 1), octaves),))
    return scat_json.read_file(Path(bank)).config
