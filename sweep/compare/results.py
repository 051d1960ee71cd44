"""The values of a comparison: what became of each cell. Nothing here reads a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class CellResult:
    """A cell with its accuracies and code-reasoning shares in [0, 1]; None where not known yet.

    `axes`: what tells its row from the others, model, reward and seed among it. `row`: the same for all cells that
    differ in nothing but the seed. `evaluation`: the signature of the evaluation that the final numbers come from.
    `rules`: the numbers of the rules that its training read; None where they are not known. `unlike`: why base and
    final must not be subtracted; "" where they may be. `older`: how the version of the code that trained or evaluated
    it differs from this one; "" where it does not. `step`: the last one it finished; `asked`: the steps that its
    launch asked for; `length`: the steps that its numbers are of, those it is asked for where it has none yet.
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

    @property
    def difference(self) -> float | None:
        if self.base_accuracy is None or self.final_accuracy is None or self.unlike:
            return None
        return self.final_accuracy - self.base_accuracy


@dataclass(frozen=True)
class Comparison:
    """The results of a sweep.

    `evaluations`: the identity of each evaluation that they come from, by signature. `superseded`: failed cells whose
    own reward function was mended, so that another cell of the sweep stands in their place.
    """

    sweep: str
    root: Path
    cells: list[CellResult]
    evaluations: dict[str, dict] = field(default_factory=dict)
    superseded: list[CellResult] = field(default_factory=list)
