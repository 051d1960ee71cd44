"""Plan evaluations of weights that exist: of cells that were trained, at any step whose weights are kept, and of any
model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from omegaconf import DictConfig, OmegaConf
from pydantic import ValidationError

from sweep.config.cell import CellConfig
from sweep.config.evaluation import Foreign
from sweep.errors import UserError
from sweep.plan.compose import compose_cells
from sweep.plan.earlier import Shelf
from sweep.plan.explain import explain_validation
from sweep.plan.frozen import is_of_one_benchmark, put, put_value
from sweep.plan.overrides import parse
from sweep.plan.plan import Plan, with_time_noted
from sweep.plan.signature import baseline_identity, benchmark_identities, evaluation_identity, rerun_identity
from sweep.plan.task import BASELINE, EVALUATION, Task, new_task
from sweep.plan.validate import check, check_data
from sweep.run.directory import STAGES, RunDirectory
from sweep.run.entry import Entry
from sweep.run.identity import signature
from sweep.run.kept_weights import kept_weights

Steps = int | Literal["all"] | None  # a step; all whose weights are kept, and 0; None: the last one, and 0
# Sections that say how weights are evaluated. Every other one belongs to the training.
SECTIONS = ("behaviours", "cluster", "evaluation", "grading", "prompt")
OF_THE_JOB = ("deepspeed.processes", "resources", "rollout.batch_size", "rollout.cache_gb", "rollout.name")
GROUPS = (*SECTIONS, "rollout")
OF_A_TRAINING = (
    "algorithm", "checkpoint", "experiment", "labels", "optimizer", "retrain", "reward", "seed", "sizes", "steps",
    "tuning",
)  # fmt: skip
ASKING = ("behaviours", "evaluation", "grading", "prompt")
UNSAID = ("evaluation", "evaluation.chunk")


@dataclass(frozen=True)
class Typed:
    """What was typed for one evaluation: the choices of groups, and the values."""

    lines: tuple[str, ...]

    @property
    def label(self) -> str:
        """The lines that set how benchmarks are asked; which ones they are, the label of a task says itself."""
        return " ".join(line for line in self.lines if _section(line) in ASKING and _key(line) not in UNSAID)


def plan_evaluations(
    name: str, root: Path, cells: Sequence[Entry], steps: Steps, overrides: Sequence[str], config_dir: str | None
) -> Plan:
    """Return the evaluations of the cells of a sweep that `overrides` describe, and of their untrained models.

    Args:
        name: of the sweep. cells: the cells whose weights are evaluated.
    Raises:
        UserError: an override does not belong to an evaluation, a rule is broken, or weights are not there.
    """
    tasks: dict[str, Task] = {}
    shelf, typed = Shelf(root), _typed(overrides)
    by_training = {entry.training: entry for entry in cells}
    for training, entry in by_training.items():
        run = RunDirectory(root / training)
        for one in typed:
            config = evaluated_config(run.read_config(), one.lines, config_dir)
            for step in _steps(run, entry, steps):
                task = _of_step(shelf, entry, run, step, config, one.label)
                tasks.setdefault(task.signature, task)
    return _checked(name, root, list(tasks.values()))


def plan_model(name: str | None, root: Path, overrides: Sequence[str], config_dir: str | None) -> Plan:
    """Return the evaluation of a model that was not trained here; `overrides` compose it as those of a launch do.

    Args:
        name: of the sweep that lists the evaluation; None for one that is called after the model.
    """
    tasks: dict[str, Task] = {}
    for line in overrides:
        _check_evaluation(line)
        if _section(line) in OF_A_TRAINING:
            raise UserError(f"{line}: belongs to a training, and this model is only evaluated; leave it out")
    compositions = compose_cells(overrides, config_dir)
    for composition in compositions:
        lines = {**dict(line.split("=", 1) for line in overrides), **composition.axes}
        typed = Typed(tuple(f"{key}={value}" for key, value in lines.items()))
        task = _of_model(Shelf(root), _untracked(composition.config), typed.label)
        tasks.setdefault(task.signature, task)
    return _checked(name or f"evaluation-{compositions[0].config.model.name}", root, list(tasks.values()))


def _untracked(config: CellConfig) -> CellConfig:
    """Return a composed configuration as the evaluation of a model that was not trained here needs it.

    The training data of the configuration is not what the model was trained on, so that sharing problems with it means
    nothing. W&B has the runs of trainings.
    """
    asked = {
        name: benchmark.model_copy(update={"shared": "keep"}) if isinstance(benchmark, Foreign) else benchmark
        for name, benchmark in config.evaluation.benchmarks.items()
    }
    evaluation = config.evaluation.model_copy(update={"benchmarks": asked})
    tracking = config.tracking.model_copy(update={"mode": "disabled"})
    return config.model_copy(update={"evaluation": evaluation, "tracking": tracking})


def _checked(name: str, root: Path, tasks: list[Task]) -> Plan:
    check(tasks)
    check_data(tasks)
    return with_time_noted(Plan(name, root, [], tasks, [], []))


def _typed(overrides: Sequence[str]) -> list[Typed]:
    """Return the overrides of each evaluation: `evaluation.seed=1,2` describes two."""
    found = [Typed(())]
    for line in overrides:
        _check_evaluation(line)
        override = parse(line)
        key = override.key_or_group
        if not key.startswith(tuple(f"{section}." for section in SECTIONS)) and not key.startswith(OF_THE_JOB):
            _check_group(line, key)
        swept = override.is_sweep_override()
        name = line.partition("=")[0]
        values = [f"{name}={value}" for value in override.sweep_string_iterator()] if swept else [line]
        found = [Typed((*one.lines, value)) for one in found for value in values]
    return found


def _check_evaluation(line: str) -> None:
    """Refuse the keys of `evaluation` that mean nothing where weights are evaluated once, or that the plan sets."""
    if _key(line) == "evaluation.weights":
        raise UserError(
            f"{line}: is set by the plan for its jobs; leave it out, and choose weights by cells and --step"
        )
    if _section(line) == "evaluation" and _key(line).endswith(".every"):
        raise UserError(f"{line}: says how often a training is evaluated; `evaluate` does it once, so leave it out")


def _check_group(line: str, key: str) -> None:
    group = key.lstrip("+").partition("@")[0]
    if group not in GROUPS:
        raise UserError(
            f"{line}: belongs to a training, which an evaluation leaves as it is; it takes "
            f"{', '.join(GROUPS)}, {', '.join(OF_THE_JOB)}, and chooses cells by axis=value of the sweep's own axes"
        )


def evaluated_config(config: CellConfig, lines: Sequence[str], config_dir: str | None) -> CellConfig:
    """Return the frozen configuration of a cell with the sections of its evaluation as `lines` set them.

    A group that is chosen (`evaluation=[aime25]`, `prompt=none`) is composed anew, with the prompt format of the cell's
    model, and so is a prompt of the evaluation's own (`prompt@evaluation.prompt=none`). Values are set in what was
    composed, or else in what was frozen.

    Raises:
        UserError: it does not compose or validate.
    """
    raw = OmegaConf.create(config.model_dump(mode="json"))
    like_the_cell = f"model.prompt={config.model.prompt}"
    chosen = {_section(line) for line in lines if "." not in _key(line)}
    if chosen:
        of_groups = [line for line in lines if _section(line) in chosen or _section_of_prompt(line) in chosen]
        (composition,) = compose_cells([like_the_cell, *of_groups], config_dir)
        composed = composition.config.model_dump(mode="json")
        for group in chosen & set(SECTIONS):
            raw[group] = composed[group]
        if "rollout" in chosen:
            raw.rollout.name = composed["rollout"]["name"]
    if "wait" in raw.cluster and "cluster" not in chosen:
        raw.cluster.wait = False  # it was for the launch that trained
    for line in sorted(lines, key=_place):
        if section := _section_of_prompt(line):
            if section not in chosen:
                (composition,) = compose_cells([like_the_cell, f"prompt={line.partition('=')[2]}"], config_dir)
                put_value(raw, _key(line).partition("@")[2], composition.config.model_dump(mode="json")["prompt"])
        elif "@" not in _key(line) and "." in _key(line) and _section(line) not in chosen & set(SECTIONS):
            put(raw, parse(line))
    raw.tracking.mode = "disabled"  # W&B has the runs of trainings
    return _validated(raw, lines)


def _place(line: str) -> tuple[bool, bool]:
    """Return the place of a line among those that are put: what one benchmark has to itself comes last and so wins,
    whatever the order in which lines were typed; and a prompt comes before the values in it.
    """
    key, _, put_at = _key(line).partition("@")
    return is_of_one_benchmark(put_at or key), not put_at


def _key(line: str) -> str:
    return line.partition("=")[0].lstrip("+")


def _section(line: str) -> str:
    """Return the section of the configuration in which a line chooses or sets something."""
    return _key(line).partition("@")[0].partition(".")[0]


def _section_of_prompt(line: str) -> str:
    """Return the section to which a line gives a prompt of its own (`prompt@evaluation.prompt=none`), or ""."""
    return _key(line).partition("@")[2].partition(".")[0]


def _validated(raw: DictConfig, lines: Sequence[str]) -> CellConfig:
    try:
        return CellConfig.model_validate(OmegaConf.to_container(raw))
    except ValidationError as error:
        given = {key: value for key, _, value in (line.partition("=") for line in lines)}
        raise UserError("\n".join(explain_validation(error, given))) from None


def _steps(run: RunDirectory, entry: Entry, steps: Steps) -> Iterator[int]:
    """Yield the steps of a training whose weights are evaluated; 0 is the untrained model.

    Raises:
        UserError: the weights of a step are not there; the message names the steps that are.
    """
    kept = list(kept_weights(run))
    if steps == 0:
        yield 0
        return
    wanted = kept if steps == "all" else [steps] if steps is not None else kept[-1:]
    if not wanted or wanted[0] not in kept:
        there = f"there are those of step {', '.join(map(str, [0, *kept]))}" if kept else "it has kept none yet"
        of = "" if steps in ("all", None) else f" of step {steps}"
        raise UserError(
            f"{entry.label}: has no weights{of}; {there}. A training keeps its final ones, and with "
            "checkpoint.weights_every=N those of every N-th step"
        )
    if steps in ("all", None):
        yield 0
    yield from wanted


def _of_step(shelf: Shelf, entry: Entry, run: RunDirectory, step: int, config: CellConfig, label: str) -> Task:
    """Return the task that evaluates the weights of a cell after `step`. It waits for nothing: they are there."""
    if step == 0:
        return _of_model(shelf, config, label)
    evaluations = benchmark_identities(config)
    trained = (run.identity and signature(run.identity)) or entry.signature
    identity = rerun_identity(trained, step, evaluation_identity(evaluations))
    sign = signature(identity)
    weights = str(run.path.relative_to(shelf.root))
    asked = config.evaluation.model_copy(update={"weights": weights})
    config = config.model_copy(update={"evaluation": asked, "steps": step})
    said = _said(f"evaluation of {entry.label} at step {step}", config, label)
    directory = shelf.directory(STAGES, f"evaluation-{run.name}", sign)
    return new_task(
        said,
        EVALUATION,
        directory,
        shelf.root,
        config,
        signature=sign,
        identity=identity,
        axes=entry.axes,
        evaluations=evaluations,
    )


def _of_model(shelf: Shelf, config: CellConfig, label: str) -> Task:
    evaluations = benchmark_identities(config)
    identity = baseline_identity(config, evaluation_identity(evaluations))
    sign = signature(identity)
    directory = shelf.directory(STAGES, f"baseline-{config.model.name}", sign)
    return new_task(
        _said(f"baseline of {config.model.name}", config, label),
        BASELINE,
        directory,
        shelf.root,
        config,
        signature=sign,
        identity=identity,
        axes={},
        evaluations=evaluations,
    )


def _said(what: str, config: CellConfig, label: str) -> str:
    return " ".join([what, "by", ", ".join(config.evaluation.benchmarks), *(["with", label] if label else [])])
