"""Find the cheapest change of a cell's shape that makes it fit into the available memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from models.architecture import cache_row_bytes, read_architecture
from models.config import LoraTuning
from sweep.config.cell import CellConfig
from sweep.plan import machine
from sweep.plan.resources import DTYPE_BYTES, predict_memory, samples_with_vllm

MOST_GPUS = 64


def cheapest_change(config: CellConfig, budget: float, on_gpu: bool, may_run_alone: bool) -> str | None:
    """Return the cheapest override that makes the cell fit.

    If no single one does, overrides are added from cheap to drastic until the cell fits, and then each is weakened as
    far as the others allow.

    Args:
        budget: bytes that each process may use.
        may_run_alone: whether fewer processes at once would leave more memory to each.
    Returns:
        the override, or several with spaces between them; None where all of them together do not fit.
    """
    if may_run_alone:
        alone = budget * machine.local_processes(config.cluster) / config.processes
        if _peak(config, on_gpu) <= alone:
            return f"cluster.max_parallel={config.processes}"
    changes = list(_changes(config, on_gpu))

    def fits(chosen: Sequence[Change]) -> bool:
        """Return whether the cell fits with all the chosen changes."""
        changed = config
        for change in chosen:
            changed = _with(changed, change.sections)
        return _peak(changed, on_gpu) <= budget

    for change in changes:
        if fits([change]):
            return change.override
    strongest = list({c.key: c for c in changes}.values())
    count = next((n for n in range(2, len(strongest) + 1) if fits(strongest[:n])), None)
    if count is None:
        return None
    # All of these fit together: now each is made as mild as the others allow, or dropped.
    chosen = strongest[:count]
    for change in strongest[:count]:
        others = [c for c in chosen if c.key != change.key]
        milder = [[], *([c] for c in changes if c.key == change.key)]
        chosen = others + next(option for option in milder if fits(others + option))
    return " ".join(c.override for c in sorted(chosen, key=lambda c: changes.index(c)))


@dataclass(frozen=True)
class Change:
    """An override that saves memory, and the fields it sets in each section."""

    override: str
    sections: dict[str, dict]

    @property
    def key(self) -> str:
        """The key that the override sets."""
        return self.override.partition("=")[0]


def _changes(config: CellConfig, on_gpu: bool) -> Iterator[Change]:
    """Candidate overrides: least slowdown first; for one key, small changes before large ones.

    The last, LoRA, changes what is trained.
    """
    deepspeed = config.deepspeed
    for tokens in _halvings(deepspeed.micro_batch_tokens):
        yield Change(f"deepspeed.micro_batch_tokens={tokens}", {"deepspeed": {"micro_batch_tokens": tokens}})
    if samples_with_vllm(config, on_gpu):
        for size in _caches(config):
            yield Change(f"rollout.cache_gb={size:g}", {"rollout": {"cache_gb": size}})
    else:
        for size in _halvings(_rows(config)):
            yield Change(f"rollout.batch_size={size}", {"rollout": {"batch_size": size}})
    if not deepspeed.gradient_checkpointing:
        yield Change("deepspeed.gradient_checkpointing=true", {"deepspeed": {"gradient_checkpointing": True}})
    if deepspeed.zero_stage < 3 and config.processes > 1:
        yield Change("deepspeed=zero3", {"deepspeed": {"zero_stage": 3}})
    if on_gpu and not deepspeed.offload_optimizer:
        yield Change("deepspeed.offload_optimizer=true", {"deepspeed": {"offload_optimizer": True}})
    gpus = config.processes
    here = len(machine.gpus()) if config.cluster.runs_here else 0  # without any, the plan may be for another machine
    most = here or MOST_GPUS
    while on_gpu and (gpus := gpus * 2) <= most:
        yield Change(f"resources.gpus={gpus}", {"resources": {"gpus": gpus}, "deepspeed": {"processes": gpus}})
    if not isinstance(config.tuning, LoraTuning):
        yield Change("tuning=lora", {"tuning": {"method": "lora", "rank": 64, "alpha": 128}})


def _peak(config: CellConfig, on_gpu: bool) -> int:
    """Return the most bytes that a process holds at once; the model's shape must be known."""
    memory = predict_memory(config, on_gpu)
    assert memory is not None
    return memory.peak


def _caches(config: CellConfig) -> Iterator[float]:
    """Yield a half and a quarter of vLLM's cache in GiB, if one longest sequence fits.

    With less, so few responses are sampled together that another change costs less time.
    """
    shape = read_architecture(config.model)
    assert shape is not None
    least = cache_row_bytes(shape, config.longest_tokens, DTYPE_BYTES[config.model.dtype]) / 2**30
    cache = config.rollout.cache_gb
    yield from (size for size in (cache / 2, cache / 4) if size >= least)


def _rows(config: CellConfig) -> int:
    """Return the number of responses that are decoded together; the model's shape must be known."""
    shape = read_architecture(config.model)
    assert shape is not None
    return config.rollout.rows(shape, DTYPE_BYTES[config.model.dtype])


def _halvings(size: int) -> Iterator[int]:
    while size > 1:
        size //= 2
        yield size


def _with(config: CellConfig, sections: dict[str, dict]) -> CellConfig:
    changes = {name: getattr(config, name).model_copy(update=fields) for name, fields in sections.items()}
    if "tuning" in sections:  # of another class than before
        changes["tuning"] = LoraTuning(**sections["tuning"])
    return config.model_copy(update=changes)
