"""The reports of each process of an attempt, in a shared folder: its phase, and since when.

They show where a process is that was stopped, or that hangs on another machine.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from sweep.run.files import read_json

STALLED_EXIT = 75  # exit code of a process whose attempt made no progress; whoever started it starts it again


@dataclass(frozen=True)
class Beat:
    """The latest report of one process.

    `beats` counts its reports and `changes` the phases that it entered or left, so that a reader needs no other
    machine's clock: a count that stays the same means no progress. `patience`: the seconds that it may stay in `phase`.
    """

    rank: int
    host: str
    pid: int
    process_started: float
    phase: str
    since: float  # seconds since the epoch, on the clock of `host`
    changes: int
    beats: int
    patience: float
    dumped: bool = False  # the stacks of its threads are written
    ended: bool = False  # it has ended normally


class Ranks:
    """The folder of one attempt. Its name is unique, so that attempts never read each other's reports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._verdict = folder / "verdict"

    def open(self) -> None:
        """Create the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)

    def remove_others(self) -> None:
        """Remove the folders of the run's other attempts. Only the process that holds the run's lock may call this."""
        for folder in self.folder.parent.glob("*"):
            if folder != self.folder:
                shutil.rmtree(folder, ignore_errors=True)

    def write(self, beat: Beat) -> None:
        """Write a report. It is not flushed to the disk, because after a crash of the machine it is not needed."""
        partial = self.folder / f".{beat.rank}.json"
        partial.write_text(json.dumps(asdict(beat)))
        os.replace(partial, self.folder / f"{beat.rank}.json")

    def read(self, world_size: int) -> dict[int, Beat]:
        """Return the latest report of each process that has written one."""
        found = ((rank, read_json(self.folder / f"{rank}.json")) for rank in range(world_size))
        return {rank: Beat(**beat) for rank, beat in found if beat}

    def stacks(self, rank: int) -> Path:
        """Return the file to which a process writes the stacks of its threads."""
        return self.folder / f"{rank}.stacks"

    def give_verdict(self) -> bool:
        """Record that the attempt makes no progress and will be ended. Return False if another process already did."""
        try:
            self._verdict.touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    @property
    def verdict(self) -> bool:
        """True if some process recorded that the attempt makes no progress."""
        return self._verdict.exists()


def latest_beat(folder: Path) -> Beat | None:
    """Return the latest report of rank 0 over all attempts in `folder`; None if there is none."""
    spoken = max(folder.glob("*/0.json"), key=lambda file: file.stat().st_mtime, default=None)
    said = spoken and read_json(spoken)
    return Beat(**said) if said else None
