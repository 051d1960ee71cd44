"""Arguments and options that several commands share, and functions that print for all of them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from sweep.shown import shown_lines


def place(typed: str | Path) -> Path:
    """Return a directory as an absolute path.

    A leading ~ is expanded here, because bash does not expand that of --output-dir=~/runs.
    """
    if not str(typed).strip():
        raise typer.BadParameter("is empty; name a directory")
    return Path(os.path.expanduser(typed)).absolute()


Name = Annotated[str, typer.Argument(metavar="SWEEP", help="a sweep's name, as the launch printed it")]
Output = Annotated[Path, typer.Option(parser=place, help="the output_dir of the launch; output_dir=DIR does as well")]
Patterns = Annotated[
    list[str] | None,
    typer.Argument(metavar="[CELL…]", help="axis=value, a label, a directory's name or a signature"),
]
Figures = Annotated[
    Path | None, typer.Option(parser=place, metavar="DIR", help="write figures there too, each as SVG and as PNG")
]
Html = Annotated[
    Path | None,
    typer.Option("--html", parser=place, metavar="FILE", help="write a page there too, one file to look at"),
]
AllMetrics = Annotated[bool, typer.Option("--all-metrics", help="with --html: also times, speeds and memory")]
Curves = Annotated[bool, typer.Option("--curves", help="show the values over steps too; --json writes them")]
Seeds = Annotated[bool, typer.Option("--seeds", help="also a table of every seed, the worst of a row first")]
Costs = Annotated[bool, typer.Option("--costs", help="also a table of what a cell of each row cost")]
Wandb = Annotated[bool, typer.Option("--wandb", help="also bring its view on W&B, and its runs' numbers, up to date")]
WandbReport = Annotated[
    bool, typer.Option("--wandb-report", help="and its report there: sentences, tables, figures, a grid a family")
]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON instead of a table")]


def say(text: str) -> None:
    """Print text that comes from a run. Newlines and tabs stay; other characters that control terminals are escaped."""
    print(shown_lines(text))


def print_json(value: dict) -> None:
    """Print `value` as indented JSON."""
    print(json.dumps(value, indent=1))
