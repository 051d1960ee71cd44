"""Who a run is: what counts, what does not, and that growth of the code renames no run (docs/identity.md)."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO

import pytest
from pydantic import BaseModel, Field
from rich.console import Console

from helpers.constants import ROOT, TINY
from helpers.written_sweeps import finish_all
from models.config import RECORDED
from models.hub import content_hash
from sweep.compare.cells import collect
from sweep.compare.table import print_verdict
from sweep.compare.verdict import judge
from sweep.config.cell import CellConfig
from sweep.dispatch.manage import retry
from sweep.errors import UserError
from sweep.plan.compose import compose_cells
from sweep.plan.plan import plan_sweep
from sweep.plan.signature import benchmark_identities, fields, training_identity
from sweep.plan.task import BASELINE, EVALUATION, LABEL, TRAIN
from sweep.run import identity as rules
from sweep.run.directory import RunDirectory
from sweep.run.files import write_json
from sweep.run.identity import differences, signature, stale
from sweep.run.ledger import read_sweep, record

RECORDED_HERE = ROOT / "tests" / "recorded"


def config(*overrides: str) -> CellConfig:
    (cell,) = compose_cells(list(overrides))
    return cell.config


@pytest.mark.parametrize(
    ("overrides", "read"),
    [
        (["reward=random"], set()),
        (["reward=format"], set()),
        (["reward=python"], set()),
        (["reward=no_repetition"], set()),
        (["reward=ground_truth"], {"grading"}),
        (["reward=majority_vote_online"], {"grading"}),
        (["reward=majority_vote"], {"grading", "labels"}),
        (["reward=incorrect"], {"grading", "labels"}),
        (["reward=all_of", "reward.rewards=[format,python]"], set()),
        (["reward=all_of", "reward.rewards=[format,ground_truth]"], {"grading"}),
        (["reward=not", "reward.reward=majority_vote"], {"grading", "labels"}),
    ],
)
def test_a_training_carries_the_rules_and_sections_that_it_reads(overrides, read):
    found = training_identity(config(*overrides))
    assert set(found.get("rules", {})) == read
    assert ("grading" in found, "labels" in found) == ("grading" in read, "labels" in read)


def test_what_cannot_change_the_weights_is_no_part_of_the_training():
    base = signature(training_identity(config("reward=random")))
    changes = [
        "evaluation.samples_per_problem=7", "evaluation.benchmarks.mini.split=validation", "evaluation.temperature=0",
        "grading=lenient", "labels.samples=8", "model.name=other", "data.name=other", "tracking.project=p",
        "steps=99", "retrain=true", "data.on_bad_gold=drop",
    ]  # fmt: skip
    assert {signature(training_identity(config("reward=random", change))) for change in changes} == {base}
    graded = ["reward=ground_truth", "grading=lenient"]
    assert signature(training_identity(config(*graded))) != signature(training_identity(config(graded[0])))


def test_an_evaluation_is_the_same_for_every_model_and_reward():
    base = benchmark_identities(config())
    assert benchmark_identities(config("model=llama3_mini", "reward=random", "seed=3", "algorithm=dapo")) == base
    for change in ("evaluation.samples_per_problem=7", "grading=lenient", "prompt=python_prefix"):
        assert benchmark_identities(config(change)) != base


def test_the_base_weights_of_the_minis_count_by_content():
    """Another recipe has no shipped weights and counts as the recipe it is."""
    shipped = training_identity(config())["model"]["weights"]
    assert shipped.startswith("blake2b:")
    assert training_identity(config("model.mini.steps=20"))["model"]["weights"] == {
        "recipe": {**fields(config().model.mini), "steps": 20}
    }
    copied = ROOT / "models" / "mini" / "weights" / "qwen"
    assert training_identity(config("model.mini=null", f"model.path={copied}"))["model"]["weights"] == shipped


class _Group(BaseModel):
    scale: float = Field(2.0, json_schema_extra={"neutral": 1.0})


class _Section(BaseModel):
    old: int = 3
    added: tuple[str, ...] = Field((), json_schema_extra={"neutral": ()})
    group: _Group = _Group()
    path: str = Field("x", json_schema_extra=RECORDED)


def test_fields_at_their_neutral_value_and_groups_of_such_are_left_out():
    assert fields(_Section(group=_Group(scale=1.0))) == {"old": 3}
    assert fields(_Section()) == {"old": 3, "group": {"scale": 2.0}}  # the default is not the neutral value
    assert fields(_Section(added=("a",), group=_Group(scale=1.0))) == {"old": 3, "added": ["a"]}


def neutral_values(schema: type[BaseModel] = CellConfig, prefix: str = "", around: tuple = ()) -> dict[str, object]:
    found = {}
    for name, field in schema.model_fields.items():
        key = f"{prefix}{name}"
        if "neutral" in (field.json_schema_extra or {}):
            found[key] = field.json_schema_extra["neutral"]
        for part in _schemas_in(field.annotation):
            if part not in around:
                found |= neutral_values(part, f"{key}.", (*around, part))
    return found


def _schemas_in(annotation) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [schema for part in getattr(annotation, "__args__", ()) for schema in _schemas_in(part)]


def test_neutral_values_are_the_recorded_ones():
    """A neutral value never changes. A new field's is added to the file by hand."""
    found = json.loads(json.dumps(neutral_values()))  # as the file has them: tuples are lists
    assert found == json.loads((RECORDED_HERE / "neutral.json").read_text())


