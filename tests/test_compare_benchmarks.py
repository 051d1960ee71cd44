"""`compare` by one benchmark and by several, by numbers of kept answers, and problem by problem."""

from __future__ import annotations

import csv
import io
import json
import shutil
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from helpers.kept_answers import cut_off, identity, keep_trained, keep_untrained, recorded
from helpers.made_up_answers import MADE
from helpers.scored import verdicts
from helpers.written_sweeps import launched
from sweep.__main__ import main
from sweep.compare.ask import Options, answer, verdicts_on
from sweep.compare.kept import KeptAnswers
from sweep.run.answer_manifest import read_manifest
from sweep.run.directory import RunDirectory
from sweep.run.files import write_json
from sweep.score.paired import compare_problems

TWO = ("evaluation=[mini,decimal_sums]",)
PROBLEMS = 8
BASE = verdicts(**{f"p{n}": "Rw" if n < 2 else "ww" for n in range(PROBLEMS)})  # 2 of 16 are right


def right(rising: int, falling: int = 0):
    """Answers of which `rising` problems are all right, and `falling` of the base's two have lost their right one."""
    letters = {f"p{n}": "ww" if n < falling else "Rw" if n < 2 else "ww" for n in range(PROBLEMS)}
    return verdicts(**letters | {f"p{PROBLEMS - 1 - n}": "RR" for n in range(rising)})


