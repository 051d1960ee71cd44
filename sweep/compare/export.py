"""Write a comparison as JSON (which `compare` reads again), CSV or LaTeX. docs/compare.md describes all three."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from sweep.compare.contrasts import Tested
from sweep.compare.metrics import ACCURACY, Metric
from sweep.compare.more_tables import mean_cost
from sweep.compare.overview import benchmark_of, gain_json, overview_json
from sweep.compare.pool import SEED, Row, axes_of
from sweep.compare.problem_files import problems_json, problems_of
from sweep.compare.problem_tables import over_problems
from sweep.compare.results import CellResult, Comparison, Launch
from sweep.compare.statistics import mean_estimate
from sweep.compare.tables import Grid
from sweep.compare.verdict import Question, Verdict
from sweep.errors import UserError
from sweep.program import program
from sweep.run.costs import Cost
from sweep.run.entry import Entry

VERSION = 2  # version 1 held only cells, and no version number


def verdict_json(verdict: Verdict) -> dict:
    """Return the verdict as `compare --json` prints it and `compare FILE.json` reads it."""
    comparison, question, found = verdict.comparison, verdict.question, verdict.findings
    return {
        **_head(comparison),
        "metric": comparison.metric.name,
        "at_step": comparison.metric.step,
        **_if_any("benchmark", comparison.metric.benchmark),
        "control": dict(question.control),
        "by": list(question.by),
        "where": dict(question.where),
        "answers": verdict.answers,
        "binomial_bound": verdict.bound,
        "cost": asdict(comparison.cost),
        "cost_of_stages": asdict(comparison.cost_of_stages),
        "tests": found.tests,
        "tests_across": found.tests_across,
        "rows": [_row_json(row) for row in verdict.rows],
        "contrasts": [
            {
                "row": c.row.axes,
                "control": c.control.axes,
                "paired": c.paired,
                "seeds": list(c.seeds),
                "left_out": {name: list(seeds) for name, seeds in c.left_out.items()},
                "share_of_gain": asdict(c.share) if c.share else None,
                **_tested_json(c),
            }
            for c in found.contrasts
        ],
        "changes": [{"row": c.row.axes, "bound": c.bound, **_tested_json(c)} for c in found.changes],
        "across": [
            {"first": a.first.row.axes, "second": a.second.row.axes, "control": a.first.control.axes, **_tested_json(a)}
            for a in found.across
        ],
        "alone": [{"row": alone.row.axes, "reason": alone.reason} for alone in found.alone],
        "sentences": verdict.sentences,
        "next": [asdict(suggestion) for suggestion in verdict.suggestions],
        "warnings": verdict.warnings,
        "cells": [{**_cell_json(cell), "difference": cell.difference} for cell in comparison.cells],
        "superseded": [_cell_json(cell) for cell in comparison.superseded],
        "evaluations": comparison.evaluations,
        "launches": [asdict(launch) for launch in comparison.launches],
        "curves": _curves_json(comparison),
        **_if_any("problems", [problems_json(row, found) for row, found in over_problems(verdict)]),
        **_if_any("made", comparison.made),
    }


def verdicts_json(verdicts: Sequence[Verdict]) -> dict:
    """Return verdicts by several benchmarks as `compare --benchmark … --json` prints them, with the overview; that of
    one as `verdict_json` does.
    """
    if len(verdicts) == 1:
        return verdict_json(verdicts[0])
    each = [verdict_json(verdict) for verdict in verdicts]
    return {**_head(verdicts[0].comparison), "benchmarks": each, "overview": overview_json(verdicts)}


def _head(comparison: Comparison) -> dict:
    return {"version": VERSION, "sweeps": list(comparison.sweeps), "directory": str(comparison.root)}


def _if_any(name: str, value: Any) -> dict:
    """Return the key, unless there is nothing: files of comparisons without it stay as they were."""
    return {name: value} if value else {}


def _curves_json(comparison: Comparison) -> dict:
    """Return the values over steps of the cells that took part."""
    signatures = {cell.signature for cell in comparison.cells}
    return {
        name: {signature: series for signature, series in by_cell.items() if signature in signatures}
        for name, by_cell in comparison.curves.items()
    }


def _row_json(row: Row) -> dict:
    return {
        "axes": row.axes,
        "steps": row.length,
        "evaluation": row.evaluation,
        "base": row.base,
        "final": row.final,
        "gain": gain_json(row),
        "cost": _mean_cost_json(row),
    }


def _mean_cost_json(row: Row) -> dict | None:
    """Return the mean cost of the row's cells and the number of cells it is taken over; None if no cost is known."""
    if (found := mean_cost(row)) is None:
        return None
    whole, n = found
    return {name: value / n for name, value in asdict(whole).items()} | {"n": n}


