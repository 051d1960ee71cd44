"""What the view of a sweep on W&B cannot show, what a server refuses, and what becomes of a launch beside it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from helpers.constants import ROOT
from helpers.documented import bash_words, commands
from helpers.wandb_server import Fault
from helpers.written_sweeps import FINAL, give, launched
from sweep.__main__ import main
from sweep.compare.ask import answer
from sweep.compare.dashboard import service
from sweep.compare.export import verdict_json
from sweep.dispatch import saved_view
from sweep.plan.plan import Plan
from sweep.run.directory import RunDirectory
from sweep.run.ledger import read_sweep
from sweep.run.wandb_process import end_service

pytest_plugins = ["helpers.wandb_finished"]  # its fixtures


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "refuses the API key; `wandb login --relogin`"),
        (403, "may not do that in p; ask for the right"),
        (404, "there is no p"),
        (500, "does not answer as it should"),
        (None, "there is no API key; `wandb login`"),
    ],
)
def test_what_a_server_refuses_is_said_with_what_to_do(finished, server, capsys, monkeypatch, status, words):
    monkeypatch.setattr(service, "SECONDS", 1)
    sweep = finished()
    if status is None:
        end_service(failed=False)  # which has the client forget the key that it was given before
        monkeypatch.delenv("WANDB_API_KEY")
    else:
        server.faults.append(Fault(status=status))
    before = dict(os.environ)
    sweep.compare("--wandb", code=2)
    said = capsys.readouterr().err
    assert words in said and f"W&B at {server.url}: " in said and len(said.splitlines()) == 1
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    ("operation", "answer", "words"),
    [
        (
            "GetProjects",
            {"models": None},
            "there is no entity e, or this API key may not see it; look at tracking.entity",
        ),
        (
            "UpsertView2",
            {"errors": [{"message": "permission denied"}]},
            "did not do what was asked (input: permission denied)",
        ),
    ],
)
def test_what_a_server_refuses_in_its_answers_is_said_too(
    finished, server, capsys, monkeypatch, operation, answer, words
):
    monkeypatch.setattr(server, f"_{operation}", lambda _: answer)
    finished().compare("--wandb", code=2)
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["s", "--wandb", "--benchmark", "mini"], "leave --metric, --at-step, --benchmark and --where out"),
        (["s", "--wandb-report", "--where", "seed=0"], "leave --metric"),
        (["s", "t", "--wandb"], "name one of s, t"),
        (["FILE.json", "--wandb"], "a file has no runs on W&B"),
        (["t", "--wandb"], "no cell of it is tracked"),
    ],
)
def test_what_the_one_view_cannot_show_is_refused(small_and_untracked, capsys, words, said):
    root = small_and_untracked
    typed = [str(root / word) if word == "FILE.json" else word for word in words]
    assert main(["compare", *typed, "--output-dir", str(root)]) == 2
    assert said in capsys.readouterr().err


@pytest.fixture(scope="module")
def small_and_untracked(tmp_path_factory) -> Path:
    """An output directory with two sweeps that are not tracked, and a file of one of them."""
    root = tmp_path_factory.mktemp("untracked")
    give(launched(root, "reward=random", "seed=0,1"), FINAL)
    shutil.copytree(root / "sweeps" / "s", root / "sweeps" / "t")
    (root / "FILE.json").write_text(json.dumps(verdict_json(answer(["s"], root))))
    return root


def test_cells_without_a_run_are_counted_and_the_pages_are_no_part_of_the_ledger(finished, server, capsys):
    sweep = finished().with_runs()
    del server.runs[sweep.plan.cells[0].signature]
    place = ("tracking.mode=offline", f"tracking.base_url={server.url}", "tracking.project=p")
    again = launched(sweep.root, "reward=ground_truth,random", "seed=0,1", "evaluation.problems=4", *place)
    assert not any(task.steps for task in again.cells)  # these only evaluate, and W&B has runs of trainings alone
    sweep.compare("--wandb", "--json")
    said = capsys.readouterr()
    json.loads(said.out)  # what is said of W&B stands apart from what a program reads
    assert "no run of 1 of 4 cells" in said.err and "`python -m sweep sync s" in said.err
    assert len(read_sweep(sweep.root, "s").cells) == 8


@pytest.mark.parametrize("command", commands("python -m sweep", pages=["docs/wandb-views.md"]))
def test_the_commands_of_the_page_run(finished, server, capsys, command, tmp_path):
    sweep = finished()
    shutil.copytree(sweep.root / "sweeps" / "s", sweep.root / "sweeps" / "demo")
    assert main([*bash_words(command, tmp_path)[2:], "--output-dir", str(sweep.root)]) == 0, capsys.readouterr().err
    assert server.url in capsys.readouterr().out
    assert ("figures-demo" in server.runs) == ("--wandb-report" in command)


def test_cells_of_several_projects_have_pages_in_each(finished, server, capsys):
    sweep = finished()
    run = RunDirectory(sweep.plan.cells[0].directory)
    run.config.write_text(run.config.read_text().replace("project: p", "project: q"))
    sweep.compare("--wandb")
    said = capsys.readouterr().out
    assert "no run of 1 of 1 cells" in said and "no run of 3 of 3 cells" in said
    assert {view["project"] for view in server.saved_views} == server.created == {"p", "q"}
    sweep.compare("--wandb")
    assert len(server.views) == 2
    found = json.loads((sweep.root / "sweeps" / "s" / "wandb" / "pages.json").read_text())
    assert all(f"/e/{page['place']['project']}?" in page["pages"]["view"] for page in found)


class Screen(Console):
    def __init__(self, is_terminal: bool = False) -> None:
        super().__init__(width=200, force_terminal=is_terminal)
        self.lines: list[str] = []

    def print(self, *objects, **_) -> None:
        self.lines += map(str, objects)


def online(plan: Plan) -> Plan:
    """The plan as a launch with an API key has settled it."""

    def settled(task):
        tracking = task.config.tracking.model_copy(update={"mode": "online"})
        return replace(task, config=task.config.model_copy(update={"tracking": tracking}))

    return replace(plan, cells=[settled(task) for task in plan.cells])


@pytest.mark.parametrize("is_terminal", [False, True])
def test_a_launch_says_the_address_of_the_view_that_is_there(finished, server, monkeypatch, is_terminal):
    sweep, screen = finished(), Screen(is_terminal)
    sweep.compare("--wandb")
    monkeypatch.setattr(saved_view, "AT_END", 60.0)
    with saved_view.view_made_meanwhile(online(sweep.plan), screen):
        while not is_terminal and not screen.lines:
            time.sleep(0.05)
        before = list(screen.lines)
    assert screen.lines == [f"W&B view: {sweep.url('view')}"] and len(server.views) == 1
    assert before == ([] if is_terminal else screen.lines)  # the live view would draw over it


@pytest.mark.parametrize("fault", [Fault(status=401), Fault(seconds=60)])
def test_a_launch_goes_on_whatever_becomes_of_the_view(finished, server, monkeypatch, fault):
    monkeypatch.setattr(saved_view, "AT_END", 0.5 if fault.seconds else 60.0)
    sweep, screen = finished(), Screen()
    server.faults.append(fault)
    with saved_view.view_made_meanwhile(online(sweep.plan), screen):
        screen.print("launched")
    assert screen.lines[0] == "launched" and len(screen.lines) == 2
    why = "it was not done in time" if fault.seconds else "refuses the API key"
    assert why in screen.lines[1] and "compare s --wandb" in screen.lines[1]


def test_an_error_of_the_launch_itself_is_not_held_up(finished, server):
    sweep, screen = finished(), Screen()
    server.faults.append(Fault(seconds=60))
    with pytest.raises(KeyboardInterrupt), saved_view.view_made_meanwhile(online(sweep.plan), screen):
        raise KeyboardInterrupt
    assert screen.lines == []


def test_neither_a_launch_offline_nor_compare_by_itself_loads_wandb(small_and_untracked):
    code = (
        "import sys; from sweep.__main__ import main; import sweep.dispatch.launch\n"
        f"assert main(['compare', 's', '--output-dir', {str(small_and_untracked)!r}]) == 0\n"
        "assert not {'wandb', 'wandb_workspaces'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
