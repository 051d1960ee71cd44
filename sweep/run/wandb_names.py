"""The names that a sweep's runs have on W&B: whoever sends runs there and whoever shows them agree on these."""

from __future__ import annotations

import re

from sweep.run.names import short_name
from sweep.run.wandb_rules import LONGEST_TAG

TRAINING = "train"  # the job type of a cell's training
CELL = "cell"  # the configuration key of all axes but the seed in one text, since a chart groups by one key
STEP = "step"  # the metric that every other one is plotted over
SUPERSEDED = "superseded"  # the tag of a run in whose place a rebuilt one stands
BASE, FINAL, DIFFERENCE, CONTRAST = "base", "final", "difference", "contrast"  # keys of a run's summary


def axis_key(axis: str) -> str:
    """The configuration key that holds a run's value of an axis.

    It has no dot: W&B takes what follows one for a key inside of what stands before it, and a view cannot group by it.
    The prefix keeps `model` apart from the section of that name.
    """
    return f"axis_{re.sub(r'[^A-Za-z0-9_]', '_', axis)}"


def sweep_tag(name: str) -> str:
    """The tag of the runs that the sweep `name` lists."""
    prefix = "sweep:"
    return prefix + short_name(name, LONGEST_TAG - len(prefix))


def signature_of(run: str) -> str:
    """The signature of the cell that a run's id belongs to; a rebuilt run's id is SIGNATURE-2, and so on."""
    return run.partition("-")[0]
