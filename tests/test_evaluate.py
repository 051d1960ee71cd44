"""Evaluation during training and afterwards, for real, on one small sweep: numbers, answers, targets, refusals."""

from __future__ import annotations

import contextlib
import io
import shutil
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from helpers.constants import ROOT
from helpers.documented import PAGES, bash_words, commands
from helpers.evaluated import cell, cells, evaluate, numbers, of, sampled, texts
from helpers.pretend_devices import pretend_gpus
from sweep.__main__ import main
from sweep.dispatch.launch import launch
from sweep.evaluate import waiting
from sweep.job.phases import Phases
from sweep.plan.model_here import overrides_for
from sweep.run.answer_files import AnswerWriter, locked_answers
from sweep.run.answer_manifest import find_manifest
from sweep.run.answer_places import KeptEvaluation, finished, finished_of_training
from sweep.run.answer_reading import read_answers
from sweep.run.directory import RunDirectory
from sweep.run.identity import signature
from sweep.run.kept_weights import kept_weights

TYPED = [
    "name=s",
    "reward=random",
    "tuning=full,lora",
    "model.dtype=float32,bfloat16",
    "steps=4",
    "algorithm.prompts_per_step=2",
    "algorithm.samples_per_prompt=2",
    "algorithm.updates_per_rollout=1",
    "checkpoint.every=4",
    "checkpoint.weights_every=2",
    "tracking.mode=disabled",
    "evaluation=[mini,mini_fresh]",
    "evaluation.problems=8",
    "evaluation.every=2",
    "evaluation.benchmarks.mini_fresh.every=3",
    "evaluation.benchmarks.mini_fresh.max_operations=4",
    "cluster=inline",
]
FULL, LORA = ["tuning=full", "model.dtype=float32"], ["tuning=lora", "model.dtype=float32"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, cache_dir) -> Path:
    """The output directory of a sweep that is trained once; a test that changes what is there takes a copy."""
    root = tmp_path_factory.mktemp("evaluate") / "runs"
    with contextlib.redirect_stdout(io.StringIO()):
        assert launch([*TYPED, f"output_dir={root}", f"cache_dir={cache_dir}"]) == 0
    return root


@pytest.fixture
def copy(trained, tmp_path) -> Path:
    root = shutil.copytree(trained, tmp_path / "runs", ignore=shutil.ignore_patterns("code"))
    (root / "code").symlink_to(trained / "code")
    return root


def test_the_numbers_of_a_training_are_those_of_the_answers_that_it_kept(trained):
    for run in cells(trained):
        rows = {row["step"]: row for row in run.read_metrics()}
        kept = finished_of_training(trained, run.path.name)
        steps = [(one.step, one.manifest.benchmark) for one in kept]
        assert steps == [(2, "mini"), (3, "mini_fresh"), (4, "mini"), (4, "mini_fresh")]
        for one in kept:
            name, expected = one.manifest.benchmark, numbers(one, 2)
            assert one.manifest.rows == 16 and expected["problems"] == 8
            row = rows[one.step]
            assert {f"eval/{name}/{key}": value for key, value in expected.items()}.items() <= row.items()
            assert row[f"evaluation/{name}"] == signature(run.evaluations[name])
            first = {f"eval/{key}": value for key, value in expected.items()}
            assert (first.items() <= row.items()) == (name == "mini")
        assert not any(key.startswith("eval") for key in rows[1])
        result = run.read_result()
        for benchmark in ("mini", "mini_fresh"):
            (last,) = of(trained, run, 4, benchmark)
            assert numbers(last, 2).items() <= result["benchmarks"][benchmark].items()
        assert result["benchmarks"]["mini"].items() <= result.items()
    untrained = [one for place in (trained / "answers").glob("*/untrained") for one in finished(place)]
    results = [RunDirectory(path).read_result()["benchmarks"] for path in (trained / "stages").glob("baseline-*")]
    found = sorted((one.manifest.benchmark, numbers(one, 2)["tokens"]) for one in untrained)
    assert found == sorted((name, result["tokens"]) for by in results for name, result in by.items())
    assert len(found) == 4 and all(one.step is None for one in untrained)


