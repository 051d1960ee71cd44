"""Every command in the documentation exists and takes what it is given."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, TINY, smollm2

from sweep.plan.plan import plan_sweep

# docs/slurm.md is tested on a Slurm, by tests/slurm/test_docs.py.
DOCS = sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md") if page.name != "slurm.md")
PAGES = ["README.md", "benchmarks/README.md", *DOCS]


def commands(prefix: str) -> list[str]:
    found = []
    for page in PAGES:
        for block in re.findall(r"```\n(.*?)```", (ROOT / page).read_text(), flags=re.S):
            found += [re.split(r"\s#", line)[0].partition(">")[0].strip() for line in block.splitlines()]
    return sorted({line for line in found if line.startswith(prefix)})


def problem(question: str, answer: int) -> dict:
    """A row with every column that a command names."""
    worked = {"solution": f"So #### {answer}", "reward_model": {"ground_truth": str(answer)}}
    kind = {"level": 4 + answer % 2, "subject": "algebra"}
    return {"prompt": question, "problem": question, "answer": str(answer), **worked, **kind}


@pytest.mark.parametrize("command", commands("python launch.py"))
def test_launch_commands_plan(command, tmp_path):
    for name, sign in (("PROBLEMS.jsonl", "+"), ("TEST.jsonl", "*")):
        (tmp_path / name).write_text("".join(f"{json.dumps(problem(f'{i} {sign} 1', i))}\n" for i in range(20)))
        command = command.replace(name, str(tmp_path / name))
    if ".venv/smollm2.gguf" in command:
        command = command.replace(".venv/smollm2.gguf", str(smollm2()))
    overrides = [word for word in shlex.split(command)[2:] if word != "-m"]
    assert plan_sweep([*overrides, f"output_dir={tmp_path}"]).cells


@pytest.mark.parametrize("command", commands("make"))
def test_make_targets_exist(command):
    assert (
        subprocess.run(["make", "-n", "-C", str(ROOT), *shlex.split(command)[1:]], capture_output=True).returncode == 0
    )


def test_sweep_commands_run(shell, tmp_path, cache_dir):
    for name in ("demo", "grid", "learning"):
        shell.launch(*TINY, "steps=1", "reward=random", f"name={name}")
    cell = next((tmp_path / "runs" / "cells").iterdir()).name
    runs = ["--output-dir", str(tmp_path / "runs")]
    small = [f"cache_dir={cache_dir}", *(o for o in TINY if o.startswith("model.mini."))]
    places = {
        "plan": [],
        "prefetch": small,
        "status": runs,
        "labels": runs,
        "compare": runs,
        "export": runs,
        "gc": runs,
    }
    said = {
        "plan": "activations",
        "prefetch": "1916 train",
        "status": "done",
        "labels": "demo",
        "compare": "reward",
        "export": "wrote",
        "gc": "directories",
    }
    for command in commands("python -m sweep"):
        line = command.replace("CELL", cell).replace("DIR", str(tmp_path / "exported"))
        words = shlex.split(line)[1:]
        done = subprocess.run([sys.executable, *words, *places[words[2]]], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert said[words[2]] in done.stdout


def test_the_first_commands_are_demo_and_test():
    first = re.search(r"```\n(.*?)```", Path(ROOT / "README.md").read_text(), flags=re.S).group(1)
    assert [line.split()[:2] for line in first.splitlines()] == [["make", "demo"], ["make", "test"]]
