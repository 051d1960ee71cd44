"""Count the problems that majority labels leave a cell to train on, as far as they are known before it runs."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from sweep.plan.task import Task
from sweep.run.labels import read_labels, too_few, usable
from sweep.run.state import State
from sweep.run.status import read_state


def problems_left(task: Task, root: Path) -> dict | None:
    """Return `training` of `labelled` problems and why the cell is `refused`, if so; None until there are labels."""
    reward = task.config.reward
    stages = tuple(root / d for d in task.config.labels.directories)
    if not stages or any(read_state(stage) != State.DONE for stage in stages):
        return None
    (vote,) = reward.votes
    training, labelled = _count(stages, vote, reward.wrong_labels_only)
    refused = too_few(training, task.config.algorithm.prompts_per_step, labelled)
    return {"training": training, "labelled": labelled, "refused": refused}


@lru_cache
def _count(stages: tuple[Path, ...], vote: str, wrong_only: bool) -> tuple[int, int]:
    """Count usable labels and all labels; cached, because many cells of a plan need the same counts."""
    labels = list(read_labels(stages, vote))
    return sum(1 for _ in usable(labels, wrong_only)), len(labels)
