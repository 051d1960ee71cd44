"""Attempts at runs, one after another in the same processes, with damage done to checkpoints between them.

Usage: python tests/programs/trainings_in_a_row.py RANK WORLD_SIZE DIRECTORY

DIRECTORY holds script.json, and a directory for each run. A line of the script is ["train", RUN, OVERRIDES], ["damage",
RUN, STEP, FILE PATTERN, KIND] or ["poison", RUN, STEP], which makes the weights of a checkpoint NaN and its manifest
true to them. Prints for each training what it raised, the names of the checkpoints, its state, and the numbers of each
step, as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
import torch.distributed as dist

from helpers.damaged_files import damage_file
from sweep.job.attempt import attempt
from sweep.job.processes import gather, join
from sweep.job.starting import Starting
from sweep.plan.compose import compose_cells
from sweep.plan.signature import benchmark_identities
from sweep.run.checkpoints import MANIFEST, checkpoint_path, record_file, write_manifest
from sweep.run.directory import RunDirectory
from sweep.stages.train import train


def main(rank: int, world_size: int, directory: Path) -> None:
    torch.set_num_threads(1)
    join(rank, world_size, rank, directory / "meeting.json")
    found = []
    for action, name, *arguments in json.loads((directory / "script.json").read_text()):
        run = RunDirectory(directory / name)
        dist.barrier()
        if action == "train":
            found.append(trained(run, rank, world_size, *arguments))
        elif rank == 0 and action == "damage":
            step, pattern, kind = arguments
            for file in checkpoint_path(run.checkpoints, step).glob(pattern):
                damage_file(file, kind)
        elif rank == 0:
            poison(checkpoint_path(run.checkpoints, *arguments), world_size)
    print(json.dumps(found))


def trained(run: RunDirectory, rank: int, world_size: int, overrides: list[str]) -> dict:
    """An attempt at the run under these overrides."""
    (cell,) = compose_cells(overrides)
    if rank == 0:
        run.freeze(cell.config, "test", {}, benchmark_identities(cell.config))
    dist.barrier()
    (meeting,) = gather([run.meeting()] if rank == 0 else [])
    error = None
    try:
        with attempt(run.path, rank, world_size, meeting) as (_, config, stop, phases):
            train(run, config, stop, phases, Starting())
    except Exception as raised:
        error = f"{type(raised).__name__}: {raised}"
    dist.barrier()
    names = sorted(path.name for path in run.checkpoints.glob("*_0*"))
    numbers = {
        row["step"]: {name: value for name, value in row.items() if name.startswith(("train/", "reward/"))}
        for row in run.read_metrics()
    }
    state = run.read_state().model_dump(mode="json")
    return {"error": error, "checkpoints": names, "state": state, "rows": numbers}


def poison(checkpoint: Path, world_size: int) -> None:
    (checkpoint / MANIFEST).unlink()
    for file in checkpoint.iterdir():
        content = torch.load(file, weights_only=False)
        _fill(content)
        torch.save(content, file)
    records = [record_file(file) for file in checkpoint.iterdir()]
    write_manifest(checkpoint, int(checkpoint.name[-6:]), world_size, records)


def _fill(value) -> None:
    if torch.is_tensor(value) and value.is_floating_point() and value.numel() > 1:
        value.data.fill_(torch.nan)
    elif isinstance(value, dict | list | tuple):
        for inner in value.values() if isinstance(value, dict) else value:
            _fill(inner)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
