"""Check that a sweep's single view on W&B can show the answer to a question."""

from __future__ import annotations

from collections.abc import Sequence

from sweep.compare.cells import ACCURATE
from sweep.compare.verdict import Verdict
from sweep.errors import UserError


def check_question(verdicts: Sequence[Verdict], targets: list[str]) -> None:
    """Raise an error if a sweep's single view cannot show the verdicts.

    Raises:
        UserError: several sweeps or a file were named, or something other than the final accuracy of all cells.
    """
    verdict, comparison = verdicts[0], verdicts[0].comparison
    if list(comparison.sweeps) != targets:
        raise UserError("--wandb: a file has no runs on W&B; name the sweep")
    if len(targets) > 1:
        raise UserError(f"--wandb: each sweep has a view of its own; name one of {', '.join(targets)}")
    if comparison.metric != ACCURATE or verdict.question.where:
        raise UserError(
            "--wandb: the view is of the accuracy of all cells at their end, for whoever opens it; leave --metric, "
            "--at-step, --benchmark and --where out"
        )
