"""The options of sbatch: which ones `cluster.sbatch` may give, and how they are merged with those of dispatch."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sweep.config.cell import SlurmCluster

Value = str | int | bool | None
REQUEUED = "a job that its time limit or a preemption ends goes on by being requeued"
WHOLE_ARRAY = "one call of sbatch submits all cells of a shape"
SHAPE = "processes and nodes follow from resources.gpus, deepspeed.processes and cluster.processes_per_node"
FILES = "what jobs write lies in the output directory, where `logs` finds it"
REPLY = "the launch reads what sbatch answers"
REFUSED = {
    "array": f"{WHOLE_ARRAY}; cluster.max_parallel bounds how many run at once",
    "wait": "the launch would stand still at its first array; cluster.wait=true waits for all",
    "chdir": "jobs run in the copy of the code that the launch makes",
    "signal": "cluster.signal_seconds says how long before its time limit a job is told",
    "output": FILES,
    "error": FILES,
    "input": FILES,
    "open-mode": FILES,
    "job-name": "a job has the name of its cell",
    "requeue": REQUEUED,
    "no-requeue": REQUEUED,
    "kill-on-invalid-dep": "a job that can never start leaves the queue",
    "nodes": SHAPE,
    "ntasks": SHAPE,
    "ntasks-per-node": SHAPE,
    "tasks-per-node": SHAPE,
    "cpus-per-task": "cluster.cpus_per_process says it, to srun and to the threads of a process as well",
    "export": "jobs take over the shell's environment; cluster.env and cluster.setup change it",
    "export-file": "jobs take over the shell's environment; cluster.env and cluster.setup change it",
    "clusters": "the other commands would ask the default cluster; set SLURM_CLUSTERS in the shell",
    "wrap": "the script is the launch's own",
    "parsable": REPLY,
    "quiet": REPLY,
    "test-only": REPLY,
}


SHORTENED = ("account", "comment", "constraint", "dependency", "partition")  # sbatch takes their beginnings as well


def options(cluster: SlurmCluster) -> dict[str, Value]:
    """Return `cluster.sbatch` under the full names of sbatch's options."""
    return {_name(key): value for key, value in cluster.sbatch.items()}


def _name(key: str) -> str:
    name = key.strip().lstrip("-").replace("_", "-")
    return next((whole for whole in SHORTENED if len(name) > 2 and whole.startswith(name)), name)


def gpu_option(cluster: SlurmCluster, gpus: int) -> dict[str, Value]:
    """Return the option that asks for `gpus` GPUs of a node; nothing where that is 0."""
    kind = f"{cluster.gpu_type}:" if cluster.gpu_type else ""
    prefix = "gpu:" if cluster.gpu_option == "gres" else ""
    return {cluster.gpu_option: f"{prefix}{kind}{gpus}"} if gpus else {}


def joined(given: Mapping[str, Value], own: Mapping[str, Value]) -> dict[str, Value]:
    """Return the options of a job: the user's, which are `given`, and dispatch's `own`. Null and false are left out.

    A comment, a dependency and generic resources may come from both; of the others the user's stands.
    """
    merged = {**own, **given}
    for name, between in (("comment", " "), ("dependency", ","), ("gres", ",")):
        if own.get(name) and given.get(name):
            merged[name] = f"{own[name]}{between}{given[name]}"
    return {name: value for name, value in merged.items() if value is not None and value is not False}


def cluster_faults(cluster: SlurmCluster, gpus: int) -> list[str]:
    """Return a message for each option of `cluster.sbatch` that is refused; `gpus`: GPUs that the job asks for."""
    given = options(cluster)
    faults = []
    if len(given) < len(cluster.sbatch):
        twice = sorted(key for key in cluster.sbatch if [*map(_name, cluster.sbatch)].count(_name(key)) > 1)
        faults.append(f"cluster.sbatch: {' and '.join(twice)} are one option; give it once")
    for name, value in given.items():
        if reason := _refusal(name, value, cluster, gpus):
            faults.append(f"cluster.sbatch: leave out {name}: {reason}")
    return faults


def _refusal(name: str, value: Value, cluster: SlurmCluster, gpus: int) -> str:
    """Return why an option is refused; "" where it is not. sbatch takes the beginning of a name for the whole name."""
    if reason := next((why for option, why in REFUSED.items() if name and option.startswith(name)), ""):
        return reason
    if "\n" in str(value):
        return "its value has several lines"
    if name == "dependency" and "?" in str(value):
        return "terms that are joined by ? cannot be joined with what stages and cluster.max_parallel need"
    own = cluster.gpu_option
    of_gpus = gpus and (name.startswith("gpus") or (name == "gres" and re.search(r"\bgpu\b", str(value))))
    if of_gpus and value and name != own and options(cluster).get(own, True):
        return f"--{own} asks for GPUs, too; set cluster.gpu_option=gres instead, or give {own}:null beside it"
    if of_gpus and name == own == "gres":
        return "cluster.gpu_option=gres gives it each cell's GPUs; leave that out and give gpus-per-node:null beside it"
    return ""
