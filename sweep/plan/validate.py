"""Rules across fields, checked for every cell before anything is submitted or written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from models.architecture import count_parameters, hub_config, positions_of, unsupported
from models.config import MINI_POSITIONS
from sweep.data.problems import load_problems
from sweep.errors import UserError
from sweep.plan.algorithm import algorithm_faults
from sweep.plan.compose import Composition
from sweep.plan.faults import Labelled, say_once
from sweep.plan.fit import machine_faults, place_faults, shape_faults
from sweep.plan.overrides import fields_at, for_the_shell, is_recorded
from sweep.plan.sbatch import cluster_faults
from sweep.plan.signature import evaluation_identity, training_identity
from sweep.plan.tracking import tracking_faults
from sweep.run.config import CellConfig, SlurmCluster
from sweep.run.data import DataConfig
from sweep.run.identity import signature

COUNT_TOLERANCE = 0.05  # of a model's weights: biases and norms are not counted


def validate(cells: Sequence[Composition]) -> None:
    """Refuse the sweep if any cell breaks a rule.

    Raises:
        UserError: a line for each fault, naming its cells, the keys and the remedy.
    """
    planned = say_once((cell.label, fault) for cell in cells for fault in _planned_faults(cell.config))
    _refuse([*planned, *faults_of(cells)])
    _refuse(_same_runs(cells))
    _refuse(place_faults(cells))


def check(made: Sequence[Labelled]) -> None:
    """The rules for configurations that were made from frozen ones, as a retry does: those of a launch.

    Raises:
        UserError: a line for each fault, naming its cells, the keys and the remedy.
    """
    _refuse(faults_of(made))
    _refuse([*place_faults(made), *machine_faults(made)])


def _refuse(faults: Sequence[str]) -> None:
    if faults:
        raise UserError("\n".join(faults))


def faults_of(cells: Iterable[Labelled]) -> list[str]:
    """A line for each rule within a configuration that any of `cells` breaks."""
    return say_once((cell.label, fault) for cell in cells for fault in cell_faults(cell.config))


def _same_runs(cells: Sequence[Composition]) -> list[str]:
    """A line for each set of axes along which nothing differs that makes a run what it is."""
    first: dict[tuple[str, str], Composition] = {}
    values: dict[tuple[str, ...], dict[str, list[str]]] = {}
    for cell in cells:
        identity = signature(training_identity(cell.config)), signature(evaluation_identity(cell.config))
        like = first.setdefault(identity, cell)
        if like is not cell:
            keys = tuple(key for key in cell.axes if cell.axes[key] != like.axes.get(key))
            values.setdefault(keys, {})
            for key in keys:
                values[keys].setdefault(key, [like.axes[key]]).append(cell.axes[key])
    return [_same_run(keys, found) for keys, found in values.items()]


def _same_run(keys: tuple[str, ...], values: dict[str, list[str]]) -> str:
    listed = {key: list(dict.fromkeys(found)) for key, found in values.items()}
    typed = " ".join(f"{key}={','.join(found)}" for key, found in listed.items())
    if keys == ("steps",):
        return f"{typed}: steps is a target, so that these are the same run; give the largest alone"
    if all(map(is_recorded, keys)):
        quote = [
            for_the_shell(key, ",".join(found)) for key, found in listed.items() if str in fields_at(key.split("."))
        ]
        comma = f"; if the comma belongs to the value, quote it: {' '.join(quote)}" if quote else ""
        return f"{typed}: no part of what makes a run, so that these are the same run; give one value{comma}"
    return f"{typed}: the same run each time, because nothing differs that a run reads; give one value"


def cell_faults(config: CellConfig) -> list[str]:
    """What is wrong with one cell; empty where nothing is."""
    faults = [*_length_faults(config), *_batch_faults(config), *algorithm_faults(config.algorithm)]
    faults += [*_model_faults(config), *_node_faults(config), *_reward_faults(config)]
    faults += tracking_faults(config.tracking)
    if isinstance(config.cluster, SlurmCluster):
        faults += cluster_faults(config.cluster, config.resources.gpus)
    return faults or shape_faults(config)


def _planned_faults(config: CellConfig) -> list[str]:
    """Keys that a plan sets for its jobs, and nobody else."""
    planned = {
        "evaluation.weights": config.evaluation.weights,
        "labels.shard": config.labels.shard,
        "labels.directories": config.labels.directories,
    }
    return [f"{key}: is set by the plan for its jobs; leave it out" for key, value in planned.items() if value]


def _length_faults(config: CellConfig) -> list[str]:
    prompt, response = config.rollout.max_prompt_tokens, config.rollout.max_response_tokens
    over = prompt + response - config.model.context
    if over <= 0:
        return []
    one_is_enough = over < max(prompt, response)
    return [
        f"rollout.max_prompt_tokens={prompt} + rollout.max_response_tokens={response} exceed "
        f"model.context={config.model.context}; lower {'one of them' if one_is_enough else 'both, in all'} by {over}"
    ]


def _model_faults(config: CellConfig) -> list[str]:
    """What its config.json says, where that is at hand before the model is fetched."""
    values = hub_config(config.model) or {}
    fault = unsupported(values, config.rollout.max_tokens)
    faults = [f"model.path={config.model.path}: has {fault}"] if fault else []
    positions = MINI_POSITIONS if config.model.mini else positions_of(values)
    if positions is not None and config.model.context > positions:
        of = config.model.name if config.model.mini else f"{config.model.path} (config.json)"
        faults.append(
            f"model.context={config.model.context}: the positions of {of} end at {positions}; set "
            f"model.context={positions}, and rollout.max_prompt_tokens + rollout.max_response_tokens, now "
            f"{config.rollout.max_tokens}, to at most {positions}"
        )
    return [*faults, *_architecture_faults(config)]


def _architecture_faults(config: CellConfig) -> list[str]:
    """A number of weights that the other numbers of an architecture contradict would make every prediction wrong."""
    if config.model.architecture is None:
        return []
    numbers = config.model.architecture.model_dump(exclude={"parameters", "query_key_norm"})
    said, counted = config.model.architecture.parameters, count_parameters(**numbers)
    if abs(counted - said) <= COUNT_TOLERANCE * said:
        return []
    return [
        f"model.architecture.parameters={said}: its other numbers (layers, sizes, heads, vocabulary, "
        f"tie_word_embeddings={str(numbers['tie_word_embeddings']).lower()}) make {counted}; correct one or the other"
    ]


def _batch_faults(config: CellConfig) -> list[str]:
    algorithm, processes = config.algorithm, config.processes
    faults = []
    total, updates = algorithm.responses_per_step, algorithm.updates_per_rollout
    if total % updates:
        faults.append(
            f"algorithm.prompts_per_step × samples_per_prompt = {total} does not divide by "
            f"algorithm.updates_per_rollout={updates}; {_nearest_divisors(total, updates)} would do"
        )
    elif algorithm.responses_per_update % processes:
        faults.append(
            f"{algorithm.responses_per_update} responses an update do not divide by deepspeed.processes={processes}; "
            f"{_nearest_divisors(algorithm.responses_per_update, processes)} would do"
        )
    if algorithm.prompts_per_step % processes:
        faults.append(
            f"algorithm.prompts_per_step={algorithm.prompts_per_step} does not divide by "
            f"deepspeed.processes={processes}; {_nearest_divisors(algorithm.prompts_per_step, processes)} would do"
        )
    return faults


def _nearest_divisors(total: int, wanted: int) -> str:
    divisors = [d for d in range(1, total + 1) if total % d == 0]
    below, above = [d for d in divisors if d < wanted][-1:], [d for d in divisors if d > wanted][:1]
    return " or ".join(map(str, below + above))


def _node_faults(config: CellConfig) -> list[str]:
    processes, nodes = config.processes, config.nodes
    if processes % nodes == 0:
        return []
    fewer, more = processes - processes % nodes, processes - processes % nodes + nodes
    return [
        f"{processes} processes do not divide over {nodes} nodes of at most cluster.processes_per_node="
        f"{config.cluster.processes_per_node}; {fewer} or {more} would do"
    ]


def _reward_faults(config: CellConfig) -> list[str]:
    if len(config.reward.votes) < 2:
        return []
    return ["reward: its parts vote their labels in two ways; a problem has one label, so set the same vote for all"]


def check_data(cells: Iterable[Composition]) -> None:
    """Read every problem set once, so that a malformed file is found here and not by a job.

    Sets on the hub are left to `prefetch` and to the jobs: planning needs no network.

    Raises:
        UserError: a file, a row or an empty split is at fault.
    """
    for data, splits in problem_sets(cell.config for cell in cells):
        if data.source != "hub":
            for split in splits:
                load_problems(data, split)


def problem_sets(configs: Iterable[CellConfig]) -> list[tuple[DataConfig, tuple[str, ...]]]:
    """The problem sets of cells, each once, with the splits that are used."""
    return list(dict.fromkeys((c.data, tuple(dict.fromkeys(("train", c.evaluation.split)))) for c in configs))
