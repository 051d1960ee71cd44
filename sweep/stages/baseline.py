"""Evaluate the untrained model: the number every cell of that model is compared with."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from sweep.grpo.checks import check_forward
from sweep.run.files import write_json
from sweep.run.processes import any_rank, join, leave
from sweep.stages.attempt import Interrupted, attempt
from sweep.stages.policy import load_initial


def main(path: Path, rank: int, world_size: int, local_rank: int, meeting: Path) -> None:
    """The stage on one process; rank 0 writes `result.json`."""
    with attempt(path, rank) as (run, config, stop):
        join(rank, world_size, local_rank, meeting)
        initial = load_initial(config, run, stop, training=False)
        problems, prompts = initial.evaluation_set()
        check_forward(initial.model, prompts[0])
        if any_rank(stop):
            raise Interrupted
        if rank == 0:
            run.write_state(note=f"evaluating {len(problems)} problems")
        result = initial.evaluate(initial.model, problems, prompts)
        if rank == 0:
            write_json(run.result, {"evaluation": run.evaluation_signature, **asdict(result)})
            run.write_state(accuracy=result.accuracy)
        leave()
