"""Turn a cell's resources into options of sbatch, and many cells into few job arrays.

Only `ArrayExecutor` calls Slurm; all functions here are pure.
"""

from __future__ import annotations

import itertools
import math
import shlex
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import submitit

from sweep.config.cell import CellConfig, SlurmCluster
from sweep.config.slurm_options import gpu_option, joined, options
from sweep.dispatch.surroundings import apart_from_any_job
from sweep.plan.task import Task
from sweep.run.claims import Submission
from sweep.run.directory import RunDirectory
from sweep.run.environment import environment_file
from sweep.run.provenance import ROOT

LONGEST_NAME = 100
NODE = "sweep.dispatch.node"  # the program of a job's processes


class ArrayExecutor(submitit.SlurmExecutor):
    """submitit's Slurm executor, but with one script for a whole array, which reads its work from a file."""

    def __init__(self, submission: Submission, cluster: SlurmCluster, program: str) -> None:
        super().__init__(submission.folder, python=cluster.python)
        self.submission, self.program = submission, program

    @classmethod
    def affinity(cls) -> int:
        """Return that Slurm is there. If its commands are missing, the first call of one fails with a clear message."""
        return 2

    @property
    def _submitit_command_str(self) -> str:
        return f"{self.python} -u -m {self.program} {shlex.quote(str(self.submission.file))}"

    def script(self) -> str:
        """Return the text of the script for sbatch."""
        return self._make_submission_file_text(self._submitit_command_str, self.submission.id)

    def submit_runs(self) -> str:
        """Submit the array and return its job id."""
        with apart_from_any_job():
            return self._submit_command(self._submitit_command_str).job_id


def executor(
    submission: Submission,
    task: Task,
    name: str,
    code: Path = ROOT,
    after: str = "",
    at_once: int | None = None,
    indices: Sequence[int] = (0,),
    program: str = NODE,
) -> ArrayExecutor:
    """Return the executor that submits the runs of `submission`, all of which have the shape of `task`.

    Args:
        code: the snapshot the jobs run.
        after: Slurm's dependency, or "".
        at_once: how many elements may run at a time; None: all.
        indices: which of the submission's runs.
        program: the module that each process runs, with the submission's file as its argument.
    """
    config, cluster = task.config, task.config.slurm
    made = ArrayExecutor(submission, cluster, program)
    made.update_parameters(job_name=name, wckey=None)
    own = {
        **_request(config),
        "array": _index_list(indices) + (f"%{at_once}" if at_once else ""),
        "comment": submission.id,
        "chdir": str(code),
        "requeue": True,
        "kill-on-invalid-dep": "yes",
        "dependency": after or None,
    }
    made.update_parameters(
        setup=[*cluster.setup, *_environment(cluster, code, environment_file(Path(submission.folder)))],
        signal_delay_s=cluster.signal_seconds,
        srun_args=["--kill-on-bad-exit=1", *_container(cluster), *cluster.srun],
        additional_parameters=joined(options(cluster), own),
    )
    made.parameters["map_count"] = len(indices)  # makes submitit name the files of an array
    return made


def _index_list(indices: Sequence[int]) -> str:
    """Return indices as Slurm takes them, in the shortest form: 0, 1, 2, 5 → 0-2,5."""
    runs: list[list[int]] = []
    for index in indices:
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def _request(config: CellConfig) -> dict:
    """Return nodes, processes, GPUs, memory and time of a cell's job as options of sbatch."""
    cluster, asked = config.slurm, config.resources
    nodes = config.nodes
    wanted = {
        "nodes": nodes,
        "ntasks-per-node": config.processes // nodes,
        "cpus-per-task": cluster.cpus_per_process,
        **gpu_option(cluster, math.ceil(asked.gpus / nodes)),
        "mem": asked.memory_gb and f"{math.ceil(asked.memory_gb * 1024 / nodes)}M",
        "time": math.ceil(asked.hours * 60),
        "partition": cluster.partition,
        "account": cluster.account,
        "qos": cluster.qos,
        "constraint": cluster.constraint,
    }
    return {k: v for k, v in wanted.items() if v is not None}


def _environment(cluster: SlurmCluster, code: Path, more: Path) -> list[str]:
    """Return shell lines that export what every job needs, then read the file `more`, which holds `cluster.env`."""
    variables = {
        "PYTHONPATH": str(code),
        "OMP_NUM_THREADS": cluster.cpus_per_process,
        "SRUN_CPUS_PER_TASK": cluster.cpus_per_process,  # since Slurm 22.05 srun no longer takes it from sbatch
        "TOKENIZERS_PARALLELISM": "false",
    }
    exports = [f"export {name}={shlex.quote(str(value))}" for name, value in variables.items()]
    return exports + ([f". {shlex.quote(str(more))} || exit 1"] if cluster.env else [])


def _container(cluster: SlurmCluster) -> list[str]:
    return [f"--container-image={cluster.container}"] if cluster.container else []


def by_shape(tasks: Sequence[Task]) -> list[list[Task]]:
    """Group tasks whose jobs have the same request, cluster and environment."""
    groups = defaultdict(list)
    for task in tasks:
        cluster = task.config.cluster
        groups[str((_request(task.config), cluster, cluster.env))].append(
            task
        )  # the text of a cluster leaves its env out
    return list(groups.values())


def split_evenly(tasks: Sequence[Task], largest: int) -> list[list[Task]]:
    """Split the tasks into as few job arrays as the cluster allows, of about equal sizes.

    Args:
        largest: how many elements an array may have.
    """
    count = math.ceil(len(tasks) / largest)
    bounds = [round(i * len(tasks) / count) for i in range(count + 1)]
    return [list(tasks[a:b]) for a, b in itertools.pairwise(bounds)]


def array_throttles(sizes: Sequence[int], at_once: int | None) -> list[int | None]:
    """Return for each array how many elements may run at a time, so that at most `at_once` run in all.

    Each array may run at least one; None: no limit.
    """
    if at_once is None:
        return [None] * len(sizes)
    spare = max(0, at_once - len(sizes))
    exact = [spare * size / sum(sizes) for size in sizes]
    given = [int(e) for e in exact]
    for i in sorted(range(len(sizes)), key=lambda i: given[i] - exact[i])[: spare - sum(given)]:
        given[i] += 1
    return [1 + g for g in given]


def array_name(tasks: Sequence[Task]) -> str:
    """Return the name of an array: what its elements have in common. Each takes its own name when it starts."""
    if all(t.steps for t in tasks):
        parts = [[t.axes[axis] for t in tasks] for axis in ("model", "reward")]
        seeds = sorted({t.config.seed for t in tasks})
        parts.append([f"s{seeds[0]}" if len(seeds) == 1 else f"s{seeds[0]}..{seeds[-1]}"])
    else:
        parts = [[RunDirectory(t.directory).name for t in tasks]]
    return "-".join("+".join(dict.fromkeys(p)) for p in parts)[:LONGEST_NAME]
