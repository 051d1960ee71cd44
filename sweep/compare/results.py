"""The values of a comparison: what became of each cell. Nothing here reads a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sweep.compare.metrics import Metric
from sweep.run.costs import Cost


@dataclass(frozen=True)
class CellResult:
    """A cell with its accuracies and code-reasoning shares in [0, 1]; None where not known yet.

    `axes`: what tells its row from the others, model, reward and seed among it. `row`: the same for all cells that
    differ in nothing but the seed. `evaluation`: the signature of the evaluation that the final numbers come from.
    `rules`: the numbers of the rules that its training read; None where they are not known. `unlike`: why base and
    final must not be subtracted; "" where they may be. `older`: how the version of the code that trained or evaluated
    it differs from this one; "" where it does not. `step`: the last one it finished; `asked`: the steps that its
    launch asked for; `length`: the steps that its numbers are of, those it is asked for where it has none yet.

    `base`, `final`: the metric that is compared, of the untrained model and of the trained one; a metric of training
    has no base. `answers`: the graded answers behind each. `made`: what its training ran with, as far as it is
    recorded: "code" (a hash), "weights" (of the base model, a hash), "processor". `training`: the directory of the
    training that it shows the results of; "" in files that are older than this field. `cost`: of the run that it shows.
    """

    model: str
    reward: str
    seed: int
    axes: dict[str, str]
    signature: str
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

    @property
    def difference(self) -> float | None:
        """final - base; None where one of them is not known, or both may not be subtracted."""
        if self.base is None or self.final is None or self.unlike:
            return None
        return self.final - self.base


@dataclass(frozen=True)
class Launch:
    """A launch of a sweep: the overrides that were typed, and the signatures of the cells that it brought.

    A value of `cluster.env` reads HIDDEN there, and what followed it in its word is gone.
    """

    sweep: str
    overrides: list[str]
    cells: list[str]


@dataclass(frozen=True)
class Comparison:
    """The results of sweeps.

    `evaluations`: the identity of each evaluation that they come from, by signature. `superseded`: failed cells whose
    own reward function was mended, so that another cell of the sweep stands in their place. `metric`: what is compared.
    `launches`: what was typed, and which cells it brought. `curves`: values by step, by the metric's name and the
    cell's signature; of metrics that nobody asked the curves of there are none. `cost`: of every run of the sweeps,
    those that are in no row included; `cost_of_stages`: the part of it that is no cell's.
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

    @property
    def title(self) -> str:
        """The sweeps in words."""
        return f"{'sweep' if len(self.sweeps) == 1 else 'sweeps'} {', '.join(self.sweeps)}"
