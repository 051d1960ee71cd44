"""Finished sweeps that are tracked on a W&B server of the tests, as fixtures to import."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from helpers.wandb_server import Run
from helpers.wandb_views import ViewServer, view_server
from helpers.written_sweeps import FINAL, give, launched, with_metrics
from sweep.__main__ import main
from sweep.compare.dashboard import service
from sweep.plan.plan import Plan
from sweep.run.wandb_names import SUPERSEDED, TRAINING, sweep_tag
from sweep.run.wandb_process import end_service

KEY = "0123456789" * 4
FAMILIES = ("qwen2_mini", "olmo2_mini")


@pytest.fixture(scope="module")
def one_server():
    with view_server() as server:
        yield server
    end_service(failed=True)


@pytest.fixture
def server(one_server, monkeypatch):
    """The server, empty, and a shell with a key for it.

    The process that the clients start is kept from test to test, since its start takes longer than a test.
    """
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    monkeypatch.setenv("WANDB_PROJECT", "another")  # a shell's own; the frozen configurations count
    monkeypatch.setattr(service, "end_service", lambda failed: None)
    one_server.clear()
    yield one_server
    assert not one_server.unknown


@pytest.fixture(scope="module")
def plans(one_server, tmp_path_factory) -> Callable[[str], Plan]:
    """Finished sweeps of one family and of two, tracked on the server; tests copy them."""
    place = ("tracking.mode=offline", f"tracking.base_url={one_server.url}", "tracking.project=p")
    axes = {"one": (), "two": (f"model={','.join(FAMILIES)}", "algorithm.clip_high=0.1,0.2")}

    @cache
    def made(families: str) -> Plan:
        root = tmp_path_factory.mktemp(families) / "runs"
        plan = launched(root, "reward=ground_truth,random", "seed=0,1", *place, *axes[families])
        give(plan, FINAL)
        with_metrics(plan, {4: {"eval/accuracy": 0.4}})
        return plan

    return made


@pytest.fixture
def finished(plans, server, tmp_path):
    return lambda families="one": Finished(tmp_path / "runs", server, plans(families))


class Finished:
    """A sweep that is done, in an output directory of the test's own."""

    def __init__(self, root: Path, server: ViewServer, plan: Plan) -> None:
        shutil.copytree(plan.root, root)
        moved = [[replace(t, root=root) for t in k] for k in (plan.stages, plan.cells)]
        self.root, self.server = root, server
        self.plan = replace(plan, root=root, stages=moved[0], cells=moved[1])

    def with_runs(self) -> Finished:
        """As the mirror leaves them; one is a rebuilt run, whose predecessor is superseded."""
        for place, task in enumerate(self.plan.cells):
            fields = {"entity": "e", "project": "p", "jobType": TRAINING, "tags": [sweep_tag("s")]}
            last = place == len(self.plan.cells) - 1
            self.server.runs[task.signature + "-2" * last] = Run(fields, summary={"state": "done"})
            if last:
                self.server.runs[task.signature] = Run({**fields, "tags": [sweep_tag("s"), SUPERSEDED]})
        return self

    def compare(self, *options: str, code: int = 0) -> None:
        assert main(["compare", "s", *options, "--output-dir", str(self.root)]) == code

    @property
    def view(self) -> dict:
        """The specification of the one view that the server has."""
        (view,) = self.server.saved_views
        return view["spec"]["section"]

    def url(self, kind: str) -> str:
        (page,) = json.loads((self.root / "sweeps" / "s" / "wandb" / "pages.json").read_text())
        return page["pages"][kind]


@pytest.fixture
def api(server, monkeypatch):
    """The address for clients of the test's own, which look at the environment."""
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    monkeypatch.setenv("WANDB_SILENT", "true")
