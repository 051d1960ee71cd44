"""The names that a sweep's runs have on W&B: whoever sends runs there and whoever shows them agree on these."""

from __future__ import annotations

from sweep.config.wandb_limits import LONGEST_TAG
from sweep.run.names import short_name

TRAINING, FIGURES = "train", "figures"  # job types: of a cell's training, and of the run that holds a sweep's figures
CELL = "cell"  # the configuration key of all axes but the seed in one text, since a chart groups by one key
OWN_AXES = ("model", "reward", "seed")  # of every training, launched with several values or not
OF_SWEEP = "sweep:"  # begins the tag of a sweep that lists the training
SUPERSEDED = "superseded"  # the tag of a run in whose place a rebuilt one stands
BASE, FINAL, DIFFERENCE, CONTRAST = "base", "final", "difference", "contrast"  # keys of a run's summary
CONTRAST_TO = "contrast_to"  # another: the id of the control's run that the contrast is to


def axis_key(axis: str) -> str:
    """The configuration key of an axis. It has no dots, which would read as a place inside a section."""
    return axis.replace(".", "_")


def sweep_tag(name: str) -> str:
    """The tag of the runs that the sweep `name` lists."""
    return OF_SWEEP + short_name(name, LONGEST_TAG - len(OF_SWEEP))


def signature_of(run: str) -> str:
    """The signature of the training that a run's id belongs to; a rebuilt run's id is SIGNATURE-2, and so on."""
    return run.partition("-")[0]
