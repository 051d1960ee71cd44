"""The existing back ends, and the choice of the one that a cell or a run belongs to."""

from __future__ import annotations

from sweep.config.cell import ClusterConfig
from sweep.dispatch.backend import Backend
from sweep.dispatch.here import Inline, Local
from sweep.dispatch.on_slurm import Slurm
from sweep.dispatch.select import Run

LOCAL, INLINE, SLURM = Local(), Inline(), Slurm()
BY_KIND: dict[str, Backend] = {"local": LOCAL, "inline": INLINE, "slurm": SLURM}


def backend_of(cluster: ClusterConfig) -> Backend:
    """Return the back end that a configuration selects."""
    return BY_KIND[cluster.kind]


def holder_of(run: Run) -> Backend:
    """Return the back end that can stop a run: Slurm if the run has a Slurm job, else this machine."""
    return SLURM if run.status.job else LOCAL
