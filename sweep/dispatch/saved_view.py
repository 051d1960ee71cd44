"""The saved view of a sweep on W&B, made while its launch goes on.

A process of its own makes it: W&B's client may hang, and leaves threads and processes behind. Whatever becomes of that
process, the launch goes on, and says once what happened.
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

from rich.console import Console

from sweep.dispatch.view import suggested
from sweep.plan.plan import Plan
from sweep.run.config import CellConfig, SlurmCluster

SECONDS = 30.0  # after which the process is given up
PAGE = "W&B view: "  # how `compare --wandb` says the address


@contextmanager
def view_made_meanwhile(plan: Plan, screen: Console) -> Iterator[None]:
    """Make the view, or bring it up to date, where cells are tracked online; the ledger has the sweep already."""
    online = [task.config for task in plan.cells if task.config.tracking.mode == "online"]
    if not online:
        yield
        return
    process, unwanted = _start(plan, online[0]), threading.Event()
    thread = threading.Thread(target=_say, args=(process, plan, screen, unwanted), daemon=True)
    thread.start()
    try:
        yield
    except BaseException:
        unwanted.set()
        _kill(process)
        raise
    finally:
        thread.join()


def _start(plan: Plan, config: CellConfig) -> subprocess.Popen:
    """The process, in a session of its own, so that Ctrl-C is for the launch alone."""
    given = config.cluster.env if isinstance(config.cluster, SlurmCluster) else {}
    of_wandb = {name: value for name, value in given.items() if name.startswith("WANDB_") or name == "NETRC"}
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


def _say(process: subprocess.Popen, plan: Plan, screen: Console, unwanted: threading.Event) -> None:
    """Print what became of the process, once it has ended; nothing where that is unwanted by then."""
    try:
        shown, errors = process.communicate(timeout=SECONDS)
        why = (errors.strip().splitlines() or [f"exit code {process.returncode}"])[-1]
    except subprocess.TimeoutExpired:
        _kill(process)
        shown, why = "", f"not done within {SECONDS:g} s"
    if unwanted.is_set():
        return
    said = [line for line in shown.splitlines() if line.startswith(PAGE)] if process.returncode == 0 else []
    later = suggested(f"compare {plan.name} --wandb", plan.root)
    for line in said or [f"W&B: the saved view was not brought up to date ({why}); {later} does it later"]:
        screen.print(line, markup=False, highlight=False, soft_wrap=True)


def _kill(process: subprocess.Popen) -> None:
    """End the process and those that W&B started beside it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
