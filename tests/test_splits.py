"""Which side a problem stands on: splits held out of one file, and test problems of a file of their own."""

from __future__ import annotations

import json

import pytest

from helpers.problem_files import SUMS, data_of, refused
from sweep.config.data import JsonLinesData
from sweep.data.problems import describe, file_hash, load_problems, load_split, refuse_changed
from sweep.errors import UserError
from sweep.plan.compose import compose_cells
from sweep.plan.signature import benchmark_identities


def questions(data: JsonLinesData, *splits: str) -> list[set[str]]:
    return [{" ".join(p.question.split()) for p in load_problems(data, split)} for split in splits]


SPLITS = ("train", "validation", "test")


def test_a_share_is_held_out_in_all(file):
    data = data_of(file([{"prompt": f"{i}", "answer": f"{i}"} for i in range(50)]))
    splits = questions(data, *SPLITS)
    assert [len(s) for s in splits] == [40, 5, 5] and len(set.union(*splits)) == 50


def test_equal_questions_stand_in_one_split_and_count_once(file):
    spaces = ["{} + 1", " {}  +\n1", "{} + 1 "]
    data = data_of(file([{"prompt": spaces[i % 3].format(i // 10), "answer": str(i // 10 + 1)} for i in range(30)]))
    train, test = questions(data, "train", "test")
    assert train | test == {"0 + 1", "1 + 1", "2 + 1"} and not train & test
    assert "30 rows" in (said := refused(data, "validation")) and "3 different problems, too few for data.held" in said
    assert describe(data, ["train", "test"]) == "2 train (of 30 rows, left out: 27 repeated), 1 test"


def test_a_question_decides_its_split_and_not_its_place(file):
    data, turned = data_of(file(SUMS)), data_of(file([*reversed(SUMS), *SUMS], "turned.jsonl"))
    assert questions(data, *SPLITS) == questions(turned, *SPLITS)


def test_a_shared_problem_leaves_the_test_side_and_training_stays(file):
    own = [{"prompt": f"{i}*2", "answer": str(2 * i)} for i in range(8)]
    test = file([*({**row, "prompt": f" {row['prompt']}\n"} for row in SUMS[:12]), *own], "test.jsonl")
    alone, tested = data_of(file(SUMS)), data_of(file(SUMS), test_path=str(test))
    assert load_problems(tested, "train") == load_problems(alone, "train")  # it does not depend on the test problems
    assert questions(tested, "test") == [{row["prompt"] for row in own}]
    assert describe(tested, SPLITS) == "16 train, 4 validation, 8 test (left out: 12 also in the training data)"
    assert load_split(tested, "test").as_json() == {
        "source": str(test), "rows": 20, "filtered": 0, "bad_golds": 0, "contradictory": 0, "repeated": 0,
        "problems": 20, "shared": 12, "used": 8,
    }  # fmt: skip
    same = data_of(file(SUMS), test_path=str(file(SUMS)))
    assert "no problem is left for test: all 20 of" in refused(same, "test")


def test_a_file_that_was_changed_after_the_launch_is_refused_by_the_job(file):
    data = data_of(file(SUMS), test_path=str(file(SUMS[:3], "test.jsonl")))
    recorded = {field: file_hash(data, field) for field in ("path", "test_path")}
    refuse_changed(data, recorded)
    refuse_changed(data, {"path": recorded["path"]})  # a training knows nothing of the test side
    for field in recorded:
        with pytest.raises(UserError, match=f"data.{field}=.*not those that this run was launched with"):
            refuse_changed(data, recorded | {field: "sha256:other"})


def test_the_one_problem_that_is_trained_on_is_no_test_problem(file):
    path = file(SUMS)
    (question, *_) = load_problems(data_of(path), "test")
    data = data_of(path, only={"question": f" {question.question}", "answer": question.answers[0]})
    assert question not in load_problems(data, "test") and len(load_problems(data, "test")) == 1
    cells = compose_cells([f"data.only={{question: {q}, answer: 2}}" for q in ("1+2-1",)]) + compose_cells(["seed=1"])
    assert len({json.dumps(benchmark_identities(cell.config)) for cell in cells}) == 2
