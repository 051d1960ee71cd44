"""The dotted keys that a configuration has, and those that earlier versions had."""

from __future__ import annotations

from typing import Any, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from sweep.config.cell import CellConfig

# Keys that earlier versions had, and what takes their place.
REPLACED = {
    "evaluation.split": "evaluation.benchmarks.NAME.split, a key of each benchmark",
    "tracking.samples_per_step": "tracking.sample_groups, which keeps all answers of so many groups of a step",
    "resources.micro_batch_tokens": "deepspeed.micro_batch_tokens",
    "resources.rollout_cache_gb": "rollout.cache_gb",
    "resources.gradient_checkpointing": "deepspeed.gradient_checkpointing",
}


OF_OLDER_VERSIONS = "own"  # what the one benchmark of older versions is called: a split of the cell's own data


def of_today(values: dict) -> dict:
    """Return a configuration that an earlier version froze under the keys of today.

    The copies that `resources` held of three other keys were read by no code; they are left out. The keys of the one
    evaluation that there was become those of a benchmark.
    """
    tracking = dict(values.get("tracking", {}))
    if "samples_per_step" in tracking:
        tracking["sample_groups"] = min(1, tracking.pop("samples_per_step"))
    copies = {key.removeprefix("resources.") for key in REPLACED}
    resources = {key: value for key, value in values.get("resources", {}).items() if key not in copies}
    found = values | {"tracking": tracking, "resources": resources}
    evaluation = values.get("evaluation", {})
    if "benchmarks" not in evaluation and evaluation:
        benchmark = {"source": "data", **evaluation}
        weights = benchmark.pop("weights", None)
        found["evaluation"] = {"weights": weights, "benchmarks": {OF_OLDER_VERSIONS: benchmark}}
    return found


def known_keys(schema: type[BaseModel] = CellConfig, prefix: str = "", around: tuple = ()) -> list[str]:
    """Return every dotted key that the configuration may hold; those of rewards in rewards are one level deep."""
    keys: list[str] = []
    for name, field in schema.model_fields.items():
        keys.append(prefix + name)
        named = "NAME." if get_origin(field.annotation) is dict else ""
        for part in models_in(field.annotation):
            if part not in around:
                keys.extend(known_keys(part, f"{prefix}{name}.{named}", (*around, part)))
    return sorted(set(keys))


def marks_of(field: FieldInfo) -> dict[str, Any]:
    """Return the marks of a field, such as RECORDED: they define whether it counts in a run's identity, and when."""
    return field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the schemas in an annotation, those of a union and of a tuple's elements included."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for part in getattr(annotation, "__args__", ()) for m in models_in(part)]
