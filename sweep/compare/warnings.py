"""Warnings about numbers of a comparison that must be read with care, as sentences. Pure: it reads no file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sweep.compare.contrasts import Contrast, Findings
from sweep.compare.pool import Row, telling
from sweep.compare.results import ENDS, CellResult, Comparison
from sweep.program import program
from sweep.run.identity import differences
from sweep.run.state import State
from sweep.score.means import only_fewer_cut_offs

MADE = {"code": "versions of the code", "weights": "sets of base weights", "processor": "kinds of processor"}


def warnings(comparison: Comparison, rows: Sequence[Row], findings: Findings) -> list[str]:
    """Return a line for each warning. Those that change the meaning of a number come first."""
    cells = [cell for row in rows for cell in row.cells]
    return [
        *(f"{where(cell)}: {cell.unlike}" for cell in cells if cell.unlike),
        *_fewer_cut_offs(rows),
        *comparison.made,
        *_not_put_to_it(comparison, cells),
        *_unequal_lengths(cells),
        *_overtaken(cells),
        *_evaluations(rows, comparison.evaluations),
        *_repeated(rows),
        *_single(rows),
        *_left_out_seeds(findings.contrasts, rows),
        *_older(cells),
        *_mixed(cells),
        *_superseded(comparison.superseded),
        *(f"{cell.state}: {where(cell)} {cell.note}".rstrip() for cell in cells if cell.state != State.DONE),
    ]


def where(cell: CellResult) -> str:
    """Return a cell's axes as text."""
    return " ".join(f"{key}={value}" for key, value in cell.axes.items())


def evaluated_otherwise(identities: Mapping[str, Mapping]) -> Iterator[str]:
    """Yield how each evaluation differs from the first one."""
    (first, identity), *others = identities.items()
    for name, other in others:
        yield f"evaluations {first} and {name} differ: {'; '.join(differences(dict(identity), dict(other)))}"


def _evaluations(rows: Sequence[Row], identities: Mapping[str, Mapping]) -> Iterator[str]:
    """Yield the differences of evaluations if rows with the same axes were evaluated differently."""
    by_axes = defaultdict(set)
    for row in rows:
        if row.final or row.base:
            by_axes[_evaluated_by(row)].add(row.evaluation)
    if any(len(found) > 1 for found in by_axes.values()) and len(identities) > 1:
        yield from evaluated_otherwise(identities)


def _evaluated_by(row: Row) -> tuple[str, ...]:
    """Return the values of the axes that belong to an evaluation; rows that differ in these show it themselves."""
    return tuple(value for axis, value in sorted(row.axes.items()) if axis.partition(".")[0] in EVALUATED)


EVALUATED = ("evaluation", "prompt", "grading", "data", "rollout")  # sections that an evaluation is made of


@dataclass(frozen=True)
class _Ends:
    """Means over the seeds of a row, by which a gain is told from fewer cut-offs."""

    accuracy: float
    truncated: float
    ended_accuracy: float


