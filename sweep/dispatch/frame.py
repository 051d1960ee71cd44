"""What a terminal shows of a sweep: a head, the runs that need attention first, and a page of them at a time. Pure."""

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
    """What the foot says: how one gets to the other pages, and how one ends."""

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
    """A page of the sweep, in exactly as many lines as the terminal has.

    Args:
        curves: asked for the runs of the page alone.
        page: from 0; beyond the last one it goes on with the first.
        left: how long the sweep will still take. clock: when the statuses were looked at. warning: why they may be old.
    """
    rows = Rows(in_order(statuses), surface.columns, surface.encoding)
    head = _head(sweep, rows, surface, left, clock, warning)
    # One run, its note, the heading and the foot come before the head where the terminal is very low.
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
    """All of the sweep, however long, with whole notes."""
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
    """Texts with their styles and a space between two, on as many lines as they take; a longer text on its own."""
    lines = [Text()]
    for number, (text, style) in enumerate(parts):
        if number and lines[-1].cell_len + 1 + cell_len(text) > width:
            lines.append(Text(" "))
        lines[-1].append(" " if number else "").append(text, style)
    return lines


def _pages(heights: Sequence[int], room: int) -> list[list[int]]:
    """The places of the runs of each page, by the lines that each run takes; a page at least, and a run on each."""
    pages: list[list[int]] = [[]]
    used = 0
    for place, height in enumerate(heights):
        if pages[-1] and used + height > room:
            pages.append([])
            used = 0
        pages[-1].append(place)
        used += height
    return pages
