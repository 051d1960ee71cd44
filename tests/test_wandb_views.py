"""A sweep's saved view and report on W&B, made with the real clients and read back from a server of the tests."""

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
import wandb
import wandb_workspaces.reports.v2 as wr
import wandb_workspaces.workspaces as ws
from conftest import ROOT
from documented import bash_words, commands
from made_up_results import cells, verdict
from rich.console import Console
from test_compare_command import FINAL, give, launched, with_metrics
from wandb_server import Fault, Run
from wandb_views import ViewServer, view_server

from sweep.__main__ import main
from sweep.compare.ask import answer
from sweep.compare.dashboard import service, show
from sweep.compare.dashboard.board import LEAST_RUNS, LINES, SPARE_RUNS, board
from sweep.compare.dashboard.report import NOTES, report
from sweep.compare.dashboard.summaries import summaries
from sweep.compare.dashboard.words import MOST_ROWS, escaped, tables_markdown, verdict_markdown
from sweep.compare.export import verdict_json
from sweep.compare.figures.style import COLOURS
from sweep.compare.figures.write import Drawn, write_figures
from sweep.dispatch import saved_view
from sweep.plan.plan import Plan
from sweep.run.directory import RunDirectory
from sweep.run.ledger import Entry, read_sweep
from sweep.run.wandb_names import SUPERSEDED, TRAINING, sweep_tag
from sweep.run.wandb_process import end_service

KEY = "0123456789" * 4
FAMILIES = ("qwen2_mini", "olmo2_mini")
NUMBERS = ("base", "final", "difference", "contrast")


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
def plans(one_server, tmp_path_factory) -> dict[str, Plan]:
    """Finished sweeps of one family and of two, tracked on the server; tests copy them."""
    place = ("tracking.mode=offline", f"tracking.base_url={one_server.url}", "tracking.project=p")
    of_two = (f"model={','.join(FAMILIES)}", "algorithm.clip_high=0.1,0.2")
    made = {}
    for name, axes in (("one", ()), ("two", of_two)):
        root = tmp_path_factory.mktemp(name) / "runs"
        made[name] = launched(root, "reward=ground_truth,random", "seed=0,1", *place, *axes)
        give(made[name], FINAL)
        with_metrics(made[name], {4: {"eval/accuracy": 0.4}})
    return made


@pytest.fixture
def finished(plans, server, tmp_path):
    return lambda families="one": Finished(tmp_path / "runs", server, plans[families])


class Finished:
    """A sweep that is done, in an output directory of the test's own."""

    def __init__(self, root: Path, server: ViewServer, plan: Plan) -> None:
        shutil.copytree(plan.root, root)
        moved = [
            [replace(t, directory=root / t.directory.relative_to(plan.root)) for t in k]
            for k in (plan.stages, plan.cells)
        ]
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


def test_the_view_is_read_back_as_it_was_meant(finished, server, capsys):
    sweep = finished("two").with_runs()
    sweep.compare("--wandb")
    said = capsys.readouterr().out
    assert f"W&B view: {sweep.url('view')}" in said and "has no run" not in said
    (runs,) = sweep.view["runSets"]
    asked = [(one["key"]["name"], one["op"], one["value"]) for one in runs["filters"]["filters"]]
    assert asked == [("jobType", "IN", ["train"]), ("tags", "IN", ["sweep:s"]), ("tags", "NIN", ["superseded"])]
    grouped = [(key["section"], key["name"]) for key in runs["grouping"]]
    assert grouped == [("config", f"{key}.value") for key in ("model", "reward", "algorithm_clip_high")]
    assert [name for name, pinned in runs["runFeed"]["columnPinned"].items() if pinned] == [
        "run:displayName",
        *(f"summary:{key}" for key in NUMBERS),
    ]
    assert "baselineRunId" not in runs  # of two families neither is the other's
    sections = {section["name"]: section["panels"] for section in sweep.view["panelBankConfig"]["sections"]}
    assert [*sections] == ["Verdict", *LINES]
    (words,) = sections.pop("Verdict")
    assert all(sentence in words["config"]["value"].replace("\\", "") for sentence in sentences(said))
    panels = [panel["config"] for section in sections.values() for panel in section]
    assert [panel["metrics"] for panel in panels] == [[metric] for metrics in LINES.values() for metric in metrics]
    for panel in panels:
        assert (panel["xAxis"], panel["groupBy"], panel["groupArea"]) == ("step", "cell.value", "minmax")
        assert panel["limit"] == LEAST_RUNS > len(sweep.plan.cells)
    assert sweep.view["settings"]["maxRuns"] == LEAST_RUNS and sweep.view["settings"]["xAxis"] == "step"


