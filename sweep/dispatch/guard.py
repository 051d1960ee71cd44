"""The guard against endless repetition: a run that keeps ending the same way is not submitted again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from sweep.dispatch.states import Joined
from sweep.plan.task import Task
from sweep.run.claims import NOT_MADE, claims
from sweep.run.directory import RunDirectory
from sweep.run.state import State

SAME_FAILURES = 3  # ends of the same kind in a row, after which a run is only submitted again with --force
# Keys whose change does not help a job to end better.
WITHOUT_EFFECT: dict[str, Any] = {
    "name": True,
    "steps": True,
    "retrain": True,
    "cluster": {"name", "wait", "max_parallel"},
}


def outcome(joined: Joined) -> str:
    """Return how the run's last attempt failed, as one line; "" if nothing failed that could happen again."""
    status = joined.status
    if joined.claimed and status.state == State.NOT_SUBMITTED:
        return NOT_MADE
    if not joined.claimed or status.state not in (State.FAILED, State.TIMED_OUT, State.OUT_OF_MEMORY):
        return ""
    return f"{status.state}: {status.note}" if status.note else str(status.state)


def request(task: Task, code: Path) -> str:
    """Return a digest of all that an attempt runs under: its configuration, its environment and the code."""
    cluster = task.config.cluster
    asked = task.config.model_dump(mode="json", exclude=WITHOUT_EFFECT)
    environment = {name: str(value) for name, value in cluster.env.items()}
    return hashlib.sha256(json.dumps([asked, environment, code.name], sort_keys=True).encode()).hexdigest()[:12]


def is_hopeless(directory: Path, how: str, asked: str) -> bool:
    """Return whether the latest attempts of the run, at least SAME_FAILURES of them, all ended with `how`.

    Args:
        asked: the request that another attempt would run under; attempts under a different one do not count.
    """
    if how in ("", NOT_MADE):
        return False
    count, ended = 0, how
    for attempt in reversed(claims(RunDirectory(directory).attempts)):
        if ended != NOT_MADE:
            if ended != how or attempt.request != asked:
                break
            count += 1
        ended = attempt.outcome
    return count >= SAME_FAILURES
