"""The benchmarks of conf/evaluation read data sets of exactly the columns that the hub's have, and refuse others."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import datasets
import pytest

from helpers.constants import ROOT
from helpers.problem_files import data_of
from rewards.grading import Grader, GradingConfig
from sweep.config.data import ArithmeticData, DataConfig
from sweep.config.evaluation import Benchmark
from sweep.data import benchmarks, rows
from sweep.data.benchmarks import benchmark_hash, check_benchmark, load_benchmark
from sweep.data.golds import grade_any
from sweep.data.problems import Loaded
from sweep.errors import UserError
from sweep.plan.compose import compose_cells

SUMS = ArithmeticData(source="mini_arithmetic", name="sums", max_prompt_tokens=32, max_response_tokens=48)
MATH = ("algebra", "counting_and_probability", "geometry", "intermediate_algebra", "number_theory", "prealgebra",
        "precalculus")  # fmt: skip


@cache
def files() -> dict[str, Benchmark]:
    """Every benchmark of conf/evaluation, composed in one list."""
    names = sorted(file.stem for file in (ROOT / "conf" / "evaluation").glob("*.yaml"))
    (cell,) = compose_cells([f"evaluation=[{','.join(names)}]", "evaluation.benchmarks.jsonl.path=x"])
    assert list(cell.config.evaluation.benchmarks) == names
    return cell.config.evaluation.benchmarks


def named(name: str, **changes) -> Benchmark:
    """A benchmark as its file says, apart from some keys."""
    benchmark = files()[name]
    return type(benchmark).model_validate(benchmark.model_dump() | changes)


def asked(i: int) -> str:
    return f"What is {i} plus one?"


# A row of each hub set by its number: the columns there are, with the types that they have.
SETS: dict[str, tuple[str, int, Callable[[int], dict]]] = {
    "math500": ("test", 500, lambda i: {
        "problem": asked(i), "solution": f"So $\\boxed{{{i + 1}}}$.", "answer": f"\\frac{{{2 * i + 2}}}{{2}}",
        "subject": "Algebra", "level": 1 + i % 5, "unique_id": f"test/algebra/{i}.json"}),
    "aime24": ("train", 30, lambda i: {
        "id": 60 + i, "problem": asked(i), "solution": "So.", "answer": f"{i + 1:03d}", "url": "u", "year": "2024"}),
    "aime25": ("test", 30, lambda i: {"problem": asked(i), "answer": str(i + 1), "id": str(i)}),
    "aime26": ("train", 30, lambda i: {"problem_idx": i + 1, "answer": i + 1, "problem": asked(i)}),
    "amc23": ("test", 40, lambda i: {"id": i, "question": asked(i), "answer": str(i + 1), "url": "u"}),
    "amc83": ("train", 83, lambda i: {"id": i, "problem": asked(i), "answer": i + 1.0, "url": "u"}),
    "minerva": ("test", 272, lambda i: {"question": asked(i), "answer": f"{i + 1}"}),
    "olympiadbench": ("OE_TO_maths_en_COMP/train", 674, lambda i: {
        "id": 1600 + i, "question": asked(i), "solution": ["So."],
        "final_answer": [f"${i + 1}$"] if i else ["$1$,$-1$"],
        "context": "Let $1+1=2$." if i == 1 else None, "is_multiple_answer": i == 0, "unit": None,
        "answer_type": "Numerical", "error": None}),
    "gsm8k": ("main/test", 1319, lambda i: {
        "question": asked(i), "answer": f"{i}+1=<<{i}+1={i + 1}>>\n#### {i + 1:,}"}),
    "math": ("/test", 5000, lambda i: {
        "problem": asked(i), "level": f"Level {1 + i % 5}", "type": MATH[i % 7],
        "solution": f"Either $\\boxed{{0}}$ or $\\boxed{{{i + 1}}}$."}),
}  # fmt: skip


def write_set(directory: Path, at: str, found: list[dict]) -> None:
    """Write a data set as the hub holds it: a file for each split of each configuration."""
    directory.mkdir()
    config, _, split = at.rpartition("/")
    parts = {split: found}
    if "/" in at:
        parts = {config: found} if config else {name: [r for r in found if r["type"] == name] for name in MATH}
        listed = [f"- config_name: {n}\n  data_files: [{{split: {split}, path: {n}.jsonl}}]\n" for n in parts]
        (directory / "README.md").write_text(f"---\nconfigs:\n{''.join(listed)}---\n")
    for name, part in parts.items():
        (directory / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in part))


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Data sets in directories, where the real code looks for a snapshot of a data set."""
    benchmarks._read_hub.cache_clear()
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(rows, "fetch_repository", lambda path, *_, **__: tmp_path / path.replace("/", "--"))

    def put(name: str, change: Callable[[list[dict]], list[dict]] = lambda found: found) -> None:
        at, size, row = SETS[name]
        write_set(tmp_path / named(name).path.replace("/", "--"), at, change([row(i) for i in range(size)]))

    return put