RECORDED_SIGNATURES = json.loads((RECORDED_HERE / "signatures.json").read_text())


@pytest.mark.parametrize("typed", RECORDED_SIGNATURES)
def test_signatures_are_the_recorded_ones(typed, monkeypatch):
    """Where this fails, results that users have would be trained again: state a neutral value, or raise a rule."""
    monkeypatch.chdir(ROOT)  # a line may name a file of this repository
    monkeypatch.syspath_prepend(RECORDED_HERE)  # and a reward that is recorded there
    plan = plan_sweep([*typed.split(), "output_dir=nowhere"])
    found = [f"{task.module.rpartition('.')[2]} {task.signature}" for task in plan.tasks]
    assert found == RECORDED_SIGNATURES[typed]


@pytest.mark.parametrize("group", ["model", "reward", "algorithm"])
def test_every_choice_that_is_shipped_has_a_recorded_signature(group):
    """What is new gets a line in signatures.json: the overrides, and what this test's neighbour finds for them."""
    shipped = {file.stem for file in (ROOT / "conf" / group).glob("*.yaml")}
    words = [word for typed in RECORDED_SIGNATURES for word in typed.split()]
    recorded = {choice for word in words if word.startswith(f"{group}=") for choice in word.split("=")[1].split(",")}
    assert recorded == shipped


def test_every_kind_of_run_has_a_recorded_signature():
    kinds = {run.split()[0] for runs in RECORDED_SIGNATURES.values() for run in runs}
    assert kinds == {module.rpartition(".")[2] for module in (BASELINE, LABEL, TRAIN, EVALUATION)}


@pytest.fixture
def raised(monkeypatch):
    """A version of the code whose rules of grading are one number on."""

    def raise_grading() -> None:
        monkeypatch.setitem(rules.NUMBERS, "grading", rules.GRADING + 1)

    return raise_grading


