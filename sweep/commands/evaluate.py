"""The commands that evaluate weights that exist, and grade the answers that are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from sweep.commands.options import Name, Output, say

commands = typer.Typer()


def _steps(typed: str) -> int | Literal["all"]:
    if typed == "all":
        return "all"
    if not typed.isdecimal():
        raise typer.BadParameter("is the number of a step, or all")
    return int(typed)


@commands.command()
def grade(
    sweep: Name,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CELL…] [KEY=VALUE…]", help="cells, and keys of grading or behaviours"),
    ] = None,
    output_dir: Output = Path("runs"),
    config_dir: Annotated[str | None, typer.Option(help="a directory with groups of your own")] = None,
) -> None:
    """Grade kept answers again, by today's rules or others: `grade SWEEP grading=lenient`. Nothing is sampled.

    Verdicts by other rules are kept beside the old ones; behaviours are replaced where they are.
    """
    from sweep.dispatch.regrade import regrade_sweep

    for one in regrade_sweep(output_dir, sweep, words or [], config_dir):
        say(
            f"{one.weights} on {one.benchmark}: {one.changed} of {one.answers} verdicts changed, accuracy "
            f"{100 * one.before:.1f} % before and {100 * one.after:.1f} % now ({one.directory})"
        )


@commands.command()
def evaluate(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SWEEP [CELL…]] [KEY=VALUE…]", help="a sweep, some of its cells, and what to change"),
    ] = None,
    step: Annotated[
        str | None, typer.Option(metavar="N|all", help="the step whose weights are evaluated; the last by default")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="HUB_ID|DIR|FILE.gguf", help="a model that was not trained here, instead of a sweep"),
    ] = None,
    name: Annotated[str | None, typer.Option(help="with --model: the sweep that lists the evaluation")] = None,
    output_dir: Output = Path("runs"),
    config_dir: Annotated[str | None, typer.Option(help="a directory with groups of your own")] = None,
) -> None:
    """Put weights to benchmarks, without training: `evaluate SWEEP evaluation=aime25`. Answers that are there count.

    The untrained models are evaluated with the cells, unless --step names a step.
    """
    from sweep.dispatch.evaluate import evaluate_cells, evaluate_model

    typed = words or []
    if model is not None:
        if step is not None:
            raise typer.BadParameter("--step: a model that was not trained here has no steps; leave it out")
        if others := [word for word in typed if "=" not in word]:
            raise typer.BadParameter(f"{others[0]}: with --model there is no sweep; leave one of them out")
        raise typer.Exit(evaluate_model(output_dir, name, model, typed, config_dir))
    if name is not None:
        raise typer.BadParameter("--name: the evaluation is listed in the sweep; it belongs to --model")
    if not typed or "=" in typed[0]:
        raise typer.BadParameter(
            "name a sweep first (evaluate SWEEP evaluation=math500), or a model "
            "(evaluate --model DIR evaluation=math500)"
        )
    steps = None if step is None else _steps(step)
    raise typer.Exit(evaluate_cells(output_dir, typed[0], typed[1:], steps, config_dir))
