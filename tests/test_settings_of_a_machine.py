"""The optional group `local`: which settings of a machine count, that it is said, and that nothing else changes."""

from __future__ import annotations

import json
import os
import re
import shutil

import pytest

import launch
from helpers.constants import ROOT
from sweep.__main__ import main
from sweep.config import local
from sweep.config.cell import SlurmCluster
from sweep.dispatch.view import suggested
from sweep.errors import UserError
from sweep.plan.compose import compose_cells
from sweep.plan.local import settings_that_count

BOTH = "cluster: {partition: low, env: {HF_HOME: /scratch}, max_parallel: 2}\n"


@pytest.fixture(scope="module")
def conf(tmp_path_factory):
    """The project's groups without the settings that whoever runs this may have."""
    place = tmp_path_factory.mktemp("project") / "conf"
    shutil.copytree(ROOT / "conf", place, ignore=shutil.ignore_patterns("local"))
    return place


@pytest.fixture
def own(conf, tmp_path, monkeypatch):
    """Writes a file of the user's own groups, as they lie in the home directory; returns its path."""
    monkeypatch.delenv(local.VARIABLE)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for module in ("sweep.config.local", "sweep.plan.files"):
        monkeypatch.setattr(f"{module}.CONF", conf)

    def write(text: str, name: str = "local/default.yaml"):
        file = tmp_path / "rlvr-sweep" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    return write


def planned(capsys, *typed: str) -> dict:
    assert main(["plan", "--json", *typed]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("text", "typed", "sets", "notes"),
    [
        ("steps: 7", [], {"steps": 7}, ["count, from FILE: steps; local=null leaves them out"]),
        ("# a remark\n\n# @package _global_\nsteps: 7", [], {"steps": 7}, ["count, from FILE: steps;"]),
        ("steps: 7", ["steps=5"], {"steps": 5}, []),  # what is typed wins
        ("steps: 7", ["local=null"], {"steps": 30}, []),
        ("steps: 7", ["~local"], {"steps": 30}, []),
        ("steps: 7", ["local=other"], {"steps": 8}, ["other.yaml: steps;"]),
        ("steps: 7", ["experiment=ours"], {"steps": 9}, []),  # an experiment is typed
        ("steps: 7", ["experiment=theirs/more"], {"steps": 9}, []),  # and so is what it begins with
        (
            BOTH,
            ["cluster=slurm"],
            {"cluster.partition": "low"},
            ["cluster.partition, cluster.env.HF_HOME, cluster.max"],
        ),
        (
            BOTH,
            ["cluster=slurm", "cluster.partition=b"],
            {"cluster.partition": "b"},
            [": cluster.env.HF_HOME, cluster"],
        ),
        (
            BOTH,
            [],
            {"cluster.max_parallel": 2},
            [": cluster.max_parallel; ", "do not count, from FILE: cluster.partition, cluster.env.HF_HOME, because a"],
        ),
        ("defaults: [override /cluster: mine]", [], {"cluster.partition": "mine"}, [": cluster=mine;"]),
        ("defaults: [override /cluster: mine]", ["cluster=local"], {"cluster.kind": "local"}, []),
        ("", [], {"steps": 30}, []),
    ],
)
def test_settings_count_where_nothing_is_typed_and_it_is_said(text, typed, sets, notes, own):
    file = own(text)
    own("steps: 8", "local/other.yaml")
    own("# @package _global_\nsteps: 9\n", "experiment/ours.yaml")
    own("# @package _global_\ndefaults: [ours, _self_]\nseed: 3\n", "experiment/theirs/more.yaml")
    own("defaults: [slurm]\nname: mine\npartition: mine\n", "cluster/mine.yaml")
    (cell,) = compose_cells(typed)
    for key, value in sets.items():
        found = cell.config
        for part in key.split("."):
            found = getattr(found, part)
        assert found == value
    said = settings_that_count(typed, None, cell.config.cluster.kind)
    assert len(said) == len(notes)
    assert all(note.replace("FILE", str(file)) in line for note, line in zip(notes, said, strict=True)), said