def _tested_json(tested: Tested) -> dict:
    estimate = tested.estimate
    return {
        "difference": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "n": estimate.n,
        "p": estimate.p,
        "adjusted_p": tested.adjusted,
        "verdict": tested.verdict,
        "detectable": tested.detectable,
        "seeds_needed": tested.seeds_needed,
    }


def read_comparisons(file: Path) -> list[tuple[Comparison, Question]]:
    """Read the comparison that `--json` wrote, or those by several benchmarks, and the question that each answers.

    Raises:
        UserError: there is no such file, it holds something else, or a later version of the code wrote it.
    """
    try:
        found = json.loads(file.read_text())
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{file}: no JSON ({error})") from None
    parts = found.get("benchmarks", [found]) if isinstance(found, dict) else []
    if not parts or not all(isinstance(part, dict) and isinstance(part.get("cells"), list) for part in parts):
        raise UserError(f"{file}: no comparison; `{program()} compare SWEEP --json > FILE.json` writes one")
    version = found.get("version", 1)
    if version not in (1, VERSION):
        raise UserError(f"{file}: version {version} of a comparison, and this code reads up to {VERSION}")
    try:
        return [(_comparison(part), _question(part)) for part in parts]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{file}: a comparison that lacks something or has too much of it ({error})") from None


def read_comparison(file: Path) -> tuple[Comparison, Question]:
    """Read the only comparison of a file; see `read_comparisons`."""
    (found,) = read_comparisons(file)
    return found


def _comparison(found: Mapping[str, Any]) -> Comparison:
    return Comparison(
        sweeps=tuple(found["sweeps"] if "sweeps" in found else [found["sweep"]]),
        root=Path(found["directory"]),
        cells=[_cell(cell) for cell in found["cells"]],
        evaluations=found.get("evaluations", {}),
        superseded=[_cell(cell) for cell in found.get("superseded", ())],
        metric=Metric(found.get("metric", ACCURACY), found.get("at_step"), found.get("benchmark")),
        launches=[Launch(**launch) for launch in found.get("launches", ())],
        curves={
            name: {signature: {int(step): v for step, v in series.items()} for signature, series in by_cell.items()}
            for name, by_cell in found.get("curves", {}).items()
        },
        cost=Cost(**found.get("cost", {})),
        cost_of_stages=Cost(**found.get("cost_of_stages", {})),
        problems=[problems_of(part) for part in found.get("problems", ())],
        made=found.get("made", []),
    )


def _cell_json(cell: CellResult) -> dict[str, Any]:
    """Return the cell as the JSON file has it: the fields of its entry that a comparison shows, and its results."""
    known = {field.name: getattr(cell, field.name) for field in fields(cell) if field.name not in _TOLD_OTHERWISE}
    told = {"model": cell.model, "reward": cell.reward, "seed": cell.seed, "axes": cell.axes}
    return {**told, "signature": cell.signature, **known, "cost": asdict(cell.cost), **_if_any("ends", cell.ends)}


_TOLD_OTHERWISE = ("entry", "axes", "ends", "counted")


def _cell(found: Mapping[str, Any]) -> CellResult:
    known = {field.name for field in fields(CellResult)}
    first = {} if "final" in found else {"base": found["base_accuracy"], "final": found["final_accuracy"]}
    if "length" not in found:
        first["length"] = found["step"]
    first |= {"cost": Cost(**found.get("cost", {})), "entry": _entry(found)}
    return CellResult(**{key: value for key, value in found.items() if key in known} | first)


