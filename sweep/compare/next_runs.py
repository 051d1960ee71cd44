"""Suggest what to run next, as commands: cells, controls and seeds that a comparison lacks. Pure: it reads no file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sweep.compare.contrasts import Contrast, Findings, free_axes, holds
from sweep.compare.pool import Row
from sweep.compare.results import CellResult, Comparison, Launch
from sweep.errors import HIDDEN
from sweep.run.launches import key_of, launch_command
from sweep.run.state import ACTIVE, State

FEW_SEEDS = 5  # suggested if there is a single seed, which has no spread
UNKNOWN = Launch("", [], [])
MOST_SUGGESTED = 20  # seeds; if a contrast needs more, the sentences say so, and nothing is suggested


@dataclass(frozen=True)
class Suggestion:
    """A reason to run something, and the command: the launch that brought the cells, with some overrides changed."""

    why: str
    command: str


def suggestions(
    comparison: Comparison, rows: Sequence[Row], findings: Findings, control: Mapping[str, str]
) -> list[Suggestion]:
    """Return what to run next, the most urgent first: cells that did not end well, missing controls, missing seeds.

    Args:
        control: the choices of the control to suggest; {} if controls were left out on purpose.
    """
    launches = _Launches(comparison)
    found = [*_unfinished(comparison.cells, launches), *_partners(findings, control, launches)]
    return list(dict.fromkeys([*found, *_seeds(rows, findings, launches)]))


class _Launches:
    """The launches of a comparison, by the cells that they brought."""

    def __init__(self, comparison: Comparison) -> None:
        self.root = comparison.root
        self._of = {sign: launch for launch in comparison.launches for sign in launch.cells}

    def of(self, cells: Iterable[CellResult]) -> list[Launch]:
        """Return the launches that brought the cells, each once; UNKNOWN if the comparison comes from a file without
        launches.
        """
        cells = list(cells)
        if not self._of:
            return [UNKNOWN] if cells else []
        found = [self._of.get(cell.signature) for cell in cells]
        return list({id(launch): launch for launch in found if launch is not None}.values())

    def command(self, launch: Launch, changes: Mapping[str, str]) -> str:
        """Return the launch again, with `changes` in place of its overrides of these keys and of keys below them."""
        if launch is UNKNOWN:
            changed = " ".join(f"{key}={value}" for key, value in changes.items())
            return f"their launch, which this file does not name, again{f' with {changed}' if changed else ''}"
        replaced = free_axes(changes, [key_of(word) for word in launch.overrides])
        words = [word for word in launch.overrides if HIDDEN in word or key_of(word) not in replaced]
        return launch_command(words, launch.sweep, self.root, [f"{key}={value}" for key, value in changes.items()])


def _unfinished(cells: Sequence[CellResult], launches: _Launches) -> list[Suggestion]:
    ended = [cell for cell in cells if cell.state not in (State.DONE, State.REFUSED, *ACTIVE)]
    return [
        Suggestion(f"cells that did not end well: {len(ended)}", launches.command(launch, {}))
        for launch in launches.of(ended)
    ]


def _partners(findings: Findings, control: Mapping[str, str], launches: _Launches) -> list[Suggestion]:
    lonely = [alone.row for alone in findings.alone if alone.row.final]
    without = [row for row in lonely if control and not any(holds(row, {k: v}) for k, v in control.items())]
    return [
        Suggestion(f"rows without a control: {len(without)}", launches.command(launch, control))
        for launch in launches.of(cell for row in without for cell in row.cells)
    ]


def _seeds(rows: Sequence[Row], findings: Findings, launches: _Launches) -> list[Suggestion]:
    """Suggest a command for each launch, with as many seeds as its most demanding contrast needs."""
    found = []
    for launch in launches.of(cell for row in rows for cell in row.cells):
        own = [row for row in rows if launch in launches.of(row.cells)]
        seeds = sorted({seed for row in own for seed in row.by_seed})
        helpful = [c for c in findings.contrasts if c.row in own and _is_helped(c, len(seeds))]
        holes = [row for row in own if row.by_seed.keys() != set(seeds)]
        if len(seeds) == 1 and (findings.contrasts or findings.changes):
            why, number, short = "one seed has no spread", FEW_SEEDS, own
        elif helpful:
            number, short = max(c.seeds_needed or 0 for c in helpful), [c.row for c in helpful]
            why = f"{number} seeds would show a difference as large as one seen and not told apart"
        elif holes:
            why, number, short = f"rows that lack seeds which others have: {len(holes)}", len(seeds), holes
        else:
            continue
        changes = {**_narrowed(launch, short), "seed": ",".join(map(str, _up_to(seeds, number)))}
        found.append(Suggestion(why, launches.command(launch, changes)))
    return found


def _is_helped(contrast: Contrast, seeds: int) -> bool:
    """Return True if more seeds, up to MOST_SUGGESTED, would tell the contrast apart."""
    return not contrast.told_apart and seeds < (contrast.seeds_needed or 0) <= MOST_SUGGESTED


def _up_to(seeds: Sequence[int], number: int) -> list[int]:
    """Return `seeds` and the numbers after them, `number` in all."""
    after = max(seeds) + 1
    return [*seeds, *range(after, after + number - len(seeds))]


def _narrowed(launch: Launch, rows: Sequence[Row]) -> dict[str, str]:
    """Return an override for the models of the rows, if the launch typed these models among others."""
    models = list(dict.fromkeys(row.axes.get("model", "") for row in rows))
    typed = next((w.partition("=")[2].split(",") for w in reversed(launch.overrides) if key_of(w) == "model"), [])
    return {"model": ",".join(models)} if set(models) < set(typed) else {}
