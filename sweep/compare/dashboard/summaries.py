"""The results of each cell for the summary of its run on W&B. Pure: it contacts no server."""

from __future__ import annotations

from sweep.compare.by_cell import contrasts_by_cell
from sweep.compare.verdict import Verdict
from sweep.run.wandb_names import BASE, CONTRAST, CONTRAST_TO, DIFFERENCE, FINAL


def summaries(verdict: Verdict) -> dict[str, dict[str, float | str]]:
    """Return by signature the known results of each cell: values, their difference, the contrast and its control."""
    contrasts = contrasts_by_cell(verdict.findings.contrasts)
    found = {}
    for cell in verdict.comparison.cells:
        contrast, control = contrasts.get(cell.signature, (None, None))
        known = {
            BASE: cell.base,
            FINAL: cell.final,
            DIFFERENCE: cell.difference,
            CONTRAST: contrast,
            CONTRAST_TO: control,
        }
        found[cell.signature] = {key: value for key, value in known.items() if value is not None}
    return found
