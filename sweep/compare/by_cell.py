"""The contrast of a single cell: its final value minus that of its control with the same seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sweep.compare.contrasts import Contrast


def contrasts_by_cell(contrasts: Sequence[Contrast]) -> dict[str, tuple[float, str]]:
    """Return by a cell's signature its contrast and the signature of its control.

    Cells without a control of the same seed are left out. So are cells of rows with several controls, because a run
    shows one number and it would not be clear which control it belongs to.
    """
    rows = Counter(id(contrast.row) for contrast in contrasts)
    return {
        contrast.row.by_seed[seed].signature: (difference, contrast.control.by_seed[seed].signature)
        for contrast in contrasts
        if contrast.paired and rows[id(contrast.row)] == 1
        for seed, difference in zip(contrast.seeds, contrast.differences, strict=True)
    }
