"""The numbers of a cell's untrained and trained weights by one benchmark: as they were recorded, or from kept answers.

What was recorded when the cell was trained, or evaluated by its launch, comes first. A benchmark that was asked later,
and a number that no record has, such as pass@3, come from the answers. Two evaluations are never mixed: answers of both
sides have one signature, and as many of them are counted on either side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from sweep.compare.kept import KeptAnswers, Targets, Wanted, common_targets, identity_of
from sweep.compare.metrics import Metric
from sweep.errors import UserError
from sweep.run.answer_places import KeptEvaluation
from sweep.run.answer_reading import made_between
from sweep.run.directory import RunDirectory
from sweep.run.entry import Entry
from sweep.run.identity import answers_identity, differences, signature
from sweep.run.ledger import Sweep
from sweep.score.evaluation import is_number, number
from sweep.score.means import means

Known = dict[tuple[str, Targets], tuple[str, dict]]  # recorded evaluations (signature, identity) by what was counted


@dataclass(frozen=True)
class Sides:
    """The numbers of a cell by one benchmark, by their names as in result.json; {} where there are none.

    `evaluation` among them names the evaluation that they come from. identity: of that evaluation; {} if none is known.
    unlike: the reason why base and final must not be subtracted, or "". made: in words, how the answers of both sides
    were made differently, as far as answers were looked at. from_answers: True if all numbers come from kept answers.
    """

    base: dict = field(default_factory=dict)
    final: dict = field(default_factory=dict)
    identity: dict = field(default_factory=dict)
    unlike: str = ""
    made: tuple[str, ...] = ()
    from_answers: bool = False

    @property
    def sign(self) -> str:
        """The signature of the answers that belong to the evaluation."""
        return signature(answers_identity(self.identity)) if "evaluation" in self.identity else ""

    @property
    def counted(self) -> tuple[int, int] | None:
        """The number of problems and of answers to each behind the numbers; None if they were not recorded."""
        found = self.final or self.base
        problems, samples = found.get("problems"), found.get("samples_per_problem")
        return (problems, samples) if problems and samples else None

    @property
    def targets(self) -> Targets | None:
        """The same as targets of evaluations."""
        return None if self.counted is None else Targets(*self.counted)


def all_sides(sweep: Sweep, metric: Metric, kept: KeptAnswers) -> dict[str, Sides]:
    """Return the numbers of every cell of a sweep by its directory.

    Raises:
        UserError: a benchmark was named that no cell was put to, or that one was put to in several ways; or a k is
            above the number of answers.
    """
    wanted = None if metric.benchmark is None else Wanted.named(metric.benchmark)
    found = {entry.directory: _recorded(sweep, entry, wanted) for entry in sweep.cells}
    if wanted is not None:
        known = _known(found)
        for entry in sweep.cells:
            sides = found[entry.directory]
            if not (sides.base and sides.final):
                found[entry.directory] = _from_answers(entry, wanted, metric.step, kept, known) or sides
        _check_benchmark(sweep, found, metric, kept)
    if metric.of_evaluation and is_number(metric.key):
        return {entry.directory: _with_number(entry, found[entry.directory], metric, kept) for entry in sweep.cells}
    return found


def _recorded(sweep: Sweep, entry: Entry, wanted: Wanted | None) -> Sides:
    """Return what the cell's run and its baseline recorded; nothing if an evaluation is named by its signature."""
    if wanted is not None and wanted.sign is not None:
        return Sides()
    run, baseline = RunDirectory(sweep.directory(entry)), RunDirectory(sweep.root / entry.stages[0])
    name = None if wanted is None else wanted.benchmark
    final, base = _numbers_of(run, name), _numbers_of(baseline, name)
    own, shared = _identity(run, name), _identity(baseline, name)
    identity = own or shared or {}
    evaluation = final.get("evaluation", base.get("evaluation"))
    if evaluation not in (None, signature(own) if own else None):  # the numbers come from an older evaluation
        identity = {"signature": evaluation}
    return Sides(base, final, identity, _unlike(final, base, own, shared) if final and base else "")


def _numbers_of(run: RunDirectory, name: str | None) -> dict:
    """Return the recorded numbers by the benchmark `name`; None for the run's first benchmark."""
    result = run.read_result() or {}
    if name is None:
        return result
    if "benchmarks" in result:
        return result["benchmarks"].get(name, {})
    return result if name == next(iter(run.evaluations), None) else {}  # of a version that knew one benchmark


def _identity(run: RunDirectory, name: str | None) -> dict | None:
    return run.evaluation if name is None else run.evaluations.get(name)


def _unlike(final: Mapping, base: Mapping, own: dict | None, shared: dict | None) -> str:
    """Return the reason why recorded numbers must not be subtracted, or "" if there is none.

    Args:
        own, shared: the identities of the evaluation of the cell and of its baseline.
    """
    after, before = final.get("evaluation"), base.get("evaluation")
    if after == before:
        return ""
    how = f"evaluation {after or 'of an older version'} and {before or 'of an older version'}"
    if own and shared and signature(own) == after:
        how = "; ".join(differences(own, shared))
    return f"final and base were not evaluated alike ({how}); launch the sweep again to evaluate the final weights"