def sentences(shown: str) -> list[str]:
    found = [line for line in shown.splitlines() if line.startswith(FAMILIES) and ": " in line]
    assert len(found) == len(FAMILIES)
    return found


def test_a_reward_has_the_colour_of_the_figures_in_every_family_and_with_every_other_axis(finished, server):
    sweep = finished("two")
    sweep.compare("--wandb")
    found = ws.internal.View(
        entity="e", project="p", display_name="", name="", id="", spec={"section": sweep.view}
    )  # as the library reads it back
    colours = {
        tuple(path): colour for path, colour in ws.Workspace._from_model(found).runset_settings.group_colors.items()
    }
    truth, random = COLOURS[:2]
    for model in FAMILIES:
        for reward, colour in (("ground_truth", truth), ("random", random)):
            paths = [(model, reward), (model, reward, "0.1"), (model, reward, "0.2")]
            assert {colours.pop(path) for path in paths} == {colour}
    assert not colours


def test_one_family_is_shown_beside_the_run_of_its_control(finished, server, api):
    sweep = finished().with_runs()
    sweep.compare("--wandb")
    (control,) = [t for t in sweep.plan.cells if (t.axes["reward"], t.config.seed) == ("random", 0)]
    view = ws.Workspace.from_url(sweep.url("view"))
    assert view.runset_settings.baseline_run == control.signature


def test_numbers_reach_the_runs_once_and_nothing_else_of_them_changes(finished, server, api):
    sweep = finished().with_runs()
    for _ in range(2):
        sweep.compare("--wandb")
    assert server.operations.count("UpsertBucket") == len(sweep.plan.cells)
    runs = {run.id: run for run in wandb.Api().runs("e/p", lazy=False)}
    controls = {t.config.seed: t.signature for t in sweep.plan.cells if t.axes["reward"] == "random"}
    for task in sweep.plan.cells:
        reward, seed = task.axes["reward"], task.config.seed
        final = FINAL[reward, seed]
        run = runs.get(f"{task.signature}-2") or runs[task.signature]
        meant = {"state": "done", "base": 0.5, "final": final, "difference": final - 0.5}
        if reward != "random":
            meant["contrast"] = final - FINAL["random", seed]
            assert run.summary_metrics.pop("contrast_to") == controls[seed]
        assert run.summary_metrics.pop("state") == meant.pop("state")
        assert run.summary_metrics == pytest.approx(meant)
    old = [run for run in runs.values() if SUPERSEDED in run.tags]
    assert [run.summary_metrics for run in old] == [{}]


def test_made_twice_it_is_one_view_and_what_a_person_added_stays(finished, server, api):
    sweep = finished()
    sweep.compare("--wandb")
    first = server.saved_views[0]["spec"]
    view = ws.Workspace.from_url(sweep.url("view"))
    view.name = "Ours"
    view.sections.append(ws.Section(name="Mine", panels=[wr.BarPlot(metrics=["final"])]))
    view.sections[1].panels.insert(0, wr.ScalarChart(metric="eval/accuracy"))
    view.sections[2].panels = view.sections[2].panels[:1]
    view.runset_settings.pinned_columns = [*view.runset_settings.pinned_columns, "config:seed"]
    view.runset_settings.run_settings = {"r": ws.RunSettings(color="#123456")}
    view.settings.max_runs = 5
    view.save()
    give(sweep.plan, {key: value + 0.1 for key, value in FINAL.items()})
    sweep.compare("--wandb")
    there = ws.Workspace.from_url(sweep.url("view"))
    assert there.name == "Ours" and there.sections[-1].name == "Mine" and len(there.sections[-1].panels) == 1
    kinds = [type(panel) for panel in there.sections[1].panels]
    assert kinds == [wr.LinePlot] * len(LINES["Accuracy"]) + [wr.ScalarChart]
    assert len(there.sections[2].panels) == len(LINES["Reward and true reward"])
    assert there.runset_settings.pinned_columns[-1] == "config:seed" and there.settings.max_runs == LEAST_RUNS
    assert there.runset_settings.run_settings["r"].color == "#123456"
    assert "80.5" in there.sections[0].panels[0].markdown and len(server.views) == 1
    for section in (there.sections[1], there.sections[0]):
        section.panels = section.panels[: len(LINES.get(section.name, [0]))]
    del there.sections[-1]
    ids = [[panel["__id__"] for panel in one["panels"]] for one in first["section"]["panelBankConfig"]["sections"]]
    assert [[panel._id for panel in section.panels] for section in there.sections] == ids


