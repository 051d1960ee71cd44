"""Show the results at the end of a launch on this machine: the values over steps, and the paths of figures and page."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from sweep.compare.curve_table import print_curves
from sweep.compare.figures.write import write_figures
from sweep.compare.over_steps import with_curves
from sweep.compare.page.write import write_page
from sweep.compare.verdict import Verdict
from sweep.errors import DamagedFile, UserError
from sweep.run.unwritable import complaint


def show_curves(verdict: Verdict, directory: Path, screen: Console) -> None:
    """Print the values over steps, write the figures to `directory` and the page beside it; its path is the last line.

    Nothing is shown if no cell wrote metrics. The runs have ended by now, so damaged records, a disk that takes no
    figure or a missing matplotlib only print a message.
    """
    try:
        verdict = with_curves(verdict)
    except DamagedFile as error:
        screen.print(f"no values over steps: {error}", markup=False, highlight=False, soft_wrap=True)
        return
    if not any(verdict.comparison.curves.values()):
        return
    print_curves(verdict, screen)
    try:
        lines = write_figures(verdict, directory).lines
    except (OSError, ImportError) as error:
        why = complaint(error, directory) if isinstance(error, OSError) else ""
        lines = [f"the figures were not written: {why or error}"]
    page = directory.parent / "page.html"
    try:
        lines += [*write_page([verdict], page), str(page)]
    except (UserError, ImportError) as error:  # its message says which file
        lines.append(f"the page was not written: {error}")
    screen.print()
    for line in lines:
        screen.print(line, markup=False, highlight=False, soft_wrap=True)