def test_what_was_evaluated_in_training_is_not_sampled_later_whatever_the_tuning_and_type(copy):
    """The hash of the model that sampled in training is that of the weights as they are loaded later."""
    before = {path: path.read_bytes() for path in copy.glob("answers/**/*.parquet")}
    evaluate(copy, "s")
    later = {name: tokens for name, tokens in sampled(copy).items() if name.startswith("evaluation-")}
    assert len(later) == 4 and set(later.values()) == {0}
    assert {path: path.read_bytes() for path in copy.glob("answers/**/*.parquet")} == before


def test_targets_are_raised_by_what_is_missing_and_nothing_is_answered_twice(copy):
    run = cell(copy)
    (before,) = of(copy, run, 4, "mini")
    part, held = (before.directory / "part-00000.parquet").read_bytes(), texts(before.directory)
    more = ["s", *FULL, "evaluation.samples_per_problem=4", "evaluation.chunk=8"]
    assert "2 evaluations, 0 done before" in evaluate(copy, *more)
    (after,) = of(copy, run, 4, "mini")
    assert (before.directory / "part-00000.parquet").read_bytes() == part
    assert [one.rows for one in after.manifest.parts] == [16, 8, 8] and after.manifest.samples_per_problem == 4
    assert held.items() <= texts(after.directory).items() and len(texts(after.directory)) == 32
    (stage,) = (RunDirectory(path) for path in (copy / "stages").glob("evaluation-*"))
    assert numbers(after, 4).items() <= stage.read_result()["benchmarks"]["mini"].items()
    assert run.read_result()["samples_per_problem"] == 2
    spent = sampled(copy)
    assert "2 evaluations, 2 done before" in evaluate(copy, *more)
    assert sampled(copy) == spent


def test_steps_seeds_cells_and_benchmarks_are_chosen(copy):
    said = evaluate(copy, "s", *FULL, "--step", "all", "evaluation.seed=0,1", "evaluation.benchmarks.mini.problems=4")
    assert "6 evaluations" in said and "with evaluation.seed=1" in said
    assert said.count(", evaluation seeds 0, 1: ") == 6  # two benchmarks at three steps
    kept = [one for one in finished_of_training(copy, cell(copy).path.name) if one.manifest.benchmark == "mini"]
    by_step = Counter((one.step, one.manifest.identity["evaluation"].get("seed", 0)) for one in kept)
    assert by_step == {(2, 0): 1, (4, 0): 1, (2, 1): 1, (4, 1): 1}
    seeds = [texts(one.directory) for one in of(copy, cell(copy), 4, "mini")]
    assert any(seeds[0][pair] != seeds[1][pair] for pair in seeds[0].keys() & seeds[1].keys())


def test_another_benchmark_under_a_prompt_of_its_own_of_the_untrained_model_alone(copy):
    said = evaluate(
        copy,
        "s",
        *FULL,
        "--step",
        "0",
        "prompt@evaluation.prompt=none",
        "evaluation.prompt.stop_strings=[box]",
        "evaluation.problems=6",
    )
    assert "1 evaluation," in said and "an answer was found (boxed, answer_tag) in 0 % of the responses" in said
    found = [one for one in _untrained(copy) if one.manifest.identity["prompt"].get("stop_strings")]
    assert {(one.manifest.benchmark, one.manifest.problems) for one in found} == {("mini", 6), ("mini_fresh", 6)}
    assert {one.manifest.identity["prompt"]["format"] for one in found} == {"none"}
    ends = read_answers(found[0].directory, ["finish", "text"]).to_pylist()
    assert "stop" in {row["finish"] for row in ends}
    assert all(row["text"].endswith("box") == (row["finish"] == "stop") for row in ends)
    assert len({one.sign for one in _untrained(copy)}) == 4  # two benchmarks under two prompts


def _untrained(root: Path) -> list[KeptEvaluation]:
    return [one for place in (root / "answers").glob("*/untrained") for one in finished(place)]


