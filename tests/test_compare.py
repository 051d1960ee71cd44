"""Rows of a comparison: what pools, what is kept apart, and what it is called."""

from __future__ import annotations

import ast
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from helpers.constants import ROOT, TINY
from helpers.made_up_results import cells, verdict
from helpers.written_sweeps import finish, finish_all
from sweep.compare.cells import collect
from sweep.compare.export import verdict_json
from sweep.compare.metrics import Metric
from sweep.compare.table import print_verdict
from sweep.compare.verdict import judge
from sweep.plan.plan import plan_sweep
from sweep.run.directory import RunDirectory
from sweep.run.ledger import record


def finish_launches(root: Path, launches: list[str], config_dir: str | None = None) -> None:
    """Each of the launches typed into one sweep and finished."""
    for typed in launches:
        finish_all(plan_sweep([*TINY, "name=s", f"output_dir={root}", *typed.split()], config_dir))


def rows(root: Path) -> dict[tuple[str, ...], list[int]]:
    """The seeds of each row by what tells it apart, written as key=value."""
    found: dict[str, tuple[tuple[str, ...], list[int]]] = {}
    for cell in collect(root, "s").cells:
        axes = tuple(f"{key}={value}" for key, value in cell.axes.items() if key not in ("model", "seed"))
        steps = f"step {cell.length}"
        assert found.setdefault(cell.row, ((*axes, steps), []))[0] == (*axes, steps)
        found[cell.row][1].append(cell.seed)
    assert len({axes for axes, _ in found.values()}) == len(found), "two rows are called the same"
    return {tuple(word for word in axes if word != "step 4"): sorted(seeds) for axes, seeds in found.values()}


def table(root: Path) -> str:
    console = Console(file=StringIO(), width=250)
    print_verdict(judge(collect(root, "s")), console)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("launches", "expected"),
    [
        # The value that is the default, typed as an axis.
        (
            ["reward=random seed=0,1", "reward=random reward.probability=0.5,0.25 seed=2"],
            {
                ("reward=random", "reward.probability=0.5"): [0, 1, 2],
                ("reward=random", "reward.probability=0.25"): [2],
            },
        ),
        # Spelled otherwise, and typed in another order.
        (
            ["optimizer.learning_rate=1e-4,2e-4 seed=0", "seed=1 optimizer.learning_rate=0.0001"],
            {
                ("reward=ground_truth", "optimizer.learning_rate=0.0001"): [0, 1],
                ("reward=ground_truth", "optimizer.learning_rate=0.0002"): [0],
            },
        ),
        # A choice of a whole group, in one of the launches alone.
        (
            ["seed=0", "algorithm=grpo,gspo seed=1"],
            {("reward=ground_truth", "algorithm=grpo"): [0, 1], ("reward=ground_truth", "algorithm=gspo"): [1]},
        ),
        # What follows from the model and the reward has no names of its own.
        (
            ["model.learning_rate=1e-4 reward=random,majority_vote", "model=llama3_mini reward=format"],
            {("reward=random",): [0], ("reward=majority_vote",): [0], ("reward=format",): [0]},
        ),
        # Nor has the size of a batch that follows from the model.
        (
            ["model=qwen2_mini reward=random", "model=llama3_mini reward=format algorithm.prompts_per_step=8"],
            {("reward=random",): [0], ("reward=format",): [0]},
        ),
        # What was typed for one reward alone has.
        (
            ["reward=random optimizer.learning_rate=1e-4", "reward=format"],
            {
                ("reward=random", "optimizer.learning_rate=0.0001"): [0],
                ("reward=format", "optimizer.learning_rate=5e-05"): [0],
            },
        ),
        # An axis that some cells do not read.
        (
            ["algorithm.kl_coefficient=0,0.1 algorithm.kl_estimator=k1,k2"],
            {
                ("reward=ground_truth", "algorithm.kl_coefficient=0", "algorithm.kl_estimator="): [0],
                ("reward=ground_truth", "algorithm.kl_coefficient=0.1", "algorithm.kl_estimator=k1"): [0],
                ("reward=ground_truth", "algorithm.kl_coefficient=0.1", "algorithm.kl_estimator=k2"): [0],
            },
        ),
        # Cells of different length, and one that went further than its launch asked for.
        (
            ["seed=0,1", "seed=2 steps=6", "seed=1 steps=6"],
            {("reward=ground_truth",): [0], ("reward=ground_truth", "step 6"): [1, 2]},
        ),
    ],
)  # fmt: skip
def test_rows_follow_from_what_cells_are_and_not_from_how_they_were_typed(tmp_path, launches, expected):
    finish_launches(tmp_path, launches)
    assert rows(tmp_path) == expected


def test_a_table_has_a_column_for_what_differs_and_for_steps_where_they_do(tmp_path):
    finish_launches(tmp_path, ["reward=random seed=0,1", "reward=random algorithm.clip_high=0.2,0.3 seed=2 steps=6"])
    results = table(tmp_path).partition("contrasts")[0]
    shown = [[word.strip() for word in line.split("│")[1:-1]] for line in results.splitlines() if "│" in line]
    assert [[*row[:4], row[8]] for row in shown] == [
        ["qwen2_mini", "random", "0.2", "4", "2"],
        ["qwen2_mini", "random", "0.2", "6", "1"],
        ["qwen2_mini", "random", "0.3", "6", "1"],
    ]
    assert "its seeds were not trained alike (seed 0 to step 4, seed 1 to step 4, seed 2 to step 6)" in table(tmp_path)


