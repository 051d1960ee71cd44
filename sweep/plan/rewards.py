"""Try each reward of a user's own once, on made-up responses, before a baseline is computed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import lru_cache

from rewards.base import Signal
from rewards.controls import Noisy, not_binary
from rewards.simple import Custom
from sweep.config.cell import CellConfig
from sweep.config.faults import Labelled, say_once
from sweep.data.problems import load_problems
from sweep.run.provenance import ROOT

SECONDS = 60
MADE_UP = "What is 3 + 4 - 5?", "2"
ANYWHERE, HERE, NOWHERE = "anywhere", "here", "nowhere"  # where what went wrong is sure to go wrong again


def reward_faults(cells: Iterable[Labelled]) -> tuple[list[str], list[str]]:
    """Return the faults of the cells' own rewards that a job here would also have, and those that it may not have.

    A problem from the hub is made up, because planning fetches none, and the nodes of a cluster may have packages that
    this machine lacks: a fault for either reason is no obstacle.
    """
    obstacles, notes = [], []
    for cell in cells:
        for signal, is_noisy in _own(cell.config.reward) if cell.config.checks.try_rewards else ():
            size = cell.config.algorithm.samples_per_prompt
            fault, where = _tried(signal, is_noisy, *_problem(cell.config), size)
            stands = where == ANYWHERE or (where == HERE and cell.config.cluster.runs_here)
            if fault and stands and cell.config.data.source != "hub":
                obstacles.append((cell.label, f"{fault}; checks.try_rewards=false launches it untried"))
            elif fault:
                notes.append((cell.label, fault))
    return say_once(obstacles), say_once(notes)


def _own(reward: Signal, is_noisy: bool = False) -> Iterator[tuple[Custom, bool]]:
    """Yield the user's functions in a reward, each with whether it is the base of a `noisy`."""
    if isinstance(reward, Custom):
        yield reward, is_noisy
    for part in reward.parts:
        yield from _own(part, isinstance(reward, Noisy))


def _problem(config: CellConfig) -> tuple[str, str]:
    """Return a problem that the cell trains on, if it can be read without a network, and its gold answer."""
    if config.data.source == "hub":
        return MADE_UP
    first = load_problems(config.data, "train")[0]
    return first.question, first.answers[0]


@lru_cache
def _tried(signal: Custom, is_noisy: bool, question: str, gold: str, samples: int) -> tuple[str, str]:
    """Return the fault of the function on made-up responses, "" if there is none; and where a job would have it.

    Args:
        is_noisy: whether it is the base of a `noisy`, which takes rewards of 0 and 1 alone.
    """
    asked = {
        "target": signal.target,
        "function": signal.function and signal.function.model_dump(),
        "question": question,
        "gold": gold,
    }
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    try:
        done = subprocess.run(
            [sys.executable, "-m", "rewards.trial"],
            input=json.dumps({**asked, "samples": samples}),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            # No person is at this process: `breakpoint()` is for the job, under cluster=inline.
            env={**os.environ, "PYTHONPATH": paths, "PYTHONBREAKPOINT": "0"},
            cwd=ROOT,  # as in a job: Python would take a folder `rewards` of the launch directory for the project's
        )
    except subprocess.TimeoutExpired:
        return f"reward.target={signal.target}: gave no reward for made-up responses within {SECONDS} s", NOWHERE
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [""])[-1]
        return f"reward.target={signal.target}: ended its process with code {done.returncode} ({said})", ANYWHERE
    answer = json.loads(done.stdout.splitlines()[-1])
    fault = answer["error"] or (not_binary(signal.title, answer["rewards"]) if is_noisy else "")
    return fault and f"tried on made-up responses: {fault}", HERE if answer["missing"] else ANYWHERE
