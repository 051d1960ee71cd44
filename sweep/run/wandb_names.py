"""The names of a sweep's runs on W&B, shared by the code that sends runs and the code that shows them."""

from __future__ import annotations

from sweep.config.wandb_limits import LONGEST_TAG
from sweep.run.names import short_name

TRAINING, FIGURES = "train", "figures"  # job types: of a cell's training, and of the run that holds a sweep's figures
CELL = "cell"  # configuration key with all axes but the seed as one text, because a chart groups by one key
OWN_AXES = ("model", "reward", "seed")  # axes of every training, even if launched with a single value
OF_SWEEP = "sweep:"  # prefix of the tag of a sweep that lists the training
SUPERSEDED = "superseded"  # the tag of a run that a rebuilt one replaced
BASE, FINAL, DIFFERENCE, CONTRAST = "base", "final", "difference", "contrast"  # keys of a run's summary
CONTRAST_TO = "contrast_to"  # a further key: the id of the run of the control in the contrast


def axis_key(axis: str) -> str:
    """Return the configuration key of an axis. Dots are replaced, because W&B reads them as a path into a section."""
    return axis.replace(".", "_")


def sweep_tag(name: str) -> str:
    """Return the tag of the runs that the sweep `name` lists."""
    return OF_SWEEP + short_name(name, LONGEST_TAG - len(OF_SWEEP))


def signature_of(run: str) -> str:
    """Return the signature of the training that a run's id belongs to. A rebuilt run's id is SIGNATURE-2, and so on."""
    return run.partition("-")[0]
