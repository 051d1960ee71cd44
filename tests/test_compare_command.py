"""`python -m sweep compare` on sweeps that the project's own writers wrote: metrics, files, commands, and claims."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers.constants import ROOT
from helpers.written_sweeps import FINAL, give, launched, rewrite, with_metrics
from sweep.__main__ import main
from sweep.compare.cells import collect
from sweep.compare.contrasts import CONTROL, MORE, find
from sweep.compare.pool import pool
from sweep.compare.results import Comparison
from sweep.compare.statistics import detectable, paired, power
from sweep.compare.tables import grids
from sweep.compare.verdict import FAMILY, Verdict, judge
from sweep.plan.plan import Plan, plan_sweep
from sweep.run.directory import RunDirectory
from sweep.run.provenance import _named, environment
from sweep.run.series import listed, read_rows

CLAIM = re.compile(r"\b(more|less)\b")
MODELS, REWARDS = (
    ("qwen2_mini", "llama3_mini", "olmo2_mini"),
    ("ground_truth", "random", "format", "python", "constant"),
)
FAMILIES, SWEEPS = len(MODELS), 500


def compare(root: Path, *words: str, code: int = 0, capsys) -> str:
    capsys.readouterr()
    assert main(["compare", *words, "--output-dir", str(root)]) == code
    shown = capsys.readouterr()
    return shown.out if code == 0 else shown.err


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A sweep of two rewards and two seeds; tests write nothing into it."""
    root = tmp_path_factory.mktemp("small")
    plan = launched(root, "reward=ground_truth,random", "seed=0,1")
    give(plan, FINAL)
    with_metrics(
        plan, {2: {"eval/accuracy": 0.3, "train/entropy": 0.9}, 4: {"eval/accuracy": 0.4, "train/entropy": 0.8}}
    )
    return plan


def test_the_whole_answer_in_its_order(small, capsys):
    shown = compare(small.root, "s", capsys=capsys)
    parts = [
        "sweep s: accuracy in %, means over n seeds",
        "given this baseline evaluation",
        "1,000 graded answers",
        "contrasts of final accuracy in %",
        "m = 2 tests",
        "qwen2_mini: ground_truth is not told apart from random",
        "next (",
        "run directories",
    ]
    places = [shown.index(part) for part in parts]
    assert places == sorted(places)


def test_metrics_of_training_are_compared_at_their_last_step_or_at_any(small, capsys):
    shown = compare(small.root, "s", "--metric", "train/entropy", capsys=capsys)
    assert "train/entropy, means over n seeds" in shown and "given this baseline" not in shown
    assert re.search(r"│ ground_truth │ 0\.805 │ 0\.7415 … 0\.8685 │ 2 │", shown)
    assert "its base" not in shown  # the untrained model has no entropy of training
    at = json.loads(compare(small.root, "s", "--metric", "train/entropy", "--at-step", "2", "--json", capsys=capsys))
    assert [cell["final"] for cell in at["cells"]] == pytest.approx([0.9, 0.91, 0.9, 0.91])
    assert (at["metric"], at["at_step"], {cell["length"] for cell in at["cells"]}) == ("train/entropy", 2, {2})


def test_accuracy_at_a_step_is_beside_the_base_and_last_is_the_result(small, capsys):
    at = json.loads(compare(small.root, "s", "--at-step", "2", "--json", capsys=capsys))
    assert [cell["difference"] for cell in at["cells"]] == pytest.approx([-0.2, -0.19, -0.2, -0.19])
    last = compare(small.root, "s", "--at-step", "last", "--metric", "accuracy", capsys=capsys)
    assert last == compare(small.root, "s", capsys=capsys)


def test_a_metric_without_a_number_is_told_from_one_that_is_not_there(small, tmp_path, capsys):
    copied = tmp_path / "copied"
    shutil.copytree(small.root, copied)
    for file in copied.glob("cells/*/metrics.jsonl"):
        rows = [row | {"reward/informedness": None, "my/text": "a\x1b"} for row in read_rows(file)]
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for metric, said in (
        ("reward/informedness", "empty at every step of every cell"),
        ("my/text", 'no number, but "a\\u001b"'),
        ("evaluation", "no number, but "),
    ):
        full = metric if "/" in metric else f"eval/{metric}"
        assert f"--metric {full}: {said}" in compare(copied, "s", "--metric", metric, code=2, capsys=capsys)


