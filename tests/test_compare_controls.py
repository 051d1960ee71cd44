"""Comparisons of sweeps with shuffled and noisy rewards: their columns, their names, and who is whose partner."""

from __future__ import annotations

import pytest

from helpers.constants import TINY
from helpers.written_sweeps import finish
from sweep.__main__ import main
from sweep.compare.cells import collect
from sweep.compare.metrics import Metric
from sweep.compare.verdict import Question, judge
from sweep.plan.plan import plan_sweep
from sweep.run.ledger import record

LAUNCHES = [
    ["reward=ground_truth,random,shuffled,incorrect"],
    ["reward=noisy", "reward.false_positive_rate=0.1,0.9"],
    ["reward=noisy", "reward.when.behaviour=code", "reward.false_positive_rate=1"],
    ["reward=noisy", "reward.reward=incorrect", "reward.true_positive_rate=0.5", "reward.false_positive_rate=0.5"],
]
ENDS = {"ground_truth": 0.7, "random": 0.5, "shuffled": 0.52, "incorrect": 0.6, "noisy_incorrect": 0.51}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Several launches into one sweep, every run of them finished."""
    place = tmp_path_factory.mktemp("controls")
    for typed in LAUNCHES:
        overrides = [*TINY, "name=s", "seed=0,1", *typed, f"output_dir={place}"]
        plan = plan_sweep(overrides)
        entries = [[task.entry for task in tasks] for tasks in (plan.stages, plan.cells)]
        record(plan.name, plan.root, *entries, overrides)
        for task in plan.tasks:
            finish(task, ENDS.get(task.axes.get("reward", ""), 0.55) + 0.01 * task.config.seed**2)
    return place


def test_a_row_is_what_its_reward_is_and_rates_have_a_column(root):
    rows = judge(collect(root, "s")).rows
    assert {(row.axes["reward"], row.axes["reward.false_positive_rate"], len(row.cells)) for row in rows} == {
        ("ground_truth", "", 2),
        ("random", "", 2),
        ("shuffled", "", 2),
        ("incorrect", "", 2),
        ("noisy_ground_truth", "0.1", 2),
        ("noisy_ground_truth", "0.9", 2),
        ("noisy_ground_truth_when_code", "1.0", 2),
        ("noisy_incorrect", "0.5", 2),
    }
    assert not {axis for row in rows for axis in row.axes if axis.startswith("reward.when")}


@pytest.mark.parametrize("control", ["random", "shuffled", "noisy_incorrect"])
def test_any_of_them_is_the_control_of_all_the_others(root, control):
    found = judge(collect(root, "s"), Question(control={"reward": control})).findings
    assert len(found.contrasts) == 7 and not found.alone
    assert {contrast.control.axes["reward"] for contrast in found.contrasts} == {control}
    values = {c.row.axes["reward"]: c.estimate.value for c in found.contrasts}
    assert values["incorrect"] == pytest.approx(ENDS["incorrect"] - ENDS[control])


def test_the_control_is_asked_for_on_the_command_line(root, capsys):
    words = ["--where", "reward=*incorrect", "--control", "reward=noisy_incorrect", "--output-dir", str(root)]
    assert main(["compare", "s", *words]) == 0
    assert "qwen2_mini: incorrect ended +9.0 points from noisy_incorrect" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["", "pooled_"])
@pytest.mark.parametrize("name", ["true_positive_rate", "false_positive_rate", "informedness"])
def test_rates_and_their_difference_are_shown_in_per_cent(kind, name):
    metric = Metric(f"reward/{kind}{name}")
    assert metric.is_share and metric.title.endswith(" in %") and metric.value(-0.25) == "-25.0"
