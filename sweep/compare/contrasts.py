"""Test whether a reward beats its control: contrasts of rows with their controls. Pure: it reads no file.

The rules (docs/compare.md gives the reasons):

* A control is a set of choices. A row's partner has the same value on every axis, except for the axes of these choices
  and those below them, was trained for as many steps and evaluated in the same way.
* A contrast is the difference of final values over the seeds that both rows have. If they share no seed, it is the
  difference of the means, tested by Welch.
* The tests of all contrasts, and of each control's own change from its base, are adjusted together by Holm.
* Contrasts of the same reward in two families are compared if at least one of them is told apart; these tests are
  adjusted among themselves.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

from sweep.compare.pool import Row, axes_of, same
from sweep.compare.statistics import (
    ALPHA,
    Estimate,
    Ratio,
    binomial_bound,
    detectable,
    fieller,
    holm,
    mean_estimate,
    paired,
    seeds_needed,
    welch,
)
from sweep.errors import UserError

CONTROL = {"reward": "random"}
TRUTH = {"reward": "ground_truth"}
BELOW_REWARD = ("labels",)  # sections that only rewards read, so that they may differ where the reward does
MORE, LESS, NOT_APART, UNTESTED = "more", "less", "not told apart", "not tested"


@dataclass(frozen=True)
class Tested:
    """An estimate with its test.

    adjusted: the p-value, adjusted for all tests made together with it; None if there is no p-value or no test. tests:
    the number of these tests.
    """

    estimate: Estimate
    adjusted: float | None = None
    tests: int = 0

    @property
    def verdict(self) -> str:
        """MORE or LESS where the adjusted p is below 0.05, else NOT_APART; UNTESTED where there is none."""
        if self.adjusted is None:
            return UNTESTED
        if self.adjusted >= ALPHA:
            return NOT_APART
        return MORE if self.estimate.value > 0 else LESS

    @property
    def told_apart(self) -> bool:
        """True if the adjusted p-value is below 0.05."""
        return self.verdict in (MORE, LESS)

    @property
    def detectable(self) -> float | None:
        """The smallest true difference that a test with 80 % power at 0.05 / tests would have shown, or None."""
        return detectable(self.estimate, self.tests) if self.tests else None

    @property
    def seeds_needed(self) -> int | None:
        """The number of seeds that would show the observed difference with 80 % power at 0.05 / tests, or None."""
        return seeds_needed(self.estimate, self.tests) if self.tests else None


@dataclass(frozen=True)
class Contrast(Tested):
    """row - control, in final values.

    seeds: the seeds that count; in a contrast without pairs, those of the row. left_out: the seeds that only one of
    both has, under "row" and "control". shares: True if the row has the true reward and is paired, so that the fraction
    of its gain that the control also gives is defined; share: that fraction, None if it cannot be computed.
    """

    row: Row = field(kw_only=True)
    control: Row = field(kw_only=True)
    paired: bool = field(kw_only=True)
    seeds: tuple[int, ...] = field(kw_only=True)
    left_out: Mapping[str, tuple[int, ...]] = field(default_factory=dict, kw_only=True)
    shares: bool = field(default=False, kw_only=True)
    share: Ratio | None = field(default=None, kw_only=True)

    @property
    def differences(self) -> list[float]:
        """The difference of each pair of seeds."""
        return [self.row.final[seed] - self.control.final[seed] for seed in self.seeds]


@dataclass(frozen=True)
class Change(Tested):
    """A control's own change from its base, over seeds, given the one evaluation of that base.

    bound: the change that sampling that evaluation again may cause; None if unknown. All seeds are compared with the
    same base value, so a change is told apart only if its whole interval lies outside the bound, however close the
    seeds are to one another.
    """

    row: Row = field(kw_only=True)
    bound: float | None = field(default=None, kw_only=True)

    @property
    def within_bound(self) -> bool:
        """True if the interval overlaps the range from -bound to bound."""
        if self.bound is None or self.estimate.low is None or self.estimate.high is None:
            return False
        return self.estimate.low <= self.bound and self.estimate.high >= -self.bound

    @property
    def held_back(self) -> bool:
        """True if the change would be told apart without the bound."""
        return super().verdict in (MORE, LESS) and self.within_bound

    @property
    def verdict(self) -> str:
        """As in Tested, but NOT_APART if the interval overlaps the bound."""
        return NOT_APART if self.held_back else super().verdict


@dataclass(frozen=True)
class Across(Tested):
    """The contrast of one family minus the same contrast of another, by Welch on the pairs of seeds."""

    first: Contrast = field(kw_only=True)
    second: Contrast = field(kw_only=True)


@dataclass(frozen=True)
class Alone:
    """A row without a contrast, and the reason."""

    row: Row
    reason: str


@dataclass(frozen=True)
class Findings:
    """All results. tests: the number m of Holm's adjustment for contrasts and changes; tests_across: that across
    families.
    """

    contrasts: list[Contrast]
    changes: list[Change]
    across: list[Across]
    alone: list[Alone]
    tests: int
    tests_across: int


def find(rows: Sequence[Row], control: Mapping[str, str], by: Sequence[str], shares_of_answers: bool) -> Findings:
    """Return all contrasts of `rows` with the rows that hold the choices `control`, tested together.

    Args:
        by: the axes whose values make a family.
        shares_of_answers: True if values are fractions of graded answers, so that the sampling of a base has a bound.
    """
    controls = [row for row in rows if holds(row, control)]
    free = free_axes(control, axes_of(rows))
    contrasts: list[Contrast] = []
    alone: list[Alone] = []
    for row in (row for row in rows if not holds(row, control)):
        made, reasons = _contrasts_of(row, controls, control, free)
        contrasts += made
        alone += [Alone(row, reason) for reason in reasons]
    changes = [_change(row, shares_of_answers) for row in controls if row.gain]
    contrasts, changes, tests = _adjusted(contrasts, changes)
    across, tests_across = _across(contrasts, by)
    return Findings(contrasts, changes, across, alone, tests, tests_across)


def holds(row: Row, choices: Mapping[str, str]) -> bool:
    """Return True if the row has every value of `choices`."""
    return all(row.axes.get(axis, "") == value for axis, value in choices.items())


def free_axes(control: Mapping[str, str], axes: Collection[str]) -> set[str]:
    """Return the axes in which a row may differ from its partner: the control's own and those below them."""
    heads = {*control, *(BELOW_REWARD if "reward" in control else ())}
    return {axis for axis in axes if axis in heads or axis.startswith(tuple(f"{head}." for head in heads))}