@pytest.fixture(scope="module")
def grader():
    grader = Grader(GradingConfig(name="t", extraction=("boxed",), deadline_s=5, memory_gb=1), workers=1)
    yield grader
    grader.close()


@pytest.mark.parametrize("name", SETS)
def test_a_benchmark_reads_the_columns_of_its_set_and_each_gold_is_right(name, hub, grader):
    hub(name)
    found = load_benchmark(name, named(name), SUMS)
    assert len(found.problems) == SETS[name][1] and found.left_out == ""
    ordered = sorted(found.problems, key=lambda p: int(p.question.split()[-3])) if name == "math" else found.problems
    checked = ordered[2:40]
    assert [p.question for p in checked] == [asked(i) for i in range(2, 2 + len(checked))]
    graded = grade_any(grader, [(str(i), p.answers) for i, p in enumerate(checked, 3)])
    assert all(grade.correct for grade in graded)
    assert not any(g.correct for g in grade_any(grader, [(str(i), p.answers) for i, p in enumerate(checked, 4)]))


def test_a_context_stands_before_its_question_and_an_answer_in_parts_must_hold_them_all(hub, grader):
    hub("olympiadbench")
    two, with_context, *_ = load_benchmark("olympiadbench", named("olympiadbench"), SUMS).problems
    assert (two.question, with_context.question) == (asked(0), f"Let $1+1=2$.\n\n{asked(1)}")
    given = ["-1, 1", "\\pm 1", "$1$ and $-1$", "1", "-1", "1, -1, 0"]
    graded = grade_any(grader, [(answer, two.answers) for answer in given])
    assert [grade.correct for grade in graded] == [True, True, True, False, False, False]


def test_levels_are_a_filter_and_the_size_is_that_of_the_whole_set(hub):
    hub("math")
    found = load_benchmark("math", named("math", where={"level": ["Level 4", "Level 5"]}), SUMS)
    assert len(found.problems) == 2000 and found.left_out == "of 5000 rows, left out: 3000 filtered out"


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("aime24", lambda found: found[:29], r"HuggingFaceH4/aime_2024 has 29 problems, and evaluation.benchmarks."
         r"aime24.size=30 was expected: .*; evaluation.benchmarks.aime24.size=null accepts it"),
        ("aime24", lambda found: found * 32, r"aime_2024 has 960 problems, and .*size=30"),
        ("aime24", lambda found: [{**found[0], "id": i} for i in range(30)],
         r"asks the same more than once: 29 of 30 rows repeat .*\n  row 0, row 1, .*, …: 'What is 0 plus one\?'\n"
         r".* with evaluation.benchmarks.aime24.on_repeat=drop"),
        ("aime24", lambda found: [{"Problem": r["problem"], "Answer": r["answer"], "ID": 1} for r in found],
         r"evaluation.benchmarks.aime24: .* has no column problem; it has Problem, Answer, ID; set "
         r"evaluation.benchmarks.aime24.question=Problem"),
        ("amc83", lambda found: [{**r, "answer": "many"} for r in found], "'many' is not a number"),
        ("math500", lambda found: [{k: v for k, v in r.items() if k != "unique_id"} for r in found],
         "has no unique_id in any row; set evaluation.benchmarks.math500.id"),
        ("olympiadbench", lambda found: [{k: v for k, v in r.items() if k != "context"} for r in found],
         "has no column context; .*; set evaluation.benchmarks.olympiadbench.before to one of them, or to null"),
        ("olympiadbench", lambda found: [{**r, "context": ["a"]} for r in found],
         "context is a list, and what stands before a question is a text"),
        ("gsm8k", lambda found: [{**r, "answer": "5" if i == 3 else r["answer"]} for i, r in enumerate(found)],
         "row 3: '####' is not in the answer '5'.*\nmend .* with evaluation.benchmarks.gsm8k.on_bad_gold=drop"),
    ],
)  # fmt: skip
def test_a_set_that_was_changed_is_refused(name, change, said, hub):
    hub(name, change)
    with pytest.raises(UserError, match=said):
        load_benchmark(name, named(name), SUMS)


