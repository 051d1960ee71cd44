"""A sweep's saved view and report on W&B, made with the real clients and read back from a server of the tests."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import wandb
import wandb_workspaces.reports.v2 as wr
import wandb_workspaces.workspaces as ws

from helpers.constants import ROOT
from helpers.made_up_results import cells, verdict
from helpers.wandb_finished import FAMILIES
from helpers.written_sweeps import FINAL, give
from sweep.compare.ask import Options, answer
from sweep.compare.dashboard import service, show
from sweep.compare.dashboard.board import LEAST_RUNS, LINES, SPARE_RUNS, board
from sweep.compare.dashboard.report import NOTES, report
from sweep.compare.dashboard.summaries import summaries
from sweep.compare.dashboard.words import MOST_ROWS, escaped, tables_markdown, verdict_markdown
from sweep.compare.figures.style import COLOURS
from sweep.compare.figures.write import Drawn, write_figures
from sweep.dispatch import saved_view
from sweep.run.entry import Entry
from sweep.run.wandb_names import SUPERSEDED

pytest_plugins = ["helpers.wandb_finished"]  # its fixtures

NUMBERS = ("base", "final", "difference", "contrast")


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
    drawn = write_figures(answer(["s"], sweep.root, Options(curves=True)), tmp_path / "figures")
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


def entries(found) -> list[Entry]:
    return [cell.entry for cell in found.comparison.cells]


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