def test_a_finished_run_under_another_evaluation_is_evaluated_and_not_trained(tmp_path):
    typed = [*TINY, "name=s", f"output_dir={tmp_path}", "reward=random,ground_truth"]
    first = plan_sweep(typed)
    finish_all(first)
    second = plan_sweep([*typed, "evaluation.samples_per_problem=3"])
    assert [t.module for t in second.cells] == [EVALUATION, EVALUATION]
    trained = [t for t in second.stages if t.module == TRAIN]
    assert [t.directory for t in trained] == [t.directory for t in first.cells]
    assert second.cells[0].after == (second.stages[0].directory, trained[0].directory)
    assert second.cells[0].config.evaluation.weights == f"cells/{trained[0].directory.name}"
    assert [t.signature for t in plan_sweep(typed).cells] == [t.signature for t in first.cells]

    finish_all(second)
    cells = collect(tmp_path, "s").cells
    assert [(c.reward, c.evaluation) for c in cells] == [
        (reward, signature(plan.cells[0].evaluations["mini"]))
        for plan in (first, second)
        for reward in ("random", "ground_truth")
    ]
    assert {c.unlike for c in cells} == {""} and {c.step for c in cells} >= {4}
    assert len(read_sweep(tmp_path, "s").stages) == 2  # each training stands once, as the cell that it is


def test_a_training_that_went_on_counts_once_under_each_evaluation(tmp_path):
    """Another sweep raises the steps and evaluates otherwise; the first sweep is then launched again."""
    typed, more = [*TINY, f"output_dir={tmp_path}", "reward=random"], "evaluation.samples_per_problem=3"
    finish_all(plan_sweep([*typed, "name=s"]))
    finish_all(plan_sweep([*typed, "name=s", more]))
    finish_all(plan_sweep([*typed, "name=other", "steps=6", "evaluation.samples_per_problem=2"]))
    cells = collect(tmp_path, "s").cells
    assert [bool(c.unlike) for c in cells] == [True, False]  # the training's own result is that of the other sweep now
    for overrides in (["name=s"], ["name=s", more]):
        finish_all(plan_sweep([*typed, *overrides]))
    cells = collect(tmp_path, "s").cells
    assert [(c.unlike, RunDirectory(c.directory).identity["steps"]) for c in cells] == [("", 6), ("", 6)]
    assert len({c.evaluation for c in cells}) == 2


def test_a_training_under_way_to_fewer_steps_is_not_evaluated_in_place_of_the_steps_asked_for(tmp_path):
    typed = [*TINY, f"output_dir={tmp_path}"]
    finish_all(plan := plan_sweep([*typed, "name=s"]))
    run = RunDirectory(plan.cells[0].directory)
    run.write_state(state="running", step=2)
    with run.exclusive():
        (fault,) = plan_sweep([*typed, "steps=8", "evaluation.samples_per_problem=3"]).obstacles
        assert "to step 4 under another evaluation" in fault and "to step 8" in fault
        assert plan_sweep([*typed, "evaluation.samples_per_problem=3"]).obstacles == []


def test_one_launch_evaluates_one_training_in_several_ways(tmp_path):
    plan = plan_sweep([*TINY, f"output_dir={tmp_path}", "evaluation.samples_per_problem=1,2,3"])
    assert [t.module for t in plan.cells] == [TRAIN, EVALUATION, EVALUATION]
    assert len({t.signature for t in plan.cells}) == 3 and len(plan.stages) == 3  # a baseline for each


def test_a_finished_training_among_several_evaluations_stands_once_and_first(tmp_path):
    typed = [*TINY, "name=s", f"output_dir={tmp_path}"]
    finish_all(plan_sweep([*typed, "evaluation.samples_per_problem=3"]))
    plan = plan_sweep([*typed, "evaluation.samples_per_problem=1,3"])
    assert [t.module for t in plan.cells] == [TRAIN, EVALUATION]
    assert len({t.directory for t in plan.tasks}) == len(plan.tasks)
    places = [t.directory for t in plan.tasks]
    assert all(places.index(need) < places.index(t.directory) for t in plan.tasks for need in t.after)


def test_a_run_is_found_by_its_signature_whatever_its_model_file_is_called(tmp_path):
    typed = [*TINY, f"output_dir={tmp_path}"]
    finish_all(plan_sweep([*typed, "name=s"]))
    (cell,) = plan_sweep([*typed, "model.name=renamed"]).cells
    assert cell.directory.name.startswith("qwen2_mini-") and cell.directory.exists()


