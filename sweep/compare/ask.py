"""Answer the command `compare`: from the records of sweeps, or from a JSON file that `compare` wrote."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sweep.compare.cells import collect
from sweep.compare.export import read_comparison
from sweep.compare.metrics import ACCURACY, EVALUATED, Metric
from sweep.compare.over_steps import with_curves
from sweep.compare.verdict import Question, Verdict, judge
from sweep.errors import UserError

LAST = "last"


def answer(
    targets: Sequence[str],
    root: Path,
    metric: str | None = None,
    at_step: str | None = None,
    control: str | None = None,
    by: str | None = None,
    where: Sequence[str] = (),
    with_steps: bool = False,
) -> Verdict:
    """Return the verdict on the sweeps `targets` of the output directory `root`, or on the one file that they name.

    Args:
        metric: its name in metrics.jsonl; a name without a slash means a metric of the evaluation.
        at_step: a number or "last".
        control: KEY=VALUE,…: the choices that make a control.
        by: KEY,…: the axes that make a family.
        where: KEY=PATTERN,… each.
        with_steps: read the values over steps too. A file keeps the ones it was written with, or has none.
    Raises:
        UserError: an option has no valid meaning, or names something that does not exist.
    """
    wanted = Metric(_metric(metric), _step(at_step))
    from_file = any(_is_file(target, root) for target in targets)
    if from_file:
        if len(targets) > 1:
            raise UserError(f"{' '.join(targets)}: several sweeps, or one file; a file is read by itself")
        comparison, question = read_comparison(Path(targets[0]))
        there = comparison.metric
        if (metric and wanted.name != there.name) or (at_step and wanted.step != there.step):
            raise UserError(f"{targets[0]}: holds {there.title} alone; compare the sweep itself for anything else")
    else:
        comparison, question = collect(root, *targets, metric=wanted), Question()
    if control is not None:
        question = replace(question, control=_pairs("--control", control), typed=True)
    if by is not None:
        question = replace(question, by=tuple(axis for axis in by.split(",") if axis))
    patterns = {key: value for typed in where for key, value in _pairs("--where", typed).items()}
    verdict = judge(comparison, replace(question, where={**question.where, **patterns}))
    return with_curves(verdict) if with_steps and not from_file else verdict


def _is_file(target: str, root: Path) -> bool:
    """Return True if `target` names a file and not a sweep, since a sweep's name may end in .json as well."""
    return target.endswith(".json") and not (root / "sweeps" / target).is_dir()


def _metric(typed: str | None) -> str:
    if typed is None:
        return ACCURACY
    return typed if "/" in typed else f"{EVALUATED}{typed}"


def _step(typed: str | None) -> int | None:
    if typed in (None, LAST):
        return None
    if not re.fullmatch(r"[1-9]\d*", typed):
        raise UserError(f"--at-step {typed}: a number of steps from 1 on, or {LAST}")
    return int(typed)


def _pairs(option: str, typed: str) -> Mapping[str, str]:
    """Return KEY=VALUE,KEY=VALUE as a mapping. A comma that is not followed by KEY= belongs to the value."""
    parts = re.split(r",(?=[\w.@/+~-]+=)", typed)
    if any("=" not in part or not part.partition("=")[0] for part in parts):
        raise UserError(f"{option} {typed}: is written KEY=VALUE,KEY=VALUE,…")
    return {key: value for key, _, value in (part.partition("=") for part in parts)}