def test_plan_and_compare_say_that_a_run_is_beyond_the_steps_asked_for(tmp_path):
    finish_launches(tmp_path, ["steps=6"])
    plan = plan_sweep([*TINY, "name=s", f"output_dir={tmp_path}", "steps=3"])
    note, share = plan.notes
    assert share.startswith("evaluation takes some ")
    assert "is at step 6 already, beyond steps=3: it is not trained further" in note
    record("s", tmp_path, [], [plan.cells[0].entry], [])
    assert "asked for steps=3, and shown as of step 6" in table(tmp_path)
    note, *_ = plan_sweep([*TINY, f"output_dir={tmp_path}", "steps=3", "evaluation.samples_per_problem=2"]).notes
    assert "beyond steps=3" in note


def test_choices_of_one_name_stay_apart_and_pool_with_an_earlier_launch_of_one_of_them(tmp_path):
    (tmp_path / "reward").mkdir()
    for choice, probability in (("mine", 0.3), ("yours", 0.7)):
        (tmp_path / "reward" / f"{choice}.yaml").write_text(f"name: random\nprobability: {probability}\n")
    finish_launches(tmp_path / "runs", ["reward=mine seed=1", "reward=mine,yours"], str(tmp_path))
    assert rows(tmp_path / "runs") == {("reward=mine",): [0, 1], ("reward=yours",): [0]}


def test_a_cell_that_was_never_frozen_stands_with_its_seeds(tmp_path):
    plan = plan_sweep([*TINY, "name=s", f"output_dir={tmp_path}", "seed=0,1"])
    record("s", tmp_path, [plan.stages[0].entry], [cell.entry for cell in plan.cells], [])
    for task in (*plan.stages, plan.cells[0]):
        finish(task)
    assert rows(tmp_path) == {("reward=ground_truth",): [0, 1]}


def test_a_reward_that_was_mended_leaves_no_failed_cell_in_the_rows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    typed = [*TINY, "name=s", f"output_dir={tmp_path}", "reward=custom", "reward.target=own:f"]
    (tmp_path / "own.py").write_text("def f(group): return 1 / 0\n")
    finish_all(broken := plan_sweep(typed))
    run = RunDirectory(broken.cells[0].directory)
    run.write_state(state="failed", step=0, note="ZeroDivisionError")
    run.result.unlink()
    assert [cell.state for cell in collect(tmp_path, "s").cells] == ["failed"]
    (tmp_path / "own.py").write_text("def f(group): return [1.0 for _ in group]\n")
    finish_all(plan_sweep(typed))
    found = collect(tmp_path, "s")
    assert [cell.state for cell in found.cells] == ["done"] and set(found.cells[0].axes) == {"model", "reward", "seed"}
    assert f"its reward's function was mended and launched again; `remove` takes {run.path.name}" in table(tmp_path)
    assert [cell["signature"] for cell in verdict_json(judge(found))["superseded"]] == [broken.cells[0].signature]


def test_few_modules_of_compare_know_the_records():
    names = ("directory", "ledger", "status", "labels", "files", "claims", "series")
    records, room = {f"sweep.run.{name}" for name in names}, ROOT / "sweep" / "compare"
    readers = {
        str(file.relative_to(room))
        for file in room.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom)
        and node.module in records
        and [name.name for name in node.names] != ["write_bytes"]
    }
    # The dashboard looks up which runs a sweep lists, to find them on W&B; their results come from the others.
    page = {f"page/{name}.py" for name in ("answers", "configured", "evaluated", "later", "readings", "write")}
    others = {"cells.py", "kept.py", "over_steps.py", "sides.py", "transitions.py", "dashboard/show.py"}
    assert readers == page | others


def test_a_table_reads_no_rows_and_a_metric_at_the_end_the_last_one_alone(tmp_path):
    finish_all(plan := plan_sweep([*TINY, "name=s", f"output_dir={tmp_path}", "reward=random,format"]))
    for task in plan.cells:
        RunDirectory(task.directory).metrics.write_text('no row\n{"step": 4, "train/entropy": 0.25}\n')
    assert [cell.final for cell in collect(tmp_path, "s").cells] == [0.5, 0.5]
    assert [cell.final for cell in collect(tmp_path, "s", metric=Metric("train/entropy")).cells] == [0.25, 0.25]


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
def test_a_narrow_terminal_breaks_lines_and_loses_no_name(width):
    console = Console(file=StringIO(), width=width)
    found = verdict(*(cells(r, 0.6, model="qwen2_mini", algorithm__clip_high=0.2) for r in ("ground_truth", "random")))
    print_verdict(found, console)
    table = console.file.getvalue().split("contrasts of")[0]
    assert "ground_t" in table and "qwen2_mi" in table and "random" in table and "+10.0" in table