def compare(root: Path, *words: str, code: int = 0, capsys) -> str:
    capsys.readouterr()
    assert main(["compare", *words, "--output-dir", str(root)]) == code
    shown = capsys.readouterr()
    return shown.out if code == 0 else shown.err


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Two rewards and three seeds by two benchmarks; the gain by the second one is smaller. Tests write nothing."""
    plan = launched(tmp_path_factory.mktemp("two"), "reward=ground_truth,random", "seed=0,1,2", *TWO)
    for stage in plan.stages:
        recorded(plan, stage, {"mini": BASE, "decimal_sums": BASE})
    for task in plan.cells:
        rising = (task.axes["reward"] == "ground_truth") * (3 + task.config.seed)
        recorded(plan, task, {"mini": right(rising), "decimal_sums": right(rising // 3)})
    return plan


@pytest.fixture(scope="module")
def later(tmp_path_factory):
    """One seed, whose cells and untrained model were put to `later` after the training."""
    plan = launched(tmp_path_factory.mktemp("later"), "reward=ground_truth,random", "seed=0")
    for stage in plan.stages:
        recorded(plan, stage, {"mini": BASE})
        keep_untrained(plan, stage, "later", identity("later"), BASE)
    for task in plan.cells:
        rising = 5 * (task.axes["reward"] == "ground_truth")
        recorded(plan, task, {"mini": right(rising)})
        keep_trained(plan, task, "later", identity("later"), right(rising, falling=1))
    return plan


def gains(root: Path, **asked) -> dict[str, dict[str, float]]:
    return {
        found.comparison.metric.benchmark: {row.axes["reward"]: sum(row.gain.values()) for row in found.rows}
        for found in verdicts_on(["s"], root, Options(**asked))
    }


def test_without_a_name_it_is_the_first_benchmark(two, capsys):
    plain, named = (
        json.loads(compare(two.root, "s", *how, "--json", capsys=capsys)) for how in ([], ["--benchmark=mini"])
    )
    assert named.pop("benchmark") == "mini" and "benchmark" not in plain
    assert named == plain


def test_several_benchmarks_have_a_table_each_and_one_of_all_gains(two, capsys):
    shown = compare(two.root, "s", "--benchmark", "mini,decimal_sums", capsys=capsys)
    places = [
        shown.index(part)
        for part in (
            "accuracy in % on mini",
            "accuracy in % on decimal_sums",
            "gains in accuracy in points by benchmark",
        )
    ]
    assert places == sorted(places) and shown.count("run directories") == 1
    assert "+50.0 (+18.9 … +81.1, n = 3)" not in shown.split("gains in")[0]
    assert gains(two.root, benchmarks="mini,decimal_sums") == {
        "mini": {"ground_truth": pytest.approx((3 + 4 + 5) / 8), "random": 0.0},
        "decimal_sums": {"ground_truth": pytest.approx(3 / 8), "random": 0.0},
    }


def test_json_of_several_benchmarks_is_read_again_to_the_same_answer(two, tmp_path, capsys):
    words = ["s", "--benchmark", "decimal_sums,mini", "--problems"]
    file = tmp_path / "found.json"
    file.write_text(compare(two.root, *words, "--json", capsys=capsys))
    assert compare(tmp_path, str(file), "--json", capsys=capsys) == file.read_text()
    assert compare(tmp_path, str(file), "--problems", capsys=capsys) == compare(two.root, *words, capsys=capsys)
    found = json.loads(file.read_text())
    assert [part["benchmark"] for part in found["benchmarks"]] == ["decimal_sums", "mini"]
    assert found["overview"][0]["gain"]["mini"]["value"] == pytest.approx(0.5)
    one = compare(tmp_path, str(file), "--benchmark", "mini", "--problems", capsys=capsys)
    assert one == compare(two.root, "s", "--benchmark", "mini", "--problems", capsys=capsys)
    assert "does not hold it; it holds decimal_sums, mini" in compare(
        tmp_path, str(file), "--benchmark", "later", code=2, capsys=capsys
    )


def test_csv_and_latex_of_several_benchmarks_are_one_of_each(two, capsys):
    lines = list(
        csv.DictReader(io.StringIO(compare(two.root, "s", "--benchmark=mini,decimal_sums", "--csv", capsys=capsys)))
    )
    assert [line["benchmark"] for line in lines if line["kind"] == "contrast"] == ["mini", "decimal_sums"]
    shown = compare(two.root, "s", "--benchmark=mini,decimal_sums", "--latex", "--problems", capsys=capsys)
    assert shown.count(r"\begin{tabular}") == 3 * 2 + 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--benchmark", "aime25"], "--benchmark aime25: no cell was put to it; there are: mini, decimal_sums"),
        (["--benchmark", "mini,"], "--benchmark 'mini,': is written NAME,NAME,…"),
        (["--benchmark", "mini", "--metric", "train/entropy"], "is a metric of training, which has no benchmark"),
        (["--benchmark", "mini", "--metric", "eval/decimal_sums/code"], "is of decimal_sums, and --benchmark mini is"),
        (["--metric", "pass@3"], "pass@3 needs 3 answers to each problem, but problem p0 has 2; choose a k of"),
        (["--metric", "maj@0"], "maj@0: the number of answers must be at least 1"),
        (["--metric", "code", "--problems"], "--problems: compares accuracy, and not code in %; leave --metric out"),
        (["--problems", "--csv"], "--problems: the CSV holds nothing of problems; --json and --latex do"),
        (["--benchmark", "mini,decimal_sums", "--wandb"], "leave --metric, --at-step, --benchmark and --where out"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(two, capsys, words, said):
    assert said in compare(two.root, "s", *words, code=2, capsys=capsys)


def test_numbers_that_no_record_has_are_computed_from_the_same_answers(two, tmp_path, capsys):
    found = {
        name: json.loads(
            compare(two.root, "s", "--metric", name, "--where=reward=random,seed=0", "--json", capsys=capsys)
        )
        for name in ("pass@1", "pass@2", "maj@1", "eval/decimal_sums/maj@2", "extracted", "ended_accuracy")
    }
    assert {name: one["cells"][0]["base"] for name, one in found.items()} == {
        "pass@1": 2 / 16, "pass@2": 2 / 8, "maj@1": 2 / 16, "eval/decimal_sums/maj@2": 1 / 8,
        "extracted": 1.0, "ended_accuracy": 2 / 16,
    }  # fmt: skip
    assert found["eval/decimal_sums/maj@2"]["benchmark"] == "decimal_sums"
    copied = shutil.copytree(two.root, tmp_path / "copied")
    shutil.rmtree(copied / "answers")
    said = compare(copied, "s", "--metric", "pass@1", code=2, capsys=capsys)
    assert "no cell has it, and no answers are kept to compute it from" in said and "evaluate SWEEP" in said


def test_a_benchmark_that_was_asked_later_is_read_from_answers(later, capsys):
    assert gains(later.root, benchmarks="later") == {"later": {"ground_truth": 10 / 16 - 1 / 16, "random": -1 / 16}}
    (cell, _) = (found := answer(["s"], later.root, Options(benchmarks="later"))).comparison.cells
    assert cell.evaluation.endswith(":8x2") and cell.answers == 16
    assert found.comparison.evaluations[cell.evaluation]["evaluation"]["source"] == "later"
    shown = compare(later.root, "s", "--benchmark", "later,mini", capsys=capsys)
    assert "accuracy in % on later" in shown and "+56.2 (n = 1)" in shown


def test_only_a_finished_training_has_a_final_value_and_a_step_its_own(later, tmp_path):
    copied = shutil.copytree(later.root, tmp_path / "copied")
    moved = replace(later, root=copied)
    task = later.cells[0]
    keep_trained(moved, task, "later", identity("later"), BASE, step=1)
    assert gains(copied, benchmarks="later", at_step="1")["later"] == {"ground_truth": 0.0, "random": 0}
    (copied / task.entry.directory / "result.json").unlink()
    found = answer(["s"], copied, Options(benchmarks="later"))
    assert [cell.final is None for cell in found.comparison.cells] == [True, False]
    (copied / later.cells[1].entry.directory / "result.json").unlink()
    unfinished = answer(["s"], copied, Options(metric="pass@2"))  # the table of a sweep that runs is empty and no error
    assert [row.final for row in unfinished.rows] == [{}, {}]


@pytest.mark.parametrize("side", ["base", "final"])
def test_of_unequal_targets_both_sides_count_the_smaller_ones(tmp_path, side):
    plan = launched(tmp_path, "reward=random", "seed=0")
    few = {f"p{n}": answers[:1] for n, (_, answers) in enumerate([*BASE.items()][:6])}
    base, final = (few, right(8)) if side == "base" else (BASE, {p: those[:1] for p, those in [*right(8).items()][:6]})
    keep_untrained(plan, plan.stages[0], "later", identity("later"), base)
    keep_trained(plan, plan.cells[0], "later", identity("later"), final)
    (cell,) = answer(["s"], tmp_path, Options(benchmarks="later")).comparison.cells
    assert (cell.base, cell.final, cell.answers) == (2 / 6, 1.0, 6)


def test_answers_that_a_narrower_evaluation_followed_are_still_counted(tmp_path):
    """6 × 1 answers were recorded; then 3 × 2 were asked for, after which the manifest names these targets."""
    plan = launched(tmp_path, "reward=random", "seed=0")
    wide, narrow = ({p: those[:n] for p, those in [*BASE.items()][:m]} for m, n in ((6, 1), (3, 2)))
    for task in (*plan.stages, *plan.cells):
        recorded(plan, task, {"mini": wide})
    for task, keeper in ((plan.stages[0], keep_untrained), (plan.cells[0], keep_trained)):
        directory = keeper(plan, task, "mini", RunDirectory(task.directory).evaluations["mini"], narrow)
        assert (read_manifest(directory).problems, read_manifest(directory).samples_per_problem) == (3, 2)
    (row,) = answer(["s"], tmp_path, Options(problems=True)).comparison.problems
    assert row.found is not None and row.found.problems == 6
    (cell,) = answer(["s"], tmp_path, Options(metric="maj@1")).comparison.cells
    assert (cell.base, cell.answers) == (2 / 6, 6)


def test_evaluations_that_differ_are_never_subtracted_and_several_have_to_be_told_apart(later, tmp_path, capsys):
    copied = shutil.copytree(later.root, tmp_path / "copied")
    moved = replace(later, root=copied)
    task, other = later.cells[0], identity("later", temperature=0.5)
    directory = keep_trained(moved, task, "later", other, right(8))
    (cell, _) = answer(["s"], copied, Options(benchmarks="later")).comparison.cells  # the base has one of both alone
    assert cell.final == 11 / 16
    keep_untrained(moved, later.stages[0], "later", other, right(0))
    said = compare(copied, "s", "--benchmark", "later", code=2, capsys=capsys)
    assert "in 2 ways, which are never mixed (evaluation.temperature 0.5 and 1.0)" in said and directory.name in said
    (named, without) = answer(["s"], copied, Options(benchmarks=directory.name)).comparison.cells
    assert (named.base, named.final, without.final) == (2 / 16, 1.0, None)
    shutil.rmtree(directory)
    keep_trained(moved, later.cells[1], "another", identity("another"), BASE)
    keep_untrained(moved, later.stages[0], "another", identity("another", temperature=0.2), BASE)
    found = answer(["s"], copied, Options(benchmarks="another"))
    assert found.comparison.cells[1].difference is None
    assert any("were not evaluated alike (evaluation.temperature 1.0 and 0.2)" in line for line in found.warnings)
    assert any("no value on another: model=qwen2_mini reward=ground_truth" in line for line in found.warnings)


def test_a_benchmark_evaluated_afterwards_joins_the_cells_that_had_it_from_the_start(two, tmp_path):
    copied = shutil.copytree(two.root, tmp_path / "copied")
    run = RunDirectory(copied / two.cells[0].entry.directory)
    result = run.read_result()
    del result["benchmarks"]["decimal_sums"]
    write_json(run.result, result)
    found, whole = (answer(["s"], root, Options(benchmarks="decimal_sums")) for root in (copied, two.root))
    assert [cell.evaluation for cell in found.comparison.cells] == [cell.evaluation for cell in whole.comparison.cells]
    assert found.findings.contrasts[0].seeds == (0, 1, 2)


def test_how_answers_were_made_differently_is_a_warning(tmp_path, capsys):
    plan = launched(tmp_path, "reward=random", "seed=0,1")
    recorded(plan, plan.stages[0], {"mini": BASE}, made=MADE)
    for task in plan.cells:
        recorded(
            plan, task, {"mini": right(1)}, made=MADE.model_copy(update={"engine": "vllm 0.10", "dtype": "bfloat16"})
        )
    shown = compare(tmp_path, "s", capsys=capsys)
    assert "answers were sampled with different engine: transformers 5.19" in shown and "different dtype" in shown
    assert "hardware" not in shown


def test_with_one_seed_each_family_says_what_its_problems_say(later, capsys):
    shown = compare(later.root, "s", capsys=capsys)
    base, final = [BASE], [right(5)]
    test = compare_problems(base, final)
    interval = f"{100 * test.low:+.1f} … {100 * test.high:+.1f}"
    assert (
        f"qwen2_mini, these runs, other problems: ground_truth ended +62.5 points from its base ({interval}; 8 "
        "problems, 5 rose, 0 fell); random ended +0.0 points from its base (no problem changed; 8 "
        "problems, 0 rose, 0 fell)."
    ) in shown
    found = json.loads(compare(later.root, "s", "--json", capsys=capsys))
    assert found["problems"][0]["test"]["low"] == test.low and found["problems"][0]["row"]["reward"] == "ground_truth"
    assert [one["n"] for one in found["contrasts"]] == [1]


def test_with_several_seeds_problems_are_shown_where_asked_and_a_shared_baseline_counts_once(two, capsys):
    assert "other problems" not in compare(two.root, "s", capsys=capsys)
    shown = compare(two.root, "s", "--problems", capsys=capsys)
    assert "problem by problem: these runs, other problems" in shown and "nothing of other seeds" in shown
    (part, _) = json.loads(compare(two.root, "s", "--problems", "--json", capsys=capsys))["problems"]
    test = compare_problems([BASE], [right(3), right(4), right(5)])
    assert part["test"]["gain"] == pytest.approx(0.5) and part["test"]["student"]["two_sided"] == test.student.two_sided
    assert part["test"]["note"] == test.note and "there is no Wilcoxon test" in test.note and test.note in shown
    assert [part["pass_at_k"][side]["2"]["value"] for side in ("base", "final")] == [2 / 8, (5 + 6 + 7) / 3 / 8]


def test_of_many_cells_no_answers_are_looked_for_unless_asked(later, monkeypatch, capsys):
    read = []
    monkeypatch.setattr("sweep.compare.over_problems.FEW_CELLS", 2)
    monkeypatch.setattr(KeptAnswers, "answers", lambda self, evaluated, targets: read.append(evaluated) or BASE)
    monkeypatch.setattr(KeptAnswers, "pair", lambda *_: pytest.fail("looks for answers"))
    assert "other problems" not in compare(later.root, "s", capsys=capsys) and not read


@pytest.mark.parametrize("damage", ["few", "cut"])
def test_why_a_row_is_not_compared_problem_by_problem(tmp_path, capsys, damage):
    plan = launched(tmp_path, "reward=random", "seed=0")
    some = {name: BASE[name] for name in [*BASE][: 5 if damage == "few" else 8]}
    for task in (*plan.stages, *plan.cells):
        recorded(plan, task, {"mini": some})
    if damage == "cut":
        part = next(tmp_path.glob("answers/*/step_*/*/part-*.parquet"))
        part.write_bytes(part.read_bytes()[:-9])
    said = {"few": "a paired test needs at least 6 problems", "cut": "bytes instead of"}[damage]
    shown = compare(tmp_path, "s", capsys=capsys)
    assert "random is not compared problem by problem, because" in shown and said in shown
    assert said in compare(tmp_path, "s", "--problems", capsys=capsys)
    manifest = next(tmp_path.glob("answers/*/step_*/*/_manifest.json"))
    manifest.write_text("{")
    assert f"{manifest}: holds no JSON" in compare(tmp_path, "s", capsys=capsys)  # and the results are shown
    shutil.rmtree(tmp_path / "answers")
    assert "other problems" not in compare(tmp_path, "s", capsys=capsys)
    assert "--problems: no answers are kept of both" in compare(tmp_path, "s", "--problems", code=2, capsys=capsys)


def test_a_gain_that_is_only_fewer_cut_offs_is_said(tmp_path, capsys):
    plan = launched(tmp_path, "reward=random", "seed=0,1,2")
    recorded(plan, plan.stages[0], {"mini": cut_off(BASE)})
    for task in plan.cells:
        recorded(plan, task, {"mini": right(3)})
    said = (
        "random: accuracy rose from 12.5% to 50.0% only because fewer answers were cut off (87.5% before, 0.0% after)"
    )
    assert said in compare(tmp_path, "s", capsys=capsys)
    file = tmp_path / "found.json"
    file.write_text(compare(tmp_path, "s", "--json", capsys=capsys))
    assert said in compare(tmp_path, str(file), capsys=capsys)
    shutil.rmtree(next(tmp_path.glob("answers/*/untrained")))
    recorded(plan, plan.stages[0], {"mini": BASE})
    assert "fewer answers" not in compare(tmp_path, "s", capsys=capsys)


def test_curves_of_pass_at_k_are_drawn_where_problems_have_several_answers(two, tmp_path, capsys):
    words = ["s", "--benchmark", "mini,decimal_sums", "--figures"]
    said = compare(two.root, *words, str(tmp_path / "figures"), capsys=capsys)
    for name in ("mini", "decimal_sums"):
        for kind in ("svg", "png"):
            assert (file := tmp_path / "figures" / name / f"pass_at_k.{kind}").is_file() and str(file) in said
    root = ElementTree.parse(tmp_path / "figures/decimal_sums/pass_at_k.svg").getroot()
    texts = {text.text for text in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"qwen2_mini", "pass@k in %", "1", "2", "untrained model", "ground_truth, n = 3"} <= texts
    one = {problem: those[:1] for problem, those in BASE.items()}
    plan = launched(tmp_path / "one", "reward=random", "seed=0")
    for task in (*plan.stages, *plan.cells):
        recorded(plan, task, {"mini": one})
    said = compare(plan.root, "s", "--figures", str(tmp_path / "none"), capsys=capsys)
    assert "no figure pass_at_k: no answers are kept of problems that have several" in said


def test_what_evaluate_brought_is_no_row(later, tmp_path):
    """Its evaluations are listed with the sweep and wait for nothing; they belong to the cells that they evaluate."""
    copied = shutil.copytree(later.root, tmp_path / "copied")
    file = next((copied / "sweeps" / "s").glob("*.json"))
    launch = json.loads(file.read_text())
    brought = {
        **launch["cells"][0],
        "module": "sweep.stages.evaluation",
        "signature": "e" * 12,
        "steps": 0,
        "stages": [],
    }
    brought |= {"directory": "stages/evaluation-x-eeeeeeeeeeee", "label": "evaluation"}
    write_json(file.with_name("9" + file.name), {**launch, "overrides": ["evaluate"], "stages": [], "cells": [brought]})
    assert answer(["s"], copied).rows == answer(["s"], later.root).rows or len(answer(["s"], copied).rows) == 2
