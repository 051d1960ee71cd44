"""metrics.jsonl and its W&B mirror, with the real client."""

from __future__ import annotations

import json
import math

from conftest import TINY

from sweep.run.directory import RunDirectory
from sweep.track.metrics import RowLog


def test_rows_are_finite_or_null_and_each_step_stands_once(tmp_path):
    path = tmp_path / "metrics.jsonl"
    log = RowLog(path, resume_after=0)
    for step in (1, 2, 3):
        log.write({"step": step, "loss": math.nan if step == 2 else 0.5, "peak": math.inf})
    log.close()
    with open(path, "a") as file:
        file.write('{"step": 4, "lo')  # a crash in the middle of a row
    log = RowLog(path, resume_after=2)
    log.write({"step": 3, "loss": 0.25})
    log.close()
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert rows == [
        {"step": 1, "loss": 0.5, "peak": None},
        {"step": 2, "loss": None, "peak": None},
        {"step": 3, "loss": 0.25},
    ]


def test_a_key_without_a_network_falls_back_to_offline_and_says_so(shell, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    shell.launch(*TINY, "steps=1", "name=unreachable", "tracking.mode=auto")
    (cell,) = shell.sweep("compare", "unreachable")["cells"]
    assert cell["state"] == "done"
    run = RunDirectory(cell["directory"])
    assert run.log.read_text().count("W&B cannot be reached") == 1
    assert list(run.path.glob("wandb/offline-run-*/*.wandb"))


def test_without_a_key_the_launch_says_once_that_runs_are_offline(shell):
    parts = ",".join(["ground_truth", "no_python", "no_repetition", "format", "random"] * 3)
    reward = ["reward=all_of", f"reward.rewards=[{parts}]"]  # a title longer than a tag, a run's name or a file's name
    done = shell.launch(*TINY, "steps=1", "name=keyless", "seed=0,1", "tracking.mode=auto", *reward)
    assert done.stdout.count("no API key") == 1
