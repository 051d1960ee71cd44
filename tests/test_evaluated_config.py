"""What `evaluate` changes in the frozen configuration of a cell, and what it leaves."""

from __future__ import annotations

from functools import cache

import pytest

from sweep.plan.compose import compose_cells
from sweep.plan.evaluations import evaluated_config

FROZEN = ["evaluation=[mini,mini_fresh]", "evaluation.problems=8", "prompt=chat", "model.prompt=chat"]
CHOSEN = [
    ([], {"problems": [8, 8], "prompt": [None, None]}),
    (["evaluation=mini_fresh"], {"problems": [None]}),
    (["evaluation=[mini]", "evaluation.problems=5"], {"problems": [5]}),
    (["evaluation.problems=6"], {"problems": [6, 6]}),
    (["evaluation.benchmarks.mini.problems=6"], {"problems": [6, 8]}),
    (["evaluation.benchmarks.mini.problems=6", "evaluation.problems=7"], {"problems": [6, 7]}),
    (
        [
            "+prompt@evaluation.benchmarks.mini.prompt=none",
            "prompt@evaluation.prompt=chat",
            "evaluation.prompt.prefix=So",
        ],
        {"problems": [8, 8], "prompt": ["none", "chat"]},
    ),
    (["prompt@evaluation.prompt=none"], {"problems": [8, 8], "prompt": ["none", "none"]}),
    (["+prompt@evaluation.benchmarks.mini.prompt=none"], {"problems": [8, 8], "prompt": ["none", None]}),
    (["evaluation=mini", "prompt@evaluation.prompt=none"], {"problems": [None], "prompt": ["none"]}),
    (["prompt=none", "evaluation.benchmarks.mini_fresh.seed=3"], {"problems": [8, 8], "seed": [0, 3]}),
    (["cluster=inline", "evaluation.seed=2"], {"problems": [8, 8], "seed": [2, 2]}),
]


@pytest.mark.parametrize(
    ("lines", "expected"), CHOSEN, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_what_is_not_typed_is_as_it_was_frozen(lines, expected):
    config = evaluated_config(_frozen(), lines, None)
    for key, values in expected.items():
        found = [getattr(benchmark, key) for benchmark in config.evaluation.benchmarks.values()]
        assert [prompt and prompt.name for prompt in found] == values if key == "prompt" else found == values
    left = {"evaluation", "prompt", "cluster", "tracking"}
    assert config.model_dump(exclude=left) == _frozen().model_dump(exclude=left)
    assert config.prompt == _frozen().prompt or "prompt=none" in lines


@cache
def _frozen():
    return compose_cells(FROZEN)[0].config