def _fewer_cut_offs(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a line for each row whose gain in accuracy is only that fewer answers were cut off."""
    shown = telling(rows)
    for row in rows:
        ends = [cell.ends for cell in row.by_seed.values() if cell.ends and not cell.unlike]
        if not ends:
            continue
        base, final = (
            _Ends(**{name: sum(of[side][name] for of in ends) / len(ends) for name in ENDS})
            for side in ("base", "final")
        )
        if said := only_fewer_cut_offs(base, final):
            yield f"{row.told(shown)}: {said}"


def _not_put_to_it(comparison: Comparison, cells: Sequence[CellResult]) -> Iterator[str]:
    """Yield a line if cells that are done have no value by the benchmark that was named."""
    without = [where(cell) for cell in cells if cell.state == State.DONE and cell.final is None]
    if comparison.metric.benchmark is not None and comparison.metric.step is None and without:
        yield (
            f"no value{comparison.metric.of_benchmark}: {'; '.join(without)}; "
            f"`{program()} evaluate {comparison.sweeps[0]} evaluation=[NAME]` puts finished cells to a benchmark"
        )


def _unequal_lengths(cells: Sequence[CellResult]) -> Iterator[str]:
    """Yield a line for each set of seeds that were trained to different steps and are therefore in different rows."""
    alike = defaultdict(list)
    for cell in cells:
        if cell.difference is not None:
            same = " ".join(f"{axis}={value}" for axis, value in cell.axes.items() if axis != "seed")
            alike[same, cell.evaluation, str(cell.rules)].append(cell)
    for (same, *_), found in alike.items():
        if len({cell.length for cell in found}) > 1:
            trained = ", ".join(
                f"seed {cell.seed} to step {cell.length}" for cell in sorted(found, key=lambda c: c.seed)
            )
            yield f"{same}: its seeds were not trained alike ({trained}); --at-step N compares all of them at one step"


def _overtaken(cells: Sequence[CellResult]) -> Iterator[str]:
    for cell in cells:
        if cell.length > cell.asked > 0:
            yield (
                f"{where(cell)}: asked for steps={cell.asked}, and shown as of step {cell.length}, to which another "
                "launch trained it"
            )


def _repeated(rows: Sequence[Row]) -> Iterator[str]:
    shown = telling(rows)
    for row in rows:
        for seed in row.repeated:
            places = ", ".join(cell.directory for cell in row.cells if cell.seed == seed)
            yield f"{row.told(shown)}: seed {seed} stands here several times and counts once ({places})"


def _single(rows: Sequence[Row]) -> Iterator[str]:
    single = [row for row in rows if len(row.final) == 1]
    if single:
        if len(single) == len(rows):
            yield "n = 1: every row has one seed, and so neither interval nor test over seeds"
        else:
            shown = telling(rows)
            names = ", ".join(row.told(shown) for row in single)
            yield f"n = 1: neither interval nor test of the rows with one seed: {names}"


def _left_out_seeds(contrasts: Sequence[Contrast], rows: Sequence[Row]) -> Iterator[str]:
    shown = telling(rows)
    for contrast in contrasts:
        for seeds, one, other in (
            (contrast.left_out.get("row"), contrast.row, contrast.control),
            (contrast.left_out.get("control"), contrast.control, contrast.row),
        ):
            if seeds:
                yield (
                    f"{one.told(shown)} has seeds that {other.told(shown)} has not, and that their contrast leaves "
                    f"out: {', '.join(map(str, seeds))}"
                )


def _older(cells: Sequence[CellResult]) -> Iterator[str]:
    older = [cell for cell in cells if cell.older]
    if older:
        versions = " and ".join(sorted({cell.older for cell in older}))
        yield (
            f"{len(older)} of {len(cells)} cells were made by an older version of the code ({versions}): they are "
            "shown as they are, and a launch of this sweep takes none of them for today's"
        )


def _mixed(cells: Sequence[CellResult]) -> Iterator[str]:
    """Yield a line if cells were trained with different code or processors, or those of one model from different
    weights.
    """
    for name, words in MADE.items():
        groups: dict[str, dict[str, int]] = {}
        for cell in cells:
            if name in cell.made:
                counts = groups.setdefault(cell.model if name == "weights" else "", {})
                counts[cell.made[name]] = counts.get(cell.made[name], 0) + 1
        for model, counts in groups.items():
            if len(counts) > 1:
                listed = ", ".join(f"{value}: {number}" for value, number in counts.items())
                whose = f"the cells of {model}" if model else "the cells"
                yield f"{whose} were trained with {len(counts)} {words} ({listed} cells)"


def _superseded(superseded: Sequence[CellResult]) -> Iterator[str]:
    for cell in superseded:
        yield (
            f"left out: {where(cell)} ({cell.state}), since its reward's function was mended and launched again; "
            f"`remove` takes {Path(cell.directory).name} out of the sweep"
        )