def test_of_many_steps_the_first_ones_and_the_last_one_are_named():
    assert listed([1, 2]) == "1, 2" and listed({30, 10, 20, 40, 50, 60}) == "10, 20, 30, 40, 50, 60"
    assert listed(range(1, 301)) == "1, 2, 3, …, 300"


@pytest.mark.parametrize("content", [b"", b"\0" * 9, b"{", b"\xff"])
def test_a_damaged_record_is_named(small, tmp_path, capsys, content):
    copied = tmp_path / "copied"
    shutil.copytree(small.root, copied)
    file = next(copied.glob("cells/*/state.json"))
    file.write_bytes(content)
    assert f"{file}: damaged, as it holds no JSON" in compare(copied, "s", code=2, capsys=capsys)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nosuch"], "nosuch: no such sweep; in "),
        (["s", "--metric", "train/entropi"], "no cell has such a metric; did you mean train/entropy"),
        (["s", "--metric", "zzz"], "no cell has such a metric; there are: eval/accuracy, train/entropy"),
        (["s", "--at-step", "3"], "--at-step 3: no cell has eval/accuracy of that step; there are the steps 2, 4"),
        (["s", "--at-step", "0"], "--at-step 0: a number of steps from 1 on, or last"),
        (["s", "--at-step", "best"], "--at-step best: a number of steps from 1 on, or last"),
        (["s", "--control", "random"], "--control random: is written KEY=VALUE,KEY=VALUE,…"),
        (["s", "--control", "reward=x"], "--control reward=x: no cell has it; reward is ground_truth, random"),
        (["s", "--by", "family"], "--by family: no axis here"),
        (["s", "--where", "model"], "--where model: is written KEY=VALUE,KEY=VALUE,…"),
        (["s", "--where", "model=olmo*"], "--where model=olmo*: no cell matches"),
        (["s", "--csv", "--json"], "--csv, --latex and --json: one of them at a time"),
        (["s", "--curves", "--latex"], "--curves: neither CSV nor LaTeX holds values over steps; --json does"),
        (["s", "--costs", "--csv"], "--costs: the CSV holds no costs; --json and --latex do"),
        (["s", "nowhere.json"], "s nowhere.json: several sweeps, or one file; a file is read by itself"),
        (["nowhere.json"], "nowhere.json: No such file or directory"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(small, capsys, words, said):
    assert said in compare(small.root, *words, code=2, capsys=capsys)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "no JSON"),
        ("[]", "no comparison; `python -m sweep compare SWEEP --json > FILE.json` writes one"),
        ('{"cells": 3}', "no comparison"),
        ('{"version": 3, "cells": []}', "version 3 of a comparison, and this code reads up to 2"),
        ('{"version": 2, "cells": [{}], "sweeps": ["s"], "directory": "runs"}', "a comparison that lacks something"),
    ],
)
def test_files_that_are_no_comparison_are_refused(tmp_path, capsys, content, said):
    (tmp_path / "file.json").write_text(content)
    assert said in compare(tmp_path, str(tmp_path / "file.json"), code=2, capsys=capsys)


def test_json_is_read_again_to_the_same_answer(small, tmp_path, capsys):
    file = tmp_path / "found.json"
    written = compare(small.root, "s", "--json", capsys=capsys)
    file.write_text(written)
    assert compare(tmp_path, str(file), "--json", capsys=capsys) == written
    assert compare(tmp_path, str(file), capsys=capsys) == compare(small.root, "s", capsys=capsys)
    file.write_text(selected := compare(small.root, "s", "--where", "seed=*,reward=[gr]*", "--json", capsys=capsys))
    assert compare(tmp_path, str(file), "--json", capsys=capsys) == selected
    assert "holds accuracy in % alone" in compare(tmp_path, str(file), "--metric", "tokens", code=2, capsys=capsys)
    found = json.loads(written)
    assert found["version"] == 2 and found["tests"] == 2
    (contrast,) = found["contrasts"]
    assert contrast["difference"] == pytest.approx(0.225) and contrast["seeds"] == [0, 1]
    assert contrast["verdict"] == "not told apart" and contrast["seeds_needed"] >= 3


def test_csv_is_one_table_of_everything(small, capsys):
    lines = list(csv.DictReader(io.StringIO(compare(small.root, "s", "--csv", capsys=capsys))))
    assert [line["kind"] for line in lines] == ["cell", "cell", "row"] * 2 + ["contrast", "change"]
    contrast = lines[-2]
    assert float(contrast["difference"]) == pytest.approx(0.225)
    assert (contrast["reward"], contrast["beside"], contrast["n"]) == (
        "ground_truth",
        "model=qwen2_mini reward=random",
        "2",
    )


