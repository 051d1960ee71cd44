"""What the page reads of kept answers: transitions by any behaviour, benchmarks asked later, and damaged files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from helpers.kept_answers import identity, keep_trained, keep_untrained
from helpers.scored import verdicts
from helpers.shown_sweep import DETECTORS, shown_sweep
from sweep.__main__ import main
from sweep.compare.ask import Options, answer, verdicts_on
from sweep.compare.page.facts import PageFacts, page_facts
from sweep.compare.problem_tables import problem_lines
from sweep.compare.transition_tables import transition_grid
from sweep.compare.transitions import Asked, moved_rows
from sweep.plan.plan import Plan
from sweep.run.answer_manifest import MANIFEST
from sweep.run.answer_places import of_training


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Plan:
    """A sweep that no test changes."""
    return shown_sweep(tmp_path_factory.mktemp("kept"))


@pytest.fixture(scope="module")
def whole(made) -> PageFacts:
    return told(made.root)


def told(root: Path, **options) -> PageFacts:
    return page_facts(verdicts_on(["shown"], root, Options(**options)))


def test_transitions_are_told_by_each_behaviour_as_the_command_does(made, whole):
    found = whole.facts["transitions"]
    assert set(found["behaviours"]) == set(DETECTORS) and found["never"] == []
    cells = [cell.entry for cell in answer(["shown"], made.root).comparison.cells]
    for behaviour, of in found["behaviours"].items():
        rows = moved_rows(made.root, "shown", cells, Asked(behaviour=behaviour)).rows
        assert of["table"]["rows"] == transition_grid("shown", rows).rows
        for row, parts in zip(rows, of["parts"], strict=True):
            assert [part[:2] for part in parts["parts"]] == [
                [one.name, pytest.approx(100 * one.contribution, abs=1e-4)] for one in row.found.classes
            ]
            value, low, high = parts["gain"]
            assert value == pytest.approx(100 * row.found.gain, abs=1e-4) and (low is None or low <= value <= high)


def test_without_a_common_detector_a_behaviour_is_left_out_and_the_problems_stay(made, whole, tmp_path):
    root = tmp_path / "runs"
    shutil.copytree(made.root, root, symlinks=True)
    for manifest in (root / "answers").glob("*/step_000004/*/_manifest.json"):
        told_there = json.loads(manifest.read_text())
        told_there["detectors"] = {"code": "version 2"}  # and boxed was not looked for
        manifest.write_text(json.dumps(told_there))
    page = told(root)
    found = page.facts["transitions"]
    assert found["behaviours"] == {} and found["never"] == []
    assert found["warnings"][-1].startswith("left out, because different detectors of code decided before and after")
    assert found["rows"] == whole.facts["transitions"]["rows"] and page.damaged == []


def test_changed_problems_have_their_questions_and_what_was_answered(whole):
    found = whole.facts["transitions"]
    row = found["rows"][0]
    assert row["axes"] == {"model": "llama3_mini", "reward": "ground_truth"} and (row["n"], row["problems"]) == (2, 10)
    place, before, after, given, given_after = row["fixed"]["lines"][0]
    name, question, golds, texts = found["questions"][place]
    assert question.startswith(f"{name[1:]} + 1 = ?") and golds == [str(int(name[1:]) + 1)] and texts == "drawn"
    assert before < after and given == [[["5", 2]], 1, 2]  # both seeds begin from one untrained model
    assert given_after == [[["5", 4]], 1, 4] and row["fixed"]["count"] == len(row["fixed"]["lines"])


def test_problems_that_changed_most_have_their_texts_and_are_marked(made, monkeypatch):
    monkeypatch.setattr("sweep.compare.page.answers.KEPT", 1)
    page = told(made.root)
    drawn = [problem[1] for problem in page.answers["problems"] if problem[4] and problem[0] == 0]
    changed = {problem[1] for problem in page.answers["problems"] if not problem[4]}
    assert len(drawn) == 1 and changed
    for row in page.facts["transitions"]["rows"]:
        lines = [*row["fixed"]["lines"][:3], *row["broken"]["lines"][:3]]
        for place, *_ in lines:
            name, *_, texts = page.facts["transitions"]["questions"][place]
            assert (name in drawn, name in changed) == (texts == "drawn", texts == "changed")


def test_a_benchmark_that_was_asked_later_is_there_without_being_named(tmp_path):
    plan = shown_sweep(tmp_path)
    for task in plan.cells[:2]:
        keep_trained(plan, task, "later", identity("later"), verdicts(a="RR", b="Rw", c="Rw", d="RR"))
    for task in plan.stages:
        keep_untrained(plan, task, "later", identity("later"), verdicts(a="Rw", b="ww", c="RR", d="Rw"))
    keep_trained(plan, plan.cells[0], "mini", identity("other"), verdicts(a="RR"))  # the launch's, asked otherwise
    page = told(plan.root)
    (named,) = verdicts_on(["shown"], plan.root, Options(benchmarks="later"))
    first, other = page.facts["later"]
    assert first == "later" and other.startswith("mini-") and page.damaged == []
    by_name = {metric["name"]: metric for metric in page.facts["metrics"]}
    shown = by_name["eval/later/accuracy"]
    assert shown["sentences"] == [*named.sentences, *problem_lines(named)] and shown["values"][0][2][0] == 25.0
    assert {"eval/later/code", f"eval/{other}/accuracy", "eval/later/pass@2"} <= by_name.keys()
    assert {one["benchmark"] for one in page.facts["passes"]} == {"mini", "later"}
    assert [entry[0] for entry in page.facts["series"]["metrics"]["eval/later/accuracy"]]  # before and after
    assert {row["benchmark"] for row in page.facts["transitions"]["rows"]} == {"mini", "later"}
    assert page.answers["benchmarks"] == ["mini", "later", other, "training"]  # two ways are two benchmarks
    assert told(plan.root, benchmarks="later").facts["later"] == [other]


DAMAGE = {
    "a part": ("part-00000.parquet", "instead of", "answers of model=qwen2_mini reward=ground_truth seed=0"),
    "a missing part": ("part-00000.parquet", "missing, although", "transitions of model=qwen2_mini"),
    "a manifest": (MANIFEST, "holds no JSON", MANIFEST),
    "questions": ("_problems.jsonl", "line 1: no question", "_problems.jsonl"),
    "metrics": ("metrics.jsonl", "metrics.jsonl", "line 1"),
    "responses": ("samples.jsonl", "samples.jsonl", "responses of model=qwen2_mini"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_with_a_damaged_file_the_page_is_drawn_and_says_what_it_lacks(made, whole, tmp_path, kind):
    _, message, where = DAMAGE[kind]
    root = damaged_copy(made, tmp_path / "runs", kind)
    page = told(root)
    said = " ".join(page.damaged)
    assert message in said and where in said and page.facts["damaged"] == page.damaged
    assert page.facts["metrics"][0]["values"] == whole.facts["metrics"][0]["values"]  # results stand without it
    assert len(page.answers["columns"]["text"]) < len(whole.answers["columns"]["text"]) or kind == "metrics"


def damaged_copy(made: Plan, root: Path, kind: str) -> Path:
    """A copy of a sweep in which a file of the first cell is damaged."""
    shutil.copytree(made.root, root, symlinks=True)
    run = root / Path(made.cells[0].directory).relative_to(made.root)
    # Questions are read once for all evaluations, from the first one.
    (kept,) = of_training(root, run.name, 2 if kind == "questions" else 4).glob("mini-*")
    name = DAMAGE[kind][0]
    file = (run if name in ("metrics.jsonl", "samples.jsonl") else kept) / name
    if kind == "a missing part":
        file.unlink()
    else:
        file.write_bytes(b"\x00 damaged\n" + file.read_bytes()[40:])
    return root


def test_the_command_says_what_the_page_lacks(made, tmp_path, capsys):
    root, page = damaged_copy(made, tmp_path / "runs", "a part"), tmp_path / "page.html"
    assert main(["compare", "shown", "--output-dir", str(root), "--html", str(page)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == str(page) and lines[-2].startswith("left out of the page: ") and page.exists()