def test_a_job_that_dies_in_the_middle_goes_on_by_chunk(copy, monkeypatch):
    typed = ["s", *FULL, "--step", "2", "evaluation.seed=7", "evaluation=mini", "evaluation.problems=4"]
    write, done = AnswerWriter.write, []

    def dies(self, answers, made):
        if len(done) == 2:
            raise OSError(28, "No space left on device")
        done.append(write(self, answers, made))

    visited, at = set(), Phases.at
    with monkeypatch.context() as dying:
        dying.setattr(AnswerWriter, "write", dies)
        dying.setattr(Phases, "at", lambda self, name: (visited.add(name), at(self, name))[1])
        evaluate(copy, *typed, "evaluation.chunk=2", code=1)
    # The watchdog compares a chunk with earlier chunks of its benchmark alone, and never with the hash, which is quick.
    assert {name for name in visited if "evaluation" in name} == {
        "evaluation: mini",
        "evaluation: hash of the weights",
    }
    (place,) = {
        path.parent for path in copy.glob("answers/*/step_000002/mini-*/*") if find_manifest(path.parent) is None
    }
    parts = {path: path.read_bytes() for path in place.glob("part-*.parquet")}
    assert len(parts) == 2 and not of(copy, cell(copy), 2, "mini")[1:]
    evaluate(copy, *typed, "evaluation.chunk=2")
    (found,) = (one for one in of(copy, cell(copy), 2, "mini") if one.directory == place)
    assert [part.rows for part in found.manifest.parts] == [2, 2, 2, 2]
    assert parts.items() <= {path: path.read_bytes() for path in place.glob("part-*.parquet")}.items()
    (stage,) = (RunDirectory(path).read_state() for path in (copy / "stages").glob("evaluation-*"))
    first, second = (attempt.generated for attempt in stage.spent)
    assert first > 0 < second and first + second == sum(read_answers(place, ["tokens"])["tokens"].to_pylist())
    assert stage.progress == 8  # an attempt that hangs after these is no attempt without progress


def test_two_processes_of_a_job_answer_what_one_does(copy):
    """As a job of its own, in which the problems are dealt out over both."""
    typed = ["s", *FULL, "--step", "2", "evaluation=mini", "evaluation.problems=5", "evaluation.seed=9"]
    evaluate(copy, *typed, "cluster=local", "deepspeed.processes=2")
    (two,) = (one for one in of(copy, cell(copy), 2, "mini") if one.manifest.problems == 5)
    rows, (stage,) = read_answers(two.directory).to_pylist(), copy.glob("stages/evaluation-*")
    assert len(list(stage.glob("attempts/*_1_log.out"))) == 1
    result = RunDirectory(stage).read_result()
    for directory in (two.directory, stage):
        shutil.rmtree(directory)
    evaluate(copy, *typed)
    assert read_answers(two.directory).to_pylist() == rows and RunDirectory(stage).read_result() == result


def test_a_second_job_waits_for_the_first_and_answers_nothing_twice(copy, monkeypatch, caplog):
    """The lock of the answers is held elsewhere, until all of them are there."""
    typed = ["s", *FULL, "--step", "2", "evaluation=mini", "evaluation.problems=4", "evaluation.seed=8"]
    evaluate(copy, *typed)
    (found,) = (one for one in of(copy, cell(copy), 2, "mini") if one.manifest.identity["evaluation"].get("seed") == 8)
    (stage,) = (RunDirectory(path) for path in copy.glob("stages/evaluation-*"))
    first = stage.read_result()
    shutil.rmtree(stage.path)
    held, waited = threading.Event(), threading.Event()

    def other() -> None:
        with locked_answers(found.directory):
            held.set()
            waited.wait(60)

    monkeypatch.setattr(waiting.time, "sleep", lambda seconds: waited.set())
    thread = threading.Thread(target=other)
    thread.start()
    held.wait(60)
    evaluate(copy, *typed)
    thread.join()
    assert waited.is_set() and "writes there" in (stage.path / "log.txt").read_text()
    assert stage.read_result() == first and sampled(copy)[stage.path.name] == 0


