"""Write the figures of a verdict into a directory, each as SVG and as PNG."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.compare.curves import NO_CURVES
from sweep.compare.figures.style import SETTINGS
from sweep.compare.metrics import ACCURACY, Metric
from sweep.compare.verdict import Verdict
from sweep.errors import UserError
from sweep.run.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = ("png", "svg")
RESOLUTION = 200  # dots an inch in the PNG
MOST_DOTS = 60_000  # of its height: matplotlib's limit is 65,536, which a thousand contrasts would reach


@dataclass(frozen=True)
class Drawn:
    """The files that were written, and by figure the reason why others were not."""

    files: list[Path]
    left_out: dict[str, str]

    @property
    def lines(self) -> list[str]:
        """The lines to print: missing figures with reasons, then paths, the most useful one last."""
        missing = [f"no figure {name}: {why}" for name, why in self.left_out.items()]
        return [*missing, *map(str, reversed(self.files))]


def check_directory(directory: Path) -> None:
    """Check that figures can be written to `directory`. Nothing is created.

    Raises:
        UserError: it is not a directory, or may not be written.
    """
    there = next(place for place in (directory, *directory.absolute().parents) if place.exists())
    if not there.is_dir():
        what = "" if there == directory else f"{there} "
        raise UserError(f"--figures {directory}: {what}is a file; name a directory")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"--figures {directory}: {there} may not be written; name another directory")


def write_figures(verdict: Verdict, directory: Path) -> Drawn:
    """Write every figure that the verdict has data for, and replace older files.

    Raises:
        OSError: the directory cannot be written.
    """
    import matplotlib.style  # takes half a second, and only figures need it

    from sweep.compare.figures import code, contrasts, curves, pass_at_k

    makers = {
        "curves": (curves.draw, NO_CURVES),
        "contrasts": (contrasts.draw, "no row has a control, and so there is nothing to subtract"),
        "code": (code.draw, "no row has both accuracy and share of code before and after training"),
    }
    if verdict.comparison.problems and len(verdict.comparison.problems) == len(verdict.rows):  # else few were read
        makers["pass_at_k"] = pass_at_k.draw, "no answers are kept of problems that have several"
    metric = verdict.comparison.metric
    drawn = Drawn([], {})
    directory.mkdir(parents=True, exist_ok=True)
    with matplotlib.style.context(["default", SETTINGS]):  # the user's own settings must not change the figures
        for name, (make, why_not) in makers.items():
            if name == "code" and metric != Metric(ACCURACY, benchmark=metric.benchmark):
                drawn.left_out[name] = f"it is of the accuracy at the end, and this comparison is of {metric.title}"
            elif (figure := make(verdict)) is None:
                drawn.left_out[name] = why_not
            else:
                drawn.files.extend(save(figure, name, directory))
    return drawn


def save(figure: Figure, name: str, directory: Path) -> list[Path]:
    """Write a figure as PNG and as SVG, under `name`, and return the files."""
    files, resolution = [], min(RESOLUTION, MOST_DOTS / figure.get_figheight())
    for kind in KINDS:
        content = io.BytesIO()
        metadata = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
        figure.savefig(content, format=kind, dpi=resolution, metadata=metadata)
        files.append(directory / f"{name}.{kind}")
        write_bytes(files[-1], content.getvalue())
    return files
