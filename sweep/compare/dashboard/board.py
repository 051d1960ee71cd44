"""The content of a sweep's view and report: runs, groups, colours, panels. Pure: it contacts no server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sweep.compare.contrasts import holds
from sweep.compare.figures.style import label_of, looks
from sweep.compare.sentences import family_of
from sweep.compare.verdict import Verdict
from sweep.run.entry import Entry
from sweep.run.wandb_names import OWN_AXES, axis_key, sweep_tag

STEP = "step"  # the metric that every panel is drawn over
SPARE_RUNS = 100  # room in the run limit for cells of later launches, until the view is updated
LEAST_RUNS = 200

# The lines of each section, by metric. docs/metrics.md defines them.
LINES = {
    "Accuracy": ("eval/accuracy", "eval/code_accuracy", "eval/prose_accuracy"),
    "Reward and true reward": (
        "reward/mean",
        "reward/true_mean",
        "reward/agreement",
        "reward/true_given_rewarded",
        "reward/zero_variance_share",
    ),
    "Behaviour": (
        "behaviour/code",
        "behaviour/true_given_code",
        "behaviour/true_given_prose",
        "response/tokens_mean",
        "response/finish_length",
        "grading/no_answer",
    ),
    "Clipping and entropy": (
        "train/entropy",
        "train/clip_fraction_low",
        "train/clip_fraction_high",
        "train/ratio_max",
        "train/policy_kl",
        "train/reference_kl",
    ),
    "Health": (
        "train/sampler_difference",
        "train/grad_norm",
        "timing_s/step",
        "perf/tokens_per_second",
        "memory_gb/held",
        "rollout/groups_sampled",
    ),
}
VERDICT = "Verdict"
OF_A_FAMILY = ("eval/accuracy", "reward/mean", "reward/true_mean", "train/entropy", "behaviour/code")


@dataclass(frozen=True)
class Family:
    """The runs that a sentence is about, by the values of their axes."""

    name: str
    values: Mapping[str, str]


@dataclass(frozen=True)
class Board:
    """The content of a sweep's pages on W&B.

    entity, project: the place on W&B.
    tag: the tag that all its runs have.
    axes: the configuration keys by which runs are grouped, model and reward first. Runs of one group differ in the
    seed.
    colours: by the values of a group's first axes, at any depth.
    limit: the most runs that a panel shows.
    families: in the order of their sentences.
    baseline: the id of the run that W&B compares others with; None if the sweep has several families.
    """

    sweep: str
    entity: str
    project: str
    tag: str
    verdict: Verdict
    axes: tuple[str, ...]
    colours: Mapping[tuple[str, ...], str]
    limit: int
    families: tuple[Family, ...]
    baseline: str | None


def board(
    verdict: Verdict, entries: Sequence[Entry], runs: Mapping[str, str], sweep: str, entity: str, project: str
) -> Board:
    """Return the board of a verdict on one sweep.

    Args:
        entries: the cells of the sweep.
        runs: the ids of the runs that W&B has, by signature.
    """
    others = sorted({axis for entry in entries for axis in entry.axes} - set(OWN_AXES))
    axes = [axis for axis in OWN_AXES if axis != "seed"] + others
    families = _families(verdict, axes)
    return Board(
        sweep=sweep,
        entity=entity,
        project=project,
        tag=sweep_tag(sweep),
        verdict=verdict,
        axes=tuple(map(axis_key, axes)),
        colours=_colours(verdict, entries, others),
        limit=max(LEAST_RUNS, len(entries) + SPARE_RUNS),
        families=families,
        baseline=_baseline(verdict, runs) if len(families) == 1 else None,
    )


def _families(verdict: Verdict, axes: Sequence[str]) -> tuple[Family, ...]:
    by = verdict.question.by
    found: dict[str, Family] = {}
    for row in verdict.rows:
        values = {axis_key(axis): row.axes[axis] for axis in by if axis in axes and axis in row.axes}
        name = family_of(row, by)
        found.setdefault(name, Family(name, values))
    return tuple(found.values())


def _colours(verdict: Verdict, entries: Sequence[Entry], others: Sequence[str]) -> dict[tuple[str, ...], str]:
    """Return one colour for each reward, whatever its model, for its group and all groups inside; the figures use the
    same.
    """
    known = looks(verdict.rows, verdict.question.by)
    typed = {entry.signature: entry.axes for entry in entries}
    colours: dict[tuple[str, ...], str] = {}
    for row in verdict.rows:
        colour = known[label_of(row, verdict.rows, verdict.question.by)].colour
        for cell in row.cells:
            path = [cell.model, cell.reward]
            colours.setdefault(tuple(path), colour)
            for axis in others:
                if (value := typed.get(cell.signature, {}).get(axis)) is None:
                    break
                path.append(value)
                colours.setdefault(tuple(path), colour)
    return colours


def _baseline(verdict: Verdict, runs: Mapping[str, str]) -> str | None:
    """Return the run of the control's first seed; None if there are several controls, or W&B has none that is done."""
    controls = [row for row in verdict.rows if holds(row, verdict.question.control)]
    if len(controls) != 1:
        return None
    known = [runs.get(controls[0].by_seed[seed].signature) for seed in sorted(controls[0].final)]
    return next((run for run in known if run), None)
