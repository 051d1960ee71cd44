"""Make a W&B report of a board, or update an existing one. Contacts no server."""

from __future__ import annotations

import json
from typing import Any

import wandb_workspaces.reports.v2 as wr

from sweep.compare.dashboard.board import OF_A_FAMILY, Board, Family
from sweep.compare.dashboard.words import remarks_markdown, sentences_markdown, tables_markdown
from sweep.compare.dashboard.workspace import lines, runs_of
from sweep.run.wandb_names import FIGURES

NOTES = "Notes"
ABOUT_NOTES = "What stands below this heading is kept when the report is brought up to date; all above is made again."
LONGEST_TITLE = 128


def report(board: Board, figures: list[str]) -> wr.Report:
    """Return a new report.

    Args:
        figures: the keys of the figures in the run that holds them.
    """
    made = wr.Report(entity=board.entity, project=board.project, title=f"Sweep {board.sweep}"[:LONGEST_TITLE])
    made.blocks = [*_own(board, figures), wr.H1(NOTES), wr.P(ABOUT_NOTES)]
    made.width = "fluid"
    return made


def renew(there: wr.Report, board: Board, figures: list[str]) -> None:
    """Replace everything above the notes. If their heading was removed, everything is kept below a new one."""
    headings = [place for place, block in enumerate(there.blocks) if isinstance(block, wr.H1) and block.text == NOTES]
    kept = there.blocks[headings[0] :] if headings else [wr.H1(NOTES), wr.P(ABOUT_NOTES), *there.blocks]
    there.blocks = [*_own(board, figures), *kept]


def _own(board: Board, figures: list[str]) -> list[Any]:
    verdict = board.verdict
    blocks = [wr.H1("Verdict"), wr.MarkdownBlock(sentences_markdown(verdict))]
    blocks += [wr.H1("Numbers"), wr.MarkdownBlock(tables_markdown(verdict))]
    if remarks := remarks_markdown(verdict):
        blocks.append(wr.MarkdownBlock(remarks))
    if figures:
        blocks += [wr.H1("Figures"), _figures(board, figures)]
    for family in board.families:
        blocks += [wr.H1(f"Runs of {family.name}"), _grid(board, family)]
    return blocks


def _figures(board: Board, figures: list[str]) -> wr.PanelGrid:
    run = f"Metric('JobType') in [{FIGURES!r}] and Metric('Tags') in [{board.tag!r}]"
    runs = wr.Runset(board.entity, board.project, FIGURES, filters=run)
    panels = [wr.MediaBrowser(title=key, media_keys=[key], num_columns=1) for key in figures]
    return wr.PanelGrid(runsets=[runs], panels=panels, hide_run_sets=True)


def _grid(board: Board, family: Family) -> wr.PanelGrid:
    """Return the panels of one family's runs. A grid in a report has a filter of its own; a plot in a view has none."""
    parts = [runs_of(board)]
    parts += [f"Config({key!r}) in [{_literal(value)}]" for key, value in family.values.items()]
    runs = wr.Runset(
        board.entity,
        board.project,
        family.name,
        filters=" and ".join(parts),
        groupby=[f"config.{key}" for key in board.axes],
    )
    panels = [lines(metric, family.name, board.limit) for metric in OF_A_FAMILY]
    return wr.PanelGrid(runsets=[runs], panels=panels, custom_run_colors=_colours(board, family))


def _colours(board: Board, family: Family) -> dict[wr.RunsetGroup, str]:
    found = {}
    for path, colour in board.colours.items():
        values = dict(zip(board.axes, path, strict=False))
        if all(values.get(key, value) == value for key, value in family.values.items()):
            keys = tuple(wr.RunsetGroupKey(wr.Config(key), value) for key, value in values.items())
            found[wr.RunsetGroup(family.name, keys)] = colour
    return found


def _literal(value: str) -> str:
    """Return the value of an axis in the language of filters. Numbers stay numbers, as in the configuration."""
    try:
        typed = json.loads(value)
    except ValueError:
        typed = value
    return repr(typed if isinstance(typed, int | float | None) else value)
