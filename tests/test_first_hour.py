"""What somebody asks in the first hour with a sweep, answered from one that was interrupted and extended."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from helpers.constants import ROOT, TINY
from helpers.shells import Shell
from sweep.__main__ import main
from sweep.plan.compose import compose_cells
from sweep.plan.plan import plan_sweep
from sweep.plan.resources import predict_disk
from sweep.run.directory import RunDirectory
from sweep.run.series import read_rows
from sweep.run.state import State
from sweep.stages.spending import seconds_of_steps

# As a default run keeps its checkpoints.
BY_DEFAULT = [o for o in TINY if not o.startswith("checkpoint.resumable")]


class Hour:
    """A cell that was trained to step 3, lost the result and the last checkpoint, and was asked for step 4."""

    def __init__(self, root: Path, cache_dir: Path) -> None:
        self.shell = Shell(root, cache_dir)
        typed = [*BY_DEFAULT, "name=hour", "reward=random"]
        self.said = self._launch(*typed, "steps=3")
        (cell,) = (root / "runs" / "cells").iterdir()
        self.run = RunDirectory(cell)
        self.before = [*read_rows(self.run.metrics)]
        place = [f"output_dir={root / 'runs'}", f"cache_dir={cache_dir}"]
        self.extended = plan_sweep([*typed, "steps=4", *place])
        (self.run.checkpoints / "step_000003").rename(root / "lost")
        self.run.result.unlink()
        self.run.write_state(state=State.INTERRUPTED)
        self._launch(*typed, "steps=4")

    def _launch(self, *typed: str) -> str:
        umask = os.umask(0o027)
        try:
            return self.shell.launch(*typed).stdout
        finally:
            os.umask(umask)

    def sweep(self, *words: str) -> dict:
        return self.shell.sweep(*words)

    def printed(self, capsys, *words: str) -> str:
        assert main([*words, "--output-dir", str(self.shell.root / "runs")]) == 0
        return capsys.readouterr().out


@pytest.fixture(scope="module")
def hour(tmp_path_factory, cache_dir) -> Hour:
    return Hour(tmp_path_factory.mktemp("hour"), cache_dir)


def test_a_finished_default_run_is_extended(hour):
    assert hour.extended.obstacles == [] and hour.extended.cells[0].directory == hour.run.path
    rows = [*read_rows(hour.run.metrics)]
    assert rows[:2] == hour.before[:2] and [row["step"] for row in rows] == [1, 2, 3, 4]


def test_finished_runs_keep_their_checkpoints_where_these_are_small():
    """Every published model's file chooses to keep its weights alone; what is typed wins."""
    chosen = {file.stem: yaml.safe_load(file.read_text()) for file in (ROOT / "conf" / "model").glob("*.yaml")}
    keeps_weights = {"override /checkpoint@_global_.checkpoint": "last"}
    small = {name for name, values in chosen.items() if keeps_weights not in values.get("defaults", [])}
    assert small == {name for name, values in chosen.items() if "mini" in values}
    mini, published = (cell.config for cell in compose_cells(["model=qwen2_mini,qwen2_5_7b"]))
    assert (mini.checkpoint.resumable, published.checkpoint.resumable) == (True, False)
    assert predict_disk(mini).after < 2**25
    (typed,) = compose_cells(["model=qwen2_5_7b", "checkpoint=resumable"])
    assert typed.config.checkpoint.resumable and predict_disk(typed.config).after > 10 * predict_disk(published).after


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (
            [],
            "once done: the latest 2 checkpoints of each cell are kept beside its weights; raising `steps` extends it",
        ),
        (["checkpoint.keep=1"], "once done: the latest checkpoint of each cell is kept"),
        (["checkpoint=last"], "once done: the weights of each cell are kept and no checkpoint; raising `steps` would"),
    ],
)
def test_plan_says_what_a_finished_run_keeps(typed, said, tmp_path, capsys):
    assert main(["plan", *typed, f"output_dir={tmp_path}"]) == 0
    assert said in capsys.readouterr().out


def test_costs_are_those_of_all_attempts_and_repeated_steps_are_said_apart(hour, capsys):
    (first,) = hour.sweep("costs", "hour", "seed=0")["runs"]
    made = [*hour.before, *[*read_rows(hour.run.metrics)][2:]]  # the third step twice
    assert (first["attempts"], first["unrecorded"]) == (2, 0)
    evaluated = [row for row in made if "eval/tokens" in row]
    answered = sum(row["eval/tokens"] * row["eval/problems"] for row in evaluated)
    assert first["generated_tokens"] == pytest.approx(sum(row["rollout/tokens"] for row in made) + answered)
    assert first["trained_tokens"] == sum(row["train/tokens"] for row in made)
    assert first["repeated_seconds"] == pytest.approx(seconds_of_steps(hour.before, after=2))
    assert first["seconds"] > sum(row["timing_s/step"] for row in made)
    assert first["process_seconds"] == first["seconds"] and first["gpu_seconds"] == 0
    assert all("GPU-hours" not in hour.printed(capsys, command, "hour") for command in ("costs", "status", "compare"))

    whole = hour.sweep("costs", "hour")
    stages = [run for run in whole["runs"] if run["run"].startswith("baseline")]
    assert len(stages) == 1 and stages[0]["generated_tokens"] > 0
    assert whole["cost"]["seconds"] == pytest.approx(sum(run["seconds"] for run in whole["runs"]))
    assert hour.sweep("status", "hour")["cost"] == whole["cost"] == hour.sweep("compare", "hour")["cost"]
    said = hour.printed(capsys, "costs", "hour")
    assert "cost so far: " in said and " of it in steps that were made again" in said and "time left" not in said