def test_what_an_older_version_finished_is_named_and_trained_again_only_when_asked(tmp_path, raised):
    typed = [*TINY, "name=s", f"output_dir={tmp_path}", "reward=random,ground_truth"]
    first = plan_sweep(typed)
    finish_all(first)
    raised()
    plan = plan_sweep(typed)
    by_reward = {t.axes["reward"]: t for t in plan.cells}
    assert by_reward["random"].module == EVALUATION  # its weights did not read the rule, its accuracy did
    (fault,) = plan.obstacles
    assert "reward=ground_truth" in fault and f"grading rules {rules.GRADING}, now {rules.GRADING + 1}" in fault
    assert str(first.cells[1].directory) in fault and "retrain=true" in fault
    (renamed,) = plan_sweep([*typed, "model.name=renamed"]).obstacles
    assert str(first.cells[1].directory) in renamed
    again = plan_sweep([*typed, "retrain=true"])
    assert again.obstacles == [] and not {t.directory for t in again.cells} & {t.directory for t in first.cells}


def test_an_unfinished_run_of_an_older_version_is_left_alone(tmp_path, raised):
    typed = [*TINY, "name=s", f"output_dir={tmp_path}"]
    plan = plan_sweep(typed)
    finish_all(plan)
    RunDirectory(plan.cells[0].directory).write_state(state="failed")
    raised()
    assert plan_sweep(typed).obstacles == []
    with pytest.raises(UserError, match="made by another version of the code"):
        retry(read_sweep(tmp_path, "s"), ["reward=ground_truth"], [], [], False)


def test_rows_that_were_evaluated_otherwise_say_so_unless_an_axis_does(tmp_path):
    def table(name: str) -> str:
        console = Console(file=StringIO(), width=200)
        print_verdict(judge(collect(tmp_path, name)), console)
        return console.file.getvalue()

    typed = [*TINY, f"output_dir={tmp_path}"]
    finish_all(plan_sweep([*typed, "name=rows", "reward=random"]))
    assert "differ: " not in table("rows")
    finish_all(plan_sweep([*typed, "name=rows", "reward=format", "evaluation.samples_per_problem=3"]))
    assert "differ: evaluation.samples_per_problem 1 and 3" in table("rows")
    finish_all(plan_sweep([*typed, "name=axes", "reward=random,format", "evaluation.samples_per_problem=1,3"]))
    assert "differ: " not in table("axes")


def test_compare_says_that_an_evaluation_is_older_than_the_rules_of_today(tmp_path, raised):
    finish_all(plan_sweep([*TINY, "name=s", "reward=random", f"output_dir={tmp_path}"]))
    assert [cell.older for cell in collect(tmp_path, "s").cells] == [""]
    raised()
    (cell,) = collect(tmp_path, "s").cells
    assert cell.older == f"grading rules {rules.GRADING}, now {rules.GRADING + 1}" and cell.rules == {}


def test_cells_of_several_launches_that_differ_in_a_typed_key_are_no_seeds_of_one_another(tmp_path, capsys):
    for typed in (["reward.probability=0.9", "seed=0"], ["reward.probability=0.1", "seed=1"]):
        finish_all(plan_sweep([*TINY, "name=s", "reward=random", f"output_dir={tmp_path}", *typed]))
    print_verdict(judge(collect(tmp_path, "s")), Console(width=200))
    results = capsys.readouterr().out.partition("contrasts")[0]
    rows = [[word.strip() for word in line.split("│")] for line in results.splitlines() if "qwen2_mini" in line]
    assert [(*row[1:4], row[8]) for row in rows] == [
        ("qwen2_mini", "random", "0.9", "1"),
        ("qwen2_mini", "random", "0.1", "1"),
    ]


