"""Print findings, the worst first, each with its remedy below it."""

from __future__ import annotations

import os
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from sweep.doctor.finding import Finding, Level, by_severity, counted
from sweep.shown import encoding_of, shown

STYLES = {Level.BROKEN: "bold red", Level.WARNING: "yellow", Level.NOT_CHECKED: "cyan", Level.OK: "green"}
WIDTH = max(len(str(level)) for level in Level) + 2


def print_findings(title: str, found: Sequence[Finding], console: Console) -> None:
    """Print a title, a line for each finding and one for its remedy, and how many there are of each level."""
    encoding = encoding_of(console.encoding, os.environ)
    arrow = "→" if encoding != "ascii" else "->"

    def line(*parts: tuple[str, str] | str) -> None:
        """Print a line whose parts may each have a style. Long lines are not cut, so that commands can be copied."""
        console.print(Text.assemble(*parts), soft_wrap=True, highlight=False)

    line((shown(title, encoding=encoding), "bold"))
    for one in by_severity(found):
        place = f"{one.place}: " if one.place not in ("", title) else ""
        line((str(one.level).ljust(WIDTH), STYLES[one.level]), shown(place + one.seen, encoding=encoding))
        if one.remedy:
            line(" " * WIDTH, f"{arrow} ", shown(one.remedy, encoding=encoding))
    line(", ".join(f"{count} {level}" for level, count in counted(found).items()))