def test_the_page_names_every_section_and_number():
    page = (ROOT / "docs" / "wandb-views.md").read_text()
    assert not [name for name in ("Verdict", *LINES) if f"*{name}*" not in page]
    assert not [key for key in NUMBERS if f"`{key}`" not in page]
    assert f"has {MOST_ROWS} rows" in page and f"up to {LEAST_RUNS} runs, or {SPARE_RUNS} more" in page
    assert f"at most {saved_view.SECONDS:g} seconds long, of which the launch waits {saved_view.AT_END:g}" in page
    assert f"given up after {service.SECONDS} s" in page


def test_a_page_that_somebody_deleted_is_made_again_and_one_that_cannot_be_read_is_left(
    finished, server, capsys, monkeypatch
):
    monkeypatch.setattr(show, "write_figures", lambda *_: Drawn([], {}))
    sweep = finished()
    sweep.compare("--wandb-report")
    old = sweep.url("view")
    server.views.clear()
    sweep.compare("--wandb-report")
    assert len(server.saved_views) == len(server.reports) == 1
    assert sweep.url("view") != old and not server.runs  # without figures there is no run of them
    view = server.saved_views[0]
    view["spec"]["version"] = 99
    before = json.dumps(view)
    capsys.readouterr()
    sweep.compare("--wandb", code=2)
    assert "cannot read what this was changed into" in capsys.readouterr().err and json.dumps(view) == before


def test_the_report_is_read_back_as_it_was_meant_and_notes_stay(finished, server, api, capsys, monkeypatch, tmp_path):
    sweep = finished("two").with_runs()
    drawn = write_figures(answer(["s"], sweep.root, with_steps=True), tmp_path / "figures")
    monkeypatch.setattr(show, "write_figures", lambda *_: drawn)  # which takes longer than the rest
    sweep.compare("--wandb-report")
    said = capsys.readouterr().out
    assert f"W&B report: {sweep.url('report')}" in said
    there = wr.Report.from_url(sweep.url("report"))
    texts = [block.text for block in there.blocks if isinstance(block, wr.MarkdownBlock)]
    assert all(sentence in texts[0].replace("\\", "") for sentence in sentences(said))
    assert "| model | reward | algorithm.clip\\_high | base | final |" in texts[1]
    figures, *grids = [block for block in there.blocks if isinstance(block, wr.PanelGrid)]
    assert [panel.media_keys for panel in figures.panels] == [["figures/curves"], ["figures/contrasts"]]
    images = [name for name in server.runs["figures-s"].files if name.startswith("media/images/figures/")]
    assert len(images) == 2 and server.runs["figures-s"].fields["jobType"] == "figures"
    assert [grid.runsets[0].name for grid in grids] == list(FAMILIES)
    for grid, family in zip(grids, FAMILIES, strict=True):
        assert f"Config(\"model\") in ['{family}']" in grid.runsets[0].filters
        assert "sweep:s" in grid.runsets[0].filters and all(panel.x == wr.Metric("step") for panel in grid.panels)
    heading = next(place for place, block in enumerate(there.blocks) if block == wr.H1(NOTES))
    there.blocks = [wr.P("gone"), *there.blocks[:heading], wr.H1(NOTES), wr.P("mine")]
    there.save()
    sweep.compare("--wandb-report")
    again = wr.Report.from_url(sweep.url("report"))
    assert [block.text for block in again.blocks[-2:]] == [NOTES, "mine"] and len(server.reports) == 1
    assert len(again.blocks) == heading + 2
    again.blocks = [wr.P("all of it mine")]
    again.save()
    sweep.compare("--wandb-report")
    last = wr.Report.from_url(sweep.url("report")).blocks
    assert last[-1].text == "all of it mine" and len(last) == heading + 3


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
        (["s", "--wandb", "--metric", "code"], "leave --metric, --at-step and --where out"),
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
    sweep.compare("--wandb", "--json")
    said = capsys.readouterr()
    json.loads(said.out)  # what is said of W&B stands apart from what a program reads
    assert "no run of 1 of 4 cells" in said.err and "`python -m sweep sync s" in said.err
    assert len(read_sweep(sweep.root, "s").cells) == 4


