"""What `evaluate` prints of evaluations that are done: intervals over problems, and over evaluation seeds."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from helpers.kept_answers import recorded
from helpers.scored import verdicts
from sweep.dispatch.evaluated import show
from sweep.dispatch.lost_answers import weights_place
from sweep.plan.evaluations import plan_model
from sweep.plan.plan import Plan
from sweep.run.answer_places import of_benchmark
from sweep.run.directory import RunDirectory
from sweep.run.files import write_json
from sweep.run.identity import answers_identity

DRAWN = [verdicts(a="Rw", b="ww"), verdicts(a="Rw", b="wR"), verdicts(a="wR", b="ww")]  # by evaluation seed
HEADING = "accuracy over evaluation seeds, with its 95 % interval (these weights and problems, other draws)"


def asked(root: Path, *typed: str) -> Plan:
    """A plan that evaluates an untrained mini under seeds, as `evaluate --model` makes it; nothing is done yet."""
    return plan_model("m", root, ["model=qwen2_mini", "evaluation=mini", *typed, f"output_dir={root}"], None)


def answered(plan: Plan, by_seed=DRAWN) -> Plan:
    """The same plan, of which every evaluation is done: those of one seed gave the same answers."""
    for task in plan.cells:
        task.freeze("m")
        given = dict.fromkeys(task.evaluations, by_seed[task.config.evaluation.seed or 0])
        recorded(replace(plan, stages=plan.cells, cells=[]), task, given)
    return plan


def shown(plan: Plan) -> str:
    said = io.StringIO()
    show(plan, Console(file=said, width=200))
    return said.getvalue()


def over_seeds(said: str) -> list[str]:
    return [line.strip() for line in said.splitlines() if ", evaluation seeds " in line]


def test_the_intervals_by_hand(tmp_path):
    """Over problems with scores of 1/2 and 0: 0.21 · 2 · 1.5 / 0.275 = 2.291 independent answers, and Student's t of
    12.706. With 1/2 and 1/2 they are 0.25 · 2 · 1.5 / 0.125 = 6. Over draws: 3 of 6 and 1 of 6 are right; half of
    the width is 1.96 · √(0.05 + 1/36 + 2/36) / 2 = 0.358.
    """
    said = shown(answered(asked(tmp_path, "evaluation.seed=0,1,2", "evaluation.top_p=0.9")))
    head = said.partition("┡")[0]
    assert all(words in head for words in ("95 % interval:", "these weights,", "other problems"))
    assert (said.count(" 0.1 … 99.2 "), said.count(" 0.9 … 99.1 ")) == (2, 1)
    assert f"{HEADING}. It assumes: the answers to a problem are independent draws" in said
    assert over_seeds(said) == [
        "baseline of qwen2_mini with evaluation.top_p=0.9 on mini, evaluation seeds 0, 1, 2: 33.3 % (0.0 … 69.1)"
    ]


def test_what_differs_in_more_than_the_seed_is_not_put_together(tmp_path):
    said = shown(answered(asked(tmp_path, "evaluation.seed=0,1", "evaluation.top_p=0.9,1.0")))
    assert [line.partition(":")[0] for line in over_seeds(said)] == [
        f"baseline of qwen2_mini with evaluation.top_p={top_p} on mini, evaluation seeds 0, 1" for top_p in (0.9, 1.0)
    ]


def test_one_seed_has_no_interval_over_draws(tmp_path):
    said = shown(answered(asked(tmp_path, "evaluation.prompt.stop_strings=[box]", "prompt@evaluation.prompt=none")))
    assert "0.1 … 99.2" in said and HEADING not in said and not over_seeds(said)
    assert "stop_strings=[box]" in said.replace(" │", "")


def test_at_temperature_0_there_are_no_other_draws(tmp_path):
    greedy = ["evaluation.temperature=0", "evaluation.samples_per_problem=1", "evaluation.seed=0,1"]
    said = shown(answered(asked(tmp_path, *greedy), [verdicts(a="R", b="w")] * 2))
    assert over_seeds(said)[0].endswith("seeds 0, 1: no interval, because at temperature 0 there are no other draws")


def test_one_problem_does_not_show_how_others_differ(tmp_path):
    said = shown(answered(asked(tmp_path), [verdicts(a="Rw")]))
    assert "no interval, because one problem does not show how far others differ from it" in said


def cut_short(place: Path) -> None:
    part = place / "part-00000.parquet"
    part.write_bytes(part.read_bytes()[:-1])


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "gone": (shutil.rmtree, "no answers of it are kept (older versions kept none)"),
    "without a part": (lambda place: (place / "part-00000.parquet").unlink(), "part-00000.parquet: missing, although"),
    "cut short": (cut_short, "bytes instead of"),
    "no JSON": (lambda place: (place / "_manifest.json").write_text("{"), "_manifest.json: holds no JSON"),
}


@pytest.mark.parametrize(("damage", "reason"), DAMAGES.values(), ids=DAMAGES)
def test_answers_that_cannot_be_read_are_said_and_the_others_are_shown(tmp_path, damage, reason):
    plan = answered(asked(tmp_path, "evaluation.seed=0,1,2"))
    task = plan.cells[1]
    damage(of_benchmark(weights_place(task), "mini", answers_identity(task.evaluations["mini"])))
    said = shown(plan)
    (lacking,) = (line for line in said.splitlines() if "no interval" in line)
    assert lacking.startswith("baseline of qwen2_mini with evaluation.seed=1, mini: no interval, because ")
    assert reason in lacking and said.count("0.1 … 99.2") == 2 and "answers: " in said
    assert over_seeds(said)[0].startswith("baseline of qwen2_mini on mini, evaluation seeds 0, 2: 25.0 % (")


def test_answers_that_are_not_those_of_the_result_give_no_interval(tmp_path):
    plan = answered(asked(tmp_path))
    run = RunDirectory(plan.cells[0].directory)
    result = run.read_result()
    write_json(run.result, result | {"benchmarks": {"mini": result["benchmarks"]["mini"] | {"accuracy": 0.5}}})
    assert "not the answers of the result; remove " in shown(plan)
