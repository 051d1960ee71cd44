"""Compose a terminal's view of a sweep: a head and a page of runs, those that need attention first. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from sweep.config.faults import plural
from sweep.dispatch.rows import Rows
from sweep.dispatch.series import Curve
from sweep.dispatch.words import colour_of, in_order
from sweep.run.status import Status
from sweep.shown import shown

LINES_OF_A_WARNING = 2


@dataclass(frozen=True)
class Surface:
    """A terminal: how many columns and lines it has, and the encoding of what it can show."""

    columns: int
    lines: int
    encoding: str = "utf-8"


@dataclass(frozen=True)
class Hints:
    """The texts of the foot: how to turn pages, and how to leave."""

    turn: str
    end: str


@dataclass(frozen=True)
class Frame:
    """Lines that fit the terminal, the page they show (from 0), and how many pages there are."""

    lines: list[Text]
    page: int
    pages: int


Curving = Callable[[Status], Curve]


def frame(
    sweep: str,
    statuses: Sequence[Status],
    surface: Surface,
    curves: Curving,
    page: int,
    hints: Hints,
    left: str = "",
    clock: str = "",
    warning: str = "",
) -> Frame:
    """Return a page of the sweep, in exactly as many lines as the terminal has.

    Args:
        curves: called only for the runs of the page.
        page: from 0; after the last page comes the first again.
        left: how long the sweep will still take. clock: when the statuses were looked at. warning: why they may be old.
    """
    rows = Rows(in_order(statuses), surface.columns, surface.encoding)
    head = _head(sweep, rows, surface, left, clock, warning)
    # In a very low terminal the head is cut, so that one run, its note, the heading and the foot still fit.
    head = head[: max(1, surface.lines - 4)]
    room = max(1, surface.lines - len(head) - 2)
    pages = _pages([rows.height(place) for place in range(len(rows))], room)
    page %= len(pages)
    body = [line for place in pages[page] for line in rows.lines(place, curves)][:room]
    blank = [Text("")] * (room - len(body))
    foot = f"page {page + 1} of {len(pages)}   {hints.turn}   {hints.end}" if len(pages) > 1 else hints.end
    lines = [*head, rows.heading, *body, *blank, Text(set_cell_size(foot, surface.columns).rstrip(), "dim")]
    return Frame(lines[: surface.lines], page, len(pages))


def whole(
    sweep: str, statuses: Sequence[Status], surface: Surface, curves: Curving, left: str = "", warning: str = ""
) -> list[Text]:
    """Return the lines of all runs with their whole notes, however many lines that takes."""
    rows = Rows(in_order(statuses), surface.columns, surface.encoding)
    body = [line for place in range(len(rows)) for line in rows.lines(place, curves, whole=True)]
    return [*_head(sweep, rows, surface, left, "", warning), rows.heading, *body]


def _head(sweep: str, rows: Rows, surface: Surface, left: str, clock: str, warning: str) -> list[Text]:
    statuses = rows.statuses
    states = [s.state for s in statuses]
    title = shown(f"sweep {sweep}: {plural(len(statuses), 'run')}:", encoding=surface.encoding)
    parts = [(f"{states.count(state)} {state},", colour_of(state)) for state in dict.fromkeys(states)]
    lines = _wrapped([(title, "bold"), *parts], surface.columns)
    lines[-1].right_crop(1)
    if left:
        lines += _wrapped([(word, "") for word in shown(left, encoding=surface.encoding).split()], surface.columns)
    room = surface.columns - lines[-1].cell_len - len(clock)
    lines[-1].append(" " * max(room, 2) + clock if clock else "")
    if rows.common:
        lines.append(Text(f"every cell: {rows.common}"))
    words = shown(warning, encoding=surface.encoding).split()
    lines += _wrapped([(word, "yellow") for word in words], surface.columns)[:LINES_OF_A_WARNING] if words else []
    for line in lines:
        line.truncate(surface.columns, overflow="crop")
    return lines


def _wrapped(parts: Sequence[tuple[str, str]], width: int) -> list[Text]:
    """Return styled texts with a space between two, on as many lines as they need; one too long stands alone."""
    lines = [Text()]
    for number, (text, style) in enumerate(parts):
        if number and lines[-1].cell_len + 1 + cell_len(text) > width:
            lines.append(Text(" "))
        lines[-1].append(" " if number else "").append(text, style)
    return lines


def _pages(heights: Sequence[int], room: int) -> list[list[int]]:
    """Return the places of the runs on each page, given the lines that each run takes.

    There is at least one page, and each page has at least one run if there are any.
    """
    pages: list[list[int]] = [[]]
    used = 0
    for place, height in enumerate(heights):
        if pages[-1] and used + height > room:
            pages.append([])
            used = 0
        pages[-1].append(place)
        used += height
    return pages