def test_answers_of_weights_that_are_gone_are_replaced(copy):
    """The run went on elsewhere, and its final weights are others now; the same evaluation of the old ones is done."""
    run, typed = cell(copy), ["s", *FULL, "--step", "4", "evaluation.samples_per_problem=3"]
    evaluate(copy, *typed)
    (before,) = of(copy, run, 4, "mini")
    shutil.copy(run.weights / "step_000002" / "model.safetensors", run.final / "model.safetensors")
    evaluate(copy, *typed)
    (after,) = of(copy, run, 4, "mini")
    assert after.directory == before.directory and after.manifest.weights.hash != before.manifest.weights.hash
    assert after.manifest.rows == 24
    (step_2,) = of(copy, run, 2, "mini")
    assert after.manifest.weights.hash == step_2.manifest.weights.hash
    assert texts(step_2.directory).items() <= texts(after.directory).items()
    (stage,) = copy.glob("stages/evaluation-*")
    assert "answers of other weights" in (stage / "log.txt").read_text()


def test_answers_that_were_removed_are_made_again(copy):
    """A message about damaged answers advises to remove them, and to evaluate again."""
    typed = ["s", *FULL, "--step", "2", "evaluation=mini", "evaluation.problems=4"]
    evaluate(copy, *typed)
    (kept,) = of(copy, cell(copy), 2, "mini")
    (stage,) = (RunDirectory(path) for path in copy.glob("stages/evaluation-*"))
    before, first = texts(kept.directory), stage.read_result()
    shutil.rmtree(kept.directory)
    evaluate(copy, *typed)
    (again,) = of(copy, cell(copy), 2, "mini")
    assert again.directory == kept.directory and again.manifest.rows == 8
    assert texts(again.directory).items() <= before.items() and stage.read_result() == first


def test_a_training_that_goes_on_keeps_the_weights_of_the_step_that_was_its_last(copy, cache_dir):
    assert [*kept_weights(cell(copy))] == [2, 4]
    one = [word for word in TYPED if not word.startswith(("tuning=", "model.dtype=", "steps=", "name="))]
    with contextlib.redirect_stdout(io.StringIO()):
        assert launch([*one, *FULL, "steps=6", "name=longer", f"output_dir={copy}", f"cache_dir={cache_dir}"]) == 0
    kept = kept_weights(cell(copy))
    assert [*kept] == [2, 4, 6] and kept[4].parent.name == "weights" and kept[6].name == "final"


def test_a_model_that_was_not_trained_here(copy, tmp_path, cache_dir):
    """The final weights of a run, named by their directory, answer as the run's own do; a mini is known by its name."""
    run = cell(copy)
    same = [
        "evaluation=[mini,mini_fresh]",
        "evaluation.benchmarks.mini_fresh.max_operations=4",
        "evaluation.problems=8",
    ]
    said = evaluate(copy, "--model", str(run.final), *same, f"cache_dir={cache_dir}")
    assert f"sweep evaluation-{run.path.name}: 1 evaluation" in said
    (own,) = of(copy, run, 4, "mini")
    (found,) = (
        one
        for one in _untrained(copy)
        if one.manifest.weights.hash == own.manifest.weights.hash and one.manifest.benchmark == "mini"
    )
    assert found.sign == own.sign and texts(found.directory) == texts(own.directory)
    evaluate(copy, "--model", "qwen2_mini", "--name", "m", *same, "evaluation.problems=1", f"cache_dir={cache_dir}")
    assert {one.manifest.problems for one in _untrained(copy)} == {8}  # its answers are there since the training


@pytest.fixture
def planned(copy, monkeypatch, tmp_path) -> Callable[[str], list[str]]:
    """Gives a command of the pages, and returns the labels of what it would evaluate."""
    for name in ("demo", "grid"):
        shutil.copytree(copy / "sweeps" / "s", copy / "sweeps" / name)
    export = shutil.copytree(cell(copy).final, tmp_path / "DIR")
    # Enough to sample from published models, and no room for the checkpoints of their training.
    monkeypatch.setattr("sweep.plan.machine.gpus", lambda: pretend_gpus(8, 40))
    monkeypatch.setattr("sweep.plan.places.shutil.disk_usage", lambda _: SimpleNamespace(free=2**30))
    found: list[str] = []
    carried = "sweep.dispatch.evaluate._carry_out"
    monkeypatch.setattr(carried, lambda plan, *_: found.extend(task.label for task in plan.cells) or 0)

    def plan(command: str) -> list[str]:
        found.clear()
        words = bash_words(command.replace("DIR", str(export)), tmp_path)[2:]
        axes = {"reward=random", "seed=0"}  # this sweep has one of each, so that they are no axes
        assert main([*(word for word in words if word not in axes), "--output-dir", str(copy)]) == 0
        return [*found]

    return plan