def own_file(path: Path, **changes) -> Benchmark:
    return named("jsonl", path=str(path), **changes)


def loaded(benchmark: Benchmark, data: DataConfig) -> Loaded:
    return load_benchmark("jsonl", benchmark, data)


@pytest.fixture
def trained(file) -> DataConfig:
    return data_of(file([{"prompt": asked(i), "answer": i + 1} for i in range(10, 60)], "trained.jsonl"))


def test_problems_that_are_trained_on_are_refused_left_out_or_kept_and_counted(file, trained):
    path = file([{"prompt": f"{asked(i)} ", "answer": i + 1} for i in range(15)], "asked.jsonl")
    said = "5 of its 15 problems stand in the training data (data=jsonl), so that right answers may be remembered: "
    said += "'What is 10 plus one?', 'What is 11 plus one?', 'What is 12 plus one?', …; leave them out with "
    said += (
        "evaluation.benchmarks.jsonl.shared=drop, or ask them nevertheless with evaluation.benchmarks.jsonl.shared=keep"
    )
    with pytest.raises(UserError, match=re.escape(said)):
        loaded(own_file(path), trained)
    dropped, kept = loaded(own_file(path, shared="drop"), trained), loaded(own_file(path, shared="keep"), trained)
    assert (len(dropped.problems), dropped.shared) == (10, 5)
    assert dropped.left_out == "left out: 5 also in the training data"
    assert (len(kept.problems), kept.shared, kept.kept_shared) == (15, 0, 5)
    assert kept.left_out == "asked although also in the training data: 5" and kept.as_json()["kept_shared"] == 5


def test_a_benchmark_of_nothing_but_training_problems_cannot_leave_them_out(file, trained):
    path = file([{"prompt": asked(i), "answer": i + 1} for i in range(10, 15)], "asked.jsonl")
    with pytest.raises(UserError, match=r"5 of its 5 problems .* plus one\?', …; ask them nevertheless with"):
        loaded(own_file(path, shared="drop"), trained)


def test_fresh_problems_are_compared_with_the_training_data_too(file):
    benchmark = named("decimal_sums", size=20)
    problems = load_benchmark("decimal_sums", benchmark, SUMS).problems
    path = file([{"prompt": p.question, "answer": p.answer} for p in problems[:2]] * 3 + [{"prompt": "a", "answer": 1}])
    with pytest.raises(UserError, match=r"2 of its 20 problems stand in the training data"):
        load_benchmark("decimal_sums", benchmark, data_of(path))
    only = SUMS.model_copy(update={"only": {"question": "1+1", "answer": "2"}})
    assert len(load_benchmark("mini", named("mini"), only.model_validate(only.model_dump())).problems) == 500