def check_control(control: Mapping[str, str], rows: Sequence[Row]) -> None:
    """Check a control that a person typed.

    Raises:
        UserError: it names an axis or a value that no row has, or no row has all of it.
    """
    for axis, value in control.items():
        there = sorted({row.axes[axis] for row in rows if axis in row.axes})
        if not there:
            raise UserError(f"--control {axis}={value}: no such axis here; there are {', '.join(axes_of(rows))}")
        if value not in there:
            raise UserError(f"--control {axis}={value}: no cell has it; {axis} is {', '.join(there)}")
    if not any(holds(row, control) for row in rows):
        typed = ",".join(f"{axis}={value}" for axis, value in control.items())
        raise UserError(f"--control {typed}: no cell holds all of it; leave out one of the choices")


def _contrasts_of(
    row: Row, controls: Sequence[Row], control: Mapping[str, str], free: set[str]
) -> tuple[list[Contrast], list[str]]:
    """Return the contrasts of a row with each of its partners, and the reasons why others are missing.

    Args:
        free: the axes in which a partner may differ.
    """
    wanted = ",".join(f"{axis}={value}" for axis, value in control.items())
    if not controls:
        return [], [f"there is no cell with {wanted}"]
    partners = [c for c in controls if same(row.axes, c.axes, free)]
    alike = [c for c in partners if c.evaluation == row.evaluation and c.length == row.length]
    if not alike:
        return [], [_why_none(row, controls, partners, free, wanted)]
    made, reasons = [], []
    for partner in alike:
        if row.final and partner.final:
            made.append(_contrast(row, partner))
        else:
            reasons.append(f"no cell of {'it' if not row.final else 'its control'} has a value yet")
    return made, reasons


