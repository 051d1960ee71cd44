"""The numbers that a comparison knows of each cell, for the summary of its run on W&B. Pure."""

from __future__ import annotations

from sweep.compare.contrasts import Contrast
from sweep.compare.verdict import Verdict
from sweep.run.wandb_names import BASE, CONTRAST, DIFFERENCE, FINAL


def summaries(verdict: Verdict) -> dict[str, dict[str, float]]:
    """By signature, what is known of each cell: shares and their differences.

    The contrast is the cell's final value less that of the control of the same seed. A row with several controls, or
    none, and a seed that its control lacks, have none.
    """
    contrasts = _contrasts(verdict)
    found = {}
    for cell in verdict.comparison.cells:
        known = {
            BASE: cell.base,
            FINAL: cell.final,
            DIFFERENCE: cell.difference,
            CONTRAST: contrasts.get(cell.signature),
        }
        found[cell.signature] = {key: value for key, value in known.items() if value is not None}
    return found


def _contrasts(verdict: Verdict) -> dict[str, float]:
    by_row: dict[str, list[Contrast]] = {}
    for contrast in verdict.findings.contrasts:
        by_row.setdefault(contrast.row.cells[0].signature, []).append(contrast)
    lone = [found[0] for found in by_row.values() if len(found) == 1 and found[0].paired]
    return {
        contrast.row.by_seed[seed].signature: difference
        for contrast in lone
        for seed, difference in zip(contrast.seeds, contrast.differences, strict=True)
    }
