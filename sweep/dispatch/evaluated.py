"""Show what evaluations of weights came to: a table of their numbers, and below it their scores over several seeds.

Both have 95 % intervals, which are computed from the answers that are kept. Where these cannot be read, a line says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sweep.dispatch.lost_answers import weights_place
from sweep.dispatch.view import suggested
from sweep.errors import UserError
from sweep.plan.plan import Plan
from sweep.plan.task import Task
from sweep.run.answer_manifest import find_manifest
from sweep.run.answer_places import of_benchmark
from sweep.run.answer_reading import answers_without_texts
from sweep.run.answers import by_problem
from sweep.run.directory import RunDirectory
from sweep.run.identity import answers_identity, signature
from sweep.score.grouped import Grouped
from sweep.score.intervals import DRAWS_LAW, OTHER_DRAWS, OTHER_PROBLEMS, Interval, over_draws, over_problems
from sweep.score.means import accuracies, average_at_k

FEW_FOUND = 0.5  # below this share of responses with an answer, accuracy says little about what was solved
SAME_ACCURACY = 1e-9  # two sums of the same verdicts, in different orders, differ by less
NOT_KEPT = "no answers of it are kept (older versions kept none); evaluation.samples_per_problem asks for more"
INTERVAL = "95 % interval:\n" + OTHER_PROBLEMS.replace(", ", ",\n")
SEEDS = f"accuracy over evaluation seeds, with its 95 % interval ({OTHER_DRAWS}). It assumes: {DRAWS_LAW}"
_OF_SEED = re.compile(r" \+*evaluation\.(benchmarks\.[^.= ]+\.)?seed=\S+")


@dataclass(frozen=True)
class Done:
    """An evaluation that is done. `numbers`: as its result has them."""

    task: Task
    benchmark: str
    numbers: dict

    @property
    def identity(self) -> dict | None:
        """What was asked, by which its answers are found; None if the result does not come from what the task asks."""
        asked = self.task.evaluations.values()
        return next((one for one in asked if signature(one) == self.numbers.get("evaluation")), None)

    @property
    def asked(self) -> dict:
        """How it was asked: the part of its identity with the seed and the temperature."""
        return (self.identity or {}).get("evaluation", {})

    @property
    def seed(self) -> int:
        """The seed of its draws."""
        return self.asked.get("seed", 0)

    @property
    def but_for_its_seed(self) -> tuple[str, str]:
        """What evaluations have in common that differ in their seeds alone: the weights, and what was asked."""
        if self.identity is None:
            return self.task.entry.directory, self.benchmark
        asked = {key: value for key, value in self.asked.items() if key != "seed"}
        return str(weights_place(self.task)), signature(self.identity | {"evaluation": asked})

    @property
    def weights(self) -> str:
        """The label of its task without the names of the benchmarks, which have a column."""
        return self.task.label.replace(f" by {', '.join(self.task.config.evaluation.benchmarks)}", "", 1)

    def answers(self) -> Grouped:
        """Return the answers that its numbers come from, by problem and without texts.

        Raises:
            UserError: they are not there, or are others; or a file of theirs is damaged.
        """
        if self.identity is None:
            raise UserError(NOT_KEPT)
        directory = of_benchmark(weights_place(self.task), self.benchmark, answers_identity(self.identity))
        if find_manifest(directory) is None:
            raise UserError(NOT_KEPT)
        problems, samples = self.numbers["problems"], self.numbers["samples_per_problem"]
        found = by_problem(answers_without_texts(directory, problems, samples))
        sizes = [len(those) for those in found.values()]
        if sizes != [samples] * problems or abs(average_at_k(found) - self.numbers["accuracy"]) > SAME_ACCURACY:
            raise UserError(f"{directory}: not the answers of the result; remove {directory} and evaluate again")
        return found


@dataclass(frozen=True)
class Intervals:
    """What the kept answers of evaluations say of how far their accuracy may be off.

    over_problems: the bounds in per cent, by the place of the evaluation; those without an interval are left out.
    lacking: a line for each of these, with the reason. over_draws: lines for those that differ in their seeds alone.
    """

    over_problems: Mapping[int, str]
    lacking: Sequence[str]
    over_draws: Sequence[str]


def show(plan: Plan, screen: Console) -> None:
    """Print a line for each evaluation that is done: what was evaluated, and what it came to."""
    done = list(_done(plan))
    found = intervals(done)
    columns = ("accuracy %", INTERVAL, "pass@k %", "maj@k %", "answers", "cut off %")
    table = Table("weights", "benchmark", title=f"sweep {plan.name}: evaluations", title_justify="left")
    for column in columns:
        table.add_column(column, justify="right")
    for place, one in enumerate(done):
        accuracy, *others = _numbers(one.numbers)
        interval = found.over_problems.get(place, "")
        table.add_row(escape(one.weights), one.benchmark, accuracy, interval, *others)
    if table.row_count:
        screen.print(table)
    unread = [_unread(plan, one) for one in done if one.numbers.get("extracted", 1) < FEW_FOUND]
    compared = suggested(f"compare {plan.name}", plan.root)
    last = f"answers: {plan.root / 'answers'}; {compared} compares cells"
    for line in (*found.over_draws, *found.lacking, *unread, last):
        screen.print(line, soft_wrap=True, markup=False, highlight=False)


def _done(plan: Plan) -> Iterator[Done]:
    for task in plan.cells:
        result = RunDirectory(task.directory).read_result() or {}
        older = {name: result for name in [*task.evaluations][:1] if result}  # before there were several benchmarks
        for benchmark, numbers in result.get("benchmarks", older).items():
            yield Done(task, benchmark, numbers)


def intervals(done: Sequence[Done]) -> Intervals:
    """Return the intervals of evaluations. Only the answers of those that differ in nothing but seeds are in memory at
    once.
    """
    alike: dict[tuple[str, str], list[int]] = {}
    for place, one in enumerate(done):
        alike.setdefault(one.but_for_its_seed, []).append(place)
    bounds, lacking, draws = {}, [], []
    for places in alike.values():
        by_seed: dict[int, Grouped] = {}
        for place in places:
            one = done[place]
            try:
                answers = one.answers()
                bounds[place] = _bounds(over_problems(accuracies(answers).values()))
            except UserError as error:
                lacking.append(f"{one.weights}, {one.benchmark}: no interval, because {error}")
            else:
                by_seed[one.seed] = answers
        if len(by_seed) > 1:
            draws.append(_over_seeds(done[places[0]], by_seed))
    return Intervals(bounds, lacking, [SEEDS, *draws] if draws else [])


def _bounds(found: Interval) -> str:
    """Return the bounds in per cent.

    Raises:
        UserError: there are none, because there is one problem.
    """
    if found.low is None or found.high is None:
        raise UserError("one problem does not show how far others differ from it")
    return f"{100 * found.low:.1f} … {100 * found.high:.1f}"


def _over_seeds(one: Done, by_seed: Mapping[int, Grouped]) -> str:
    """Return the line on evaluations that differ from `one` in their seeds alone, if at all."""
    seeds = ", ".join(map(str, sorted(by_seed)))
    weights = _OF_SEED.sub("", one.weights).removesuffix(" with")
    said = f"  {weights} on {one.benchmark}, evaluation seeds {seeds}: "
    if one.asked.get("temperature") == 0:
        return f"{said}no interval, because at temperature 0 there are no other draws"
    problems = next(iter(by_seed.values()))
    found = over_draws({name: [answer for each in by_seed.values() for answer in each[name]] for name in problems})
    return f"{said}{100 * found.value:.1f} % ({_bounds(found)})"


def _unread(plan: Plan, one: Done) -> str:
    """Say that most responses are wrong because no answer was found in them, and how answers are found otherwise."""
    read = ", ".join(one.task.config.grading.extraction)
    lenient = suggested(f"grade {plan.name} grading=lenient", plan.root)
    share = f"{100 * one.numbers['extracted']:.0f} %"
    return (
        f"{one.weights}, {one.benchmark}: an answer was found ({read}) in {share} of the responses; the others count "
        f"as wrong. A prompt can ask for a box, and {lenient} grades what is there with more ways to find an answer"
    )


def _numbers(found: dict) -> list[str]:
    """Return the numbers of one evaluation as cells of the table."""
    k = max((int(name.removeprefix("pass@")) for name in found if name.startswith("pass@")), default=None)
    at_k = [f"{100 * found[f'{score}@{k}']:.1f} (k={k})" if k else "" for score in ("pass", "maj")]
    answers = f"{found['problems']} × {found['samples_per_problem']}"
    return [f"{100 * found['accuracy']:.1f}", *at_k, answers, f"{100 * found['truncated']:.1f}"]