def _why_none(row: Row, controls: Sequence[Row], partners: Sequence[Row], free: set[str], wanted: str) -> str:
    if partners:
        nearest = partners[0]
        if nearest.evaluation != row.evaluation:
            return f"the cells with {wanted} were evaluated otherwise"
        return f"the cells with {wanted} were trained for {nearest.length} steps, and it for {row.length}"

    def differing(other: Row) -> list[str]:
        keys = sorted((row.axes.keys() | other.axes.keys()) - free)
        return [key for key in keys if row.axes.get(key, "") != other.axes.get(key, "")]

    nearest = min(controls, key=lambda other: len(differing(other)))
    what = "; ".join(f"{k} is {nearest.axes.get(k) or 'not set'} there" for k in differing(nearest))
    return f"no cell with {wanted} is otherwise like it: {what}"


def _contrast(row: Row, control: Row) -> Contrast:
    shared = tuple(sorted(row.final.keys() & control.final.keys()))
    only = {
        name: tuple(sorted(one.keys() - other.keys()))
        for name, one, other in (("row", row.final, control.final), ("control", control.final, row.final))
    }
    truth = all(row.axes.get(axis) == value for axis, value in TRUTH.items())
    if not shared:
        estimate = welch(list(row.final.values()), list(control.final.values()))
        return Contrast(estimate, row=row, control=control, paired=False, seeds=tuple(row.final))
    gains = [seed for seed in shared if seed in row.gain and seed in control.gain]
    share = fieller([control.gain[s] for s in gains], [row.gain[s] for s in gains]) if truth else None
    if gains and sum(row.gain[seed] for seed in gains) <= 0:
        share = None  # the fraction of a loss has no meaning
    estimate = paired(row.final, control.final)
    return Contrast(
        estimate, row=row, control=control, paired=True, seeds=shared, left_out=only, shares=truth, share=share
    )


def _change(row: Row, shares_of_answers: bool) -> Change:
    bound = binomial_bound(row.answers) if shares_of_answers and row.answers else None
    return Change(mean_estimate(list(row.gain.values())), row=row, bound=bound)


def _adjusted(contrasts: list[Contrast], changes: list[Change]) -> tuple[list[Contrast], list[Change], int]:
    """Return contrasts and changes with their p-values adjusted together, and the number of tests."""
    tested = _together([*contrasts, *changes])
    count = sum(one.adjusted is not None for one in tested)
    return tested[: len(contrasts)], tested[len(contrasts) :], count


def _together(tested: Sequence) -> list:
    known = [one.estimate.p for one in tested if one.estimate.p is not None]
    adjusted = iter(holm(known))
    return [
        replace(one, tests=len(known), adjusted=next(adjusted) if one.estimate.p is not None else None)
        for one in tested
    ]


def _across(contrasts: Sequence[Contrast], by: Sequence[str]) -> tuple[list[Across], int]:
    """Compare the same contrast between every two families.

    All pairs count in the adjustment, tested or not, because the data decide which are tested.
    """
    evaluations: dict[tuple, set] = {}
    for contrast in contrasts:
        evaluations.setdefault(_family(contrast, by), set()).add(contrast.row.evaluation)
    alike: dict[tuple, list[Contrast]] = {}
    for contrast in contrasts:
        if contrast.paired:
            rows = (contrast.row, contrast.control)
            inner = [sorted((a, v) for a, v in row.axes.items() if v and a not in by) for row in rows]
            alike.setdefault((str(inner), contrast.row.length), []).append(contrast)
    pairs = [
        Across(welch(one.differences, other.differences), first=one, second=other)
        for members in alike.values()
        for one, other in combinations(members, 2)
        if _family(one, by) != _family(other, by) and _evaluated_alike(one, other, evaluations, by)
    ]
    tested = _together(pairs)
    count = sum(one.adjusted is not None for one in tested)
    shown = [
        one if one.first.told_apart or one.second.told_apart else replace(one, adjusted=None, tests=0) for one in tested
    ]
    return shown, count


def _family(contrast: Contrast, by: Sequence[str]) -> tuple[str, ...]:
    return tuple(contrast.row.axes.get(axis, "") for axis in by)


def _evaluated_alike(one: Contrast, other: Contrast, evaluations: Mapping[tuple, set], by: Sequence[str]) -> bool:
    """Return True if both come from one evaluation, or if their families share none: each may have its own prompt."""
    shared = evaluations[_family(one, by)] & evaluations[_family(other, by)]
    return one.row.evaluation == other.row.evaluation or not shared
