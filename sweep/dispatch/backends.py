"""The back ends that there are, and which of them a cell or a run belongs to: the one place that chooses."""

from __future__ import annotations

from sweep.config.cell import ClusterConfig
from sweep.dispatch.backend import Backend
from sweep.dispatch.here import Inline, Local
from sweep.dispatch.on_slurm import Slurm
from sweep.dispatch.select import Run

LOCAL, INLINE, SLURM = Local(), Inline(), Slurm()
BY_KIND: dict[str, Backend] = {"local": LOCAL, "inline": INLINE, "slurm": SLURM}


def backend_of(cluster: ClusterConfig) -> Backend:
    """The back end that a configuration asks for."""
    return BY_KIND[cluster.kind]


def holder_of(run: Run) -> Backend:
    """The back end that can stop a run: Slurm where it has a job, else this machine, where it has a process."""
    return SLURM if run.status.job else LOCAL
