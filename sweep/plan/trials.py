"""Try a user's function once, in a process of its own: what it would do wrong in a job."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass

from rewards.custom import FunctionSource
from sweep.run.provenance import ROOT
from sweep.run.python_path import python_path

SECONDS = 60
MADE_UP = "What is 3 + 4 - 5?", "2"
ANYWHERE, HERE, NOWHERE = "anywhere", "here", "nowhere"  # where what went wrong is sure to go wrong again


@dataclass(frozen=True)
class Tried:
    """What a trial showed: the fault, "" if there is none; where a job would have it; and the rewards that it gave."""

    fault: str
    where: str
    rewards: tuple[float, ...] = ()


def try_function(
    key: str, target: str, function: FunctionSource | None, problem: tuple[str, str], samples: int, *, detector: bool
) -> Tried:
    """Call a user's function on made-up responses to a problem.

    Args:
        key: the key of the configuration that messages name.
        problem: the question, and its gold answer.
        samples: the number of responses.
        detector: whether it detects a behaviour; else it is a reward.
    """
    asked = {"target": target, "function": function and function.model_dump(), "samples": samples, "detector": detector}
    asked["question"], asked["gold"] = problem
    try:
        done = subprocess.run(
            [sys.executable, "-m", "rewards.trial"],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            # No person is at this process: `breakpoint()` is for the job, under cluster=inline.
            env={**os.environ, "PYTHONPATH": python_path(ROOT), "PYTHONBREAKPOINT": "0"},
            cwd=ROOT,  # as in a job: Python would take a folder `rewards` of the launch directory for the project's
        )
    except subprocess.TimeoutExpired:
        gave = "decided nothing about" if detector else "gave no reward for"
        return Tried(f"{key}={target}: {gave} made-up responses within {SECONDS} s", NOWHERE)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [""])[-1]
        return Tried(f"{key}={target}: ended its process with code {done.returncode} ({said})", ANYWHERE)
    answer = json.loads(done.stdout.splitlines()[-1])
    fault = answer["error"].replace(f"target={target} ", f"{key}={target} ", 1) if detector else answer["error"]
    said = fault and f"tried on made-up responses: {fault}"
    return Tried(said, HERE if answer["missing"] else ANYWHERE, tuple(answer["rewards"]))
