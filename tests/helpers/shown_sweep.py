"""A sweep for the page: several seeds, a cell that is not done, kept answers of which some are hostile, responses."""

from __future__ import annotations

import json
from pathlib import Path

from helpers.written_sweeps import launched, with_metrics
from sweep.plan.plan import Plan
from sweep.plan.task import Task
from sweep.run.answer_files import open_answers
from sweep.run.answer_manifest import Evaluated, Made, Question, Weights
from sweep.run.answer_places import of_benchmark, of_model, of_training
from sweep.run.answers import Answer
from sweep.run.directory import RunDirectory
from sweep.run.files import write_json
from sweep.run.identity import answers_identity, signature

MADE = Made(engine="transformers", dtype="float32", hardware="cpu", code="c")
DETECTORS = {"code": "version 1", "boxed": "version 1"}
# Texts that would run something, leave their place, or hide, if the page took them for more than text.
HOSTILE = (
    "</script><script>window.ran = 1</script>",
    "<img src=x onerror='window.ran = 1'><svg onload='window.ran = 1'>",
    "\u202eright to left\u202c and\u200b unseen",
    "a null\x00 byte and an escape \x1b[31m",
    "x" * 1_000_000,
    "]]></pre></article><style>body { display: none }</style>",
    "{{ 7 * 7 }} ${7 * 7} {% raw %}",
    "javascript:window.ran=1 https://example.invalid/pixel.gif",
    "\\boxed{5} plain",
    "```python\nprint(5)\n```",
)
QUESTIONS = [
    Question(id=f"p{n}", question=f"{n} + 1 = ? {HOSTILE[n][:40]}", golds=(str(n + 1),)) for n in range(len(HOSTILE))
]
RATES = {("ground_truth", 0): 0.7, ("ground_truth", 1): 0.72, ("random", 0): 0.5, ("random", 1): 0.47}


def shown_sweep(root: Path, name: str = "shown") -> Plan:
    """Two models, two rewards and two seeds, of which the last cell is still running."""
    plan = launched(root, "model=qwen2_mini,llama3_mini", "reward=ground_truth,random", "seed=0,1", name=name)
    steps = {
        s: {"reward/true_mean": 0.4 + s / 40, "train/entropy": 1.0 - s / 10, "timing_s/step": 2.0} for s in range(1, 5)
    }
    with_metrics(plan, steps)
    for task in plan.stages:
        asked = _result(task, accuracy=0.5, code=0.4)
        identity = RunDirectory(task.directory).identity["model"]
        _keep(of_model(plan.root, task.config.model.name, identity), asked, None, 0)
    for task in plan.cells:
        asked = _result(task, accuracy=RATES[task.axes["reward"], task.config.seed], code=0.6)
        for step in (2, 4):
            _keep(of_training(plan.root, task.directory.name, step), asked, step, step + task.config.seed)
        _respond(RunDirectory(task.directory))
    running = RunDirectory(plan.cells[-1].directory)
    running.result.unlink()
    running.write_state(state="failed", step=2, steps=4, note="the node went down <b>hard</b>")
    return plan


def _result(task: Task, **numbers: float) -> dict:
    """Write the result of a run by its benchmark, and return the identity of that evaluation's answers."""
    run = RunDirectory(task.directory)
    ((name, asked),) = run.evaluations.items()
    told = {**numbers, "evaluation": signature(asked), "problems": 8, "samples_per_problem": 2}
    write_json(run.result, {"step": task.config.steps, **told, "benchmarks": {name: told}})
    return answers_identity(asked)


def _keep(weights: Path, identity: dict, step: int | None, shift: int) -> None:
    """Keep two answers to each question; the texts move on by `shift`, so that those of two steps differ."""
    name = f"{weights.name}@{step}"
    evaluated = Evaluated(
        benchmark="mini", weights=Weights(name=name, hash=name, step=step), identity=identity, detectors=DETECTORS
    )
    answers = [
        _answer(question.id, sample, f"First {number} of {shift}: {HOSTILE[number]}", (number + shift + sample) % 3 > 0)
        for number, question in enumerate(QUESTIONS)
        for sample in range(2)
    ]
    with open_answers(of_benchmark(weights, "mini", identity), evaluated, QUESTIONS, 2, lambda text: ()) as writer:
        writer.write(answers, MADE)
        writer.finish()


def _answer(problem: str, sample: int, text: str, right: bool) -> Answer:
    behaviours = tuple(name for name, sign in (("boxed", "boxed"), ("code", "python")) if sign in text)
    return Answer(problem, sample, text, "5", right, "right" if right else "wrong", "boxed", "5", behaviours, 9, "eos")


def _respond(run: RunDirectory) -> None:
    """Keep the responses of two steps of a training, as samples.jsonl has them."""
    rows = [
        {
            "step": step, "slot": 0, "sample": sample, "problem": "t1", "question": "1 + 1", "gold": "2",
            "response": f"It is 2 </script> {sample}", "answer": "2", "extraction": "boxed",
            "reward": float(sample % 2), "correct": True, "outcome": "right", "code": False,
            "behaviours": ["boxed"], "finish": "eos", "tokens": 5,
        }
        for step in (1, 4)
        for sample in range(6)
    ]  # fmt: skip
    run.samples.write_text("".join(json.dumps(row) + "\n" for row in rows))
