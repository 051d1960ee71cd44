"""Update the saved view of a sweep on W&B during its launch.

This happens in a process of its own, because W&B's client may hang, and leaves threads and processes behind. Whatever
happens to that process, the launch goes on, and reports the outcome once.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import cast

from rich.console import Console

from sweep.config.cell import CellConfig
from sweep.dispatch.view import suggested
from sweep.plan.plan import Plan

SECONDS = 30.0  # after which the process is killed
AT_END = 10.0  # that a launch waits for it when its own work is done
PAGE = "W&B view: "  # begins the line in which `compare --wandb` prints the address


@contextmanager
def view_made_meanwhile(plan: Plan, screen: Console) -> Iterator[None]:
    """Make or update the view during the block, if cells are tracked online. The ledger must list the sweep."""
    online = [task.config for task in plan.cells if task.config.tracking.mode == "online"]
    if not online:
        yield
        return
    making = _Making(_start(plan, online[0]), plan, screen)
    try:
        yield
    except BaseException:
        making.end(0.0, quietly=True)
        raise
    making.end(AT_END)


def _start(plan: Plan, config: CellConfig) -> subprocess.Popen:
    """Start the process in a session of its own, so that Ctrl-C reaches the launch alone."""
    given = cast(dict[str, str], config.cluster.env).items()  # names without a value were refused before
    of_wandb = {name: value for name, value in given if name.startswith("WANDB_") or name == "NETRC"}
    return subprocess.Popen(
        [sys.executable, "-m", "sweep", "compare", plan.name, "--wandb", "--output-dir", str(plan.root)],
        cwd=Path(__file__).resolve().parents[2],
        env={**os.environ, **of_wandb},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


class _Making:
    """Waits for the process in a thread, and prints the outcome.

    If a terminal meanwhile shows the sweep on a screen of its own, the outcome is printed at the end.
    """

    def __init__(self, process: subprocess.Popen, plan: Plan, screen: Console) -> None:
        self._process, self._plan, self._screen = process, plan, screen
        self._is_quiet = False
        self._unsaid: list[str] = []
        self._thread = threading.Thread(target=self._wait, daemon=True)
        self._thread.start()

    def end(self, seconds: float, quietly: bool = False) -> None:
        """Wait for the process for at most `seconds`, then kill it. Print the outcome, unless `quietly` is set."""
        self._is_quiet = quietly
        self._thread.join(seconds)
        if self._thread.is_alive():
            _kill(self._process)
            self._thread.join()
        self._say()

    def _wait(self) -> None:
        try:
            shown, errors = self._process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            _kill(self._process)
            shown, errors = self._process.communicate()
        self._unsaid = self._words(shown, errors)
        if not self._screen.is_terminal:
            self._say()

    def _say(self) -> None:
        lines, self._unsaid = self._unsaid, []
        for line in [] if self._is_quiet else lines:
            self._screen.print(line, markup=False, highlight=False, soft_wrap=True)

    def _words(self, shown: str, errors: str) -> list[str]:
        code = self._process.returncode
        if code == 0:
            return [line for line in shown.splitlines() if line.startswith(PAGE)]
        why = "it was not done in time" if code < 0 else (errors.strip().splitlines() or [f"exit code {code}"])[-1]
        later = suggested(f"compare {self._plan.name} --wandb", self._plan.root)
        return [f"W&B: the saved view was not brought up to date ({why}); {later} does it later"]


def _kill(process: subprocess.Popen) -> None:
    """Kill the process and those that W&B started beside it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
