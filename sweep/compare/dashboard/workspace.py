"""Make a saved view of W&B from a board, or update an existing one. Contacts no server."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import wandb_workspaces.expr as expr
import wandb_workspaces.reports.v2 as wr
import wandb_workspaces.workspaces as ws

from sweep.compare.dashboard.board import LINES, STEP, VERDICT, Board
from sweep.compare.dashboard.words import verdict_markdown
from sweep.run.wandb_names import BASE, CELL, CONTRAST, DIFFERENCE, FINAL, SUPERSEDED, TRAINING

COLUMNS = [f"summary:{key}" for key in (BASE, FINAL, DIFFERENCE, CONTRAST)]
WIDE, NARROW = 1, 3  # panels side by side


def runs_of(board: Board) -> str:
    """Return the filter of the sweep's trainings, in the language of wandb-workspaces."""
    parts = [
        f"Metric('JobType') in [{TRAINING!r}]",
        f"Metric('Tags') in [{board.tag!r}]",
        f"Metric('Tags') not in [{SUPERSEDED!r}]",
    ]
    return " and ".join(parts)


def lines(metric: str, section: str, limit: int) -> wr.LinePlot:
    """Return a panel with a line for each row: the mean over its seeds, in a band from the lowest to the highest."""
    panel = wr.LinePlot(
        title=metric,
        x=STEP,  # set here because the panel's own default would take precedence over the view's
        y=[metric],
        groupby=wr.Config(CELL),
        groupby_aggfunc="mean",
        groupby_rangefunc="minmax",
        max_runs_to_show=limit,
    )
    return _named(panel, section, metric)


def workspace(board: Board) -> ws.Workspace:
    """Return a new view."""
    text = f"# {VERDICT}\n\n{verdict_markdown(board.verdict)}"
    verdict = _named(wr.MarkdownPanel(markdown=text), VERDICT, VERDICT)
    sections = [_section(VERDICT, [verdict], WIDE, pinned=True)]
    for name, metrics in LINES.items():
        sections.append(_section(name, [lines(metric, name, board.limit) for metric in metrics], NARROW))
    return ws.Workspace(
        entity=board.entity,
        project=board.project,
        name=f"Sweep {board.sweep}",
        sections=sections,
        settings=ws.WorkspaceSettings(x_axis=STEP, max_runs=board.limit),
        runset_settings=ws.RunsetSettings(
            filters=runs_of(board),
            groupby=[expr.Config(key) for key in board.axes],
            group_colors={_path(path): colour for path, colour in board.colours.items()},
            pinned_columns=list(COLUMNS),
            baseline_run=board.baseline,
        ),
    )


def renew(there: ws.Workspace, board: Board) -> None:
    """Update an existing view, and keep what a person added to it.

    The sections made here are set again: their own panels are replaced, and panels that a person added to them stay.
    Other sections, other pinned columns, the view's name, and everything else that is not set below stay too.
    """
    new = workspace(board)
    theirs, ours = there.runset_settings, new.runset_settings
    own = {section.name: section for section in new.sections}
    for section in there.sections:
        if section.name in own:
            _renew_section(section, own[section.name])
    known = {section.name for section in there.sections}
    there.sections = [*(s for s in new.sections if s.name not in known), *there.sections]
    there.settings.x_axis = STEP
    there.settings.max_runs = max(there.settings.max_runs, board.limit)
    theirs.filters = ours.filters
    theirs.groupby = ours.groupby
    theirs.group_colors = {**theirs.group_colors, **ours.group_colors}
    theirs.pinned_columns = [*ours.pinned_columns, *(c for c in theirs.pinned_columns if c not in ours.pinned_columns)]
    if board.baseline is not None:
        theirs.baseline_run = board.baseline


def _renew_section(there: ws.Section, own: ws.Section) -> None:
    mine = {panel._id for panel in own.panels}
    there.panels = [*own.panels, *(panel for panel in there.panels if getattr(panel, "_id", None) not in mine)]
    there.panel_settings = own.panel_settings


def _section(name: str, panels: Sequence[Any], columns: int, pinned: bool = False) -> ws.Section:
    rows = -(-len(panels) // columns)
    return ws.Section(
        name=name,
        panels=list(panels),
        is_open=True,
        pinned=pinned,
        layout_settings=ws.SectionLayoutSettings(columns=columns, rows=rows),
        panel_settings=ws.SectionPanelSettings(x_axis=STEP),
    )


def _named(panel: Any, section: str, title: str) -> Any:
    """Give the panel an id that is the same whenever the view is made again, and that other panels do not have."""
    panel._id = hashlib.sha256(f"{section}/{title}".encode()).hexdigest()[:12]
    return panel


def _path(values: tuple[str, ...]) -> Any:
    return values[0] if len(values) == 1 else ws.GroupPath(*values)
