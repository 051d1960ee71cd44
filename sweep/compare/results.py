"""The records of a comparison: the result of each cell. Pure: it reads no file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sweep.compare.metrics import Metric
from sweep.run.costs import Cost
from sweep.run.entry import Entry
from sweep.score.intervals import Interval
from sweep.score.paired import PairedProblems

ENDS = ("accuracy", "truncated", "ended_accuracy")  # the means that tell a gain from fewer cut-offs


@dataclass(frozen=True)
class CellResult:
    """The result of a cell. Accuracies and fractions of code are in [0, 1]; None means not known yet.

    `entry`: the record of the cell; if the comparison was read from a file, without its stages and module. `axes`: the
    values that tell its row from the others, with model, reward and seed. `row`: a key that is the same for all cells
    that differ only in the seed. `evaluation`: the signature of the evaluation that the final numbers come from.
    `rules`: the versions of the rules that its training used; None if unknown. `unlike`: the reason why base and final
    must not be subtracted, or "". `older`: how the version of the code that trained or evaluated it differs from this
    one, or "". `step`: the last step it finished; `asked`: the steps that its launch asked for; `length`: the steps at
    which its numbers were taken, or `asked` if it has no numbers yet.

    `base`, `final`: the compared metric of the untrained and of the trained model; a metric of training has no base.
    `answers`: the number of graded answers behind each. `made`: facts of its training as far as they are recorded:
    "code" (a hash), "weights" (a hash of the base model's), "processor". `training`: the directory of the training
    whose results it shows; "" in files older than this field. `cost`: the cost of the run it shows. `ends`: the means
    of ENDS of "base" and of "final"; {} if they are not known of both. `counted`: the number of problems and of answers
    to each behind the numbers; None if unknown, and in a comparison that was read from a file.
    """

    entry: Entry
    axes: dict[str, str]
    state: str
    step: int
    base_accuracy: float | None
    final_accuracy: float | None
    base_code: float | None
    final_code: float | None
    directory: str
    note: str
    evaluation: str | None = None
    rules: dict[str, int] | None = field(default_factory=dict)
    unlike: str = ""
    older: str = ""
    asked: int = 0
    length: int = 0
    row: str = ""
    base: float | None = None
    final: float | None = None
    answers: int | None = None
    made: dict[str, str] = field(default_factory=dict)
    training: str = ""
    cost: Cost = field(default_factory=Cost)
    ends: dict[str, dict[str, float]] = field(default_factory=dict)
    counted: tuple[int, int] | None = None

    @property
    def model(self) -> str:
        """The name of the model."""
        return self.entry.model

    @property
    def reward(self) -> str:
        """The title of the reward."""
        return self.entry.reward

    @property
    def seed(self) -> int:
        """The seed of the training."""
        return self.entry.seed

    @property
    def signature(self) -> str:
        """The signature of the run that the cell shows."""
        return self.entry.signature

    @property
    def difference(self) -> float | None:
        """final - base; None if one of them is unknown or they must not be subtracted."""
        if self.base is None or self.final is None or self.unlike:
            return None
        return self.final - self.base


@dataclass(frozen=True)
class OverProblems:
    """What the kept answers of a row's cells show problem by problem, before training and after.

    cells: the signatures of its cells that took part, one for each seed. found: the tests; None if there are none, and
    `why_not` says why. base, final: pass@k by k with an interval over problems, means over seeds; {} where problems
    have one answer each.
    """

    cells: tuple[str, ...]
    found: PairedProblems | None
    why_not: str = ""
    base: dict[int, Interval] = field(default_factory=dict)
    final: dict[int, Interval] = field(default_factory=dict)


@dataclass(frozen=True)
class Launch:
    """A launch of a sweep: the overrides that were typed, and the signatures of the cells that it brought.

    Values of `cluster.env` may be secrets: they are recorded as HIDDEN, and the rest of their word is dropped.
    """

    sweep: str
    overrides: list[str]
    cells: list[str]


@dataclass(frozen=True)
class Comparison:
    """The results of one or several sweeps.

    `evaluations`: the identity of each evaluation, by signature. `superseded`: failed cells that another cell replaces,
    because their reward's source was changed and launched again. `metric`: the compared metric. `launches`: the typed
    commands and the cells they brought. `curves`: values by step, by the metric's name and the cell's signature, for
    the metrics whose curves were requested. `cost`: of every run of the sweeps, also of runs that are in no row;
    `cost_of_stages`: the part of it that belongs to no cell. `problems`: what answers show problem by problem, of the
    rows whose answers were read. `made`: in words, how answers of both sides of a cell were made differently, and which
    of them cannot be read.
    """

    sweeps: tuple[str, ...]
    root: Path
    cells: list[CellResult]
    evaluations: dict[str, dict] = field(default_factory=dict)
    superseded: list[CellResult] = field(default_factory=list)
    metric: Metric = field(default_factory=Metric)
    launches: list[Launch] = field(default_factory=list)
    curves: dict[str, dict[str, dict[int, float]]] = field(default_factory=dict)
    cost: Cost = field(default_factory=Cost)
    cost_of_stages: Cost = field(default_factory=Cost)
    problems: list[OverProblems] = field(default_factory=list)
    made: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        """The names of the sweeps, for titles."""
        return f"{'sweep' if len(self.sweeps) == 1 else 'sweeps'} {', '.join(self.sweeps)}"
