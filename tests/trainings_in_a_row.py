"""Attempts at one run, one after another in one process, with damage done to its checkpoints between them.

Usage: python tests/trainings_in_a_row.py 0 1 DIRECTORY   (script.json in it; the run is in run/)

A line of the script is ["train", OVERRIDES], ["damage", STEP, FILE PATTERN, KIND] or ["poison", STEP], which makes the
weights of a checkpoint NaN and its manifest true to them. Prints for each training what it raised, the names of the
checkpoints, and its state, as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from damaged_files import damage_file

from sweep.plan.compose import compose_cells
from sweep.run.checkpoints import MANIFEST, checkpoint_path, record_file, write_manifest
from sweep.run.directory import RunDirectory
from sweep.run.processes import join
from sweep.stages.attempt import attempt
from sweep.stages.train import train


def main(rank: int, world_size: int, directory: Path) -> None:
    torch.set_num_threads(1)
    join(rank, world_size, rank, directory / "meeting.json")
    run, found = RunDirectory(directory / "run"), []
    for action, *arguments in json.loads((directory / "script.json").read_text()):
        if action == "train":
            found.append(trained(run, *arguments))
        elif action == "damage":
            step, pattern, kind = arguments
            for file in checkpoint_path(run.checkpoints, step).glob(pattern):
                damage_file(file, kind)
        else:
            poison(checkpoint_path(run.checkpoints, *arguments))
    print(json.dumps(found))


def trained(run: RunDirectory, overrides: list[str]) -> dict:
    """An attempt at the run under these overrides."""
    (cell,) = compose_cells(overrides)
    run.freeze(cell.config, "test", {}, {})
    error = None
    try:
        with attempt(run.path, 0, 1, run.meeting()) as (_, config, stop, phases):
            train(run, config, stop, phases)
    except Exception as raised:
        error = f"{type(raised).__name__}: {raised}"
    names = sorted(path.name for path in run.checkpoints.glob("*_0*"))
    return {"error": error, "checkpoints": names, "state": run.read_state().model_dump(mode="json")}


def poison(checkpoint: Path) -> None:
    (checkpoint / MANIFEST).unlink()
    for file in checkpoint.iterdir():
        content = torch.load(file, weights_only=False)
        _fill(content)
        torch.save(content, file)
    write_manifest(checkpoint, int(checkpoint.name[-6:]), 1, [record_file(file) for file in checkpoint.iterdir()])


def _fill(value) -> None:
    if torch.is_tensor(value) and value.is_floating_point() and value.numel() > 1:
        value.data.fill_(torch.nan)
    elif isinstance(value, dict | list | tuple):
        for inner in value.values() if isinstance(value, dict) else value:
            _fill(inner)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
