"""`make fuzz`: each parser on many inputs, each in a process; what breaks one is kept, and the exit status is 1."""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import sys
import tempfile
from pathlib import Path

from tests.fuzz.running import MEMORY, Failed, digest, run
from tests.fuzz.targets import TARGETS


def main() -> int:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000, help="of each parser")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="parsers whose name has this in it")
    options = parser.parse_args()
    os.environ["LSTMGENRE_NO_PIPES"] = "1"
    logging.disable()
    broken = 0
    for target in TARGETS:
        if options.only in target.name:
            process = multiprocessing.get_context("fork").Process(
                target=_run, args=(target.name, options.inputs, options.seed)
            )
            process.start()
            process.join()
            broken += process.exitcode != 0
    return 1 if broken else 0


def _run(name: str, inputs: int, seed: int) -> None:
    target = next(target for target in TARGETS if target.name == name)
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        try:
            taken = run(target, Path(folder), inputs, seed)
        except Failed as failed:
            kept = Path(f"fuzz-{digest(failed.content)}.bin")
            kept.write_bytes(failed.content)
            print(f"{failed}\n  kept in {kept}", file=sys.stderr, flush=True)
            sys.exit(1)
    print(f"{name}: {inputs} inputs, {taken} taken, the others refused", flush=True)


if __name__ == "__main__":
    sys.exit(main())
