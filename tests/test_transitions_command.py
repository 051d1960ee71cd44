"""`python -m sweep transitions`: which answers it reads, how it pools them, what it prints, draws and refuses."""

from __future__ import annotations

import json
import math
from pathlib import Path
from xml.etree import ElementTree

import pytest

from helpers.scored import verdicts
from helpers.written_sweeps import launched
from sweep.__main__ import main
from sweep.plan.plan import Plan
from sweep.run.answer_files import open_answers
from sweep.run.answer_manifest import Evaluated, Made, Question, Weights
from sweep.run.answer_places import of_benchmark, of_model, of_training
from sweep.run.directory import RunDirectory

MADE = Made(engine="transformers", dtype="float32", hardware="cpu", code="c")
BASE = {"a": "wcR", "b": "w", "c": "cR"}
FINAL = {0: {"a": "cR", "b": "Rw", "c": "w"}, 1: {"a": "cRR", "b": "ww", "c": "cRcR"}}


def keep(
    place: Path, answers: dict[str, str], step: int | None, benchmark: str = "mini", sampled: float = 1.0, **changes
) -> None:
    """Keep answers as an evaluation does; `changes`: fields of what they were made with, or the detectors."""
    detectors = changes.pop("detectors", {"code": "version 1"})
    identity = {"evaluation": {"benchmark": benchmark} | ({} if sampled == 1.0 else {"temperature": sampled})}
    evaluated = Evaluated(
        benchmark=benchmark,
        weights=Weights(name=f"{place.parent.name}@{step}", hash=str(step), step=step),
        identity=identity,
        detectors=detectors,
    )
    questions = [Question(id=problem, question=problem, golds=("1",)) for problem in answers]
    rows = [answer for those in verdicts(**answers).values() for answer in those]
    with open_answers(of_benchmark(place, benchmark, identity), evaluated, questions, 1, lambda text: ()) as writer:
        if writer.missing:
            writer.write(rows, MADE.model_copy(update=changes))
        writer.finish()


def keep_all(plan: Plan, final: dict[int, dict[str, str]] = FINAL, step: int = 4, **changes) -> None:
    """Keep answers of the untrained models of a plan, and of its cells at a step, by seed."""
    for task in plan.stages:
        identity = RunDirectory(task.directory).identity["model"]
        keep(of_model(plan.root, task.config.model.name, identity), BASE, None)
    for task in plan.cells:
        keep(of_training(plan.root, task.directory.name, step), final[task.config.seed], step, **changes)


@pytest.fixture
def plan(tmp_path) -> Plan:
    return launched(tmp_path, "reward=random", "seed=0,1")


def asked(plan: Plan, capsys, *words: str, code: int = 0) -> str:
    assert main(["transitions", plan.name, "--output-dir", str(plan.root), *words]) == code
    shown = capsys.readouterr()
    return shown.err if code else shown.out


def test_a_row_has_means_over_seeds_and_its_parts_sum_to_the_gain(plan, capsys):
    keep_all(plan)
    (row,) = json.loads(asked(plan, capsys, "--json"))["rows"]
    found = row["found"]
    assert (row["n"], row["before"], row["after"], row["benchmark"]) == (2, None, 4, "mini")
    assert row["axes"] == {"model": "qwen2_mini", "reward": "random"}
    assert math.isclose(found["before"], 0.5) and math.isclose(found["after"], (1.5 + 2) / 3 / 2)
    assert abs(sum(one["contribution"] for one in found["classes"]) - found["gain"]) < 1e-12
    assert abs(sum(one["share"] for one in found["classes"]) - 1) < 1e-12
    # of seed 0 a quarter is in a, of which half had none before; of seed 1 a quarter of a
    to_code = found["classes"][0]
    assert to_code["name"] == "Lang→Code" and math.isclose(to_code["share"], (1 / 2 + 1 / 4) / 3 / 2)
    assert [(one["problem"], one["before"], one["after"]) for one in found["fixed"]] == [("a", 0.5, 1), ("b", 0, 0.25)]
    assert [(one["problem"], one["after"]) for one in found["broken"]] == [("c", 0.5)]


def test_the_table_says_what_it_shows(plan, capsys):
    keep_all(plan)
    out = asked(plan, capsys, "--problems")
    for words in ("Lang→Code", "all: untrained → step 4", "50.0", "+8.3", "contribution", "2 of 3 problems fixed"):
        assert words in out
    assert "1 of 3 problems broken, 0 of them wholly" in out
    assert "no code" not in out and "n: seeds" in out


