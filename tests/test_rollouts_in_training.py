"""What only a whole training shows: resampling, penalties from the initial model, and what stops a run."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import get_args

from helpers.constants import ROOT, TINY
from rewards.detectors import DETECTORS
from rewards.extraction import Strategy
from sweep.run.directory import RunDirectory

SHORT = [*TINY, "cluster.threads=1", "steps=2", "evaluation.every=2"]


def runs(tmp_path: Path) -> dict[str, RunDirectory]:
    found = [RunDirectory(p) for p in (tmp_path / "runs" / "cells").iterdir()]
    return {run.read_config().algorithm.name: run for run in found}


def test_dynamic_sampling_and_the_initial_model_in_training(shell, tmp_path):
    rare = ["reward=random", "reward.probability=0.05", "algorithm.kl_coefficient=0.1", "algorithm.resampling_rounds=2"]
    rare += ["algorithm.kl_place=loss", "tracking.reference_kl_every=1"]
    shell.launch("-m", "algorithm=dapo,rloo", *SHORT, *rare)
    dapo, rloo = (runs(tmp_path)[name].read_metrics() for name in ("dapo", "rloo"))
    for row in (*dapo, *rloo):
        assert 4 <= row["rollout/groups_sampled"] <= 12
        # A group takes another problem's place until it has rewards of both kinds, or the rounds are over.
        assert row["reward/mean"] >= row["reward/mean_sampled"] or row["reward/zero_variance_share"] == 1
        assert row["train/reference_kl"] is not None if row["train/updates"] else row["train/responses"] == 0
        assert "timing_s/reference" not in row  # the updates measure it: a pass of its own would be for nothing
        assert row["memory_gb/rollout"] > 0 and row["timing_s/update"] >= 0
        assert row["perf/update_tflops"] >= 0 and row["perf/mfu"] is None  # nobody told a CPU's peak
    assert max(row["rollout/groups_sampled"] for row in dapo) > 4
    for row in dapo:
        assert row["train/responses"] == round(16 * (1 - row["reward/zero_variance_share"]))
    assert [row["train/responses"] for row in rloo] == [16, 16]
    assert any(row["train/updates"] for row in dapo)
    kept = [[json.loads(line) for line in run.samples.read_text().splitlines()] for run in runs(tmp_path).values()]
    for one, other in zip(*kept, strict=True):  # all answers of one group a step, at the same place in both cells
        assert (one["step"], one["sample"], one["slot"] % 4) == (other["step"], other["sample"], other["slot"] % 4)
        assert (one["problem"] == other["problem"]) or max(one["slot"], other["slot"]) >= 4
    assert [row["sample"] for row in kept[0]] == [0, 1, 2, 3] * 2
    page = (ROOT / "docs" / "metrics.md").read_text()
    named = {name for row in (*dapo, *rloo) for name in row if name != "step"} - {
        f"grading/{s}" for s in get_args(Strategy)
    }
    of_each = re.findall(r"`(behaviour/\w*BEHAVIOUR\w*)`", page)
    named -= {name.replace("BEHAVIOUR", detector) for name in of_each for detector in DETECTORS}
    assert [name for name in sorted(named) if f"`{name}`" not in page] == []
    numbers = [v for row in (*dapo, *rloo) for k, v in row.items() if k != "evaluation" and v is not None]
    assert all(map(math.isfinite, numbers))


def test_a_sampler_that_disagrees_stops_the_run_and_says_what_to_look_at(shell, tmp_path):
    done = shell.launch(*SHORT, "checks.logprob_difference=1e-12", check=False)
    assert done.returncode == 1
    (run,) = runs(tmp_path).values()
    state = run.read_state()
    assert state.state == "failed" and state.error.startswith("RolloutFault: sampler and trainer disagree")
    assert "tied embeddings" in state.error
    assert run.read_metrics() == []


def test_another_number_of_processes_is_told_what_to_do(shell, tmp_path):
    measured = [*SHORT, "reward=random", "tracking.reference_kl_every=1"]
    shell.launch(*measured, "steps=1")
    (run,) = runs(tmp_path).values()
    done = shell.launch(*measured, "deepspeed.processes=2", check=False)
    assert done.returncode == 1
    assert "written by 1 processes and this attempt has 2" in run.read_state().error
    assert "deepspeed.processes=1" in run.read_state().error
    shell.launch(*measured, "deepspeed.processes=1")
    first, second = run.read_metrics()
    assert first["train/reference_kl"] == 0.0 < second["train/reference_kl"]  # measured before the step's updates