def test_every_command_of_the_pages_plans_evaluations(planned):
    shown = commands("python -m sweep evaluate", pages=[page for page in PAGES if page != "docs/paper.md"])
    assert len(shown) > 14
    for command in shown:
        labels = planned(command)
        assert labels and all(" by " in label for label in labels), command
    assert planned("python -m sweep evaluate --model ORGANISATION/MODEL model=qwen2_5_math_7b evaluation=math500") == [
        "baseline of MODEL by math500"
    ]


def _typed(value) -> str:
    return " ".join(value) if isinstance(value, list) else ""


REFUSED = [
    (["s", "--step", "3"], "has no weights of step 3; there are those of step 0, 2, 4"),
    (["s", "--step", "x"], "is the number of a step, or all"),
    (["s", "nowhere"], "nowhere: matches none of"),
    (["s", "tuning=half"], "tuning=half: no run has this value; there are full, lora"),
    (["t"], "t: no such sweep"),
    (["s", "steps=5"], "steps=5: belongs to a training"),
    (["s", "reward.name=x"], "reward.name=x: belongs to a training"),
    (["s", "--step", "0", "evaluation.weights=cells/x"], "choose weights by cells and --step"),
    (["s", "evaluation.every=5"], "evaluation.every=5: says how often a training is evaluated"),
    (["--model", "qwen2_mini", "reward=random"], "reward=random: belongs to a training"),
    (["--model", "qwen2_mini", "sizes=demo"], "sizes=demo: belongs to a training"),
    (["s", "evaluation=nosuch"], "evaluation=nosuch: no such evaluation"),
    (["s", "evaluation.benchmarks.other.seed=1"], "evaluation.benchmarks.other: no benchmark of this name is chosen"),
    (["s", "evaluation.temperature=-1"], "evaluation.temperature=-1"),
    (["s", "evaluation.temperature=0"], "temperature=0 gives the same answer each time"),
    (["s", "evaluation.max_response_tokens=1000"], "max_response_tokens=1000 exceed model.context=128"),
    (["s", "prompt@evaluation.prompt=nosuch"], "no such prompt"),
    (["s", "--name", "n"], "it belongs to --model"),
    (["evaluation=mini"], "name a sweep first"),
    (["--model", "qwen2_mini", "--step", "2"], "has no steps"),
    (["--model", "qwen2_mini", "s"], "with --model there is no sweep"),
    (["--model", "nobody/nothing"], "no file of conf/model describes it"),
    (["--model", "./nothing"], "does not exist"),
    (["--model", "qwen2_mni"], "did you mean qwen2_mini?"),
    (["--model", "./nothing", "model=qwen2_5_7b"], "does not exist"),
    (["--model", "README.md"], "is a file; say which model it holds with model=NAME"),
    (["--model", "docs"], "holds no weights (*.safetensors, *.bin)"),
    (["--model", "docs", "model=qwen2_5_7b"], "holds no weights (*.safetensors, *.bin)"),
    (["--modle", "qwen2_mini"], "No such option: --modle"),
    ([], "name a sweep first (evaluate SWEEP evaluation=math500), or a model"),
]


@pytest.mark.parametrize(
    ("words", "said"), REFUSED, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_bad_input_is_one_message_and_nothing_is_written(trained, words, said, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    before = {*trained.rglob("*")}
    assert main(["evaluate", *words, "--output-dir", str(trained)]) == 2
    assert said in capsys.readouterr().err
    assert {*trained.rglob("*")} == before


def test_adapters_alone_are_no_model(trained, capsys):
    directory = cell(trained, "lora").final
    assert main(["evaluate", "--model", str(directory), "--output-dir", str(trained)]) == 2
    assert "holds adapters alone; `python -m sweep export" in capsys.readouterr().err


def test_a_file_of_weights_needs_no_directory_around_it(tmp_path):
    file = tmp_path / "small.gguf"
    file.touch()
    found = overrides_for(str(file), ["model=smollm2_135m"], None)
    assert f"model.path={file}" in found and "model.name=small" in found
