"""One learner, however its memory is laid out: adapters, checkpointing, ZeRO, offload, micro-batches, processes."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from helpers.constants import TINY
from helpers.presets import PRESETS
from helpers.processes import python_processes
from helpers.recorded_rollouts import recorded_rollouts
from models.mini.pretrain import _new_model
from models.mini.tokenizer import build_tokenizer
from sweep.plan.compose import compose_cells


def updates(directory: Path, cases: list[list[str]], world_size: int = 1) -> list[list[dict]]:
    """The metrics of a rollout's updates under each case's overrides."""
    model = compose_cells(TINY)[0].config.model
    torch.manual_seed(0)
    _new_model(model.family, model.mini, build_tokenizer(model.family)).save_pretrained(directory / "model")
    (directory / "rollouts.json").write_text(json.dumps(recorded_rollouts(1)))
    (directory / "cases.json").write_text(json.dumps([[*TINY, *case] for case in cases]))
    outputs = python_processes("tests/programs/updates_of_a_learner.py", world_size, directory)
    return json.loads(outputs[0].splitlines()[-1])


def assert_alike(rows: list[dict], expected: list[dict]) -> None:
    for row, other in zip(rows, expected, strict=True):
        assert row == {name: pytest.approx(value, rel=1e-5, abs=1e-6) for name, value in other.items()}


TUNINGS = [["tuning=full"], ["tuning=lora", "tuning.rank=4", "tuning.alpha=8"]]
LAYOUTS = list(itertools.product(("zero1", "zero2", "zero3"), (False, True), (False, True)))
CHOICES = [
    *([f"algorithm={name}"] for name in PRESETS),
    ["algorithm=dapo", "algorithm.tis_cap=1.2", "algorithm.entropy_coefficient=0.01"],
    ["algorithm=grpo", "algorithm.old_logprobs=sampler"],
    ["algorithm=rloo", "algorithm.kl_coefficient=0.1"],
]
UNEVEN = "algorithm.updates_per_rollout=3"  # 6, 5 and 5 responses: one process of two has one without weight
DEALT_OUT = [
    ["deepspeed=zero3", "algorithm=grpo", "algorithm.kl_coefficient=0.1", UNEVEN],
    ["deepspeed=zero2", "algorithm=paper", "deepspeed.micro_batch_tokens=40", UNEVEN],
    ["deepspeed=zero1", "algorithm=rloo", "algorithm.kl_coefficient=0.1", "tuning=lora", "tuning.rank=4", UNEVEN],
]


def laid_out(tuning: list[str], zero: str, checkpointing: bool, offload: bool) -> list[str]:
    return [
        *tuning,
        f"deepspeed={zero}",
        f"deepspeed.gradient_checkpointing={checkpointing}",
        f"deepspeed.offload_optimizer={offload}",
        "deepspeed.micro_batch_tokens=40",
        "algorithm.kl_coefficient=0.1",
    ]


def in_micro_batches(choice: list[str], tokens: int) -> list[str]:
    fast = "optimizer.learning_rate=1e-3"  # so that the second update's ratios leave every bound
    return [*choice, fast, f"deepspeed.micro_batch_tokens={tokens}"]


@pytest.fixture(scope="module")
def by_one_process(tmp_path_factory) -> Callable[[list[str]], list[dict]]:
    """The metrics of a case's updates by one process; it is started once, as importing takes longest."""
    cases = [laid_out(tuning, *layout) for tuning in TUNINGS for layout in LAYOUTS]
    cases += [in_micro_batches(choice, tokens) for tokens in (4096, 40) for choice in CHOICES]
    cases += DEALT_OUT
    found = updates(tmp_path_factory.mktemp("one"), cases)
    return lambda case: found[cases.index(case)]


@pytest.mark.parametrize("tuning", TUNINGS, ids=str)
def test_the_layout_of_memory_changes_no_number(by_one_process, tuning):
    first, *others = (by_one_process(laid_out(tuning, *layout)) for layout in LAYOUTS)
    assert first[0]["grad_norm"] > 0 and first[0]["reference_kl"] > 0
    for rows in others:
        assert_alike(rows, first)


def test_micro_batches_change_no_algorithm(by_one_process):
    whole, parts = ([by_one_process(in_micro_batches(choice, n)) for choice in CHOICES] for n in (4096, 40))
    for rows, expected in zip(parts, whole, strict=True):
        assert_alike(rows, expected)
    norms = {choice[0]: rows[0]["grad_norm"] for choice, rows in zip(CHOICES[: len(PRESETS)], whole, strict=False)}
    assert len({f"{x:.6g}" for x in norms.values()}) == len(PRESETS)  # and the presets are different algorithms


def test_two_processes_change_no_algorithm(by_one_process, tmp_path):
    for rows, expected in zip(updates(tmp_path, DEALT_OUT, 2), map(by_one_process, DEALT_OUT), strict=True):
        assert rows[0]["updates"] == 3
        assert_alike(rows, expected)
