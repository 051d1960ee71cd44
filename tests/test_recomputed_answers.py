"""Verdicts and behaviours are computed again from kept answers, and nothing is sampled."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from types import SimpleNamespace

import pandas
import pytest

from helpers.made_up_answers import DETECTORS, MADE, QUESTIONS, answer, code, evaluate, evaluated, opened, write_missing
from sweep.data.verdicts import Verdict
from sweep.errors import DamagedFile, UserError
from sweep.evaluate import regrading, waiting
from sweep.run import answer_files, recomputed_answers
from sweep.run.answer_files import HeldByAnother, locked_answers, open_answers
from sweep.run.answer_manifest import read_manifest
from sweep.run.answer_parts import as_answers
from sweep.run.answer_reading import holds, read_answers
from sweep.run.recomputed_answers import regrade, regraded, replace_behaviours

BOTH = {"code": "mentions python", "short": "under 12 characters"}
IDENTITY = {"temperature": 1.0, "rules": {"grading": 9}}


def both(text):
    return ["short", *code(text)] if len(text) < 12 else code(text)


def by_length(asked):
    """Rules by which an answer is its length, and correct if no earlier answer to its problem has the same length."""
    found = []
    for _, texts in asked:
        lengths = [str(len(text)) for text in texts]
        found.append([Verdict(n, n not in lengths[:i], "compared", "last", n) for i, n in enumerate(lengths)])
    return found


class Asked:
    """Grades as `by_length` does, and notes the problems it was given."""

    def __init__(self) -> None:
        self.problems = []

    def __call__(self, asked):
        self.problems += [question.id for question, _ in asked]
        return by_length(asked)


def expected(detect) -> list:
    return [answer(q.id, s, detect) for q in QUESTIONS[:3] for s in range(4)]


def rows(directory) -> list:
    return sorted(as_answers(read_answers(directory)), key=lambda a: (a.problem, a.sample))


def test_regraded_changes_the_verdicts_alone():
    answers = [answer("p1", s) for s in (2, 0, 1)]
    found = regraded(answers, {q.id: q for q in QUESTIONS}, by_length)
    assert [a.sample for a in found] == [0, 1, 2] and [a.correct for a in found] == [True, True, False]
    kept = [replace(one, answer="", correct=True, outcome="", strategy="", vote="") for one in found]
    before = sorted(answers, key=lambda a: a.sample)
    assert kept == [replace(one, answer="", correct=True, outcome="", strategy="", vote="") for one in before]


@pytest.mark.parametrize("chunk", [1, 5, 1024])
def test_verdicts_under_other_rules_go_to_a_directory_of_their_own(tmp_path, chunk, monkeypatch):
    monkeypatch.setattr(recomputed_answers, "CHUNK", chunk)
    evaluate(tmp_path / "a", 3, 2)
    gpu = MADE.model_copy(update={"hardware": "H100"})
    first = evaluate(tmp_path / "a", 4, 3, made=gpu)  # so that the answers to a problem lie in several parts
    before = rows(tmp_path / "a")
    manifest = regrade(tmp_path / "a", tmp_path / "b", IDENTITY, by_length, code)
    assert rows(tmp_path / "a") == before
    assert rows(tmp_path / "b") == regraded(before, {q.id: q for q in QUESTIONS}, by_length)
    assert manifest.identity == IDENTITY and manifest.weights == first.weights
    for hardware in ("cpu", "H100"):
        assert sum(p.rows for p in manifest.parts if p.hardware == hardware) == 6

    asked = Asked()
    evaluate(tmp_path / "a", 5, 3)
    regrade(tmp_path / "a", tmp_path / "b", IDENTITY, asked, code)
    assert asked.problems == ["p4"] and len(rows(tmp_path / "b")) == 15


def test_answers_that_only_an_earlier_evaluation_asked_for_are_graded_again_too(tmp_path):
    evaluate(tmp_path / "a", 5, 1)
    narrower = evaluate(tmp_path / "a", 2, 3)
    assert (narrower.problems, narrower.samples_per_problem, narrower.rows) == (2, 3, 9)
    manifest = regrade(tmp_path / "a", tmp_path / "b", IDENTITY, by_length, code)
    assert rows(tmp_path / "b") == regraded(rows(tmp_path / "a"), {q.id: q for q in QUESTIONS}, by_length)
    assert holds(tmp_path / "b", manifest, 5, 1) and holds(tmp_path / "b", manifest, 2, 3)


def test_a_killed_regrading_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(recomputed_answers, "CHUNK", 2)
    evaluate(tmp_path / "a", 4, 2)

    def dies(asked):
        if asked[0][0].id == "p2":
            raise KeyboardInterrupt
        return by_length(asked)

    with pytest.raises(KeyboardInterrupt):
        regrade(tmp_path / "a", tmp_path / "b", IDENTITY, dies, code)
    with pytest.raises(UserError, match="no finished evaluation"):
        read_answers(tmp_path / "b")
    asked = Asked()
    regrade(tmp_path / "a", tmp_path / "b", IDENTITY, asked, code)
    assert asked.problems == ["p2", "p3"] and len(rows(tmp_path / "b")) == 8


def test_behaviours_are_replaced_where_they_are(tmp_path):
    first = evaluate(tmp_path / "a", 3, 4)
    evaluate(tmp_path / "b", 3, 4, both, detectors=BOTH)
    manifest = replace_behaviours(tmp_path / "a", BOTH, both)
    assert rows(tmp_path / "a") == rows(tmp_path / "b")
    assert manifest.detectors == BOTH and manifest.identity == first.identity
    assert len(pandas.read_parquet(tmp_path / "a")) == 12
    assert replace_behaviours(tmp_path / "a", BOTH, both) == manifest
    with opened(tmp_path / "a", 3, 4, both, detectors=BOTH) as writer:
        assert writer.missing == [] and writer.finish() == manifest


@pytest.mark.parametrize("at", ["second part", "manifest", "removal"])
def test_killed_while_behaviours_are_replaced(tmp_path, at, monkeypatch):
    """Readers see all of before or all of now, and the next writer clears up."""
    evaluate(tmp_path, 3, 4)

    def dying(name):
        original, calls = getattr(answer_files, name), []

        def called(*arguments):
            calls.append(arguments)
            if (at, len(calls)) in (("second part", 2), ("manifest", 1)):
                raise KeyboardInterrupt
            result = original(*arguments)
            if at == "removal":
                raise KeyboardInterrupt
            return result

        monkeypatch.setattr(answer_files, name, called)

    dying("write_part" if at == "second part" else "write_manifest")
    with pytest.raises(KeyboardInterrupt):
        replace_behaviours(tmp_path, BOTH, both)
    monkeypatch.undo()
    manifest = read_manifest(tmp_path)
    assert manifest.detectors == (BOTH if at == "removal" else DETECTORS)
    assert rows(tmp_path) == [
        answer(q.id, s, both if at == "removal" else code) for q in QUESTIONS[:3] for s in range(4)
    ]
    with opened(tmp_path, 3, 4, both, detectors=BOTH) as writer:
        assert write_missing(writer) == 0
        writer.finish()
    assert rows(tmp_path) == expected(both)
    assert len(pandas.read_parquet(tmp_path)) == 12


def test_nothing_is_replaced_where_a_part_is_damaged_or_someone_writes(tmp_path):
    manifest = evaluate(tmp_path, 3, 4)
    with opened(tmp_path, 3, 4), pytest.raises(HeldByAnother):
        replace_behaviours(tmp_path, BOTH, both)
    (tmp_path / "part-00002.parquet").write_bytes(b"")
    with pytest.raises(DamagedFile, match="part-00002"):
        replace_behaviours(tmp_path, BOTH, both)
    assert read_manifest(tmp_path) == manifest and len(list(tmp_path.glob("part-*"))) == 3
    with pytest.raises(UserError, match="no finished evaluation"):
        replace_behaviours(tmp_path / "nowhere", BOTH, both)


@pytest.mark.parametrize("written", ["sums-a", "sums-b"])
def test_answers_are_taken_over_once_another_job_has_written_its_own(tmp_path, written, monkeypatch):
    """Two jobs that evaluate the same weights under new rules of grading both find the answers under the old ones."""
    old, new = (evaluated(grading=rules, rules={"grading": 2}) for rules in ("old", "new"))
    with open_answers(tmp_path / "sums-a", old, QUESTIONS[:3], 2, code) as writer:
        write_missing(writer)
        writer.finish()
    (tmp_path / "sums-b").mkdir(exist_ok=True)
    behaviours = SimpleNamespace(definitions=lambda: DETECTORS, detect=code)
    monkeypatch.setattr(regrading, "verdicts", lambda grader, asked: by_length(asked))
    waited = []
    with ExitStack() as other:
        other.enter_context(locked_answers(tmp_path / written))
        monkeypatch.setattr(waiting.time, "sleep", lambda seconds: (waited.append(seconds), other.close()))
        regrading.take_over(tmp_path / "sums-b", new, None, behaviours)
    assert len(waited) == 1 and len(rows(tmp_path / "sums-b")) == 6


def test_a_damaged_manifest_beside_an_evaluation_does_not_stop_it(tmp_path, caplog):
    evaluate(tmp_path / "others-a", 2, 1)
    (tmp_path / "others-a" / "_manifest.json").write_text("{}")
    behaviours = SimpleNamespace(definitions=lambda: DETECTORS, detect=code)
    regrading.take_over(tmp_path / "sums-b", evaluated(), None, behaviours)
    assert not (tmp_path / "sums-b").exists()
    assert "others-a" in caplog.text and "not looked at" in caplog.text
