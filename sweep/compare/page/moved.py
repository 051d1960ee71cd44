"""Transitions as the page shows them: by each behaviour that the answers hold, and problem by problem with questions.

The answers of each pair of evaluations are read once. A pair whose files are damaged is left out, and named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

from sweep.compare.page.judged import grid_json
from sweep.compare.page.texts import shortened
from sweep.compare.pool import SEED
from sweep.compare.results import Comparison
from sweep.compare.statistics import mean_estimate
from sweep.compare.transition_tables import SHOWN_PROBLEMS, transition_grid
from sweep.compare.transitions import Asked, Moved, Pair, pairs_of, pooled_rows, without_pairs
from sweep.errors import UserError
from sweep.run.answer_manifest import Manifest, asked_questions
from sweep.run.answer_reading import answers_without_texts
from sweep.run.answers import by_problem
from sweep.score.grouped import Grouped
from sweep.score.means import CODE
from sweep.score.transitions import Change, transitions

WITH_TEXTS = 3  # fixed and broken problems of a row whose answers are among the texts of the page
SHOWN_ANSWERS = 3  # different answers to a problem that are named, the most frequent ones


@dataclass(frozen=True)
class _Member:
    """A cell of a row: its transitions by each behaviour, and how often each answer was given to each problem."""

    pair: Pair
    row: Moved  # by any behaviour, as which problems changed does not depend on it
    by_behaviour: dict[str, Moved]
    apart: list[str]  # behaviours that different detectors decided before and after
    before: dict[str, Counter]
    after: dict[str, Counter]


@dataclass
class _ByBehaviour:
    """The rows of one behaviour, the numbers of their bars, and the cells that are left out."""

    rows: list[Moved] = field(default_factory=list)
    parts: list[dict[str, Any]] = field(default_factory=list)
    apart: list[str] = field(default_factory=list)
    unsought: list[str] = field(default_factory=list)

    @property
    def is_shown(self) -> bool:
        """True if an answer of some row has the behaviour."""
        return any(one.share > 0 for row in self.rows for one in row.found.classes if one.had or one.has)


@dataclass
class PageTransitions:
    """What the page shows of transitions.

    facts: values for JSON. texts: by directory of an evaluation the problems whose answers should be among the texts.
    """

    facts: dict[str, Any]
    texts: dict[Path, set[str]] = field(default_factory=dict)


def page_transitions(comparison: Comparison, names: Mapping[str, str], damaged: list[str]) -> PageTransitions:
    """Return the transitions of a comparison, or in the facts' `missing` the reason why there are none.

    The facts have `behaviours`, by name a table, the numbers of its bars and what was left out; `never`, the behaviours
    that no answer shows; `rows`, the problems that were fixed and broken; `questions`, to which these refer by place;
    and `warnings`.

    Args:
        names: of benchmarks that go by another name here, by the signature of their evaluation.
        damaged: takes a message for each file that cannot be read.
    """
    name = ", ".join(comparison.sweeps)
    cells = [cell.entry for cell in comparison.cells if cell.entry.stages]
    if not cells:
        return PageTransitions({"missing": "a comparison from a file holds no answers; name the sweep instead"})
    pairs = [pair for cell in cells for pair in pairs_of(comparison.root, cell, Asked(), damaged)]
    try:
        left_out = without_pairs(name, cells, pairs, Asked())
    except UserError as error:
        return PageTransitions({"missing": str(error)})
    told = _Told(names, damaged)
    read = lru_cache(maxsize=8)(_grouped)  # rows share their untrained model
    for _, of_row in groupby(sorted(pairs, key=_key), _key):
        if members := list(_readable(of_row, read, damaged)):
            told.add(members)
    if not told.rows:
        return PageTransitions({"missing": "no answers of two evaluations can be read; the first view says why"})
    by_name = told.by_behaviour
    untold = [line for key, of in by_name.items() if not of.rows for line in _left_out(key, of)]
    facts = {
        "behaviours": {key: _behaviour_json(name, key, of) for key, of in by_name.items() if of.is_shown},
        "never": [key for key, of in by_name.items() if of.rows and not of.is_shown],
        "rows": told.rows,
        "questions": told.questions,
        "warnings": list(dict.fromkeys([*_made(pairs), *left_out, *untold])),
    }
    return PageTransitions(facts, told.texts)


def _key(pair: Pair) -> tuple:
    """Return what the pairs of one row have in common."""
    manifests = pair.first.manifest, pair.last.manifest
    axes = sorted((axis, value) for axis, value in pair.cell.axes.items() if axis != SEED)
    return manifests[0].benchmark, pair.first.sign, axes, min(manifest.problems for manifest in manifests)


def _readable(pairs: Iterable[Pair], read: Callable[[Path, int], Grouped], damaged: list[str]) -> Iterator[_Member]:
    """Yield what each pair's answers say, of the pairs whose files are whole and of the same problems."""
    for pair in pairs:
        problems = min(pair.first.manifest.problems, pair.last.manifest.problems)
        try:
            yield _member(pair, read(pair.first.directory, problems), read(pair.last.directory, problems))
        except UserError as error:
            damaged.append(f"transitions of {pair.cell.label}: {error}")


def _grouped(directory: Path, problems: int) -> Grouped:
    return by_problem(answers_without_texts(directory, problems))


def _member(pair: Pair, before: Grouped, after: Grouped) -> _Member:
    first, last = pair.first.manifest.detectors, pair.last.manifest.detectors
    common = [name for name in first if name in last]
    alike = [name for name in common if first[name] == last[name]]
    moved = {name: pair.moved(transitions(before, after, name)) for name in alike}
    row = next(iter(moved.values()), None) or pair.moved(transitions(before, after, CODE))
    return _Member(pair, row, moved, [name for name in common if name not in alike], _given(before), _given(after))


