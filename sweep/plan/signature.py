"""The identity of a run: the hash of everything that can change its results, and of nothing else.

The rule is in docs/identity.md.

Three kinds of work have an identity. A *training* is what its final weights follow from. An *evaluation* is how weights
are put to the test; it is the same for every model. A *stage* (baseline, labels, the evaluation of a finished run) puts
the two together.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from models.config import ModelConfig, is_local
from models.hub import content_hash
from models.mini.shipped import shipped_mini
from sweep.config.benchmarks import Fresh
from sweep.config.cell import CellConfig
from sweep.config.data import JsonLinesData
from sweep.config.evaluation import DataBenchmark, FileBenchmark
from sweep.config.keys import marks_of
from sweep.data.benchmarks import benchmark_hash
from sweep.data.problems import file_hash
from sweep.errors import UserError
from sweep.run.identity import SCHEMA, numbers


def fields(config: BaseModel) -> dict:
    """Return the fields of `config` that count, files by content.

    Left out are fields marked RECORDED, fields that nothing reads because of other fields (`unread`), fields at their
    `neutral` value, and groups of which nothing is left. Defaults are resolved before, so that changing a default
    changes the identity of no earlier run.
    """
    found = {}
    unread = getattr(config, "unread", ())
    for name, field in type(config).model_fields.items():
        marks = marks_of(field)
        if marks.get("identity") is False or name in unread:
            continue
        value = getattr(config, name)
        if "neutral" in marks and value == marks["neutral"]:
            continue
        is_file = marks.get("content") and value is not None
        plain = file_hash(config, name) if is_file and isinstance(config, JsonLinesData) else _plain(value)
        if isinstance(value, BaseModel) and plain == {}:
            continue
        found[name] = plain
    return found


def _plain(value: Any) -> Any:
    """Return a field's value in the form that JSON has."""
    if isinstance(value, BaseModel):
        return fields(value)
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return value


def training_identity(config: CellConfig) -> dict:
    """Return everything that determines the final weights; the signature of a cell is the hash of this.

    Sections that the reward does not read (grading, labels) are left out, with the numbers of their rules, and so are
    test problems: they cannot change what is trained.
    """
    reward, data = config.reward, _training_data(config)
    found = {"schema": SCHEMA, **fields(config), "model": _model(config.model), "data": data}
    del found["evaluation"]
    if not reward.reads_grading:
        del found["grading"]
    if not reward.needs_labels:
        del found["labels"]
    rules = numbers(grading=reward.reads_grading, splits=_is_split(data), labels=reward.needs_labels)
    return found | ({"rules": rules} if rules else {})


def benchmark_identity(config: CellConfig, name: str) -> dict:
    """Return how weights are put to a benchmark: problems, prompt, sampling, grading. It is the same for every model.

    What names the benchmark is left out, and so are keys that only choose among the values found here. The training
    data counts where the problems that it holds are left out of the benchmark.
    """
    benchmark = config.evaluation.benchmarks[name]
    lengths = {
        "max_prompt_tokens": config.rollout.max_prompt_tokens,
        "max_response_tokens": benchmark.max_response_tokens or config.rollout.max_response_tokens,
    }
    asked = fields(benchmark)
    found = {
        "schema": SCHEMA,
        "evaluation": asked,
        "prompt": fields(benchmark.prompt or config.prompt),
        "grading": fields(config.grading),
        "rollout": lengths,
    }
    if isinstance(benchmark, FileBenchmark):
        asked["path"] = benchmark_hash(name, benchmark)
    if isinstance(benchmark, Fresh):
        asked["problems"] = benchmark.problems or benchmark.size
    if not isinstance(benchmark, DataBenchmark):
        lost = {"without": _training_data(config)} if benchmark.shared == "drop" else {}
        return found | lost | {"rules": numbers(grading=True, splits=True)}
    data = fields(config.data)
    if config.data.only is None:  # the one problem that is trained on leaves the test problems
        del data["only"]
    return found | {"data": data, "rules": numbers(grading=True, splits=_is_split(data))}


def benchmark_identities(config: CellConfig) -> dict[str, dict]:
    """Return the identity of each benchmark of a cell by its name, in the order in which they are listed."""
    return {name: benchmark_identity(config, name) for name in config.evaluation.benchmarks}


def evaluation_identity(evaluations: dict[str, dict]) -> dict:
    """Return the identity of the evaluation by several benchmarks; that of a single one is the benchmark's own."""
    if len(evaluations) == 1:
        return next(iter(evaluations.values()))
    return {"schema": SCHEMA, "benchmarks": evaluations}


def baseline_identity(config: CellConfig, evaluation: dict) -> dict:
    """Return the identity of the untrained model's evaluation; cells that agree on it share one baseline."""
    return {"stage": "baseline", **evaluation, "model": _model(config.model)}


def rerun_identity(training: str, steps: int, evaluation: dict) -> dict:
    """Return the identity of another evaluation of a finished run, of its weights at step `steps`."""
    return {"stage": "evaluation", **evaluation, "training": training, "steps": steps}


def labels_identity(config: CellConfig) -> dict:
    """Return everything that determines the majority labels: not the reward, the seed or the algorithm."""
    data = _training_data(config)
    rollout = {k: v for k, v in fields(config.rollout).items() if k != "temperature"}
    return {
        "stage": "labels",
        "schema": SCHEMA,
        "prompt": fields(config.prompt),
        "grading": fields(config.grading),
        "labels": fields(config.labels),
        "data": data,
        "model": _model(config.model),
        "rollout": rollout,
        "rules": numbers(grading=True, splits=_is_split(data), labels=True),
    }


def _training_data(config: CellConfig) -> dict:
    """Return the data that is trained on: one problem, or a set without its test side."""
    found = fields(config.data)
    if config.data.only is not None:
        return {"only": found["only"]}
    return {k: v for k, v in found.items() if k not in ("test", "test_path")}


def _is_split(data: dict) -> bool:
    """Return whether the rules of splits deal a set's rows out to train and test. Generated problems are not split."""
    return data.get("source", "mini_arithmetic") != "mini_arithmetic"


def _model(config: ModelConfig) -> dict:
    """Return the model with its weights: by content if they are on this machine, else by what names or makes them."""
    found = {k: v for k, v in fields(config).items() if k not in ("path", "revision", "mini")}
    weights: Any
    if config.mini is not None:
        shipped = shipped_mini(config.family, config.mini)
        weights = _weights_hash(shipped) if shipped else {"recipe": fields(config.mini)}
    elif config.path is not None and is_local(config.path):
        weights = _weights_hash(Path(config.path))
    else:
        weights = {"path": config.path, "revision": config.revision}
    return found | {"weights": weights}


@cache
def _weights_hash(path: Path) -> str:
    if not path.exists():
        raise UserError(f"model.path={path}: no such file or directory, and no hub id (those are ORGANISATION/NAME)")
    return "blake2b:" + content_hash(path)
