"""Commands that show the results of a sweep, and export its weights."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from sweep.commands.options import (
    AsJson,
    Costs,
    Curves,
    Figures,
    Name,
    Output,
    Seeds,
    Wandb,
    WandbReport,
    print_json,
)
from sweep.compare.ask import answer
from sweep.compare.curve_table import print_curves
from sweep.compare.dashboard.question import check_question
from sweep.compare.export import verdict_csv, verdict_json, verdict_latex
from sweep.compare.figures.write import check_directory, write_figures
from sweep.compare.more_tables import cost_grid, seed_grid
from sweep.compare.table import print_verdict
from sweep.compare.verdict import Verdict
from sweep.dispatch.view import console, suggested
from sweep.errors import UserError
from sweep.run.unwritable import complaint

commands = typer.Typer()


@commands.command()
def compare(
    targets: Annotated[list[str], typer.Argument(metavar="SWEEP…|FILE.json", help="sweeps, or what --json wrote")],
    output_dir: Output = Path("runs"),
    metric: Annotated[str | None, typer.Option(help="any of metrics.jsonl; eval/accuracy by default")] = None,
    at_step: Annotated[str | None, typer.Option(metavar="N|last", help="the step whose values are compared")] = None,
    control: Annotated[
        str | None, typer.Option(metavar="KEY=VALUE,…", help="what makes a control; reward=random by default")
    ] = None,
    by: Annotated[str | None, typer.Option(metavar="KEY,…", help="what makes a family; model by default")] = None,
    where: Annotated[
        list[str] | None, typer.Option(metavar="KEY=PATTERN,…", help="only these cells; * and ? as in a shell")
    ] = None,
    figures: Figures = None,
    curves: Curves = False,
    seeds: Seeds = False,
    costs: Costs = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="print CSV instead")] = False,
    as_latex: Annotated[bool, typer.Option("--latex", help="print tables for LaTeX (booktabs) instead")] = False,
    as_json: AsJson = False,
    wandb: Wandb = False,
    wandb_report: WandbReport = False,
) -> None:
    """Did a reward beat its control? Tables, the verdict in a sentence for each family, and what to run next."""
    _check_form(as_csv, as_latex, as_json, curves, costs)
    if figures is not None:
        check_directory(figures)
    with_curves = curves or wandb_report or figures is not None
    verdict = answer(targets, output_dir, metric, at_step, control, by, where or (), with_curves)
    if wandb or wandb_report:
        check_question(verdict, targets)
    more = [grid(verdict) for grid, asked in ((seed_grid, seeds), (cost_grid, costs)) if asked]
    if as_json:
        print_json(verdict_json(verdict))
    elif as_csv or as_latex:
        print(verdict_csv(verdict) if as_csv else verdict_latex(verdict, more), end="")
    else:
        print_verdict(verdict, console(), more)
        if curves:
            print_curves(verdict, console())
    # With a machine-readable form, standard output holds nothing else.
    beside = sys.stderr if as_csv or as_latex or as_json else sys.stdout
    if figures is not None:
        print("\n".join(_drawn(verdict, figures)), file=beside)
    if wandb or wandb_report:
        from sweep.compare.dashboard.show import show

        print("\n".join(show(verdict, wandb_report, suggested(f"sync {targets[0]}", output_dir))), file=beside)


def _check_form(as_csv: bool, as_latex: bool, as_json: bool, curves: bool, costs: bool) -> None:
    """Raise BadParameter if the requested form cannot hold what other options ask for."""
    if as_csv + as_latex + as_json > 1:
        raise typer.BadParameter("--csv, --latex and --json: one of them at a time")
    if curves and (as_csv or as_latex):
        raise typer.BadParameter("--curves: neither CSV nor LaTeX holds values over steps; --json does")
    if costs and as_csv:
        raise typer.BadParameter("--costs: the CSV holds no costs; --json and --latex do")


def _drawn(verdict: Verdict, directory: Path) -> list[str]:
    """Write the figures of a verdict; return the lines to print about them."""
    try:
        return write_figures(verdict, directory).lines
    except OSError as error:
        raise UserError(f"--figures {directory}: {complaint(error, directory) or error}") from error


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