def test_latex_is_tables_for_booktabs_with_nothing_unescaped(small, capsys):
    shown = compare(small.root, "s", "--latex", capsys=capsys)
    assert shown.count(r"\begin{tabular}") == shown.count(r"\bottomrule") == 2
    body = "\n".join(line for line in shown.splitlines() if not line.startswith("%"))
    assert r"qwen2\_mini & ground\_truth $-$ random & +22.5 & $-$9.3 \ldots{} +54.3 & 2" in body
    assert not re.search(r"(?<!\\)[%_#]|[…−]", body)


def test_cells_of_several_sweeps_count_once(tmp_path, capsys):
    give(launched(tmp_path, "reward=ground_truth,random", "seed=0"), FINAL)
    other = launched(tmp_path, "reward=ground_truth,random", "seed=0,1", name="other")
    give(other, FINAL)
    found = collect(tmp_path, "s", "other", "s")
    assert found.sweeps == ("s", "other") and len(found.cells) == 4
    (contrast,) = judge(found).findings.contrasts
    assert contrast.seeds == (0, 1)
    shown = compare(tmp_path, "s", "other", capsys=capsys)
    assert "sweeps s, other: accuracy" in shown and "several times" not in shown


def test_sweeps_whose_axes_differ_fill_the_same_rows(tmp_path):
    launched(tmp_path, "reward=random", "reward.probability=0.3,0.5", "seed=0")
    launched(tmp_path, "reward=random", "seed=1", name="other")
    rows = judge(collect(tmp_path, "s", "other")).rows
    assert sorted((row.axes["reward.probability"], len(row.cells)) for row in rows) == [("0.3", 1), ("0.5", 2)]


@pytest.mark.parametrize(
    ("typed", "lacking"),
    [
        (["reward=ground_truth,random", "seed=1"], {(r, s) for r in ("ground_truth", "random") for s in (2, 3, 4, 5)}),
        (["reward=ground_truth,format", "model=qwen2_mini", "seed=0,1"], {("random", 0), ("random", 1)}),
        (["reward=custom", "reward.target=own:f"], {("random", 0)}),
    ],
)  # fmt: skip
def test_the_command_that_is_shown_launches_what_lacks_into_the_same_sweep(tmp_path, monkeypatch, typed, lacking):
    (tmp_path / "own.py").write_text("def f(group): return [1.0 for _ in group]\n")
    monkeypatch.chdir(tmp_path)
    before = launched(tmp_path / "a place", *typed)
    command = judge(collect(tmp_path / "a place", "s")).suggestions[0].command
    python, script, flag, *overrides = shlex.split(command)
    assert (python, script, flag) == ("python", str(ROOT / "launch.py"), "-m")  # typed in another directory
    after = plan_sweep(overrides)
    assert (after.name, after.root) == (before.name, before.root)
    known = {task.signature for task in before.cells}
    assert {(t.axes["reward"], t.config.seed) for t in after.cells if t.signature not in known} == lacking


def test_what_runs_were_made_with_is_compared(small, capsys):
    for task in small.cells:
        RunDirectory(task.directory).add_provenance(
            code=f"c{task.config.seed}", model={"content": "w"}, gpus=["H100"] * 8
        )
    assert {tuple(cell.made.items()) for cell in collect(small.root, "s").cells} == {
        (("code", f"c{seed}"), ("weights", "w"), ("processor", "H100")) for seed in (0, 1)
    }
    shown = compare(small.root, "s", capsys=capsys)
    assert "the cells were trained with 2 versions of the code (c0: 2, c1: 2 cells)" in shown
    assert "processor" not in shown


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    """A written sweep of three families, five rewards and three seeds."""
    return launched(
        tmp_path_factory.mktemp("grid"), f"model={','.join(MODELS)}", f"reward={','.join(REWARDS)}", "seed=0,1,2"
    )


def values(comparison: Comparison, drawn: dict[str, float], base: dict[str, float]) -> Comparison:
    """The comparison with other results, by signature, and with other bases, by model."""
    made = [
        replace(cell, base=base[cell.model], final=drawn[cell.signature], answers=1000) for cell in comparison.cells
    ]
    return replace(comparison, cells=made)