def _entry(found: Mapping[str, Any]) -> Entry:
    """Return the entry of a cell in a file, which holds neither its stages nor its module."""
    axes = found["axes"]
    return Entry(
        label=" ".join(f"{axis}={value}" for axis, value in axes.items()),
        module="",
        axes=axes,
        model=found["model"],
        reward=found["reward"],
        seed=found["seed"],
        signature=found["signature"],
        steps=found.get("asked", 0),
        directory=found["directory"],
        stages=[],
    )


def _question(found: Mapping[str, Any]) -> Question:
    """Return the question of the file. All its cells match the patterns, because only those took part."""
    asked = {key: found[key] for key in ("control", "by", "where") if key in found}
    return Question(**asked)


def verdicts_csv(verdicts: Sequence[Verdict]) -> str:
    """Return one CSV table of all numbers, one per line; the column `kind` says what a line is.

    With several benchmarks, the first column names the benchmark.
    """
    axes = list(dict.fromkeys(axis for verdict in verdicts for axis in axes_of(verdict.rows)))
    numbers = ["base", "final", "difference", "low", "high", "n", "p", "adjusted_p", "detectable", "seeds_needed"]
    several = ["benchmark"] if len(verdicts) > 1 else []
    out = io.StringIO()
    columns = [*several, "kind", *axes, SEED, "beside", *numbers, "verdict"]
    writer = csv.DictWriter(out, columns, restval="", lineterminator="\n")
    writer.writeheader()
    for verdict in verdicts:
        benchmark = {name: benchmark_of(verdict) for name in several}
        writer.writerows({**benchmark, **line} for line in _csv_lines(verdict))
    return out.getvalue()


def _csv_lines(verdict: Verdict) -> Iterator[dict]:
    found = verdict.findings
    for row in verdict.rows:
        for seed, cell in row.by_seed.items():
            numbers = {"base": cell.base, "final": cell.final, "difference": cell.difference}
            yield {"kind": "cell", **row.axes, SEED: seed, **_known(numbers), "n": 1}
        if row.gain:
            gain = mean_estimate(list(row.gain.values()))
            numbers = {"difference": gain.value, "low": gain.low, "high": gain.high, "n": gain.n}
            means = {name: mean_estimate(list(getattr(row, name).values())).value for name in ("base", "final")}
            yield {"kind": "row", **row.axes, **means, **_known(numbers)}
    for contrast in found.contrasts:
        yield {"kind": "contrast", **contrast.row.axes, "beside": _named(contrast.control), **_csv_tested(contrast)}
    for change in found.changes:
        yield {"kind": "change", **change.row.axes, "beside": "its base", **_csv_tested(change)}
    for across in found.across:
        beside = f"{_named(across.second.row)}, each less {across.first.control.axes.get('reward', '')}"
        yield {"kind": "across", **across.first.row.axes, "beside": beside, **_csv_tested(across)}


def _named(row: Row) -> str:
    return " ".join(f"{axis}={value}" for axis, value in row.axes.items())


def _known(numbers: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in numbers.items() if value is not None}


def _csv_tested(tested: Tested) -> dict:
    return _known(_tested_json(tested))


def latex(shown: Sequence[Grid]) -> str:
    """Return tables as LaTeX for the package booktabs, each with its title in a comment above it."""
    return "\n".join(_tabular(grid) for grid in shown)


def _tabular(grid: Grid) -> str:
    kinds = "".join("r" if column in grid.numbers else "l" for column in grid.columns)
    lines = [f"% {line}" for line in [*grid.title.splitlines(), *grid.foot]]
    lines += [rf"\begin{{tabular}}{{{kinds}}}", r"\toprule", _latex_row(grid.columns), r"\midrule"]
    for place, row in enumerate(grid.rows):
        lines += [_latex_row(row), *[r"\midrule"] * (place in grid.breaks)]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


_LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
    "−": "$-$",
    "…": r"\ldots{}",
}


def _latex_row(cells: list[str]) -> str:
    return " & ".join(_latex(cell) for cell in cells) + r" \\"


def _latex(text: str) -> str:
    escaped = "".join(_LATEX.get(character, character) for character in text)
    return re.sub(r"(?<!\S)-(?=\d)", "$-$", escaped)  # the sign of a number is a minus, not a hyphen