@pytest.mark.parametrize(
    ("content", "changes", "said"),
    [
        ([], {}, "has no rows"),
        ([{"prompt": "1+1", "answer": 2}], {"size": 2}, "has 1 problems, and evaluation.benchmarks.jsonl.size=2"),
        ([{"prompt": "1+1", "answer": None}], {}, r"line 1: the answer is null"),
        ([{"q": "1+1", "answer": 2}], {}, "has no column prompt; it has q, answer; set evaluation.benchmarks.jsonl.q"),
        ([{"prompt": "1+1", "answer": "1"}, {"prompt": "1+1", "answer": "1"}], {}, "1 of 2 rows repeat"),
        ("[1", {}, r"evaluation.benchmarks.jsonl: .*asked.jsonl, line 1: expected one object a line"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_benchmark_is_refused(content, changes, said, file):
    path = file(content, "asked.jsonl")
    with pytest.raises(UserError, match=said):
        loaded(own_file(path, **changes), SUMS)


def test_a_benchmark_of_no_file_names_its_key(tmp_path):
    said = (
        r"evaluation.benchmarks.jsonl: cannot read .*: No such file or directory; set evaluation.benchmarks.jsonl.path"
    )
    with pytest.raises(UserError, match=said):
        loaded(own_file(tmp_path / "nothing.jsonl"), SUMS)


def test_the_size_of_the_cells_own_data_is_checked():
    with pytest.raises(UserError, match=r"the test split of data=sums has 500 problems, and .*mini.size=5 was"):
        load_benchmark("mini", named("mini", size=5), SUMS)


def test_repeated_rows_may_be_meant(file):
    path = file([{"prompt": asked(i % 3), "answer": i % 3 + 1} for i in range(9)])
    found = loaded(own_file(path, on_repeat="drop", size=9), SUMS)
    assert len(found.problems) == 3 and found.left_out == "of 9 rows, left out: 6 repeated"


def test_a_file_counts_by_its_problems(file):
    content = [{"prompt": asked(i), "answer": i + 1, "a": f"#### {i + 1}"} for i in range(5)]
    one, other = file(content, "a.jsonl"), file(content[:4], "b.jsonl")
    same = own_file(one), own_file(file(content, "c.jsonl"), answer="a", gold={"after": "####"}, id=None)
    assert benchmark_hash("jsonl", same[0]) == benchmark_hash("jsonl", same[1])
    assert benchmark_hash("jsonl", own_file(other)) != benchmark_hash("jsonl", same[0])


def test_before_a_launch_what_needs_the_network_is_left_to_the_job(monkeypatch, hub):
    hub("aime24", lambda found: found[:5])
    monkeypatch.setattr("sweep.data.benchmarks.in_cache", lambda place: False)
    assert check_benchmark("aime24", named("aime24"), SUMS) is None
    assert len(check_benchmark("mini_fresh", named("mini_fresh"), SUMS).problems) == 500
    away = compose_cells(["data=deepscaler", "model=qwen2_5_math_7b"])[0].config.data
    assert check_benchmark("own", named("own"), away) is None
    assert len(check_benchmark("decimal_sums", named("decimal_sums"), away).problems) == 500
    monkeypatch.setattr("sweep.data.benchmarks.in_cache", lambda place: True)
    with pytest.raises(UserError, match="has 5 problems"):
        check_benchmark("aime24", named("aime24"), SUMS)


def test_every_file_states_what_it_is():
    for name, benchmark in files().items():
        first, second, *_ = (ROOT / "conf" / "evaluation" / f"{name}.yaml").read_text().splitlines()
        assert first == f"# @package evaluation.benchmarks.{name}" and second.startswith("# ")
        assert benchmark.size is not None or name in ("jsonl", "own")


def test_the_table_of_the_docs_is_what_the_files_say():
    page = (ROOT / "docs" / "benchmarks.md").read_text()
    lines = re.findall(r"^\| `\w+` \|.*\|$", page, flags=re.M)
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    shown = {row[0].strip("`"): row[2:5] for row in table if len(row) == 7}
    assert shown.keys() == files().keys()
    for name, benchmark in files().items():
        source, size, sampling = shown[name]
        assert size == str(benchmark.size or ""), name
        temperature = f" at {benchmark.temperature}" if benchmark.temperature else ", greedy"
        assert sampling == f"{benchmark.samples_per_problem}{temperature}", name
        if benchmark.source == "hub":
            assert source == f"`{benchmark.path}`, {benchmark.split}", name


def test_the_benchmark_of_the_docs_composes(tmp_path):
    page = (ROOT / "docs" / "benchmarks.md").read_text()
    (tmp_path / "evaluation").mkdir()
    (tmp_path / "evaluation" / "hard_math.yaml").write_text(re.search("```yaml\n(.*?)```", page, flags=re.S).group(1))
    (cell,) = compose_cells(["evaluation=[mini,hard_math]"], str(tmp_path))
    own = cell.config.evaluation.benchmarks["hard_math"]
    assert (own.samples_per_problem, own.temperature, own.where) == (4, 0.6, (("level", ("Level 5",)),))
