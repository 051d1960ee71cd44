"""The contrast of a single cell: its final value less that of its control with the same seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sweep.compare.contrasts import Contrast


def contrasts_by_cell(contrasts: Sequence[Contrast]) -> dict[str, tuple[float, str]]:
    """By a cell's signature, the contrast and the control's signature.

    Left out are cells without a control of their seed, and those of rows with several controls, as a run's one number
    would not say which it is.
    """
    rows = Counter(id(contrast.row) for contrast in contrasts)
    return {
        contrast.row.by_seed[seed].signature: (difference, contrast.control.by_seed[seed].signature)
        for contrast in contrasts
        if contrast.paired and rows[id(contrast.row)] == 1
        for seed, difference in zip(contrast.seeds, contrast.differences, strict=True)
    }
