"""Make or update the saved view of a sweep, the summaries of its runs, and its report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from sweep.compare.dashboard.board import Board, board
from sweep.compare.dashboard.service import Sent, Service, connected
from sweep.compare.dashboard.summaries import summaries
from sweep.compare.figures.write import write_figures
from sweep.compare.verdict import Verdict
from sweep.errors import UserError
from sweep.run.ledger import read_sweep
from sweep.run.wandb_names import sweep_tag
from sweep.run.wandb_places import REPORT, VIEW, Pages, cells_by_place

NO_SUCH_VIEW = "not found in project"  # part of wandb-workspaces' message about a deleted view


def show(verdict: Verdict, with_report: bool, sync: str) -> list[str]:
    """Show the verdict on one sweep at every place where its runs are tracked.

    Args:
        with_report: make or update the report too.
        sync: the command that sends runs which W&B does not have.
    Returns:
        the lines to print: the addresses first, then what is missing.
    Raises:
        UserError: no cell is tracked, or a server cannot be reached or refuses something.
    """
    (name,) = verdict.comparison.sweeps
    sweep = read_sweep(verdict.comparison.root, name)
    tracked = cells_by_place(sweep)
    if not tracked:
        raise UserError(f"{name}: no cell of it is tracked; launch it again with tracking.mode=online, or offline")
    said = []
    for place, entries in tracked.items():
        trainings = {entry.signature for entry in entries if entry.steps}  # a cell that only evaluates has no W&B run
        known = {sign: numbers for sign, numbers in summaries(verdict).items() if sign in trainings}
        pages = Pages(sweep, place)
        with pages.held(), connected(place) as service:
            service.ensure_project()
            runs = service.training_runs(sweep_tag(name))
            sent = service.write_summaries(runs, known)
            identifiers = {sign: run.id for sign, run in runs.items()}
            shown = board(verdict, sweep.cells, identifiers, name, service.entity, service.project)
            said.append(f"W&B view: {_view(shown, pages)}")
            if with_report:
                said.append(f"W&B report: {_report(shown, pages, service)}")
            said += _lacking(sent, sync)
    return said


def _lacking(sent: Sent, sync: str) -> list[str]:
    if not sent.missing:
        return []
    known = sent.written + sent.same + len(sent.missing)
    return [
        f"W&B has no run of {len(sent.missing)} of {known} cells with a number; {sync} sends what is lacking, and then "
        "this command again"
    ]


def _view(shown: Board, pages: Pages) -> str:
    from wandb_workspaces.workspaces import Workspace

    from sweep.compare.dashboard.workspace import renew, workspace

    url = pages.read(VIEW)
    view = _loaded(Workspace.from_url, url, pages) if url else None
    if view:
        renew(view, shown)
    else:
        view = workspace(shown)
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
    url = pages.read(REPORT)
    there = _loaded(Report.from_url, url, pages) if url and service.has_report(url) else None
    if there:
        renew(there, shown, [*files])
    else:
        there = report(shown, [*files])
    there.save()
    pages.write(REPORT, there.url)
    return there.url


def _loaded(load: Callable[[str], Any], url: str, pages: Pages) -> Any | None:
    """Return the page from the server, or None if somebody deleted it.

    Raises:
        UserError: the page cannot be read.
    """
    from wandb_workspaces.workspaces.errors import SpecVersionError

    try:
        return load(url)
    except (SpecVersionError, ValidationError) as error:
        why = str(error).splitlines()[0]
        raise UserError(
            f"{url}: wandb-workspaces cannot read what this was changed into ({why}), so that it is left as it is; "
            f"take it out of {pages.file} to have a new one made"
        ) from error
    except ValueError as error:
        if NO_SUCH_VIEW in str(error):
            return None
        raise
