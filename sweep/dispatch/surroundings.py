"""The environment that a job inherits from the shell that launches it: all of it but the traces of another job."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

# A shell inside an allocation, under srun, mpirun or torchrun carries variables that describe that job's place.
OF_A_JOB = re.compile(
    r"(SLURM|SLURMD|SBATCH|SALLOC|SRUN|OMPI)_.*|PMI.*|MASTER_.*|((LOCAL|NODE|GROUP)_)?RANK|(LOCAL_)?WORLD_SIZE"
)
# Slurm's commands need these to find their cluster, in a job as well as on a login node.
OF_THE_CLUSTER = {"SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_CLUSTERS", "SLURM_JWT"}
# Variables with which people give Slurm's commands other defaults: filters would hide jobs, prompts would wait.
OF_A_COMMAND = re.compile(r"(SQUEUE|SACCT|SCANCEL|SCONTROL)_.*")
KEYS = {
    "SBATCH_ACCOUNT": "cluster.account",
    "SBATCH_PARTITION": "cluster.partition",
    "SBATCH_QOS": "cluster.qos",
    "SBATCH_CONSTRAINT": "cluster.constraint",
    "SBATCH_TIMELIMIT": "resources.hours",
}


def of_another_job(names: Iterable[str]) -> list[str]:
    """Return those names of environment variables that describe another job, which a job of ours must not see."""
    return [name for name in names if OF_A_JOB.fullmatch(name) and name not in OF_THE_CLUSTER]


def for_commands(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for Slurm's commands, without variables that would change what they do."""
    hidden = {*of_another_job(environment), *filter(OF_A_COMMAND.fullmatch, environment)}
    kept = {name: value for name, value in environment.items() if name not in hidden}
    return kept | {"SLURM_BITSTR_LEN": "0"}  # the indices of an array are shown whole, however many they are


@contextmanager
def changed_environment(changes: Mapping[str, str]) -> Iterator[None]:
    """Apply `changes` to the environment of this process during the block."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@contextmanager
def apart_from_any_job() -> Iterator[None]:
    """Hide the variables of the job around this process during the block, so that no new process inherits them."""
    hidden = {name: os.environ.pop(name) for name in of_another_job(os.environ)}
    try:
        yield
    finally:
        os.environ.update(hidden)


def unheard(environment: Mapping[str, str]) -> list[str]:
    """Return a line for each option of sbatch that the shell sets. They are ignored: the configuration decides.

    sbatch would let them override the configuration, and another shell would submit other jobs.
    """
    given = sorted(name for name in environment if name.startswith("SBATCH_"))
    return [f"{name} of this shell is not used; {KEYS.get(name, 'cluster.sbatch')} asks for it" for name in given]
