"""A finished run under another evaluation, for real: its final weights are evaluated and nothing is trained again."""

from __future__ import annotations

import json

import pytest

from helpers.constants import TINY
from helpers.shells import Shell
from sweep.dispatch.export import export_cell
from sweep.errors import UserError
from sweep.job.attempt import Refused
from sweep.plan.plan import plan_sweep
from sweep.run.directory import RunDirectory
from sweep.run.files import write_json
from sweep.run.identity import signature
from sweep.stages.evaluation import weights_to_evaluate

TYPED = ["-m", *TINY, "steps=2", "name=s", "reward=random", "tuning=full,lora"]


def results(shell: Shell) -> dict[tuple[str, int], dict]:
    """`result.json` of the cells by their kind of tuning and number of samples."""
    found = {}
    for cell in shell.sweep("compare", "s")["cells"]:
        run = RunDirectory(cell["directory"])
        assert cell["state"] == "done" and cell["unlike"] == "" and run.read_state().attempt == 1
        config, result = run.read_config(), run.read_result()
        assert result["evaluation"] == signature(run.evaluation) == cell["evaluation"]
        found[config.tuning.method, config.evaluation.samples_per_problem] = result
    return found


def test_weights_evaluated_later_score_what_they_score_at_the_end_of_training(shell, tmp_path, cache_dir):
    """Of whole weights and of adapters: an evaluation draws the same samples whenever it comes, so all digits agree."""
    shell.launch(*TYPED)
    trained = {p: p.stat().st_mtime_ns for p in (shell.root / "runs").glob("cells/*/final/*.safetensors")}
    shell.launch(*TYPED, "evaluation.samples_per_problem=3")
    assert len(trained) == 2 and all(p.stat().st_mtime_ns == time for p, time in trained.items())
    found = results(shell)
    assert found.keys() == {(method, samples) for method in ("full", "lora") for samples in (1, 3)}

    fresh = Shell(tmp_path / "fresh", cache_dir)
    fresh.launch(*TYPED, "evaluation.samples_per_problem=3")
    for (method, _), result in results(fresh).items():
        assert result == found[method, 3] != found[method, 1]

    for file in (shell.root / "runs").glob("cells/*/metrics.jsonl"):
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        assert [row.get("evaluation") for row in rows] == [None, found["full", 1]["evaluation"]]


def test_weights_that_are_gone_or_of_another_step_are_named(tmp_path):
    (cell,) = plan_sweep([*TINY, f"output_dir={tmp_path}"]).cells
    run, asked = RunDirectory(tmp_path / "stages" / "e"), cell.config.evaluation
    cell.directory.mkdir(parents=True)
    named = asked.model_copy(update={"weights": str(cell.directory.relative_to(tmp_path))})
    config = cell.config.model_copy(update={"evaluation": named})
    for step, error, said in ((6, Refused, "are of step 6"), (4, FileNotFoundError, "final, which held the weights")):
        write_json(RunDirectory(cell.directory).result, {"step": step})
        with pytest.raises(error, match=said):
            weights_to_evaluate(config, run)
    RunDirectory(cell.directory).final.mkdir()
    trained, weights = weights_to_evaluate(config, run)
    assert (trained.path, weights) == (cell.directory, cell.directory / "final")


def test_an_evaluation_has_no_model_to_export(tmp_path):
    (cell,) = plan_sweep([*TINY, f"output_dir={tmp_path}"]).cells
    run = RunDirectory(tmp_path / "stages" / "evaluation-a-0123456789ab")
    run.freeze(cell.config, cell.signature, cell.identity, cell.evaluations)
    run.write_state(state="done")
    with pytest.raises(UserError, match=r"there is no .*final; only a finished training has a model"):
        export_cell(tmp_path, str(run.path), tmp_path / "exported", merge=False)
