"""docs/configuration.md is what the schemas and conf/ say, and says something of every key."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import yaml
from pydantic import BaseModel

from helpers.constants import ROOT
from sweep.config.cell import CellConfig
from sweep.config.keys import models_in
from sweep.plan.compose import compose_cells
from sweep.plan.reference import page


@pytest.fixture(scope="module")
def made() -> str:
    return page()


def test_the_page_is_current(made):
    assert made == (ROOT / "docs" / "configuration.md").read_text(), "run `make docs`"


def schemas(schema: type[BaseModel] = CellConfig) -> Iterator[type[BaseModel]]:
    """Every schema of the configuration, each once."""
    found, waiting = [], [schema]
    while waiting:
        found.append(waiting.pop())
        inside = [part for field in found[-1].model_fields.values() for part in models_in(field.annotation)]
        waiting += [part for part in dict.fromkeys(inside) if part not in found and part not in waiting]
    return iter(found)


@pytest.mark.parametrize("schema", list(schemas()), ids=lambda schema: schema.__name__)
def test_every_field_is_described_and_shown(schema, made):
    described = {name: field.description for name, field in schema.model_fields.items()}
    assert [name for name, words in described.items() if not words or "|" in words] == []
    for name, words in described.items():
        assert re.search(rf"\| `(\w+\.)*{name}` \|.*\| {re.escape(words)} \|", made) or schema is CellConfig, name


def test_comments_of_the_files_do_not_repeat_descriptions():
    """A comment says why a value was chosen; what a key means is said once, by its schema."""
    described = {field.description for schema in schemas() for field in schema.model_fields.values()}
    comments = {
        comment.strip()
        for file in (ROOT / "conf").rglob("*.yaml")
        for comment in re.findall(r"#\s*(.*)", file.read_text())
    }
    assert comments & described == set()


def test_a_default_is_shown_as_its_file_has_it(made):
    rows = dict(re.findall(r"^\| `([\w.]+)` \| (.*) \|$", made, flags=re.M))
    for key, words in {
        "algorithm.clip_low": "number · `null` (≥ 0, < 1) | `0.2` |",
        "optimizer.learning_rate": "number (≥ 0) | = `model.learning_rate` |",
        "reward.target": "text | *none* |",
        "cluster.wait": "`true` · `false` | `false` |",
    }.items():
        assert rows[key].startswith(words)
    counts = {key: row.rpartition("| ")[2] for key, row in rows.items()}
    assert counts["data.path"] == "by content" and counts["cluster.wait"] == "at launch"
    assert counts["model.prompt"] == "as `prompt.format`" and counts["data.train.gold"] == "unless `text`"
    assert counts["seed"] == "yes" and counts["tracking.mode"] == "no"


@pytest.mark.parametrize("file", sorted((ROOT / "conf" / "experiment").glob("*.yaml")), ids=lambda file: file.stem)
def test_an_experiment_composes_and_opens_with_its_command(file):
    package, command = file.read_text().splitlines()[:2]
    assert package == "# @package _global_"
    assert re.fullmatch(rf"# python launch\.py (-m )?experiment={file.stem}", command)
    cells = compose_cells([f"experiment={file.stem}"])
    assert ("-m " in command) == (len(cells) > 1) and {cell.config.name for cell in cells} == {file.stem}


def test_what_smoke_makes_small_divides_over_the_processes_of_every_model():
    (cell,) = compose_cells(["experiment=smoke"])
    algorithm = cell.config.algorithm
    models = [yaml.safe_load(file.read_text()) for file in (ROOT / "conf" / "model").glob("*.yaml")]
    for processes in {max(1, model["resources"]["gpus"]) for model in models}:
        assert algorithm.prompts_per_step % processes == algorithm.responses_per_update % processes == 0