@pytest.mark.parametrize("command", commands("python -m sweep", pages=["docs/wandb-views.md"]))
def test_the_commands_of_the_page_run(finished, server, capsys, command, tmp_path):
    sweep = finished()
    shutil.copytree(sweep.root / "sweeps" / "s", sweep.root / "sweeps" / "demo")
    assert main([*bash_words(command, tmp_path)[2:], "--output-dir", str(sweep.root)]) == 0, capsys.readouterr().err
    assert server.url in capsys.readouterr().out
    assert ("figures-demo" in server.runs) == ("--wandb-report" in command)


def test_cells_of_several_projects_have_pages_in_each(finished, server):
    sweep = finished()
    run = RunDirectory(sweep.plan.cells[0].directory)
    run.config.write_text(run.config.read_text().replace("project: p", "project: q"))
    sweep.compare("--wandb")
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


def entries(found) -> list[Entry]:
    return [
        Entry(c.signature, "m", c.axes, c.model, c.reward, c.seed, c.signature, 4, c.directory, [])
        for c in found.comparison.cells
    ]


def test_a_family_by_a_number_is_filtered_by_a_number(server, api):
    server.created.add("p")
    rows = [cells(reward, 0.5, clip__low=low) for reward in ("random", "format") for low in (0.1, "null", "it's")]
    found = verdict(*rows, by=("clip.low",))
    shown = report(board(found, entries(found), {}, "s", "e", "p"), [])
    grids = [block for block in shown.blocks if isinstance(block, wr.PanelGrid)]
    asked = [grid._to_model().metadata.run_sets[0].filters["filters"][-1] for grid in grids]
    assert [(one["key"]["name"], one["value"]) for one in asked] == [("clip_low", [v]) for v in (0.1, None, "it's")]


def test_a_row_with_several_controls_has_no_contrast_of_its_own():
    low, high = (cells("random", 0.5, reward__probability=p) for p in (0.1, 0.9))
    truth = cells("ground_truth", 0.7, seeds=(0, 1))
    assert not any("contrast" in numbers for numbers in summaries(verdict(low, high, truth)).values())
    one = summaries(verdict(low, truth))
    assert [set(one[cell.signature]) for cell in truth] == [{*NUMBERS, "contrast_to"}] * 2
    unlike = [replace(cell, unlike="other evaluations", final=None) for cell in truth]
    assert all(set(summaries(verdict(unlike))[cell.signature]) == {"base"} for cell in unlike)


def test_words_of_others_are_shown_letter_by_letter_and_long_tables_end():
    assert escaped("a|b\n<b>_*") == r"a\|b \<b\>\_\*"
    many = [cells(f"reward|{number}", 0.5) for number in range(MOST_ROWS + 20)]
    text = tables_markdown(verdict(*many))
    assert "20 rows more: `python -m sweep compare s`" in text and r"reward\|99" in text and "reward|" not in text
    waiting = [replace(cell, final=None, final_accuracy=None) for cell in cells("random", 0.5)]
    assert verdict_markdown(verdict(waiting)).startswith("No cell has a result yet.")
