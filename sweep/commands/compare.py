"""The command that compares the results of sweeps."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from sweep.commands.options import (
    AllMetrics,
    AsJson,
    Costs,
    Curves,
    Figures,
    Html,
    Output,
    Seeds,
    Wandb,
    WandbReport,
    print_json,
)
from sweep.compare.ask import Options, verdicts_on
from sweep.compare.curve_table import print_curves
from sweep.compare.dashboard.question import check_question
from sweep.compare.export import latex, verdicts_csv, verdicts_json
from sweep.compare.figures.write import check_directory, write_figures
from sweep.compare.more_tables import cost_grid, seed_grid
from sweep.compare.overview import benchmark_of, overview_grid
from sweep.compare.page.write import check_file, write_page
from sweep.compare.problem_tables import problem_grid
from sweep.compare.table import print_verdicts
from sweep.compare.tables import Grid, grids
from sweep.compare.verdict import Verdict
from sweep.dispatch.view import console, suggested
from sweep.errors import UserError
from sweep.run.unwritable import complaint

commands = typer.Typer()


@commands.command()
def compare(
    targets: Annotated[list[str], typer.Argument(metavar="SWEEP…|FILE.json", help="sweeps, or what --json wrote")],
    output_dir: Output = Path("runs"),
    metric: Annotated[
        str | None, typer.Option(help="any of metrics.jsonl, pass@K or maj@K; eval/accuracy by default")
    ] = None,
    at_step: Annotated[str | None, typer.Option(metavar="N|last", help="the step whose values are compared")] = None,
    benchmark: Annotated[
        str | None, typer.Option(metavar="NAME,…", help="compare by these; by each cell's first one by default")
    ] = None,
    control: Annotated[
        str | None, typer.Option(metavar="KEY=VALUE,…", help="what makes a control; reward=random by default")
    ] = None,
    by: Annotated[str | None, typer.Option(metavar="KEY,…", help="what makes a family; model by default")] = None,
    where: Annotated[
        list[str] | None, typer.Option(metavar="KEY=PATTERN,…", help="only these cells; * and ? as in a shell")
    ] = None,
    problems: Annotated[bool, typer.Option("--problems", help="also base and final, problem by problem")] = False,
    figures: Figures = None,
    html: Html = None,
    all_metrics: AllMetrics = False,
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
    _check_form(as_csv, as_latex, as_json, curves, costs, problems)
    _check_places(figures, html, all_metrics)
    with_curves, every_row = curves or wandb_report or figures is not None, problems or figures is not None
    options = Options(metric, at_step, control, by, where or (), benchmark, with_curves, every_row, problems)
    verdicts = verdicts_on(targets, output_dir, options)
    if wandb or wandb_report:
        check_question(verdicts, targets)
    makers = [make for make, wanted in ((problem_grid, problems), (seed_grid, seeds), (cost_grid, costs)) if wanted]
    more = [[make(verdict) for make in makers] for verdict in verdicts]
    form = "json" if as_json else "csv" if as_csv else "latex" if as_latex else ""
    _print(verdicts, more, form, curves)
    beside = sys.stderr if form else sys.stdout  # with a machine-readable form, standard output holds nothing else
    for line in _written(verdicts, figures, html, all_metrics):
        print(line, file=beside)
    if wandb or wandb_report:
        from sweep.compare.dashboard.show import show

        print("\n".join(show(verdicts[0], wandb_report, suggested(f"sync {targets[0]}", output_dir))), file=beside)


def _check_form(as_csv: bool, as_latex: bool, as_json: bool, curves: bool, costs: bool, problems: bool) -> None:
    """Raise BadParameter if the requested form cannot hold what other options ask for."""
    if as_csv + as_latex + as_json > 1:
        raise typer.BadParameter("--csv, --latex and --json: one of them at a time")
    if curves and (as_csv or as_latex):
        raise typer.BadParameter("--curves: neither CSV nor LaTeX holds values over steps; --json does")
    if costs and as_csv:
        raise typer.BadParameter("--costs: the CSV holds no costs; --json and --latex do")
    if problems and as_csv:
        raise typer.BadParameter("--problems: the CSV holds nothing of problems; --json and --latex do")


def _check_places(figures: Path | None, html: Path | None, all_metrics: bool) -> None:
    """Raise an error if figures or a page cannot be written, or if an option of a page was typed without one."""
    if figures is not None:
        check_directory(figures)
    if html is not None:
        check_file(html)
    elif all_metrics:
        raise typer.BadParameter("--all-metrics: belongs to the page; name its file with --html")


def _written(verdicts: Sequence[Verdict], figures: Path | None, html: Path | None, all_metrics: bool) -> list[str]:
    """Write the figures and the page that are asked for; return the lines to print about them."""
    lines = [] if figures is None else _drawn(verdicts, figures)
    if html is not None:
        lines += [*write_page(verdicts, html, all_metrics), str(html)]
    return lines


def _print(verdicts: Sequence[Verdict], more: Sequence[Sequence[Grid]], form: str, curves: bool) -> None:
    """Print the verdicts, each with `more` tables, in a form: "json", "csv", "latex", or "" for the terminal."""
    if form == "json":
        print_json(verdicts_json(verdicts))
    elif form == "csv":
        print(verdicts_csv(verdicts), end="")
    elif form == "latex":
        shown = [grid for verdict, others in zip(verdicts, more, strict=True) for grid in (*grids(verdict), *others)]
        print(latex([*shown, *([overview_grid(verdicts)] if len(verdicts) > 1 else [])]), end="")
    else:
        print_verdicts(verdicts, console(), more)
        if curves:
            for verdict in verdicts:
                print_curves(verdict, console())


def _drawn(verdicts: Sequence[Verdict], directory: Path) -> list[str]:
    """Write the figures of the verdicts, of several benchmarks each into a directory of its own; return the lines to
    print about them.
    """
    places = [directory / benchmark_of(v) for v in verdicts] if len(verdicts) > 1 else [directory]
    try:
        return [line for v, place in zip(verdicts, places, strict=True) for line in write_figures(v, place).lines]
    except OSError as error:
        raise UserError(f"--figures {directory}: {complaint(error, directory) or error}") from error
