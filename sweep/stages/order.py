"""Choose the training problem in each slot of each step: a pure function of the seed.

The slots of all steps, in order, read from an endless stream of problems: all problems, shuffled anew for each epoch.
A step that is resumed, or that runs on another number of processes, therefore has the same problems.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from sweep.keyed import generator


def problem_in_slot(seed: int, step: int, slot: int, prompts_per_step: int, problems: int) -> int:
    """Return the index, below `problems`, of the problem in a slot of `step` (which counts from 1).

    Slots from `prompts_per_step` on belong to resampling, whose problems are drawn at random and leave the stream be.
    """
    if slot >= prompts_per_step:
        return int(generator(seed, "resampled problem", step, slot).integers(problems))
    epoch, place = divmod((step - 1) * prompts_per_step + slot, problems)
    return int(_epoch_order(seed, epoch, problems)[place])


@lru_cache(maxsize=2)  # a step may end one epoch and begin the next
def _epoch_order(seed: int, epoch: int, problems: int) -> np.ndarray:
    return generator(seed, "data order", epoch).permutation(problems)