def _given(answers: Grouped) -> dict[str, Counter]:
    return {problem: Counter(one.answer for one in those) for problem, those in answers.items()}


class _Told:
    """Collects what is said of each row, so that the answers of one row at a time are in memory."""

    def __init__(self, names: Mapping[str, str], damaged: list[str]) -> None:
        self._names, self._damaged = names, damaged
        self._places: dict[tuple[str, str], int] = {}
        self.by_behaviour: dict[str, _ByBehaviour] = {}
        self.rows: list[dict[str, Any]] = []
        self.questions: list[list] = []
        self.texts: dict[Path, set[str]] = {}

    def add(self, members: Sequence[_Member]) -> None:
        """Add a row of cells that differ in the seed alone."""
        (row,) = pooled_rows([member.row for member in members])
        self.rows.append(self._problems(row, members))
        changes = [*row.found.fixed[:WITH_TEXTS], *row.found.broken[:WITH_TEXTS]]
        for member in members:
            for evaluated in (member.pair.first, member.pair.last):
                self.texts.setdefault(evaluated.directory, set()).update(change.problem for change in changes)
        for name in dict.fromkeys(name for member in members for name in (*member.by_behaviour, *member.apart)):
            self._add_behaviour(name, members)

    def _add_behaviour(self, name: str, members: Sequence[_Member]) -> None:
        of = self.by_behaviour.setdefault(name, _ByBehaviour())
        moved = [member.by_behaviour[name] for member in members if name in member.by_behaviour]
        for member in members:
            if name not in member.by_behaviour:
                (of.apart if name in member.apart else of.unsought).append(member.pair.cell.label)
        if moved:
            (row,) = pooled_rows(moved)
            # The problems are kept once for all behaviours.
            of.rows.append(replace(row, found=replace(row.found, starts={}, ends={}, fixed=(), broken=())))
            of.parts.append({"label": self._label(row), "n": row.n} | _parts(moved))

    def _problems(self, row: Moved, members: Sequence[_Member]) -> dict[str, Any]:
        """Return the problems of a row that are fixed and broken, the largest changes first."""
        first = members[0].pair.first
        known = _questions(first.directory, first.manifest, self._damaged)
        found: dict[str, Any] = {"label": self._label(row), "n": row.n, "benchmark": self._benchmark(row)}
        found |= {"axes": row.axes, "problems": row.found.problems}
        for word, changes in (("fixed", row.found.fixed), ("broken", row.found.broken)):
            lines = []
            for change in changes[:SHOWN_PROBLEMS]:
                key = first.manifest.questions, change.problem
                if key not in self._places:
                    self._places[key] = len(self.questions)
                    self.questions.append([change.problem, *known.get(change.problem, ("", []))])
                lines.append([self._places[key], *_line(change, members)])
            strict = sum(change.strict for change in changes)
            found[word] = {"count": len(changes), "wholly": strict, "lines": lines}
        return found

    def _benchmark(self, row: Moved) -> str:
        return self._names.get(row.sign, row.benchmark)

    def _label(self, row: Moved) -> str:
        return " ".join([*(value for value in row.axes.values() if value), self._benchmark(row)])


def _made(pairs: Sequence[Pair]) -> list[str]:
    return [said for pair in pairs for said in pair.made_differently]


def _behaviour_json(sweep: str, behaviour: str, of: _ByBehaviour) -> dict[str, Any]:
    table = grid_json(transition_grid(sweep, of.rows))
    return {"table": table, "parts": of.parts, "left_out": _left_out(behaviour, of)}


def _left_out(behaviour: str, of: _ByBehaviour) -> list[str]:
    """Return in words which cells the transitions by a behaviour lack."""
    left_out = []
    if of.apart:
        left_out.append(
            f"left out, because different detectors of {behaviour} decided before and after: {'; '.join(of.apart)}; "
            "evaluate both again, which looks for it with one detector and samples nothing"
        )
    if of.unsought:
        left_out.append(f"left out, because {behaviour} was not looked for in their answers: {'; '.join(of.unsought)}")
    return left_out


def _parts(members: Sequence[Moved]) -> dict[str, Any]:
    """Return the contributions of a row and its gain in points, each with its interval over seeds."""
    classes = zip(*(member.found.classes for member in members), strict=True)
    return {
        "parts": [[of[0].name, *_points([one.contribution for one in of])] for of in classes],
        "gain": _points([member.found.gain for member in members]),
    }


def _points(values: Sequence[float]) -> list[float | None]:
    mean = mean_estimate(values)
    return [None if number is None else round(100 * number, 4) for number in (mean.value, mean.low, mean.high)]


def _questions(directory: Path, manifest: Manifest, damaged: list[str]) -> dict[str, tuple[str, list[str]]]:
    """Return the text and the golds of each question by its id; none if their file is damaged."""
    try:
        asked = asked_questions(directory, manifest)
    except UserError as error:
        damaged.append(str(error))
        return {}
    return {one.id: (shortened(one.question).text, [shortened(gold).text for gold in one.golds]) for one in asked}


def _line(change: Change, members: Sequence[_Member]) -> list:
    """Return the shares of right answers before and after in per cent, and the most frequent answers of both."""
    sides = []
    # Seeds that share an untrained model have its answers once.
    firsts = {member.pair.first.directory: member.before for member in members}.values()
    for counters in (firsts, [member.after for member in members]):
        given: Counter = sum((of[change.problem] for of in counters), Counter())
        top = [[None if text is None else shortened(text, 60).text, n] for text, n in given.most_common(SHOWN_ANSWERS)]
        sides.append([top, len(given), sum(given.values())])
    return [round(100 * change.before, 2), round(100 * change.after, 2), *sides]
