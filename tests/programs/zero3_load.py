"""One process of two that load a model under ZeRO-3; prints how many weights it held at most, as JSON.

Usage: python tests/programs/zero3_load.py RANK WORLD_SIZE DIRECTORY

DIRECTORY is a run directory with a frozen configuration.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import deepspeed
import torch

from models.load import load_model
from sweep.job.processes import join
from sweep.run.directory import RunDirectory
from sweep.stages.policy import sharded


def main(rank: int, world_size: int, directory: Path) -> None:
    config = RunDirectory(directory).read_config()
    join(rank, world_size, rank, directory / "meeting.json")
    source = Path(config.model.path)
    with sharded(config, source):
        model = load_model(config.model, source)
    parameters = list(model.parameters())
    held = sum(p.ds_tensor.numel() + p.numel() for p in parameters)  # a share, and nothing of the whole
    whole = load_model(config.model, source)
    with deepspeed.zero.GatheredParameters(parameters):
        equal = all(torch.equal(p, q) for p, q in zip(parameters, whole.parameters(), strict=True))
    print(json.dumps({"largest_held": held, "gathered_equal": equal}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