def test_steps_benchmarks_and_cells_are_chosen(plan, capsys):
    keep_all(plan)
    keep_all(plan, {0: BASE, 1: BASE}, step=2)
    for task in plan.cells:
        for step, answers in ((2, BASE), (4, FINAL[0])):
            keep(of_training(plan.root, task.directory.name, step), answers, step, benchmark="other")
    since = ("--from-step", "2")
    gains = {
        words: [row["found"]["gain"] for row in json.loads(asked(plan, capsys, "--json", *words))["rows"]]
        for words in [(), ("--to-step", "2"), ("--from-step", "2"), ("seed=0",), (*since, "--benchmark", "other")]
    }
    both, first = (1.5 + 2) / 6 - 0.5, 0.0
    expected = [[both], [0.0], [both, first], [first], [first]]
    assert [[round(gain, 9) for gain in found] for found in gains.values()] == [
        [round(gain, 9) for gain in found] for found in expected
    ]


def test_another_behaviour_gives_its_name_to_the_classes(plan, capsys):
    keep_all(plan)
    message = asked(plan, capsys, "--behaviour", "boxed", code=2)
    assert "--behaviour boxed: was not looked for" in message and "there are: code" in message


def test_what_differs_between_the_sides_is_said(plan, capsys):
    keep_all(plan, hardware="gpu")
    assert "answers were sampled with different hardware" in asked(plan, capsys)


def test_two_detectors_of_one_name_are_not_compared(plan, capsys):
    keep_all(plan, detectors={"code": "version 2"})
    message = asked(plan, capsys, code=2)
    assert "another detector decided before (version 1" in message and "(version 2" in message


def test_cells_without_answers_are_named_with_what_makes_them(plan, capsys):
    message = asked(plan, capsys, code=2)
    assert "sweep s: no answers are kept of two evaluations of any of its cells" in message
    assert "evaluate s` makes those of the last step" in message
    keep_all(plan)
    other = next(task for task in plan.cells if task.config.seed == 1)
    for file in of_training(plan.root, other.directory.name, 4).rglob("_manifest.json"):
        file.unlink()
    out = asked(plan, capsys)
    assert "left out, because no two evaluations with answers are kept: " in out and "seed=1" in out
    assert "of answers to nothing" not in out
    message = asked(plan, capsys, "--benchmark", "nothing", code=2)
    assert "no answers to nothing are kept" in message and "there are answers to: mini; " in message
    assert "evaluate s --step all`" in asked(plan, capsys, "--from-step", "9", code=2)


def test_the_figure_names_every_class_and_row(tmp_path, capsys):
    plan = launched(tmp_path, "reward=random,ground_truth", "seed=0,1")
    keep_all(plan)
    out = asked(plan, capsys, "--figures", str(tmp_path / "figures"))
    svg = tmp_path / "figures" / "transitions.svg"
    assert str(svg) in out and (tmp_path / "figures" / "transitions.png").is_file()
    texts = " ".join(
        "".join(text.itertext()) for text in ElementTree.parse(svg).iter("{http://www.w3.org/2000/svg}text")
    )
    for words in ("Lang→Code", "Code→Code", "Code→Lang", "Lang→Lang", "gain", "random", "ground_truth", "n = 2"):
        assert words in texts


def test_one_benchmark_that_was_asked_in_two_ways_is_two_rows(plan, capsys):
    """Their problems may differ, and their answers were drawn differently."""
    keep_all(plan)
    stage, cell = plan.stages[0], plan.cells[0]
    model = of_model(plan.root, stage.config.model.name, RunDirectory(stage.directory).identity["model"])
    for place, step in ((model, None), (of_training(plan.root, cell.directory.name, 4), 4)):
        keep(place, {"d": "wR", "e": "w"}, step, sampled=0.5)
    rows = json.loads(asked(plan, capsys, "--json"))["rows"]
    assert sorted((row["n"], row["found"]["problems"]) for row in rows) == [(1, 2), (2, 3)]
    assert len({row["sign"] for row in rows}) == 2
    out = asked(plan, capsys)
    assert all(f"{row['benchmark']}-{row['sign']}" in out for row in rows)
    assert "mini was asked in 2 ways, and each is a row of its own (evaluation.temperature 0.5 and the default)" in out
    chosen = json.loads(asked(plan, capsys, f"--benchmark=mini-{rows[1]['sign']}", "--json"))["rows"]
    assert [row["sign"] for row in chosen] == [rows[1]["sign"]]
