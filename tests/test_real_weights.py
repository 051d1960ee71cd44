"""Real pretrained weights on real problems, in a small form: slow on a CPU, and the only test that reads English."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from helpers.real_weights import smollm2
from sweep.run.directory import RunDirectory

PROBLEMS = [
    ("What is the value of $2^3 + 3 \\cdot 4$?", "20"),
    ("How many vertical asymptotes does the graph of $y=\\frac{2}{x^2+x-6}$ have?", "2"),
    ("If $f(x) = 3x - 7$, what is $f(5)$?", "8"),
    ("Find the greatest common divisor of 84 and 126.", "42"),
]
ENGLISH = {"the", "is", "of", "we", "to", "and", "a", "in", "find", "value", "that", "have"}


@pytest.mark.slow
def test_three_steps_on_math_problems(shell, tmp_path, monkeypatch):
    # The C library then gives large blocks back as soon as they are free. Else it keeps them, some 10 % more or less.
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "65536")
    problems = tmp_path / "problems.jsonl"
    rows = [{"prompt": question, "answer": answer} for question, answer in PROBLEMS * 5]
    problems.write_text("".join(json.dumps(row) + "\n" for row in rows))
    shell.launch(
        "model=smollm2_135m",
        f"model.path={smollm2()}",
        f"data.path={problems}",
        "reward=random",
        "steps=3",
        "algorithm.prompts_per_step=2",
        "algorithm.samples_per_prompt=2",
        "algorithm.updates_per_rollout=1",
        "rollout.max_response_tokens=24",
        "evaluation.problems=2",
        "evaluation.every=3",
        "tracking.mode=disabled",
        "tracking.sample_groups=2",
    )
    (path,) = Path(tmp_path / "runs" / "cells").iterdir()
    run = RunDirectory(path)
    rows = run.read_metrics()
    assert [row["step"] for row in rows] == [1, 2, 3]
    # With two responses a group, a step whose groups were each rewarded alike has no gradient, and every other has one.
    informative = [row["reward/zero_variance_share"] < 1 for row in rows]
    assert any(informative) and [row["train/grad_norm"] > 0 for row in rows] == informative
    # No step keeps memory: in use after the third step is what was after the second, but for what the allocator rounds.
    assert rows[2]["memory_gb/held"] < rows[1]["memory_gb/held"] * 1.05
    responses = [json.loads(line)["response"] for line in run.samples.read_text().splitlines()]
    assert len(responses) == 12
    words = " ".join(responses).lower().split()
    assert sum(word.strip(".,:;$") in ENGLISH for word in words) > 0.15 * len(words), responses[:3]