def test_a_long_value_that_tells_cells_apart_is_shown_hashed(tmp_path):
    for text in ("a" * 50, "b" * 50):
        finish_all(plan_sweep([*TINY, "name=s", f"prompt.system={text}", f"output_dir={tmp_path}"]))
    shown = [c.axes["prompt.system"] for c in collect(tmp_path, "s").cells]
    assert len(set(shown)) == 2 and all(value.startswith("#") and len(value) == 13 for value in shown)


def test_compare_says_which_seeds_were_trained_further(tmp_path, capsys):
    plan = plan_sweep([*TINY, "name=s", "seed=0,1,2", f"output_dir={tmp_path}"])
    finish_all(plan)
    RunDirectory(plan.cells[1].directory).write_state(step=9)
    print_verdict(judge(collect(tmp_path, "s")), Console(width=200))
    said = " ".join(capsys.readouterr().out.split())
    assert "its seeds were not trained alike (seed 0 to step 4, seed 1 to step 9, seed 2 to step 4)" in said


@pytest.mark.parametrize("typed", ["evaluation.weights=cells/x", "labels.shard=3", "labels.directories=[stages/x]"])
def test_what_the_plan_sets_for_its_jobs_is_not_to_be_typed(typed):
    with pytest.raises(UserError, match=f"{typed.partition('=')[0]}: is set by the plan"):
        plan_sweep([typed])


def test_a_single_file_of_weights_may_be_called_anything(tmp_path):
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / name).write_bytes(b"weights")
    assert content_hash(tmp_path / "a.gguf") == content_hash(tmp_path / "b.gguf")


def test_compare_refuses_to_subtract_results_of_other_rules_and_says_which(tmp_path, raised):
    typed = [*TINY, "name=s", f"output_dir={tmp_path}"]
    plan = plan_sweep(typed)
    finish_all(plan)
    raised()
    newer = plan_sweep([*typed, "retrain=true"])
    finish_all(newer)
    # A final result under the old rules beside a base under the new ones, as a job leaves them that was frozen before.
    base = newer.stages[0]
    mixed = replace(plan.cells[0].entry, stages=[str(base.directory.relative_to(tmp_path))])
    record("mixed", tmp_path, [base.entry], [mixed], [])
    (cell,) = collect(tmp_path, "mixed").cells
    assert cell.difference is None and cell.base_accuracy == cell.final_accuracy == 0.5
    assert f"rules.grading {rules.GRADING} and {rules.GRADING + 1}" in cell.unlike


def test_runs_of_the_first_schema_are_named_as_such_and_never_taken_for_todays(tmp_path):
    typed = [*TINY, "name=s", f"output_dir={tmp_path}"]
    plan = plan_sweep(typed)
    (cell,) = plan.cells
    old = cell.directory.with_name(cell.directory.name[:-12] + "0123456789ab")
    run = RunDirectory(old)
    run.freeze(cell.config, "0123456789ab", {"schema": 1}, {})
    run.write_state(state="done", step=4, steps=4)
    write_json(run.result, {"step": 4, "accuracy": 0.5})
    (fault,) = plan_sweep(typed).obstacles
    assert "identity schema 1, now 2" in fault and old.name in fault
    entry = replace(cell.entry, signature="0123456789ab", directory=f"cells/{old.name}")
    record("s", tmp_path, [plan.stages[0].entry], [entry], [])
    assert collect(tmp_path, "s").cells[0].older == "identity schema 1, now 2"


def test_identities_are_compared_key_by_key():
    one, other = {"a": 1, "rules": {"grading": 1}}, {"a": 1, "rules": {"grading": 2}, "b": {"c": 3}}
    assert differences(one, other) == ["b.c the default and 3", "rules.grading 1 and 2"]
    assert stale({"schema": rules.SCHEMA, "rules": dict(rules.NUMBERS)}) == ""
    assert stale({"schema": rules.SCHEMA}) == ""  # it reads no rule
