"""What each process of an attempt says of itself, in a folder that they share: where it is, and since when.

A process that is stopped, or that hangs on another machine, can still be told from its last word.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from sweep.run.files import read_json

STALLED_EXIT = 75  # how a process ends whose attempt made no progress, in the eyes of what started it


@dataclass(frozen=True)
class Beat:
    """The latest word of one process.

    `beats` counts its words and `changes` its entries into and exits from phases, so that a reader needs no clock of
    another machine: what counts no further stands still. `patience`: seconds that it may stay in `phase`.
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
    dumped: bool = False  # its stacks are written
    ended: bool = False  # it has left the attempt in order


class Ranks:
    """The folder of one attempt. Its name is unique, so that two attempts never mistake each other's processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._verdict = folder / "verdict"

    def open(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)

    def remove_others(self) -> None:
        """Remove the folders of other attempts at the run. Only for the process that holds the run's lock."""
        for folder in self.folder.parent.glob("*"):
            if folder != self.folder:
                shutil.rmtree(folder, ignore_errors=True)

    def write(self, beat: Beat) -> None:
        """Without fsync: after a crash of the machine nobody asks for it."""
        partial = self.folder / f".{beat.rank}.json"
        partial.write_text(json.dumps(asdict(beat)))
        os.replace(partial, self.folder / f"{beat.rank}.json")

    def read(self, world_size: int) -> dict[int, Beat]:
        """The latest word of each process that has spoken."""
        found = ((rank, read_json(self.folder / f"{rank}.json")) for rank in range(world_size))
        return {rank: Beat(**beat) for rank, beat in found if beat}

    def stacks(self, rank: int) -> Path:
        """Where a process writes what its threads are doing."""
        return self.folder / f"{rank}.stacks"

    def give_verdict(self) -> bool:
        """Say that the attempt makes no progress and will be ended; False where another process said so before."""
        try:
            self._verdict.touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    @property
    def verdict(self) -> bool:
        return self._verdict.exists()


def latest_beat(folder: Path) -> Beat | None:
    """The latest word of rank 0, of whichever attempt in `folder` spoke last; None where none did."""
    spoken = max(folder.glob("*/0.json"), key=lambda file: file.stat().st_mtime, default=None)
    said = spoken and read_json(spoken)
    return Beat(**said) if said else None
