"""Read the rewards and accuracies of runs over their steps, for the runs that are shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sweep.errors import DamagedFile
from sweep.run.directory import RunDirectory
from sweep.run.ledger import Sweep
from sweep.run.series import Series, SeriesReader
from sweep.run.status import Status

REWARD, ACCURACY = "reward/mean", "eval/accuracy"
Values = list[float | None]


@dataclass(frozen=True)
class Curve:
    """Values at steps 1 to the target; None where there is none. fault: why they cannot be read."""

    rewards: Values
    accuracies: Values
    fault: str = ""


class Curves:
    """The curves of runs. A file is opened when its run is first shown, and then read as far as it has grown."""

    def __init__(self, directories: Mapping[str, Path]) -> None:
        """`directories`: the directory of each run, by its name."""
        self._directories = directories
        self._readers: dict[str, SeriesReader] = {}

    def __call__(self, status: Status) -> Curve:
        if status.run not in self._directories:
            return Curve([], [])
        if status.run not in self._readers:
            file = RunDirectory(self._directories[status.run]).metrics
            self._readers[status.run] = SeriesReader(file, (REWARD, ACCURACY))
        try:
            found = self._readers[status.run].read()
        except OSError as error:  # another user's file
            return Curve([], [], f"metrics.jsonl: {error}")
        except DamagedFile as error:  # its directory is named by the run's own name
            return Curve([], [], "damaged " + str(error).removeprefix(f"{self._directories[status.run]}/"))
        rewards, accuracies = found[REWARD], found[ACCURACY]
        reached = max([0, *rewards, *accuracies])
        steps = range(1, max(status.steps, reached) + 1)
        return Curve([rewards.get(step) for step in steps], _kept(accuracies, reached, steps))


def _kept(evaluated: Series, reached: int, steps: range) -> Values:
    """Return for each step reached the value of the latest evaluation, because between two no newer one is known."""
    values: Values = []
    last = evaluated.get(0)
    for step in steps:
        last = evaluated.get(step, last)
        values.append(last if step <= reached else None)
    return values


def directories(sweep: Sweep) -> dict[str, Path]:
    """Return, by names of runs' directories, where their metrics lie. An evaluation has those of its training."""
    entries = [*sweep.stages, *sweep.cells]
    cells = {Path(e.directory).name: sweep.root / e.training for e in sweep.cells}
    return {Path(e.directory).name: sweep.directory(e) for e in entries} | cells
