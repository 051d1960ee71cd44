"""Bad benchmarks are refused by a plan, in one message each, before anything is written."""

from __future__ import annotations

import pytest

from models.mini import arithmetic
from sweep.errors import UserError
from sweep.plan.plan import plan_sweep


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["evaluation=[math500,aime23]"], r"evaluation=aime23: no such .* Did you mean aime26 or aime25 or aime24\?"),
        (["evaluation=math50"], r"evaluation=math50: no such .* Did you mean math500 or math\?\n  there are: aime24"),
        (["evaluation.benchmarks.mini.size=5"], r"the test split of .* has 500 problems, and .*mini.size=5 was"),
        (["evaluation.benchmarks.mini.siz=5"], r"evaluation.benchmarks.mini.siz: no such key"),
        (["evaluation=mini_fresh", "evaluation.benchmarks.mini_fresh.min_operations=5"],
         r"evaluation.benchmarks.mini_fresh.min_operations=5 is above max_operations=3"),
        (["evaluation=jsonl"], r"evaluation.benchmarks.jsonl.path: has no default; add evaluation.benchmarks.jsonl."),
        (["evaluation=jsonl", "evaluation.benchmarks.jsonl.path=FILE"],
         r"evaluation.benchmarks.jsonl: 1 of its 2 problems stand in the training data \(data=mini_arithmetic\)"),
        (["evaluation=jsonl", "evaluation.benchmarks.jsonl.path=FILE", "evaluation.benchmarks.jsonl.question=q"],
         r"evaluation.benchmarks.jsonl: .* line 1: has no column q; it has prompt, answer; set .*.question=prompt"),
    ],
)  # fmt: skip
def test_a_plan_refuses_bad_benchmarks_in_one_message_and_writes_nothing(typed, said, file, tmp_path):
    trained = arithmetic.problems("train")[0]
    path = file([{"prompt": trained.text, "answer": trained.answer}, {"prompt": "1+1+1+1", "answer": 4}])
    with pytest.raises(UserError, match=said) as caught:
        plan_sweep([line.replace("FILE", str(path)) for line in [*typed, f"output_dir={tmp_path}/runs"]])
    assert str(caught.value).count("evaluation.benchmarks.jsonl:") <= 1 and not (tmp_path / "runs").exists()
