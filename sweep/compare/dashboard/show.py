"""Make or renew the saved view of a sweep, the numbers of its runs, and its report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sweep.compare.cells import ACCURATE
from sweep.compare.dashboard.board import Board, board
from sweep.compare.dashboard.service import Sent, Service, connected
from sweep.compare.dashboard.summaries import summaries
from sweep.compare.figures.write import write_figures
from sweep.compare.verdict import Verdict
from sweep.errors import UserError
from sweep.run.ledger import read_sweep
from sweep.run.wandb_names import sweep_tag
from sweep.run.wandb_places import REPORT, VIEW, Pages, places_of

GONE = ("not found in project", "not found")


def check_question(verdict: Verdict, targets: list[str]) -> None:
    """Refuse what a sweep's one view cannot show.

    Raises:
        UserError: several sweeps or a file were named, or something else than the accuracy of all cells at the end.
    """
    comparison = verdict.comparison
    if list(comparison.sweeps) != targets:
        raise UserError("--wandb: a file has no runs on W&B; name the sweep")
    if len(targets) > 1:
        raise UserError(f"--wandb: each sweep has a view of its own; name one of {', '.join(targets)}")
    if comparison.metric != ACCURATE or verdict.question.where:
        raise UserError(
            "--wandb: the view is of the accuracy of all cells at their end, for whoever opens it; leave --metric, "
            "--at-step and --where out"
        )


def show(verdict: Verdict, with_report: bool) -> list[str]:
    """Show the verdict on one sweep wherever its runs are tracked.

    Args:
        with_report: whether the report is made or renewed too.
    Returns:
        what to say: the addresses first, then what is lacking.
    Raises:
        UserError: no cell is tracked, or a server cannot be reached or refuses something.
    """
    (name,) = verdict.comparison.sweeps
    sweep = read_sweep(verdict.comparison.root, name)
    places = places_of(sweep)
    if not places:
        raise UserError(f"{name}: no cell of it is tracked; launch it again with tracking.mode=online, or offline")
    said = []
    for place in places:
        pages = Pages(sweep, place)
        with pages.held(), connected(place) as service:
            service.ensure_project()
            shown = board(verdict, sweep.cells, name, service.entity, service.project)
            runs = service.training_runs(sweep_tag(name))
            sent = service.write_summaries(runs, summaries(verdict))
            shown = shown.with_runs({sign: run.id for sign, run in runs.items()})
            said.append(f"W&B view: {_view(shown, pages)}")
            if with_report:
                said.append(f"W&B report: {_report(shown, pages, service)}")
            said += _lacking(name, sent)
    return said


def _lacking(name: str, sent: Sent) -> list[str]:
    if not sent.missing:
        return []
    known = sent.written + sent.same + len(sent.missing)
    return [
        f"W&B has no run of {len(sent.missing)} of {known} cells that have a result; `python -m sweep sync {name}` "
        "sends what is lacking"
    ]


def _view(shown: Board, pages: Pages) -> str:
    from wandb_workspaces.workspaces import Workspace

    from sweep.compare.dashboard.workspace import renew, workspace

    view = _there(Workspace.from_url, pages, VIEW)
    if view is None:
        view = workspace(shown)
    else:
        renew(view, shown)
    view.save()
    pages.write(VIEW, view.url)
    return view.url


def _report(shown: Board, pages: Pages, service: Service) -> str:
    from wandb_workspaces.reports.v2 import Report

    from sweep.compare.dashboard.report import renew, report

    drawn = write_figures(shown.verdict, service.home / "figures")
    files = {f"figures/{file.stem}": file for file in drawn.files if file.suffix == ".png"}
    if files:
        service.send_figures(shown.tag, shown.sweep, files)
    there = _there(Report.from_url, pages, REPORT)
    if there is None:
        there = report(shown, [*files])
    else:
        renew(there, shown, [*files])
    there.save()
    pages.write(REPORT, there.url)
    return there.url


def _there(load: Callable[[str], Any], pages: Pages, kind: str) -> Any | None:
    """The page as the server has it; None where none was made, or somebody deleted it.

    Raises:
        UserError: what is there cannot be read.
    """
    if (url := pages.read(kind)) is None:
        return None
    from wandb_workspaces.workspaces.errors import SpecVersionError

    try:
        return load(url)
    except (SpecVersionError, ValidationError) as error:
        raise UserError(
            f"{url}: was changed into something that this version of wandb-workspaces cannot read, and is left as it is "
            f"({str(error).splitlines()[0]}); delete its line from {pages.file} to have a new one made"
        ) from error
