"""`python -m sweep sync`: W&B has the rows of metrics.jsonl, whatever came between, read back with the real client."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import wandb
from conftest import ROOT, TINY
from wandb_server import Fault, WandbServer, wandb_server
from written_sweeps import finish, finish_all

from sweep.__main__ import main
from sweep.plan.plan import Plan, plan_sweep
from sweep.run.directory import RunDirectory
from sweep.run.files import try_lock
from sweep.track import sync as syncing
from sweep.track.client import Patience, end_service
from sweep.track.metrics import RowLog

KEY = "0123456789" * 4


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    with wandb_server() as server:
        yield server
    end_service(failed=True)


def row(step: int, **more) -> dict:
    evaluated = {"eval/accuracy": step / 7, "evaluation": "e"} if step % 5 == 0 else {}
    return {"step": step, "train/loss": 1 / step, "timing_s/step": 0.5, "nothing": None} | evaluated | more


def write_rows(run: RunDirectory, rows: list[dict], after: int = 0) -> None:
    """As training writes them: rows after the step `after` are made again."""
    log, answers = RowLog(run.metrics, after), RowLog(run.samples, after)
    for one in rows:
        answers.write({"step": one["step"], "problem": "p", "question": "1+1", "response": "2" * 3000, "reward": 1.0})
        log.write(one)
    log.close()
    answers.close()


class Trained:
    """A sweep as finished trainings leave it behind."""

    def __init__(self, root: Path, server: WandbServer, *overrides: str, name: str = "demo") -> None:
        self.root, self.server, self.name = root, server, name
        place = [f"output_dir={root / 'runs'}", f"tracking.base_url={server.url}", "tracking.project=p"]
        self.plan: Plan = plan_sweep([*TINY, "tracking.mode=offline", *place, f"name={name}", *overrides])
        finish_all(self.plan)
        self.runs = [RunDirectory(task.directory) for task in self.plan.cells]

    def sync(self, *words: str) -> int:
        return main(["sync", self.name, *words, "--output-dir", str(self.root / "runs")])

    def api_runs(self) -> dict:
        api = wandb.Api(overrides={"base_url": self.server.url})
        return {run.id: run for run in api.runs("e/p", lazy=False)}

    def read_back(self, identifier: str) -> list[dict]:
        """The history of a run, without the client's columns and the tables."""
        run = self.api_runs()[identifier]
        return [
            {key: value for key, value in found.items() if key[0] != "_" and key != "samples"}
            for found in run.scan_history(use_cache=False)
        ]


def truth(run: RunDirectory) -> list[dict]:
    return [{key: value for key, value in one.items() if value is not None} for one in run.read_metrics()]


def test_what_was_trained_offline_is_read_back_as_it_was_written_and_a_second_sync_has_nothing_to_do(
    tmp_path, server, capsys
):
    sweep = Trained(tmp_path, server, "reward=random,format", "seed=0,1")
    for run in sweep.runs[:3]:
        write_rows(run, [row(step, gone=math.nan) for step in range(1, 13)])
    assert sweep.sync() == 0
    said = capsys.readouterr().out
    assert said.count("sent: 12 rows of 12") == 3 and "left out: no rows yet" in said
    assert f"sync demo: 3 sent, 1 left out; 36 rows sent\n{server.url}/e/p\n" in said
    for run in sweep.runs[:3]:
        assert sweep.read_back(run.signature) == truth(run)
        assert [one["_step"] for one in server.runs[run.signature].rows] == list(range(1, 13))
    operations = len(server.operations)
    assert sweep.sync() == 0
    assert "3 up to date" in capsys.readouterr().out
    assert server.operations[operations:].count("UpsertBucket") == 0
    assert sweep.sync("--check") == 0
    assert server.operations[operations:].count("UpsertBucket") == 0 and "3 up to date" in capsys.readouterr().out
