"""`evaluate` on a real Slurm: submitted and left, cancelled, failed, tried again, and read by `status`."""

from __future__ import annotations

from helpers.constants import TINY
from helpers.slurm_queue import queued
from sweep.run.answer_places import finished_of_training
from sweep.run.directory import RunDirectory


def test_an_evaluation_is_submitted_cancelled_and_tried_again(slurm, tmp_path):
    slurm.launch(*TINY, "name=s", "reward=random", "steps=2", "cluster.wait=true")
    trained = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/cells/*/final/*.safetensors")}
    (place,) = (tmp_path / "runs" / "cells").iterdir()
    typed = ["evaluate", "s", "--step", "2", "evaluation=mini_fresh", "evaluation.problems=4"]

    said = slurm.command(*typed, "cluster.sbatch={hold:true}").stdout
    assert "0 cells and 1 stage submitted" in said and len(queued(tmp_path)) == 1
    (label,) = (label for label in slurm.statuses("s") if label.startswith("evaluation of"))
    assert label.endswith("at step 2 by mini_fresh with evaluation.problems=4")
    assert slurm.statuses("s")[label]["state"] == "queued"
    assert "cancelled" in slurm.command("cancel", "s", "evaluation-*").stdout
    assert slurm.statuses("s")[label]["state"] == "cancelled" and queued(tmp_path) == []

    final = RunDirectory(place).final
    final.rename(tmp_path / "elsewhere")
    failing = slurm.command(*typed, "cluster.wait=true", check=False)
    assert failing.returncode == 2 and "has no weights" in failing.stderr
    (tmp_path / "elsewhere").rename(final)
    assert "0 cells and 1 stage submitted" in slurm.command(*typed, "cluster.setup=['exit 3']").stdout
    assert slurm.wait_for_the_end("s")[label]["state"] == "failed"
    assert (
        "0 cells and 1 stage submitted" in slurm.command("retry", "s", "--failed", "--set", "cluster.setup=[]").stdout
    )
    found = slurm.wait_for_the_end("s")[label]
    assert found["state"] == "done" and found["accuracy"] is not None
    (fresh,) = (one for one in finished_of_training(tmp_path / "runs", place.name) if one.manifest.benchmark != "mini")
    assert (fresh.step, fresh.manifest.rows) == (2, 4 * fresh.manifest.samples_per_problem)
    assert {path: path.stat().st_mtime_ns for path in trained} == trained
