"""What a comparison warns of, and what it suggests to run next, on results made up here."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from helpers.constants import ROOT
from helpers.made_up_results import CLAIM, cells, printed, verdict
from sweep.compare.contrasts import MORE, NOT_APART
from sweep.compare.export import read_comparison
from sweep.compare.metrics import Metric
from sweep.compare.results import Comparison, Launch
from sweep.compare.table import print_verdict
from sweep.compare.verdict import judge
from sweep.errors import without_secrets

LAUNCHED = ["experiment=x", "model=a,b", "reward=t,random", "reward.p=1", "seed=0,1,2", "name=s"]


@pytest.mark.parametrize(
    ("rows", "why", "command"),
    [
        (
            [cells("t", 0.6, state="failed", final=None), cells("random", 0.5)],
            "cells that did not end well: 3",
            "experiment=x model=a,b reward=t,random reward.p=1 seed=0,1,2 name=s",
        ),
        (
            [cells("t", 0.6)],
            "rows without a control: 1",
            "experiment=x model=a,b seed=0,1,2 name=s reward=random",
        ),
        (
            [cells("t", 0.6, (0,)), cells("random", 0.5, (0,))],
            "one seed has no spread",
            "experiment=x reward=t,random reward.p=1 name=s model=a seed=0,1,2,3,4",
        ),
        (
            [cells("tt", 0.9), cells("random", 0.5, (0, 1))],
            "rows that lack seeds which others have: 1",
            "experiment=x reward=t,random reward.p=1 name=s model=a seed=0,1,2",
        ),
        (
            [cells("tt", 0.51), cells("random", 0.5, base=None)],
            "5 seeds would show a difference as large as one seen and not told apart",
            "experiment=x reward=t,random reward.p=1 name=s model=a seed=0,1,2,3,4",
        ),
    ],
)
def test_what_to_run_next_is_the_launch_with_what_lacks(rows, why, command):
    launch = Launch("s", LAUNCHED, [cell.signature for row in rows for cell in row])
    first = verdict(*rows, launches=[launch]).suggestions[0]
    assert (first.why, first.command) == (why, f"python launch.py -m {command}")


@pytest.mark.parametrize(
    "rows",
    [
        [cells("tt", 0.9), cells("random", 0.5, base=None)],  # told apart
        [cells("tt", 0.5001), cells("random", 0.5, base=None)],  # it would take too many seeds
        [cells("t", 0.6, state="running", final=None), cells("random", 0.5)],  # it runs
    ],
)
def test_nothing_is_suggested_that_helps_nobody(rows):
    launch = Launch("s", LAUNCHED, [cell.signature for row in rows for cell in row])
    assert verdict(*rows, launches=[launch]).suggestions == []


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([cells("t", 0.6, (0, 1)), cells("random", 0.5, (0,))], "interval nor test of the rows with one seed: random"),
        ([cells("t", 0.6, (0,)), cells("t", 0.6, (1,), length=8)], "seed 0 to step 4, seed 1 to step 8); --at-step N"),
        ([cells("t", 0.6, state="failed", note="ValueError: x")], "failed: model=a reward=t seed=0 ValueError: x"),
        ([cells("t", 0.6, state="running", final=None)], "running: model=a reward=t seed=0"),
        ([cells("t", 0.6, older="grading rules 1, now 2")], "3 of 3 cells were made by an older version"),
        ([cells("t", 0.6, unlike="final and base differ")], "model=a reward=t seed=0: final and base differ"),
        ([cells("t", 0.6, asked=2)], "asked for steps=2, and shown as of step 4"),
        (
            [cells("t", 0.6, made={"code": "c1"}), cells("random", 0.5, made={"code": "c2"})],
            "the cells were trained with 2 versions of the code (c1: 3, c2: 3 cells)",
        ),
        (
            [cells("t", 0.6, made={"weights": "w1"}), cells("random", 0.5, made={"weights": "w2"})],
            "the cells of a were trained with 2 sets of base weights (w1: 3, w2: 3 cells)",
        ),
        (
            [cells("t", 0.6, made={"processor": "H100"}), cells("random", 0.5, made={"processor": "A100"})],
            "the cells were trained with 2 kinds of processor (H100: 3, A100: 3 cells)",
        ),
        ([cells("t", 0.6), cells("t", 0.6, (2,), signature="again")], "t: seed 2 stands here several times"),
    ],
)  # fmt: skip
def test_warnings(rows, words):
    assert any(words in line for line in verdict(*rows).warnings), verdict(*rows).warnings


def test_what_is_alike_warns_of_nothing():
    made = {"code": "c1", "weights": "w1", "processor": "H100"}
    rows = [cells(r, 0.6, model=m, made={**made, "weights": m}) for m in "ab" for r in ("t", "random")]
    assert verdict(*rows).warnings == []


def test_the_foot_tells_the_bound_of_the_evaluation_set_where_it_is_known():
    with_it = printed(verdict(cells("t", 0.6, answers=1000), cells("random", 0.5, answers=1000)))
    assert "1,000 graded answers" in with_it and "up to ±3.1 points" in with_it
    assert "given this baseline evaluation" in with_it
    assert "graded answers" not in printed(verdict(cells("t", 0.6), cells("random", 0.5)))
    lengths = verdict(cells("t", 60, answers=1000), cells("random", 50, answers=1000), metric=Metric("eval/tokens"))
    assert "graded answers" not in printed(lengths) and "tokens, means over n seeds" in printed(lengths)


def test_the_published_results_answer_the_readmes_question():
    """learning.json is of the first version of the file."""
    comparison, _ = read_comparison(ROOT / "benchmarks/results/learning.json")
    found = judge(comparison)
    qwen = found.findings.contrasts[0]
    assert (qwen.estimate.value, qwen.estimate.low, qwen.estimate.high) == pytest.approx(
        (0.146, 0.053, 0.239), abs=5e-4
    )
    assert [c.verdict for c in found.findings.contrasts] == [NOT_APART, MORE, MORE]
    assert found.findings.tests == 6 and found.findings.tests_across == 3
    assert found.sentences[1].startswith(
        "llama3_mini: ground_truth ends with 18.3 points more than random (+15.2 … +21.4"
    )
    assert "their launch, which this file does not name, again with seed=1,2,3,4,5" in printed(found)


def test_a_launch_ends_with_what_one_seed_can_say():
    rows = [cells(r, v, (0,), "qwen2_mini") for r, v in (("ground_truth", 0.6), ("random", 0.5))]
    console = Console(file=StringIO(), width=140)
    print_verdict(judge(Comparison(("demo",), Path("runs"), [c for row in rows for c in row])), console)
    shown = " ".join(console.file.getvalue().split())
    assert (
        "qwen2_mini: ground_truth ended +10.0 points from random with n = 1; " in shown
        and "cannot tell what another seed would do" in shown
    )
    assert "no evidence for or against the paper" in shown and not CLAIM.search(shown)


def test_a_command_leaves_out_what_is_not_recorded_and_says_so():
    members = cells("t", 0.6)
    overrides = ["--config-dir=/my groups", without_secrets("cluster.env.HF_TOKEN=hf_1"), "reward=t"]
    launch = Launch("s", overrides, [cell.signature for cell in members])
    (next_run,) = verdict(members, launches=[launch]).suggestions
    assert next_run.command == (
        "python launch.py -m '--config-dir=/my groups' name=s reward=random"
        "  # and cluster.env.HF_TOKEN, whose values are not recorded"
    )
