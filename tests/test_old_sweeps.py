"""Sweeps that earlier versions finished are read for ever, and never trained again without a word."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from helpers.constants import ROOT
from sweep.config.keys import REPLACED
from sweep.plan.plan import plan_sweep
from sweep.run import identity
from sweep.run.directory import RunDirectory
from sweep.run.identity import stale

KEPT = sorted(path for path in (ROOT / "tests" / "sweeps").iterdir() if path.is_dir())


@pytest.fixture(params=KEPT, ids=lambda path: path.name)
def kept(request, tmp_path):
    """A copy of a kept sweep as an output directory."""
    return shutil.copytree(request.param, tmp_path / "runs")


def sweep(root, *arguments: str) -> str:
    command = [sys.executable, "-m", "sweep", *arguments, "--output-dir", str(root)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def planned(root, *more: str):
    """What its command would run today; a key that is gone by now was of tracking, and changed no result."""
    gone = tuple(f"{key}=" for key in REPLACED)
    typed = [line for line in json.loads((root / "command.json").read_text()) if not line.startswith(gone)]
    return plan_sweep([*typed, f"output_dir={root}", *more])


def results_of(root) -> dict[str, float]:
    return {p.parent.name: json.loads(p.read_text())["accuracy"] for p in root.glob("cells/*/result.json")}


def test_status_compare_and_export_read_it(kept, tmp_path):
    runs = json.loads(sweep(kept, "status", "kept", "--json"))["runs"]
    assert len(runs) == 5 and {run["state"] for run in runs} == {"done"}
    cells = json.loads(sweep(kept, "compare", "kept", "--json"))["cells"]
    (base,) = (json.loads(p.read_text())["accuracy"] for p in kept.glob("stages/baseline-*/result.json"))
    assert {c["directory"].rpartition("/")[2]: c["final_accuracy"] for c in cells} == results_of(kept)
    assert all(c["difference"] == c["final_accuracy"] - base and c["unlike"] == "" for c in cells)
    sweep(kept, "export", cells[0]["signature"], str(tmp_path / "exported"))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "exported")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "exported")
    assert model.get_input_embeddings().num_embeddings == len(tokenizer)


def test_a_launch_trains_none_of_it_again(kept):
    """Its own runs are found; or they are named as an older version's, and `retrain` leaves them where they are."""
    before = {path: path.stat().st_mtime_ns for path in kept.rglob("*") if path.is_file()}
    plan = planned(kept)
    cells = [RunDirectory(path) for path in kept.glob("cells/*")]
    changed = [run for run in cells if stale(run.identity)]
    assert len(plan.obstacles) == len(changed)
    assert changed or {status.state for status in plan.statuses()} == {"done"}
    assert planned(kept, "retrain=true").obstacles == []
    assert {path: path.stat().st_mtime_ns for path in kept.rglob("*") if path.is_file()} == before


def test_under_new_rules_of_grading_its_graded_cells_are_named_and_the_others_evaluated_anew(kept, monkeypatch):
    monkeypatch.setitem(identity.NUMBERS, "grading", identity.NUMBERS["grading"] + 1)
    plan = planned(kept)
    assert len(plan.obstacles) == 2 and all("reward=ground_truth" in fault for fault in plan.obstacles)
    again = {task.axes["reward"]: task.module for task in plan.cells}
    assert again == {"ground_truth": "sweep.stages.train", "random": "sweep.stages.evaluation"}
