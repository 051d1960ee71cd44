"""Answers and results that evaluations of a written sweep leave behind, made by the project's own writers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from helpers.made_up_answers import MADE
from sweep.plan.plan import Plan
from sweep.plan.task import Task
from sweep.run.answer_files import open_answers
from sweep.run.answer_manifest import Evaluated, Made, Question, Weights
from sweep.run.answer_places import of_benchmark, of_model, of_training
from sweep.run.answers import Answer
from sweep.run.directory import RunDirectory
from sweep.run.files import write_json
from sweep.run.identity import answers_identity, signature
from sweep.score.evaluation import evaluation_of

Grouped = Mapping[str, Sequence[Answer]]


def identity(name: str, **changes) -> dict:
    """The identity of an evaluation that was asked after the sweep was launched."""
    asked = {"source": name, "temperature": 1.0, "problems": 8, "samples_per_problem": 2, **changes}
    return {"schema": 2, "evaluation": asked, "prompt": {"template": "{question}"}}


def keep(place: Path, name: str, asked: dict, grouped: Grouped, step: int | None = None, made: Made = MADE) -> Path:
    """Write the answers of the weights in `place` to a benchmark; return their directory."""
    evaluated = Evaluated(
        benchmark=name,
        weights=Weights(name=place.parent.name, hash=f"{place.name}", step=step),
        identity=answers_identity(asked),
        detectors={"code": "mentions python"},
    )
    directory = of_benchmark(place, name, evaluated.identity)
    questions = [Question(id=problem, question=f"{problem} = ?", golds=("1",)) for problem in grouped]
    samples = min(len(those) for those in grouped.values())
    with open_answers(directory, evaluated, questions, samples, lambda text: []) as writer:
        rows = [answer for those in grouped.values() for answer in those]
        writer.write([row for row in rows if (row.problem, row.sample) not in writer.pairs], made)
        writer.finish()
    return directory


def keep_trained(plan: Plan, task: Task, name: str, asked: dict, grouped: Grouped, step: int | None = None, **how):
    """Keep the answers of a cell after `step`, by default its last one."""
    step = step or task.config.steps
    return keep(of_training(plan.root, task.directory.name, step), name, asked, grouped, step, **how)


def keep_untrained(plan: Plan, stage: Task, name: str, asked: dict, grouped: Grouped, **how) -> Path:
    """Keep the answers of the untrained model that a baseline evaluated."""
    model = (RunDirectory(stage.directory).identity or {})["model"]
    return keep(of_model(plan.root, stage.config.model.name, model), name, asked, grouped, **how)


def recorded(plan: Plan, task: Task, by_benchmark: Mapping[str, Grouped], **how) -> None:
    """Keep the answers to the benchmarks of a run of the plan, a cell or a baseline, and write its result."""
    run, numbers = RunDirectory(task.directory), {}
    for name, grouped in by_benchmark.items():
        asked = run.evaluations[name]
        (keep_trained if task in plan.cells else keep_untrained)(plan, task, name, asked, grouped, **how)
        rows = [answer for those in grouped.values() for answer in those]
        samples = len(next(iter(grouped.values())))
        numbers[name] = {"evaluation": signature(asked), **evaluation_of(rows, samples).numbers}
    first = next(iter(numbers.values()))
    write_json(run.result, {"step": task.config.steps, **first, "benchmarks": numbers})


def cut_off(grouped: Grouped) -> Grouped:
    """The same answers, of which those that are wrong were cut off at the limit."""
    return {
        problem: [answer if answer.correct else replace(answer, finish="length") for answer in those]
        for problem, those in grouped.items()
    }
