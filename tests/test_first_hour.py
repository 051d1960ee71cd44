"""What somebody asks in the first hour with a sweep, answered from one that was interrupted and extended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, TINY, Shell

from sweep.__main__ import main
from sweep.run.directory import RunDirectory
from sweep.run.files import read_rows
from sweep.run.state import State
from sweep.stages.spending import seconds_of_steps

# As a default run keeps its checkpoints.
BY_DEFAULT = [o for o in TINY if not o.startswith("checkpoint.resumable")]


class Hour:
    """A sweep of two seeds: three steps each, the third of seed 0 lost with its checkpoint, then four."""

    def __init__(self, root: Path, cache_dir: Path) -> None:
        self.shell = Shell(root, cache_dir)
        typed = ["-m", *BY_DEFAULT, "name=hour", "reward=random", "seed=0,1"]
        self.said = self._launch(*typed, "steps=3")
        self.first, self.second = (RunDirectory(path) for path in sorted((root / "runs" / "cells").iterdir()))
        self.before = {run.path.name: read_rows(run.metrics) for run in (self.first, self.second)}
        lost = self.first.checkpoints / "step_000003"
        lost.rename(root / "lost")
        self.first.result.unlink()
        self.first.write_state(state=State.INTERRUPTED)
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
    rows = read_rows(hour.second.metrics)
    assert rows[:3] == hour.before[hour.second.path.name] and [row["step"] for row in rows] == [1, 2, 3, 4]
    assert hour.second.read_state().cost(None).repeated_seconds == 0


def test_costs_are_those_of_all_attempts_and_repeated_steps_are_said_apart(hour, capsys):
    found = hour.sweep("costs", "hour", "seed=*")
    first = next(run for run in found["runs"] if run["run"] == hour.first.path.name)
    made = [*hour.before[hour.first.path.name], *read_rows(hour.first.metrics)[2:]]  # the third step twice
    assert (first["attempts"], first["unrecorded"]) == (2, 0)
    evaluated = [row for row in made if "eval/tokens" in row]
    answered = sum(row["eval/tokens"] * row["eval/problems"] for row in evaluated)
    assert first["generated_tokens"] == pytest.approx(sum(row["rollout/tokens"] for row in made) + answered)
    assert first["trained_tokens"] == sum(row["train/tokens"] for row in made)
    assert first["repeated_seconds"] == pytest.approx(seconds_of_steps(hour.before[hour.first.path.name], after=2))
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
    rows = [row for row in read_rows(hour.first.samples) if row["step"] == 4]
    wrong = [row for row in rows if not row["correct"]]
    assert one["step"] == 4 and one["kept"] == len(rows) and one["found"] == len(wrong)
    assert one["answers"] == wrong[:3] and len(wrong) > 2
    (rewarded,) = hour.sweep("samples", "hour", "seed=0", "--step", "3", "--rewarded")["runs"]
    assert rewarded["answers"] == [row for row in read_rows(hour.first.samples) if row["step"] == 3 and row["reward"]]
    said = hour.printed(capsys, "samples", "hour", "seed=0", "--wrong", "-n", "1")
    assert f"step 4: {len(wrong)} of {len(rows)} kept answers, the first 1 of them" in said
    assert rows[0]["question"] in said


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["--step", "9"], "--step 9: no answers of this step were kept; there are those of the steps 1, 2, 3, …, 4"),
        (["--step", "best"], "--step best: a number of steps from 1 on, or last"),
        (["--outcome", "splendid"], "--outcome splendid: grading ended so with none; there are "),
        (["baseline*"], "no training among these runs; only trainings keep answers"),
    ],
)
def test_answers_that_cannot_be_found_are_said_to_be_none(hour, typed, words, capsys):
    assert main(["samples", "hour", *typed, "--output-dir", str(hour.shell.root / "runs")]) == 2
    assert words in capsys.readouterr().err


def test_weights_are_readable_for_whom_the_umask_lets(hour, tmp_path):
    def modes(directory: Path) -> set[int]:
        return {path.stat().st_mode & 0o777 for path in directory.iterdir()}

    assert modes(hour.first.final) == {0o640} and hour.first.final.stat().st_mode & 0o777 == 0o750
    (hour.first.final / "model.safetensors").chmod(0o600)  # as older versions left it
    runs = ["--output-dir", str(hour.shell.root / "runs")]
    assert main(["export", hour.first.sign, str(tmp_path / "out"), *runs]) == 0
    assert modes(tmp_path / "out") == {0o644} and (tmp_path / "out").stat().st_mode & 0o777 == 0o755


def test_a_log_begins_with_the_run(hour):
    lines = hour.first.log.read_text().splitlines()
    assert " sweep INFO " in lines[0] and not [line for line in lines if "gcc" in line or "compilers" in line]


def test_a_launch_says_how_long_it_will_take_or_that_nobody_knows(hour):
    assert "time left: unknown until one of each was measured: a training of qwen2_mini" in hour.said
    assert f"sweep status hour --output-dir {hour.shell.root / 'runs'}` says it again" in hour.said


def test_the_directory_of_the_commands_is_a_script_anywhere(hour, tmp_path):
    command = [sys.executable, str(ROOT / "sweep"), "status", "hour", "output_dir=runs"]
    done = subprocess.run(command, cwd=hour.shell.root, capture_output=True, text=True, env={**os.environ, "PATH": ""})
    assert done.returncode == 0 and done.stdout.count("done") == 3 and not done.stderr


def test_what_a_model_wrote_controls_no_terminal(hour, capsys):
    kept = hour.second.samples.read_text()
    row = json.loads(kept.splitlines()[-1])
    evil = "\x1b[2J\x1b]0;title\x07\u202e\nproblem 1+1, sample 0: right, reward 1"
    row |= {"response": evil, "question": evil, "answer": evil, "gold": evil, "problem": evil}
    with open(hour.second.samples, "a") as file:
        file.write(json.dumps(row) + "\n")
    try:
        said = hour.printed(capsys, "samples", "hour", "seed=1", "-n", "9")
    finally:
        hour.second.samples.write_text(kept)
    assert "\x1b" not in said and "\x07" not in said and "\u202e" not in said and r"\x1b[2J" in said
    assert not [line for line in said.splitlines() if line.startswith("problem 1+1")]
