"""Answer the command `compare`: from the records of sweeps, or from a JSON file that `compare` wrote."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sweep.compare.cells import collect
from sweep.compare.export import read_comparisons
from sweep.compare.metrics import ACCURACY, EVALUATED, Metric
from sweep.compare.over_problems import NONE_KEPT, with_problems
from sweep.compare.over_steps import with_curves
from sweep.compare.overview import benchmark_of
from sweep.compare.problem_tables import over_problems
from sweep.compare.results import Comparison
from sweep.compare.verdict import Question, Verdict, judge
from sweep.errors import UserError
from sweep.program import program

LAST = "last"


@dataclass(frozen=True)
class Options:
    """What is asked of sweeps or of a file, as it is typed; None and () for the usual.

    metric: its name in metrics.jsonl; a name without a slash means a metric of the evaluation. at_step: a number or
    "last". control: KEY=VALUE,…: the choices that make a control. by: KEY,…: the axes that make a family. where:
    KEY=PATTERN,… each. benchmarks: NAME,…: what the cells are compared by, instead of each one's first benchmark.
    curves: read the values over steps, too. every_row: read the answers of all rows, and compare them problem by
    problem. problems: do so, and refuse if there are none. A file keeps what it was written with.
    """

    metric: str | None = None
    at_step: str | None = None
    control: str | None = None
    by: str | None = None
    where: Sequence[str] = ()
    benchmarks: str | None = None
    curves: bool = False
    every_row: bool = False
    problems: bool = False


def answer(targets: Sequence[str], root: Path, options: Options | None = None) -> Verdict:
    """Return the verdict on the sweeps `targets` of the output directory `root`, or on the one file that they name.

    Raises:
        UserError: an option has no valid meaning, or names something that does not exist; or several benchmarks are
            named.
    """
    found = verdicts_on(targets, root, options)
    if len(found) > 1:
        raise UserError(f"--benchmark {','.join(map(benchmark_of, found))}: name one of them")
    return found[0]


def verdicts_on(targets: Sequence[str], root: Path, options: Options | None = None) -> list[Verdict]:
    """Return a verdict for each benchmark that is named; see `answer`."""
    options = options or Options()
    if any(_is_file(target, root) for target in targets):
        if len(targets) > 1:
            raise UserError(f"{' '.join(targets)}: several sweeps, or one file; a file is read by itself")
        found = [_judged(*read, options) for read in _read(targets[0], options)]
    else:
        found = [_of_sweeps(targets, root, metric, options) for metric in _metrics(options)]
    if options.problems:
        _check_problems(found)
    return found


def _of_sweeps(targets: Sequence[str], root: Path, metric: Metric, options: Options) -> Verdict:
    verdict = with_problems(_judged(collect(root, *targets, metric=metric), Question(), options), options.every_row)
    return with_curves(verdict) if options.curves else verdict


def _read(file: str, options: Options) -> list[tuple[Comparison, Question]]:
    """Return the comparisons of a file by the benchmarks that are asked for, or by all.

    Raises:
        UserError: the file holds something other than what is asked for.
    """
    read = read_comparisons(Path(file))
    if options.benchmarks is not None:
        held = {comparison.metric.benchmark or "": (comparison, question) for comparison, question in read}
        names = options.benchmarks.split(",")
        if unknown := [name for name in names if name not in held]:
            named = ", ".join(filter(None, held)) or "no benchmark by its name"
            raise UserError(f"--benchmark {unknown[0]}: {file} does not hold it; it holds {named}")
        read = [held[name] for name in dict.fromkeys(names)]
    there = read[0][0].metric
    name, step = _metric(options.metric), _step(options.at_step)
    if (options.metric and name != there.name) or (options.at_step and step != there.step):
        raise UserError(f"{file}: holds {there.title} alone; compare the sweep itself for anything else")
    return read


def _judged(comparison: Comparison, question: Question, options: Options) -> Verdict:
    if options.control is not None:
        question = replace(question, control=_pairs("--control", options.control), typed=True)
    if options.by is not None:
        question = replace(question, by=tuple(axis for axis in options.by.split(",") if axis))
    patterns = {key: value for typed in options.where for key, value in _pairs("--where", typed).items()}
    return judge(comparison, replace(question, where={**question.where, **patterns}))


def _check_problems(verdicts: Sequence[Verdict]) -> None:
    """Raise UserError if a verdict was asked for problem by problem and has nothing of that kind."""
    for verdict in verdicts:
        comparison = verdict.comparison
        if comparison.metric.name != ACCURACY:
            raise UserError(f"--problems: compares accuracy, and not {comparison.metric.title}; leave --metric out")
        if not any(found.found or found.why_not != NONE_KEPT for _, found in over_problems(verdict)):
            raise UserError(
                f"--problems: no answers{comparison.metric.of_benchmark} are kept of both the base and the final model "
                f"of any row; `{program()} evaluate SWEEP` keeps them"
            )


def _is_file(target: str, root: Path) -> bool:
    """Return True if `target` names a file and not a sweep, since a sweep's name may end in .json as well."""
    return target.endswith(".json") and not (root / "sweeps" / target).is_dir()


def _metrics(options: Options) -> list[Metric]:
    """Return the metric by each benchmark that is asked for.

    Raises:
        UserError: there is no such step, or a benchmark is named for a metric of training.
    """
    name, step = _metric(options.metric), _step(options.at_step)
    benchmark, _, key = name.removeprefix(EVALUATED).rpartition("/")
    typed = options.benchmarks
    if name.startswith(EVALUATED) and benchmark:  # as metrics.jsonl names the column
        if typed not in (None, benchmark):
            raise UserError(f"--metric {name}: is of {benchmark}, and --benchmark {typed} is typed; leave one out")
        name, typed = f"{EVALUATED}{key}", benchmark
    if typed is None:
        return [Metric(name, step)]
    if not name.startswith(EVALUATED):
        raise UserError(f"--benchmark {typed}: {name} is a metric of training, which has no benchmark; leave one out")
    names = list(dict.fromkeys(typed.split(",")))
    if "" in names:
        raise UserError(f"--benchmark {typed!r}: is written NAME,NAME,…")
    return [Metric(name, step, one) for one in names]


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
