"""The figure `contrasts`: each reward minus its control, and each control minus its base, with intervals."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sweep.compare.contrasts import Change, Contrast, Tested
from sweep.compare.figures.page import LEADING, MARGIN, Heading, Page, line_height, number_axis, text_width, wrapped
from sweep.compare.figures.style import GREY, SMALL, TEXT, WIDTH, Look, label_of, looks, printable
from sweep.compare.sentences import family_of, p_value
from sweep.compare.verdict import Verdict

SPACE, MOST = 0.06, 2.6  # inches: the space between lines; the most room for names
NUMBERS = {"n": 0.22, "adjusted p": 0.62}  # the columns at the right, in inches


@dataclass(frozen=True)
class _Line:
    """One line of the figure. `height` and `middle` are in inches; `middle` counts from the upper edge of the first
    line.
    """

    texts: list[str]
    tested: Tested | None  # None: the name of a family
    look: Look | None
    height: float
    middle: float


def draw(verdict: Verdict) -> Figure | None:
    """Return the figure of all contrasts and of the controls' own changes, or None if there are none."""
    found, metric = verdict.findings, verdict.comparison.metric
    if not found.contrasts and not found.changes:
        return None
    width = min(MOST, max(text_width(text, SMALL, "bold") for _, text, _ in _named(verdict)) + 0.02)
    lines = _lines(verdict, width)
    unit = "points" if metric.is_share else metric.name
    heading = Heading(
        f"{verdict.comparison.title}: each reward less its control, final {metric.title}", _notes(verdict)
    )
    below = line_height(TEXT) + 0.3
    head = line_height(SMALL) + 0.04
    total = lines[-1].middle + lines[-1].height / 2
    page = Page(heading.height + head + total + below + 2 * MARGIN)
    heading.put(page)
    left, right = 2 * MARGIN + width + 0.06, WIDTH - MARGIN - sum(NUMBERS.values())
    place = right
    for name, room in NUMBERS.items():
        place += room
        page.text(place, page.top, name, SMALL, ha="right", color=GREY)
    top = page.top + head
    axes = page.axes(left, top, right - left - 0.08, total)
    _prepare(axes, total)
    for line in lines:
        _write(page, line, top)
        if line.tested and line.look:
            _draw_interval(axes, line.middle, line.tested, line.look, metric.scale)
    page.text((left + right) / 2, top + total + 0.24, f"difference in {unit}", ha="center")
    return page.figure


def _notes(verdict: Verdict) -> list[str]:
    found = verdict.findings
    notes = []
    if any(one.estimate.low is not None for one in (*found.contrasts, *found.changes)):
        notes.append(
            "Lines: 95 % intervals over n seeds, each by itself. Full markers and bold: told apart (p < 0.05, adjusted "
            f"by Holm over m = {found.tests} tests). Open markers: not told apart, or not tested."
        )
    if any(one.estimate.n == 1 for one in (*found.contrasts, *found.changes)):
        notes.append("A marker without a line is one seed (n = 1), which has neither an interval nor a test.")
    return notes


def _named(verdict: Verdict) -> list[tuple[str, str, Contrast | Change]]:
    """Return for each contrast and change its family, its text, and itself; by family, in the order of the rows."""
    by, rows, found = verdict.question.by, verdict.rows, verdict.findings
    made: list[tuple[str, str, Contrast | Change]] = []
    both: list[Contrast | Change] = [*found.contrasts, *found.changes]
    for one in both:
        other = label_of(one.control, rows, by) if isinstance(one, Contrast) else "its base"
        unpaired = " (unpaired)" if isinstance(one, Contrast) and not one.paired else ""
        made.append((family_of(one.row, by), f"{label_of(one.row, rows, by)} − {other}{unpaired}", one))
    order = list(dict.fromkeys(family_of(row, by) for row in rows))
    return sorted(made, key=lambda named: order.index(named[0]))


def _lines(verdict: Verdict, width: float) -> list[_Line]:
    known, down = looks(verdict.rows, verdict.question.by), 0.0
    lines: list[_Line] = []

    def add(texts: list[str], size: float, tested: Tested | None, look: Look | None) -> None:
        nonlocal down
        height = len(texts) * line_height(size) + SPACE
        lines.append(_Line(texts, tested, look, height, down + height / 2))
        down += height

    for family, members in groupby(_named(verdict), lambda named: named[0]):
        add(wrapped(printable(family), width + 0.08, TEXT, "bold"), TEXT, None, None)
        for _, text, tested in members:
            look = known[label_of(tested.row, verdict.rows, verdict.question.by)]
            add(wrapped(text, width, SMALL, "bold" if tested.told_apart else "normal"), SMALL, tested, look)
    return lines


def _prepare(axes: Axes, total: float) -> None:
    axes.set_ylim(total, 0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.axvline(0, color="black", linewidth=0.8, zorder=1)
    number_axis(axes.xaxis, 4)


def _write(page: Page, line: _Line, top: float) -> None:
    """Write the texts of a line at the left, and its numbers at the right."""
    size, weight = (SMALL, "normal") if line.tested else (TEXT, "bold")
    if line.tested and line.tested.told_apart:
        weight = "bold"
    left = MARGIN + (0.08 if line.tested else 0.0)
    first = top + line.middle - len(line.texts) * line_height(size) / 2 + (LEADING - 1) * size / 144
    for number, text in enumerate(line.texts):
        page.text(left, first + number * line_height(size), text, size, weight=weight)
    if line.tested:
        numbers = [str(line.tested.estimate.n), p_value(line.tested.adjusted) or "–"]
        place = WIDTH - MARGIN - sum(NUMBERS.values())
        for text, room in zip(numbers, NUMBERS.values(), strict=True):
            place += room
            page.text(place, top + line.middle, text, size, ha="right", va="center", weight=weight)


def _draw_interval(axes: Axes, middle: float, tested: Tested, look: Look, scale: float) -> None:
    estimate = tested.estimate
    if estimate.low is not None and estimate.high is not None:
        axes.plot([estimate.low * scale, estimate.high * scale], [middle] * 2, color=look.colour, linewidth=1.2)
    axes.plot(
        [estimate.value * scale],
        [middle],
        color=look.colour,
        marker=look.marker,
        markersize=5,
        linestyle="none",
        markerfacecolor=look.colour if tested.told_apart else "white",
    )