def _known(found: Mapping[str, Sides]) -> Known:
    known: Known = {}
    for sides in found.values():
        if sides.final and sides.sign and sides.targets:
            known[sides.sign, sides.targets] = sides.final["evaluation"], sides.identity
    return known


def _from_answers(entry: Entry, wanted: Wanted, step: int | None, kept: KeptAnswers, known: Known) -> Sides | None:
    """Return the numbers of kept answers; None if no trained weights of the cell answered."""
    before, after = wanted.those(kept.untrained(entry)), wanted.those(kept.trained(entry, step))
    signs = {sign for sign, _ in known}
    alike = {sign: after[sign] for sign in after if sign in before}
    if not after:
        return None
    last = wanted.one_of(alike or after, signs, entry.label)
    first = before.get(last.sign) or (wanted.one_of(before, signs, entry.label) if before else None)
    if first is None or first.sign == last.sign:
        targets = common_targets([one for one in (first, last) if one is not None])
        name, identity = known.get((last.sign, targets)) or (_name(last, targets), identity_of(last.manifest, targets))
        base, final = ({} if one is None else _counted(one, targets, name, kept) for one in (first, last))
        made = made_between(first.manifest, last.manifest) if first else []
        return Sides(base, final, identity, "", tuple(made), from_answers=True)
    each = [(one, common_targets([one])) for one in (first, last)]
    base, final = (_counted(one, targets, _name(one, targets), kept) for one, targets in each)
    old, new = (identity_of(one.manifest, targets) for one, targets in each)
    how = "; ".join(differences(new, old))
    unlike = f"final and base were not evaluated alike ({how}); evaluate both in one way"
    return Sides(base, final, new, unlike, from_answers=True)


def _name(evaluated: KeptEvaluation, targets: Targets) -> str:
    """Return the name of an evaluation that no record names: what was asked, and how much of it was counted."""
    return f"{evaluated.sign}:{targets.problems}x{targets.samples}"


def _counted(evaluated: KeptEvaluation, targets: Targets, name: str, kept: KeptAnswers) -> dict:
    """Return the means over the answers of an evaluation, as result.json has them."""
    answers = kept.answers(evaluated, targets)
    found = asdict(means(answer for those in answers.values() for answer in those))
    counted = {"evaluation": name, "problems": targets.problems, "samples_per_problem": targets.samples}
    return {key: value for key, value in found.items() if is_number(key)} | counted


def _with_number(entry: Entry, sides: Sides, metric: Metric, kept: KeptAnswers) -> Sides:
    """Return the sides with the metric's number, computed from the same answers if no record has it.

    Raises:
        UserError: k is above the number of answers.
    """
    key, targets = metric.key, sides.targets
    lacking = [side for side in (sides.base, sides.final) if side and key not in side]
    if not lacking or targets is None:
        return sides
    pair = kept.pair(entry, sides.sign, metric.step if sides.from_answers else None)
    base, final = (
        side if not side or key in side else side | _number(entry, evaluated, targets, metric, kept)
        for evaluated, side in zip(pair, (sides.base, sides.final), strict=True)
    )
    return replace(sides, base=base, final=final)


def number_at_step(entry: Entry, sides: Sides, metric: Metric, kept: KeptAnswers) -> float | None:
    """Return the metric of the weights after its step, by the evaluation of `sides`, from kept answers; None if there
    are none.

    Raises:
        UserError: k is above the number of answers.
    """
    if sides.targets is None or not is_number(metric.key):
        return None
    _, evaluated = kept.pair(entry, sides.sign, metric.step)
    return _number(entry, evaluated, sides.targets, metric, kept).get(metric.key)


def _number(
    entry: Entry, evaluated: KeptEvaluation | None, targets: Targets, metric: Metric, kept: KeptAnswers
) -> dict[str, float | None]:
    """Return the metric's number under its name; {} if no answers, or fewer than `targets`, are kept."""
    try:
        if evaluated is None or not kept.has(evaluated, targets):
            return {}
        return {metric.key: number(kept.answers(evaluated, targets), metric.key)}
    except UserError as error:
        raise UserError(f"--metric {metric.name}: {entry.label}: {error}") from None


def _check_benchmark(sweep: Sweep, found: Mapping[str, Sides], metric: Metric, kept: KeptAnswers) -> None:
    """Raise UserError if no cell was put to the benchmark that was named; the message names those that there are."""
    if any(sides.base or sides.final for sides in found.values()):
        return
    names: dict[str, None] = {}
    for entry in sweep.cells:
        names |= dict.fromkeys(RunDirectory(sweep.directory(entry)).evaluations)
        kept_of = [*kept.trained(entry, metric.step), *kept.untrained(entry)]
        names |= dict.fromkeys(evaluated.manifest.benchmark for evaluated in kept_of)
    if metric.benchmark in names:  # it will be asked when the trainings end
        return
    there = f"there are: {', '.join(names)}" if names else "none is known of this sweep"
    raise UserError(f"--benchmark {metric.benchmark}: no cell was put to it; {there}")
