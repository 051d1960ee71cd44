"""Problems mean what their file says: what is read, refused, left out and counted, and which split has it."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet
from rich.console import Console

from helpers.constants import ROOT, SHORT
from helpers.problem_files import SUMS, data_of, lines, refused
from helpers.signatures import sign
from rewards.grading import Grader, GradingConfig
from sweep.config.data import HubSplit, JsonLinesData
from sweep.data.golds import grade_any
from sweep.data.problems import (
    describe,
    file_hash,
    load_problems,
    load_split,
    read_source,
    rows_hash,
)
from sweep.data.reading import Problem, read_problems
from sweep.data.rows import Row, Rows
from sweep.errors import UserError
from sweep.plan.plan import plan_sweep
from sweep.plan.view import plan_json, print_plan
from sweep.stages.label import label_rows

AFTER = {"after": "####"}


def answers_by_id(data: JsonLinesData) -> dict[str, tuple[str, ...]]:
    return {p.id: p.answers for p in read_source(data, "train")[0]}


SOLUTION = "the answer 'She sold 48/2 = 24. #### 72' looks like a worked solution; if the answer follows ####, "
LONG = "She sold half as many clips in May as in April, so she sold twenty-four, and altogether that is seventy-two"


@pytest.mark.parametrize(
    ("answer", "settings", "said"),
    [
        (None, {}, "the answer is null"),
        (float("nan"), {}, "the answer is nan"),
        (float("inf"), {}, "the answer is inf"),
        (True, {}, "the answer is true"),
        (["4"], {}, "the answer is a list; if any of its entries is right, set data.gold=list"),
        ('["4", "5"]', {}, "is a list; if any of its entries is right, set data.gold=list"),
        ({"ground_truth": "5"}, {}, "an object with ground_truth; set data.answer=answer.ground_truth"),
        ("", {}, "the answer is empty"),
        (" ", {}, "the answer is empty"),
        ("She sold 48/2 = 24.\n#### 72", {}, SOLUTION + "set 'data.gold={after: \"####\"}'"),
        ("1+1=2, so the answer is $\\boxed{2}$.", {}, "what it boxes, set data.gold=boxed"),
        ("n=\\boxed {1,3}", {}, "set data.gold=boxed"),
        ("\\boxed{2", {}, "set data.gold=boxed"),
        ("Adding, the answer is 2", {}, "set 'data.gold={after: \"answer is\"}'"),
        ("Answer: 2", {}, "set 'data.gold={after: \"Answer:\"}'"),
        (LONG, {}, "looks like a worked solution; if another column holds the final answer, set data.answer=NAME"),
        ("<think>hm</think> 2", {}, "looks like a worked solution"),
        ("2", {"gold": AFTER}, "'####' is not in the answer '2'"),
        ("24 ####", {"gold": AFTER}, "the answer is empty"),
        (2, {"gold": AFTER}, "the answer is the number 2, where a text was expected"),
        ("2", {"gold": "boxed"}, "there is no \\boxed{…} in the answer '2'"),
        ("two", {"gold": "number"}, "'two' is not a number"),
        ("2", {"gold": "list"}, "the answer is a text, where gold=list expects a list"),
        ([], {"gold": "list"}, "the answer is a list, where gold=list expects a list with entries"),
        (["2", None], {"gold": "list"}, "the answer is null"),
    ],
)
def test_a_gold_that_no_answer_equals_is_refused_by_line_or_dropped(file, answer, settings, said):
    good = (
        {"boxed": "\\boxed{3}", "list": ["3"]}.get(settings.get("gold"), "3")
        if settings != {"gold": AFTER}
        else "#### 3"
    )
    rows = [{"prompt": f"{i}+0", "answer": good} for i in range(10)]
    path = file([*rows, {"prompt": "1+1", "answer": answer}])
    complaint = refused(data_of(path, **settings))
    assert said in complaint and "line 11:" in complaint and "1 of 11 rows" in complaint
    assert "data.on_bad_gold=drop" in complaint
    dropping = data_of(path, on_bad_gold="drop", **settings)
    assert len(answers_by_id(dropping)) == 10
    assert (
        describe(dropping, ["train", "test"])
        == "8 train (of 11 rows, left out: 1 without a usable gold answer), 1 test"
    )


def test_where_no_gold_is_usable_dropping_all_is_refused(file):
    complaint = refused(
        data_of(file([{"prompt": str(i), "answer": f"So #### {i}"} for i in range(30)]), on_bad_gold="drop")
    )
    assert "in 30 of 30 rows" in complaint and '{after: "####"}' in complaint and "on_bad_gold" not in complaint
    assert complaint.count("\n") == 1  # one fault is told once
    words = file([{"prompt": str(i), "answer": f"word{i}"} for i in range(30)])
    complaint = refused(data_of(words, gold="number"))
    assert "line 1: the answer 'word0' is not a number" in complaint and complaint.endswith("  and 20 more rows")


@pytest.mark.parametrize(
    ("answer", "gold", "expected"),
    [
        ("007", "text", ("007",)),
        (7, "text", ("7",)),
        (0.1, "text", ("0.1",)),
        (1e-7, "text", ("0.0000001",)),
        (10**30, "text", (str(10**30),)),
        ("nan", "text", ("nan",)),
        ("\\[\\boxed {\\frac{1}{2}}\\]", "text", ("\\[\\boxed {\\frac{1}{2}}\\]",)),  # nothing but a box
        ("$so \\text{ and } so$", "text", ("$so \\text{ and } so$",)),
        ("24\n#### 1 #### 72\n", AFTER, ("72",)),
        ("\\boxed{1} or \\boxed{\\frac{1}{2}}.", "boxed", ("\\frac{1}{2}",)),
        (142.0, "number", ("142",)),
        (7, "number", ("7",)),
        ("1,234", "number", ("1,234",)),
        (["1/2", 0.25], "list", ("1/2", "0.25")),
        ('["1/2", "3"]', "list", ("1/2", "3")),
    ],
)
def test_how_a_gold_stands_in_its_column_is_a_key(file, answer, gold, expected):
    rows = [{"prompt": "x", "answer": answer}, {"prompt": "y", "answer": answer}]
    assert set(answers_by_id(data_of(file(rows), gold=gold)).values()) == {expected}


CHAT = [{"role": "system", "content": "Think."}, {"role": "user", "content": "1+1"}]


@pytest.mark.parametrize(
    ("content", "settings", "said"),
    [
        ([{"problem": "1", "answer": "2"}], {}, "no column prompt; it has problem, answer; set data.question=problem"),
        ([{"prompt": "1", "solution": "2"}], {}, "no column answer; it has prompt, solution; set data.answer=solution"),
        ([{"q": "1+1", "a": "2"}], {}, "it has q, a; set data.question to the column of questions"),
        ([*SUMS, {"question": "1", "answer": "1"}], {}, "line 21: has no column prompt"),
        ([{"prompt": "1", "m": {"a": "1"}}], {"answer": "m.b"}, "line 1: has no field b in m, which is an object"),
        ([{"prompt": "1", "m": []}], {"answer": "m.0"}, "line 1: has no field 0 in m, which is a list"),
        ([*SUMS, {"prompt": " \n", "answer": "1"}], {}, "line 21: prompt is empty"),
        ([{"prompt": None, "answer": "1"}], {}, "line 1: prompt is null, and a question is a text"),
        ([{"prompt": 3, "answer": "1"}], {}, "line 1: prompt is the number 3, and a question is a text"),
        ([{"prompt": CHAT, "answer": "2"}], {}, "and a question is a text; set data.question=prompt.1.content"),
        ([{"prompt": {"text": "1"}, "answer": "2"}], {}, "line 1: prompt is an object with text"),
        ([{"prompt": "\ud800", "answer": "1"}], {}, "line 1: holds half a surrogate pair"),
        ([{"prompt": "1", "answer": "\udc00"}], {}, "line 1: holds half a surrogate pair"),
        ([{"id": ["a"], "prompt": "1", "answer": "1"}], {}, "line 1: id is a list"),
        (SUMS, {"id": "name"}, "has no name in any row; set data.id to the column of ids, or to null"),
        ("[]\n", {}, "line 1: expected one object a line"),
        ("[\n{\n", {}, "name a file that is one list with the ending .json"),
        ('[{"prompt": "1", "answer": "1"}]\n', {}, "name a file that is one list with the ending .json"),
        ("prompt,answer\n1+1,2\n", {}, "line 1: expected one object a line"),
        ("prompt,answer\n1+1,2\n", {}, "name a file of comma-separated values with the ending .csv"),
        (lines(SUMS) + "{", {}, "line 21: expected one object a line"),
        ("[" * 100_000, {}, "line 1: expected one object a line"),
        ('{"prompt": "1", "answer": "1", "answer": "2"}', {}, "two fields are named answer"),
        (lines(SUMS).encode() + '{"prompt": "é"}'.encode("latin-1"), {}, "line 21: byte 0xe9 is no UTF-8"),
        (b"PAR1", {}, "is a Parquet file; give it a name that ends in .parquet"),
        ("", {}, "no problem is left for train"),
        (SUMS[:2], {"held_out": 0.1}, "no problem is left for test: the 2 rows of"),
        (SUMS, {"where": {"level": 5}}, "has no column level, which data.where names; it has prompt, answer"),
        (SUMS, {"where": {"answer": [0, -1]}}, "has no row whose answer is -1 or 0 (data.where); it is 1, 10, "),
    ],
)  # fmt: skip
def test_rows_that_are_no_problem_are_refused_with_their_line(file, content, settings, said):
    path = file(content)
    complaint = refused(data_of(path, **settings), "test" if "for test" in said else "train")
    assert said in complaint and str(path) in complaint


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        ("prompt,answer\n1,2\n3\n", "a.csv", "line 3: has 1 cells under 2 columns"),
        ('prompt,answer\n1,2\n"3,4\n', "a.csv", "line 3: is no comma-separated row"),
        ("prompt;answer\n1;2\n", "a.csv", "has no column prompt; it has prompt;answer"),
        ("prompt,prompt,answer\n1,1,2\n", "a.csv", "two columns named 'prompt'"),
        ("prompt,answer\n1,\n", "a.csv", "line 2: the answer is empty"),
        ("no parquet", "a.parquet", "as Parquet"),
        ("[1,", "a.json", "as a JSON list"),
        ("[1]", "a.json", "row 1: expected an object, and this is the number 1"),
    ],
)
def test_tables_that_cannot_be_read_are_refused(file, content, name, said):
    assert said in refused(data_of(file(content, name)))


def test_a_missing_file_names_the_key(file, tmp_path):
    assert "No such file or directory; set data.path" in refused(data_of(tmp_path / "nothing.parquet"))
    without = data_of(file(SUMS), test_path=str(tmp_path / "nothing.csv"))
    assert "No such file or directory; set data.test_path" in refused(without, "test")
    assert len(load_problems(without, "train")) == 16
    assert f"cannot read {tmp_path}" in refused(data_of(tmp_path))


@pytest.mark.parametrize("answer", ["null", "[4]", "''", "'#### 5'"])
def test_a_typed_problem_needs_an_answer(answer):
    with pytest.raises(UserError, match=r"data\.only"):
        plan_sweep([f"data.only={{question: 1+1, answer: {answer}}}"])


def test_a_typed_problem_needs_a_question():
    with pytest.raises(UserError, match=r"data\.only\.question=' ': is empty"):
        plan_sweep(["data.only={question: ' ', answer: 2}"])


ROWS = [{"id": f"p{i}", "question": f"Is {i}\n+ 1, or é?", "gold": f"0{i}", "level": 3 + i % 2} for i in range(12)]


def write_parquet(path: Path, rows: list[dict]) -> Path:
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


def test_the_rows_count_and_not_how_they_are_written(file, tmp_path):
    columns = {"question": "question", "answer": "gold"}
    nested = {"question": "of.question", "answer": "of.gold", "id": "of.id"}
    cells = "".join(f'{r["id"]},"{r["question"]}",{r["gold"]},{r["level"]}\n' for r in ROWS)
    renamed = [{"prompt": r["question"], "answer": f"is #### {r['gold']}", "id": r["id"]} for r in ROWS]
    same = [
        data_of(file(ROWS, "a.jsonl"), **columns),
        data_of(file(lines(ROWS, "\r\n"), "crlf.jsonl"), **columns),
        data_of(file("\ufeff" + lines(ROWS, "\n\n \n"), "bom.jsonl"), **columns),
        data_of(file("\ufeff" + json.dumps(ROWS, indent=1), "list.json"), **columns),
        data_of(file(lines(ROWS), "lines.json"), **columns),
        data_of(file("\ufeffid,question,gold,level\n" + cells, "a.csv"), **columns),
        data_of(write_parquet(tmp_path / "a.parquet", ROWS), **columns),
        data_of(write_parquet(tmp_path / "b.parquet", [{"of": row} for row in ROWS]), **nested),
        data_of(file(renamed, "renamed.jsonl"), gold=AFTER),
    ]  # fmt: skip
    assert len({file_hash(data, "path") for data in same}) == 1
    texts = (
        [{"prompt": "1+1", "answer": 2}, {"prompt": "1+2", "answer": 3}],
        [SUMS[1], {"prompt": "1+2", "answer": "3"}],
    )
    numbers, strings = (data_of(file(rows, f"{i}.jsonl")) for i, rows in enumerate(texts))
    assert file_hash(numbers, "path") == file_hash(strings, "path")
    other = [data_of(file(rows, f"other{i}.jsonl")) for i, rows in enumerate((SUMS, SUMS[::-1], SUMS[:19]))]
    assert len({file_hash(data, "path") for data in other}) == 3


def test_a_csv_cell_is_the_text_that_stands_there(file):
    path = file('prompt,answer,id\r\n1,007,\r\n2,NA,a\r\n\r\n3,1e3,NA\r\n4,"1,5 ",b\r\n5,true,c\r\n', "a.CSV")
    assert answers_by_id(data_of(path)) == {"1": ("007",), "a": ("NA",), "NA": ("1e3",), "b": ("1,5 ",), "c": ("true",)}


def test_how_a_file_is_read_counts_only_by_its_rows(file):
    rows = [{**row, "problem": row["prompt"], "gold": f"#### {row['answer']}"} for row in SUMS]
    path = f"data.path={file(rows)}"
    base = sign("data=jsonl", path)
    assert sign("data=jsonl", path, "data.question=problem") == base
    assert sign("data=jsonl", path, "data.answer=gold", 'data.gold={after: "####"}', "data.id=null") == base
    assert sign("data=jsonl", path, "data.where={answer: [1,2,3,4,5,6]}") != base
    assert sign("data=jsonl", path, "data.answer=prompt") != base


def test_what_stands_in_a_file_changes_the_identity_though_its_name_and_size_do_not(file):
    data = data_of(file(SUMS))
    before = file_hash(data, "path")
    file([*SUMS[:19], {**SUMS[19], "answer": "21"}])
    assert file_hash(data, "path") != before
    assert rows_hash([Problem("1", "q", ("1",))]) == rows_hash([Problem("1", "q", ("1",), label="2")])
    assert rows_hash([Problem("1", "q", ("1",))]) != rows_hash([Problem("1", "q", ("1", "2"))])


@pytest.mark.parametrize(
    "ids", [[None, None, None], ["a", "a", "a"], ["2", None, "2"], [7, "7", 7.0], [float("nan"), "", 1]]
)
def test_ids_are_made_unique_and_dropping_a_row_takes_no_other(file, ids):
    rows = [{"prompt": f"{i}", "answer": "3", "id": name} for i, name in enumerate(ids)]
    found = answers_by_id(data_of(file([*rows[:2], {**rows[2], "answer": None}]), on_bad_gold="drop", held_out=0.4))
    assert len(found) == 2
    assert len(answers_by_id(data_of(file(rows), held_out=0.4))) == 3


def test_a_question_with_two_answers_is_refused_or_dropped(file):
    said = [("2", "02"), ("2", "3"), ("1/2", "0.5"), (["1", "2"], ["2"])]
    rows = [
        {"prompt": f"{i}", "answer": a if isinstance(a, list) else [a]} for i, pair in enumerate(said) for a in pair
    ]
    path = file(rows * 2)
    complaint = refused(data_of(path, gold="list"))
    assert "1 of 4 questions with different answers:\n  line 3 and line 4: 2 and 3\n" in complaint
    assert "data.on_bad_gold=drop" in complaint
    dropped = data_of(path, gold="list", on_bad_gold="drop", held_out=0.4)
    assert describe(dropped, ["train"]) == "2 train (of 16 rows, left out: 4 with contradictory answers, 9 repeated)"


def test_rows_are_filtered_by_fields(file, tmp_path):
    rows = [{**row, "level": 3 + i % 3, "of": {"kind": ["sum", "odd"][i % 2]}} for i, row in enumerate(SUMS)]
    for path in (file(rows), write_parquet(tmp_path / "a.parquet", rows)):
        found = answers_by_id(data_of(path, where={"level": ["3", 4.0], "of.kind": "sum"}))
        assert sorted(found, key=int) == ["1", "5", "7", "11", "13", "17", "19"]
    assert "6 filtered out" in load_split(data_of(file(rows), where={"level": [4, 3]}), "train").left_out
    assert data_of("x", where={"b": [2, 1], "a": 3}) == data_of("x", where={"a": "3", "b": ["1", "2", 2.0]})


def test_hub_rows_are_numbered_from_nothing_and_named_by_their_section():
    how = HubSplit(path="org/set", split="train", question="q", answer="a")
    rows = Rows(
        "data.train",
        "org/set",
        [Row(f"row {i}", {"q": str(i), "a": [7, 2.5, None][i]}) for i in range(3)],
        ["q", "a"],
        0,
    )
    found, account = read_problems(rows, how, "drop")
    assert found == [Problem("0", "0", ("7",)), Problem("1", "1", ("2.5",))] and account.bad_golds == 1
    with pytest.raises(
        UserError, match=r"data\.train: org/set has no usable gold answer in 1 of 3 rows:\n  row 2: .*null"
    ):
        read_problems(rows, how, "error")


def test_any_of_several_golds_is_right_and_a_wrong_label_equals_none():
    grader = Grader(GradingConfig(name="t", extraction=("boxed",), deadline_s=5, memory_gb=1), workers=1)
    golds = ("1/2", "7")
    grades = grade_any(grader, [("7.0", golds), ("0.5", golds), ("8", golds), (None, golds), ("2", ("2",))])
    assert [grade.correct for grade in grades] == [True, True, False, False, True]
    assert grades[3].outcome.value == "none"
    row, other = label_rows([0, 1], [Problem("a", "?", golds)] * 2, [["7", "0.5", "7"], ["8", "8", "0.5"]], grader)
    assert row["gold"] == ["1/2", "7"] and row["string"] == {"label": "7", "share": 2 / 3, "correct": True}
    assert row["true_share"] == 1.0
    assert other["string"]["correct"] is False and other["true_share"] == 1 / 3


def test_a_plan_says_what_was_read_and_left_out(file, tmp_path):
    path = file([*SUMS, *SUMS[:3], {"prompt": "0/0", "answer": None}])
    plan = plan_sweep(["data=jsonl", f"data.path={path}", "data.on_bad_gold=drop", f"output_dir={tmp_path}", *SHORT])
    (found,) = plan_json(plan)["data"]
    assert found["source"] == "jsonl" and found["train"]["bad_golds"] == 1 and found["train"]["repeated"] == 3
    assert (found["train"]["used"], found["test"]["used"]) == (16, 2)  # and two for validation
    print_plan(plan, Console(file=(shown := io.StringIO()), width=40))
    left_out = "of 24 rows, left out: 1 without a usable gold answer, 3 repeated"
    assert f"data jsonl ({path}): 16 train ({left_out}), 2 test\n" in shown.getvalue()


def test_the_hub_set_of_the_docs_composes(tmp_path):
    page = (ROOT / "docs" / "problems.md").read_text()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "hard_math.yaml").write_text(re.search("```yaml\n(.*?)```", page, flags=re.S).group(1))
    (cell,) = plan_sweep(["data=hard_math", *SHORT, f"output_dir={tmp_path}"], str(tmp_path)).cells
    train = cell.config.data.train
    assert (train.subset[2], train.gold) == ("number_theory", "boxed") and train.where == (
        ("level", ("Level 4", "Level 5")),
    )