def test_compare_tells_the_worst_seed_and_what_a_row_cost(hour, capsys, tmp_path):
    plain, more = (
        " ".join(hour.printed(capsys, "compare", "hour", *options).split()) for options in ([], ["--seeds", "--costs"])
    )
    assert "cost of all runs: " in plain and "of each seed, the lowest of a row first" not in plain
    assert "of each seed, the lowest of a row first" in more and "what a cell cost, means over n seeds" in more
    file = tmp_path / "found.json"
    file.write_text(json.dumps(hour.sweep("compare", "hour")))
    assert main(["compare", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(file.read_text())


def test_what_a_metric_was_at_each_step_can_be_asked(hour, capsys):
    assert "train/entropy at step 2" in hour.printed(
        capsys, "compare", "hour", "--metric", "train/entropy", "--at-step", "2"
    )


def test_answers_of_a_step_are_found_by_how_they_ended(hour, capsys):
    (one,) = hour.sweep("samples", "hour", "seed=0", "--step", "last", "--wrong", "-n", "3")["runs"]
    rows = [row for row in read_rows(hour.run.samples) if row["step"] == 4]
    wrong = [row for row in rows if not row["correct"]]
    assert one["step"] == 4 and one["kept"] == len(rows) and one["found"] == len(wrong)
    assert one["answers"] == wrong[:3] and len(wrong) > 2
    (rewarded,) = hour.sweep("samples", "hour", "seed=0", "--step", "3", "--rewarded")["runs"]
    assert rewarded["answers"] == [row for row in read_rows(hour.run.samples) if row["step"] == 3 and row["reward"]]
    said = hour.printed(capsys, "samples", "hour", "seed=0", "--wrong", "-n", "1")
    assert f"step 4: {len(wrong)} of {len(rows)} kept answers, the first 1 of them" in said
    assert rows[0]["question"] in said


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["--step", "9"], "--step 9: no answers of this step were kept; there are those of the steps 1, 2, 3, 4"),
        (["--step", "best"], "--step best: a number of steps from 1 on, or last"),
        (["--outcome", "splendid"], "--outcome splendid: no answer was graded so; there are "),
        (["baseline*"], "no training among these runs; only trainings keep answers"),
    ],
)
def test_answers_that_cannot_be_found_are_said_to_be_none(hour, typed, words, capsys):
    assert main(["samples", "hour", *typed, "--output-dir", str(hour.shell.root / "runs")]) == 2
    assert words in capsys.readouterr().err


def test_weights_are_readable_for_whom_the_umask_lets(hour, tmp_path):
    def modes(directory: Path) -> set[int]:
        return {path.stat().st_mode & 0o777 for path in directory.iterdir()}

    assert modes(hour.run.final) == {0o640} and hour.run.final.stat().st_mode & 0o777 == 0o750
    (hour.run.final / "model.safetensors").chmod(0o600)  # as older versions left it
    runs = ["--output-dir", str(hour.shell.root / "runs")]
    assert main(["export", hour.run.sign, str(tmp_path / "out"), *runs]) == 0
    assert modes(tmp_path / "out") == {0o644} and (tmp_path / "out").stat().st_mode & 0o777 == 0o755


def test_a_log_begins_with_the_run(hour):
    lines = hour.run.log.read_text().splitlines()
    assert " sweep INFO " in lines[0] and not [line for line in lines if "gcc" in line or "compilers" in line]


def test_a_launch_says_how_long_it_is_predicted_to_take(hour):
    assert re.search(r"time left: about \S+, as predicted", hour.said)
    assert f"sweep status hour --output-dir {hour.shell.root / 'runs'}` says it again" in hour.said


def test_the_directory_of_the_commands_is_a_script_anywhere(hour, tmp_path):
    command = [sys.executable, str(ROOT / "sweep"), "status", "hour", "output_dir=runs"]
    done = subprocess.run(command, cwd=hour.shell.root, capture_output=True, text=True, env={**os.environ, "PATH": ""})
    assert done.returncode == 0 and done.stdout.count("done") == 2 and not done.stderr


def test_what_a_model_wrote_controls_no_terminal(hour, capsys):
    kept = hour.run.samples.read_text()
    row = json.loads(kept.splitlines()[-1])
    evil = "\x1b[2J\x1b]0;title\x07\u202e\nproblem 1+1, sample 0: right, reward 1"
    row |= {"response": evil, "question": evil, "answer": evil, "gold": evil, "problem": evil}
    with open(hour.run.samples, "a") as file:
        file.write(json.dumps(row) + "\n")
    try:
        said = hour.printed(capsys, "samples", "hour", "-n", "9")
    finally:
        hour.run.samples.write_text(kept)
    assert "\x1b" not in said and "\x07" not in said and "\u202e" not in said and r"\x1b[2J" in said
    assert not [line for line in said.splitlines() if line.startswith("problem 1+1")]