def test_every_door_says_that_they_count(own, capsys, tmp_path):
    own("cache_dir: elsewhere\n")
    assert "settings of this machine count" in planned(capsys, f"output_dir={tmp_path}")["notes"][0]
    assert launch.main(["--cfg", "job"]) == 0
    shown = capsys.readouterr()
    assert "cache_dir: elsewhere" in shown.out and "settings of this machine count" in shown.err
    assert main(["plan", f"output_dir={tmp_path}", "local=null"]) == 0
    assert "settings" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "variable", "typed", "words"),
    [
        ("cluster: {partitoin: low}", "", ["cluster=slurm"], "cluster.partitoin: no such key"),
        ("a: [", "", [], "default.yaml, line 1: not YAML"),
        ("", "", ["local=lab"], "local=lab: there are no such settings of this machine; there are: default"),
        ("", "lab", [], "RLVR_SWEEP_LOCAL=lab: there are no such settings of this machine; there are: default"),
        ("", "", ["local=default,lab"], "one sweep has one choice of settings"),
        (None, "", ["local=lab"], "there are: none"),
    ],
)
def test_settings_that_cannot_count_are_refused(text, variable, typed, words, own, monkeypatch):
    if text is not None:
        own(text)
    monkeypatch.setenv(local.VARIABLE, variable)
    with pytest.raises(UserError, match=words):
        compose_cells(typed)


def test_those_of_the_project_come_before_those_of_the_user(own, conf):
    own("steps: 8\noutput_dir: of the user\n")
    (conf / "local").mkdir()
    (conf / "local" / "default.yaml").write_text("steps: 7\noutput_dir: /of/the/project\n")
    try:
        assert compose_cells([])[0].config.steps == 7
        assert str(local.default_output_dir()) == "/of/the/project"
        assert f"from {conf}/local/default.yaml: steps, " in settings_that_count([], None, "local")[0]
    finally:
        shutil.rmtree(conf / "local")


def test_a_variable_names_other_settings(own, monkeypatch):
    own("steps: 8", "local/lab.yaml")
    monkeypatch.setenv(local.VARIABLE, "lab")
    assert compose_cells([])[0].config.steps == 8
    assert compose_cells(["local=null"])[0].config.steps == 30


def test_a_group_of_the_users_own_is_found_and_hides_nothing(own, tmp_path):
    own("defaults: [slurm]\nname: mine\n", "cluster/mine.yaml")
    assert isinstance(compose_cells(["cluster=mine"])[0].config.cluster, SlurmCluster)
    (tmp_path / "typed" / "cluster").mkdir(parents=True)
    (tmp_path / "typed" / "cluster" / "mine.yaml").write_text("defaults: [slurm]\nname: another\n")
    with pytest.raises(UserError, match=r"typed/cluster/mine\.yaml already, which would be taken; rename it"):
        compose_cells([], str(tmp_path / "typed"))
    own("name: mine\n", "cluster/slurm.yaml")
    with pytest.raises(UserError, match=r"there is a conf/cluster/slurm\.yaml already"):
        compose_cells([])


def test_sweeps_are_looked_for_where_the_settings_have_them_launched(own, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PLACE", str(tmp_path))
    own("output_dir: ${oc.env:PLACE}/runs of all\n")
    place = tmp_path / "runs of all"
    (place / "cells").mkdir(parents=True)
    assert planned(capsys)["cells"][0]["directory"].startswith(str(place))
    assert main(["status", "s"]) == 2
    assert f"no sweep was launched into {place}" in capsys.readouterr().err
    assert main(["gc"]) == 0 and main(["gc", "--output-dir", str(tmp_path / "other")]) == 2
    assert f"{tmp_path}/other: no such directory" in capsys.readouterr().err
    assert "--output-dir" not in suggested("status s", place) and "--output-dir" in suggested("status s", ROOT / "runs")
    own("output_dir: ${oc.env:NOWHERE}\n")
    assert main(["status", "s"]) == 2
    assert "default.yaml: output_dir: " in capsys.readouterr().err


def test_the_example_of_the_page_counts_as_it_says(own, monkeypatch):
    page = (ROOT / "docs/install.md").read_text()
    own(re.search(r"```yaml\n# conf/local/default.yaml\n(.*?)```", page, flags=re.S).group(1))
    monkeypatch.setenv("USER", "me")
    (cell,) = compose_cells([])
    cluster = cell.config.cluster
    assert (cluster.kind, cluster.partition, cluster.account) == ("slurm", "gpu", "my_group")
    assert (cell.config.output_dir, cell.config.cache_dir) == ("/scratch/me/runs", "/scratch/me/cache")
    (said,) = settings_that_count([], None, "slurm")
    assert "cluster=slurm, cluster.partition, cluster.account, output_dir, cache_dir; " in said
    assert compose_cells(["cluster=local"])[0].config.output_dir == "/scratch/me/runs"


def test_git_ignores_them_and_without_them_nothing_is_read(monkeypatch):
    assert "conf/local/" in (ROOT / ".gitignore").read_text().splitlines()
    monkeypatch.delenv(local.VARIABLE)
    monkeypatch.setattr("sweep.config.local.CONF", ROOT / "no such directory")
    monkeypatch.setenv("XDG_CONFIG_HOME", os.devnull)
    assert local.local_file() is None
    assert local.default_output_dir() == (ROOT / "runs").absolute()
