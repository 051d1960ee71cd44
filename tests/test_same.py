"""The harness of sameness: its cells compose, and it tells what changed from what did not."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file

import same
from helpers.constants import TINY
from sweep.plan.compose import compose_cells


@pytest.mark.parametrize("name", same.CELLS)
def test_every_cell_composes(name):
    (cell,) = compose_cells([*TINY, *same.CELLS[name]])
    assert cell.config.checkpoint.resumable and cell.config.cluster.kind == "local"


def write_run(directory, *, weight=1.0, accuracy=0.5, loss=0.25, seconds=1.0, **columns):
    (directory / "final").mkdir(parents=True)
    save_file({"w": torch.tensor([weight], dtype=torch.bfloat16)}, directory / "final" / "model.safetensors")
    (directory / "result.json").write_text(json.dumps({"accuracy": accuracy}))
    (directory / "samples.jsonl").write_text(json.dumps({"response": "4"}) + "\n")
    rows = [{"step": 1, "timing_s/step": seconds, "loss": loss, **columns}, {"step": 2, "timing_s/step": seconds}]
    (directory / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return same.digest(directory)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"seconds": 9.0}, []),
        ({"weight": 1.5}, ["weights changed: w"]),
        ({"accuracy": 0.75}, ["result changed: accuracy"]),
        ({"loss": 0.5}, ["metrics changed: loss"]),
        ({"entropy": 1.0}, ["metrics new: entropy"]),
    ],
)
def test_what_changed_is_named(tmp_path, changes, found):
    before = write_run(tmp_path / "before")
    assert same.differences(before, write_run(tmp_path / "after", **changes)) == found


def test_a_column_that_is_gone_is_named(tmp_path):
    before, after = write_run(tmp_path / "before", entropy=1.0), write_run(tmp_path / "after")
    assert same.differences(before, after) == ["metrics gone: entropy"]
