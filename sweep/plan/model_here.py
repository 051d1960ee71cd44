"""Find the overrides that describe a model which was named by a hub id or a directory alone."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from models.config import ADAPTER, is_local
from sweep.config.as_written import read_mapping
from sweep.config.local import CONF, groups_of_the_user
from sweep.errors import UserError
from sweep.plan.overrides import override
from sweep.run.directory import RunDirectory

# Families by the `model_type` of a config.json; a model of another type needs a file of its own.
FAMILIES = {
    "qwen2": "qwen",
    "qwen3": "qwen",
    "llama": "llama3",
    "olmo2": "olmo2",
    "olmo3": "olmo3",
    "smollm3": "chatml",
}
WEIGHTS = ("*.safetensors", "*.bin")


def overrides_for(model: str, overrides: Sequence[str], config_dir: str | None) -> list[str]:
    """Return the overrides that make `model` the model of a configuration.

    A model that a file of `conf/model` describes is taken as described there. For a directory of weights, a file of a
    model of the same family and shape says which prompt and which lengths suit it, unless `model=NAME` is typed.

    Raises:
        UserError: no file describes the model, and none can stand in for it.
    """
    files = dict(_files(config_dir))
    described = {str(values.get("path")): name for name, values in files.items() if values.get("path")}
    typed = [line for line in overrides if line.startswith("model=")]
    if not typed and (model in files or model in described):
        return [f"model={model if model in files else described[model]}"]
    if not is_local(model):
        if typed:
            named = override("model.name", model.rpartition("/")[2])
            return [override("model.path", model), "model.mini=null", "model.revision=main", named]
        raise UserError(
            f"--model {model}: no file of conf/model describes it; name a model whose prompt and lengths suit it, "
            "such as model=qwen2_5_7b, or add a file (docs/add-a-model.md)"
        )
    directory = Path(model).expanduser().absolute()
    _check_is_there(model, directory, files, bool(typed))
    of_path = [
        override("model.path", str(directory)),
        "model.mini=null",
        "model.revision=null",
        "model.architecture=null",
        override("model.name", _name_of(directory)),
    ]
    values = {} if directory.is_file() else _config_of(directory)  # a .gguf file describes itself
    if typed:
        return of_path
    name = _like(values, files, model)
    positions = values.get("max_position_embeddings")
    known = files[name].get("context")
    limit = [f"model.context={positions}"] if positions and known and positions < known else []
    return [f"model={name}", *of_path, *limit]


def _files(config_dir: str | None) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the files of models, with their names."""
    places = [CONF, *([Path(config_dir)] if config_dir else []), groups_of_the_user()]
    for file in (file for place in places for file in sorted((place / "model").glob("*.yaml"))):
        yield file.stem, read_mapping(file)[0]


def _check_is_there(model: str, directory: Path, files: Iterable[str], described: bool) -> None:
    """Refuse a place without weights; `described`: whether a file of conf/model was named that describes them."""
    if not directory.exists():
        near = difflib.get_close_matches(model, files, 1)
        meant = f"did you mean {near[0]}? " if near else ""
        raise UserError(
            f"--model {model}: {directory} does not exist; {meant}name a directory of weights, a model of conf/model, "
            "or a hub id"
        )
    if directory.is_file() and not described:
        raise UserError(f"--model {model}: is a file; say which model it holds with model=NAME, a file of conf/model")
    if directory.is_dir() and not any(any(directory.glob(pattern)) for pattern in WEIGHTS):
        raise UserError(
            f"--model {model}: {directory} holds no weights ({', '.join(WEIGHTS)}); name a directory that `export` or "
            "`save_pretrained` wrote, or a hub id"
        )


def _name_of(directory: Path) -> str:
    """Return the name of a file or directory of weights; that of the run where a training kept them."""
    if directory == RunDirectory(directory.parent).final:
        return directory.parent.name
    if directory.parent == RunDirectory(directory.parent.parent).weights:
        return f"{directory.parent.parent.name}-{directory.name}"
    return directory.stem if directory.is_file() else directory.name


def _config_of(directory: Path) -> dict[str, Any]:
    if (directory / ADAPTER).is_file():
        raise UserError(
            f"--model {directory}: holds adapters alone; `python -m sweep export CELL DIR` writes whole weights"
        )
    try:
        return json.loads((directory / "config.json").read_text())
    except FileNotFoundError:
        raise UserError(
            f"--model {directory}: there is no config.json; name a directory that `export` or `save_pretrained` wrote, "
            "or a hub id"
        ) from None


def _like(values: dict[str, Any], files: dict[str, dict[str, Any]], model: str) -> str:
    """Return the name of the file whose model is of the same family, of the same shape if there is one."""
    kind = values.get("model_type")
    family = FAMILIES.get(str(kind))
    alike = {name: file for name, file in files.items() if file.get("family") == family}
    if not alike:
        raise UserError(
            f"--model {model}: models of the type {kind} belong to no family that is known here; name one whose prompt "
            "and lengths suit it, with model=NAME"
        )
    shape = values.get("hidden_size"), values.get("num_hidden_layers")
    same = [name for name, file in alike.items() if _shape(file) == shape]
    return (same or sorted(alike))[0]


def _shape(file: dict[str, Any]) -> tuple[Any, Any]:
    if mini := file.get("mini"):
        return mini["hidden_size"], mini["layers"]
    architecture = file.get("architecture") or {}
    return architecture.get("hidden_size"), architecture.get("num_hidden_layers")
