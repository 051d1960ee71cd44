"""The rules across the fields of one cell. Each message names the keys and the remedy; the plan adds the cell."""

from __future__ import annotations

from models.architecture import count_parameters, hub_config, positions_of, unsupported
from models.config import MINI_POSITIONS
from sweep.config.algorithm_rules import algorithm_faults
from sweep.config.cell import CellConfig, InlineCluster, SlurmCluster
from sweep.config.slurm_options import cluster_faults
from sweep.config.tracking_rules import tracking_faults

COUNT_TOLERANCE = 0.05  # of a model's weights: biases and norms are not counted


def cell_faults(config: CellConfig) -> list[str]:
    """Return a message for each rule that one cell breaks; the list is empty where it breaks none."""
    faults = [*_length_faults(config), *_batch_faults(config), *algorithm_faults(config.algorithm)]
    faults += [*_model_faults(config), *_node_faults(config), *_reward_faults(config)]
    faults += [*tracking_faults(config.tracking), *_evaluation_faults(config)]
    if isinstance(config.cluster, SlurmCluster):
        faults += cluster_faults(config.cluster, config.resources.gpus)
    if isinstance(config.cluster, InlineCluster) and config.processes > 1:
        faults.append(_too_many_inline(config))
    return faults


def _too_many_inline(config: CellConfig) -> str:
    key, value = ("deepspeed.processes", config.deepspeed.processes)
    if value is None:
        key, value = "resources.gpus", config.resources.gpus
    return (
        f"cluster={config.cluster.name} works in the one process of the launch, and {key}={value} asks for "
        f"{config.processes}; set {key}=1, or choose cluster=local, which starts as many"
    )


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


def _evaluation_faults(config: CellConfig) -> list[str]:
    faults = []
    for name, benchmark in config.evaluation.benchmarks.items():
        key, limit = f"evaluation.benchmarks.{name}", benchmark.max_response_tokens
        if benchmark.temperature == 0 and benchmark.samples_per_problem > 1:
            faults.append(
                f"{key}: temperature=0 gives the same answer each time, so that samples_per_problem="
                f"{benchmark.samples_per_problem} would count it so often; set {key}.samples_per_problem=1, or a "
                f"temperature above 0, such as {key}.temperature=0.6"
            )
        over = config.rollout.max_prompt_tokens + (limit or 0) - config.model.context
        if limit is not None and over > 0:
            faults.append(
                f"rollout.max_prompt_tokens={config.rollout.max_prompt_tokens} + {key}.max_response_tokens={limit} "
                f"exceed model.context={config.model.context}; lower one of them by {over}"
            )
    return faults


def _model_faults(config: CellConfig) -> list[str]:
    """Compare with the model's config.json, if that is on this machine before the model is fetched."""
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
    """Compare the number of weights with the sizes beside it: if they disagree, all predictions are wrong."""
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
    algorithm, processes, key = config.algorithm, config.processes, config.processes_key
    faults = []
    total, updates = algorithm.responses_per_step, algorithm.updates_per_rollout
    if total % updates:
        faults.append(
            f"algorithm.prompts_per_step × samples_per_prompt = {total} does not divide by "
            f"algorithm.updates_per_rollout={updates}; {_nearest_divisors(total, updates)} would do"
        )
    elif algorithm.responses_per_update % processes:
        faults.append(
            f"{algorithm.responses_per_update} responses an update do not divide by {key}={processes}; "
            f"{_nearest_divisors(algorithm.responses_per_update, processes)} would do"
        )
    if algorithm.prompts_per_step % processes:
        faults.append(
            f"algorithm.prompts_per_step={algorithm.prompts_per_step} does not divide by "
            f"{key}={processes}; {_nearest_divisors(algorithm.prompts_per_step, processes)} would do"
        )
    return faults


def _nearest_divisors(total: int, wanted: int) -> str:
    divisors = [d for d in range(1, total + 1) if total % d == 0]
    below, above = [d for d in divisors if d < wanted][-1:], [d for d in divisors if d > wanted][:1]
    return " or ".join(map(str, below + above))


def _node_faults(config: CellConfig) -> list[str]:
    cluster, processes, nodes = config.cluster, config.processes, config.nodes
    if processes % nodes == 0 or not isinstance(cluster, SlurmCluster):  # elsewhere there is one node
        return []
    fewer, more = processes - processes % nodes, processes - processes % nodes + nodes
    return [
        f"{processes} processes do not divide over {nodes} nodes of at most cluster.processes_per_node="
        f"{cluster.processes_per_node}; {fewer} or {more} would do"
    ]


def _reward_faults(config: CellConfig) -> list[str]:
    if len(config.reward.votes) < 2:
        return []
    return ["reward: its parts vote their labels in two ways; a problem has one label, so set the same vote for all"]
