"""Commands that show the labels of a sweep, and export its weights."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from sweep.commands.options import AsJson, Name, Output, print_json
from sweep.dispatch.view import console

commands = typer.Typer()


@commands.command()
def labels(sweep: Name, output_dir: Output = Path("runs"), as_json: AsJson = False) -> None:
    """How right the majority labels are and how large the majorities, model by model."""
    from sweep.compare.labels import label_summaries, print_labels

    summaries = label_summaries(output_dir, sweep)
    if as_json:
        print_json({"sweep": sweep, "labels": [asdict(s) for s in summaries]})
    else:
        print_labels(sweep, summaries, console())


@commands.command()
def export(
    cell: Annotated[str, typer.Argument(help="a run directory, its name, or (the beginning of) its signature")],
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="where to write; must not exist")],
    output_dir: Output = Path("runs"),
    merge: Annotated[bool, typer.Option(help="merge LoRA adapters into the weights")] = True,
) -> None:
    """Write a finished cell's model and tokenizer as a Hugging Face directory."""
    from sweep.dispatch.export import export_cell

    source, step = export_cell(output_dir, cell, directory.absolute(), merge)
    print(f"wrote {directory}: the weights of step {step} of {source}")
