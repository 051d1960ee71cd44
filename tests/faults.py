"""Kill the processes of real sweeps at seeded moments; each must come out as if nothing had happened.

    python -m tests.faults --moments 50 --seed 0

docs/faults.md says what is done and compared. A line is printed for each moment, and one for all at the end. Exits
with 1 where a sweep came out differently.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from helpers.disturbed import DisturbedSweep, changed, outcome  # noqa: E402  found by the line above
from helpers.fault_moments import Moment, moments  # noqa: E402

WEIGHTS = {"two cells": 4, "two processes": 1}


class Undisturbed:
    """One sweep of each kind that nothing happens to, run when it is first asked for."""

    def __init__(self, home: Path, on_slurm: bool) -> None:
        self.home, self.on_slurm, self._seconds = home, on_slurm, {}

    def of(self, sweep: str) -> tuple[Path, float]:
        """Its output directory, and the seconds it took."""
        output = self.home / f"undisturbed-{sweep.replace(' ', '-')}"
        if sweep not in self._seconds:
            began = time.monotonic()
            undisturbed = DisturbedSweep(output, self.home / "cache", sweep, self.on_slurm)
            try:
                undisturbed.until_done()
            finally:
                undisturbed.kill_all()
            self._seconds[sweep] = time.monotonic() - began
            print(f"{sweep}, undisturbed: {self._seconds[sweep]:.0f} s", flush=True)
        return output, self._seconds[sweep]


def disturb(number: int, moment: Moment, undisturbed: Undisturbed) -> list[str]:
    """Run a sweep with one disturbance and say what came of it; returns the differences."""
    expected, seconds = undisturbed.of(moment.sweep)
    (baseline,) = expected.glob("stages/*")
    output = undisturbed.home / f"moment-{number:03}"
    disturbed = DisturbedSweep(
        output,
        undisturbed.home / "cache",
        moment.sweep,
        undisturbed.on_slurm,
        None if moment.from_nothing else baseline,
    )
    began, hit = time.monotonic(), "?"
    try:
        hit = "".join(disturbed.until_done(moment, whole_seconds=seconds)) or "the moment did not come"
        found = changed(outcome(expected), outcome(output)) + disturbed.left_running()
    except Exception as error:
        found = [f"{type(error).__name__}: {error}"]
    finally:
        disturbed.kill_all()
    took = f"{disturbed.launches} launches, {time.monotonic() - began:.0f} s"
    remains = f" (left behind: {', '.join(left)})" if (left := disturbed.left_behind()) else ""
    print(f"{number:3} {moment}: {hit}; {took}: {'; '.join(found) or 'the same'}{remains}", flush=True)
    return found


def main(arguments: list[str]) -> int:
    """Returns the exit code: 1 where a sweep came out differently."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moments", type=int, default=50, help="how many sweeps are disturbed, once each")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and of whom they hit")
    parser.add_argument("--cluster", choices=("local", "slurm"), default="local")
    parser.add_argument("--only", default="", help="only moments whose description has this text in it")
    parser.add_argument("--keep", action="store_true", help="leave the output directories")
    asked = parser.parse_args(arguments)
    home = Path(tempfile.mkdtemp(prefix="faults-"))
    print(f"output directories: {home}", flush=True)
    undisturbed = Undisturbed(home, asked.cluster == "slurm")
    chosen = list(enumerate(moments(asked.moments, asked.seed, WEIGHTS), start=1))
    chosen = [(number, moment) for number, moment in chosen if asked.only in str(moment)]
    bad = []
    for number, moment in chosen:
        if disturb(number, moment, undisturbed):
            bad.append(number)
        elif not asked.keep:
            shutil.rmtree(home / f"moment-{number:03}")
    print(f"seed {asked.seed}: {len(chosen)} moments, {len(bad)} came out differently" + f": {bad}" * bool(bad))
    if not chosen or not (bad or asked.keep):
        shutil.rmtree(home)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
