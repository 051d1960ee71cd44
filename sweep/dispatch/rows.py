"""Show the runs of a sweep as the lines of a table that fits a terminal's width.

Pure, except that the function `curves`, which is passed in, reads files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.cells import cell_len, chop_cells, set_cell_size
from rich.text import Text

from sweep.compare.sparkline import means, shown_in, sparkline
from sweep.dispatch.names import names_of
from sweep.dispatch.series import Curve, Values
from sweep.dispatch.words import colour_of, needs_attention, number
from sweep.run.costs import duration
from sweep.run.status import Status
from sweep.shown import shown

NUMBER = 5  # columns of a reward or an accuracy, at least
SHORTEST, USUAL, LONGEST = 6, 8, 24  # columns of a sparkline
NARROWEST = 16  # columns of the names, below which there are no sparklines
SPAN = 0.1  # of a sparkline's values, at least, so that small changes look small


class Rows:
    """Runs in the order that they are given, in columns: names, state, step, time left, reward, accuracy."""

    def __init__(self, statuses: Sequence[Status], width: int, encoding: str) -> None:
        self.statuses, self._width, self._encoding = list(statuses), width, encoding
        self._ellipsis = shown_in_place("…", encoding)
        names = names_of(statuses, encoding)
        self.common = names.common
        self._cells = [_cells(s) for s in statuses]
        columns = zip(("state", "step", "left"), *self._cells, strict=True)
        self._widths = [max(map(len, column)) for column in columns]
        self._number = max([NUMBER, *(len(number(v)) for s in statuses for v in (s.reward, s.accuracy))])
        self._gap, of_names, self._spark = self._fit(names.width)
        self._heading, self._names = names.lines(of_names, self._ellipsis)

    def __len__(self) -> int:
        return len(self.statuses)

    def _fit(self, names: int) -> tuple[int, int, int]:
        """Return the widths of the gap between two columns, of the names, and of a sparkline."""
        fixed = sum(self._widths) + 2 * self._number
        for gap, least in ((2, USUAL), (1, SHORTEST)):
            spark = (self._width - fixed - 5 * gap - names) // 2 - 1
            if spark >= least:
                return gap, names, min(spark, LONGEST)
        left = self._width - fixed - 5
        of_names = left - 2 * (1 + SHORTEST)
        if of_names >= min(names, NARROWEST):
            return 1, of_names, SHORTEST
        return 1, max(NUMBER, min(names, left)), 0

    @property
    def heading(self) -> Text:
        """The titles of the columns, as one line."""
        state, step, left = (f"{title:<{w}}" for title, w in zip(("state", "step", "left"), self._widths, strict=True))
        reward = "mean reward" if self._values >= len("mean reward") else "reward"
        titles = [self._heading, state, step.strip().rjust(self._widths[1]), left.strip().rjust(self._widths[2])]
        titles += [set_cell_size(title, self._values) for title in (reward, "accuracy")]
        return Text(self._cropped((" " * self._gap).join(titles)).rstrip(), "bold")

    @property
    def _values(self) -> int:
        """The terminal columns of a number and its sparkline."""
        return self._number + (1 + self._spark if self._spark else 0)

    @property
    def _beside(self) -> int:
        """The terminal columns of both numbers and sparklines, where a note may stand instead."""
        return 2 * self._values + self._gap

    def height(self, place: int) -> int:
        """Return the number of lines that the run takes."""
        return 2 if self._stands_beneath(self.statuses[place]) else 1

    def _stands_beneath(self, s: Status) -> bool:
        if not s.note:
            return False
        has_numbers = s.reward is not None or s.accuracy is not None
        return has_numbers or (needs_attention(s.state) and cell_len(self._shown(s.note)) > self._beside)

    def lines(self, place: int, curves: Callable[[Status], Curve], whole: bool = False) -> list[Text]:
        """Return the run's line and the note, if it stands beneath: one line of it, or all where `whole` is set."""
        s, (state, step, left) = self.statuses[place], self._cells[place]
        gap, note, colour = " " * self._gap, self._shown(s.note), colour_of(s.state)
        of_state, of_step, of_left = self._widths
        line = Text(self._names[place] + gap).append(f"{state:<{of_state}}", colour)
        line.append(f"{gap}{step:>{of_step}}{gap}{left:>{of_left}}{gap}")
        beneath = self._stands_beneath(s) or (whole and cell_len(note) > self._beside)
        if note and not beneath:
            line.append(self._ended(note, self._beside), "" if s.state.at_work else colour)
        elif not beneath or s.reward is not None or s.accuracy is not None:
            line.append(self._curves(s, curves(s), gap))
        line.rstrip()
        line.truncate(self._width, overflow="crop")
        if not beneath:
            return [line]
        room = max(1, self._width - 2)
        texts = chop_cells(note, room) if whole else [self._ended(note, room)]
        return [line, *(Text(f"  {text}", colour) for text in texts)]

    def _curves(self, s: Status, curve: Curve, gap: str) -> str:
        if curve.fault and self._spark:
            fault = self._ended(self._shown(curve.fault), self._beside - self._number - 1)
            return f"{number(s.reward):>{self._number}} {fault}"
        pairs = ((s.reward, curve.rewards), (s.accuracy, curve.accuracies))
        return gap.join(f"{number(value):>{self._number}}{self._line(values)}" for value, values in pairs)

    def _line(self, values: Values) -> str:
        """Return a sparkline over all steps of the run, later ones included: its length shows how far the run is."""
        if not self._spark:
            return ""
        drawn = means(values, self._spark) if values else []
        present = [mean for mean in drawn if mean is not None]
        low = min(present, default=0.0)
        high = max([low + SPAN, *present])
        return " " + shown_in(self._encoding, sparkline(drawn, self._spark, low, high))

    def _shown(self, text: str) -> str:
        return shown(text, encoding=self._encoding)

    def _ended(self, text: str, width: int) -> str:
        """Return the text, or its beginning if it is too long."""
        if cell_len(text) <= width:
            return text
        return set_cell_size(text, max(0, width - len(self._ellipsis))).rstrip() + self._ellipsis

    def _cropped(self, text: str) -> str:
        return set_cell_size(text, self._width).rstrip() if cell_len(text) > self._width else text


def shown_in_place(character: str, encoding: str) -> str:
    """Return the character, or three full stops if the encoding lacks it."""
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        return "..."
    return character


def _cells(s: Status) -> tuple[str, str, str]:
    """Return the state, the step and the time left of a run."""
    left = "" if s.seconds_left is None else duration(s.seconds_left)
    return str(s.state), f"{s.step}/{s.steps}" if s.steps else "", left