def draw(plan: Plan, seed: int, spread: float = 0.02) -> tuple[dict[str, float], dict[str, float]]:
    """Results of a sweep in which no training does anything: seeds differ, and 1,000 answers measure each of them."""
    rng = np.random.default_rng(seed)
    accuracy = dict(zip(MODELS, rng.uniform(0.2, 0.8, FAMILIES), strict=True))
    base = {model: rng.binomial(1000, value) / 1000 for model, value in accuracy.items()}
    true = {task.signature: accuracy[task.config.model.name] + rng.normal(0, spread) for task in plan.cells}
    return {sign: rng.binomial(1000, value) / 1000 for sign, value in true.items()}, base


def claims(found: Verdict) -> bool:
    """Whether anything that is shown says "more" or "less"."""
    tables = [cell for grid in grids(found) for row in grid.rows for cell in row]
    return any(CLAIM.search(text) for text in [*tables, *found.sentences, *found.warnings])


def test_a_sweep_that_is_written_and_read_says_what_its_numbers_say(grid, capsys):
    """The way through the files, for one of the sweeps that the next test draws by the hundred."""
    drawn, base = draw(grid, 0)
    before = collect(grid.root, "s")
    for task in grid.stages:
        rewrite(task.directory, accuracy=base[task.config.model.name])
    for task in grid.cells:
        rewrite(task.directory, accuracy=drawn[task.signature])
    read, made = judge(collect(grid.root, "s")), judge(values(before, drawn, base))
    assert (read.sentences, read.findings.tests, read.findings.tests_across) == (made.sentences, 15, 12)
    assert bool(CLAIM.search(compare(grid.root, "s", capsys=capsys))) == claims(made)


def test_of_500_sweeps_without_any_effect_at_most_one_in_twenty_claims_one(grid):
    written = collect(grid.root, "s")
    wrong = sum(claims(judge(values(written, *draw(grid, seed)))) for seed in range(SWEEPS))
    assert wrong <= SWEEPS / 20, wrong


@pytest.mark.parametrize("predicted", [0.8, 0.5])
def test_a_planted_effect_is_found_as_often_as_predicted(grid, predicted):
    """The reward `format` in one family, in 500 sweeps whose seeds spread by one point; nothing else has an effect."""
    written, spread, tests = collect(grid.root, "s"), 0.01, 15
    rng = np.random.default_rng(1)
    error = spread * np.sqrt(2 / 3)
    sizes = np.linspace(0.02, 0.4, 2000)
    size = next(s for s in sizes if power(s, error, 2, 0.05 / tests) >= predicted)
    found = 0
    for _ in range(SWEEPS):
        drawn = {cell.signature: 0.4 + rng.normal(0, spread) for cell in written.cells}
        planted = [c for c in written.cells if (c.model, c.reward) == ("llama3_mini", "format")]
        drawn |= {cell.signature: drawn[cell.signature] + size for cell in planted}
        rows = pool(values(written, drawn, dict.fromkeys(MODELS, 0.4)).cells)
        contrasts = find(rows, CONTROL, FAMILY, shares_of_answers=True).contrasts
        (one,) = (c for c in contrasts if (c.row.axes["model"], c.row.axes["reward"]) == ("llama3_mini", "format"))
        found += one.verdict == MORE
    assert found / SWEEPS == pytest.approx(predicted, abs=0.06)  # three standard errors
    seen = paired({0: size + spread, 1: size, 2: size - spread}, dict.fromkeys(range(3), 0.0))
    assert detectable(seen, tests) == pytest.approx(21.97 * seen.error, rel=1e-3)


def test_the_documentation_names_every_key_of_the_file(small, capsys):
    page = (ROOT / "docs" / "compare.md").read_text()
    found = json.loads(compare(small.root, "s", "--json", capsys=capsys))
    keys = found.keys() | found["rows"][0].keys() | found["contrasts"][0].keys() | found["changes"][0].keys()
    assert {key for key in keys if f"`{key}`" not in page} == set()


def test_the_processor_is_recorded_where_linux_names_it(tmp_path):
    (tmp_path / "information").write_text("Model: \t\t NVIDIA H100\nIRQ:   63\n")
    assert _named(str(tmp_path / "information"), "Model") == "NVIDIA H100"
    assert _named(str(tmp_path / "nothing"), "Model") == "" == _named(str(tmp_path / "information"), "Name")
    assert {"processor", "gpus"} <= environment().keys()
