"""The options of sbatch: joined, replaced, turned off, or refused with the reason; and what a job does not inherit."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from helpers.constants import TINY
from sweep.config.cell import SlurmCluster
from sweep.config.slurm_options import cluster_faults
from sweep.dispatch.complaints import keys_that_matter
from sweep.dispatch.shapes import executor
from sweep.dispatch.slurm import SlurmError, _read_queue
from sweep.dispatch.submit import that_fit
from sweep.dispatch.surroundings import apart_from_any_job, for_commands, unheard
from sweep.errors import UserError
from sweep.plan.plan import plan_sweep
from sweep.plan.task import Task
from sweep.run.claims import new_submission


@pytest.fixture(scope="module")
def cell(tmp_path_factory) -> Task:
    """A cell on Slurm, planned once."""
    (cell,) = plan_sweep([*TINY, "cluster=slurm", f"output_dir={tmp_path_factory.mktemp('runs')}"]).cells
    return cell


def script(cell: Task, gpus: int, cluster: dict, after: str = "") -> list[str]:
    """The options in the script of the cell's job with these keys of the cluster; ID: its submission's id."""
    submission, config = new_submission(Path("runs").absolute()), cell.config
    changed = SlurmCluster.model_validate(config.cluster.model_dump() | cluster)
    resources = config.resources.model_copy(update={"gpus": gpus})
    task = replace(cell, config=config.model_copy(update={"cluster": changed, "resources": resources}))
    lines = executor(submission, task, "name", after=after).script().splitlines()
    options = (line.removeprefix("#SBATCH --") for line in lines if line.startswith("#SBATCH"))
    return [line.replace(submission.id, "ID") for line in options]


@pytest.mark.parametrize(
    ("gpus", "cluster", "after", "present", "absent"),
    [
        (0, {}, "", ["comment=ID", "requeue", "chdir="], ["dependency", "gpus-per-node", "gres"]),
        (0, {"sbatch": {"comment": "night shift"}}, "", ["comment='ID night shift'"], []),
        (0, {"sbatch": {"dependency": "afterok:99"}}, "afterok:1_0", ["dependency=afterok:1_0,afterok:99"], []),
        (0, {"sbatch": {"depend": "afterok:99"}}, "afterok:1_0", ["dependency=afterok:1_0,afterok:99"], ["depend="]),
        (0, {"sbatch": {"dependency": "singleton"}}, "", ["dependency=singleton"], []),
        (0, {"sbatch": {"nice": 0, "mem": 0, "exclusive": False}}, "", ["nice=0", "mem=0"], ["exclusive"]),
        (0, {"sbatch": {"time": "24:00:00", "mail_type": "FAIL"}}, "", ["time=24:00:00", "mail-type="], ["time=60"]),
        (0, {"sbatch": {"part": "p"}, "partition": "q"}, "", ["partition=p"], ["part=", "partition=q"]),
        (2, {}, "", ["gpus-per-node=2"], ["gres"]),
        (2, {"gpu_type": "a100"}, "", ["gpus-per-node=a100:2"], []),
        (2, {"gpu_option": "gres"}, "", ["gres=gpu:2"], ["gpus-per-node"]),
        (2, {"gpu_option": "gres", "gpu_type": "a100", "sbatch": {"gres": "lustre:1"}}, "",
         ["gres=gpu:a100:2,lustre:1"], ["gpus-per-node"]),
        (2, {"sbatch": {"gpus-per-node": None, "gres": "gpu:2"}}, "", ["gres=gpu:2"], ["gpus-per-node"]),
        (2, {"sbatch": {"gres": "lustre:1"}}, "", ["gpus-per-node=2", "gres=lustre:1"], []),
    ],
)  # fmt: skip
def test_options_of_ones_own_are_joined_with_dispatchs_or_stand_for_them(cell, gpus, cluster, after, present, absent):
    options = script(cell, gpus, cluster, after)
    for beginning in present:
        assert any(option.startswith(beginning) for option in options), options
    for beginning in absent:
        assert not any(option.startswith(beginning) for option in options), options
    assert cluster_faults(SlurmCluster(kind="slurm", name="x", **cluster), gpus) == []


@pytest.mark.parametrize(
    ("sbatch", "reason"),
    [
        ({"array": "0-3"}, "leave out array: one call of sbatch"),
        ({"chdir": "/tmp"}, "leave out chdir: jobs run in the copy of the code"),
        ({"signal": "USR1@60"}, "cluster.signal_seconds"),
        ({"output": "/elsewhere/x"}, "leave out output"),
        ({"error": "/elsewhere/x"}, "leave out error"),
        ({"err": "/elsewhere/x"}, "leave out err:"),
        ({"open_mode": "truncate"}, "leave out open-mode"),
        ({"job-name": "x"}, "a job has the name of its cell"),
        ({"--requeue": False}, "goes on by being requeued"),
        ({"no-requeue": True}, "goes on by being requeued"),
        ({"nodes": 2}, "cluster.processes_per_node"),
        ({"ntasks": 2}, "deepspeed.processes"),
        ({"cpus-per-task": 2}, "cluster.cpus_per_process"),
        ({"wait": True}, "cluster.wait=true"),
        ({"export": "NONE"}, "cluster.env"),
        ({"parsable": True}, "reads what sbatch answers"),
        ({"clusters": "b"}, "SLURM_CLUSTERS"),
        ({"comment": "two\nlines"}, "several lines"),
        ({"dependency": "afterok:1?afterok:2"}, "joined by ?"),
        ({"gres": "gpu:2"}, "set cluster.gpu_option=gres instead, or give gpus-per-node:null"),
        ({"gpus": 2}, "set cluster.gpu_option=gres instead, or give gpus-per-node:null"),
        ({"mail-type": "FAIL", "mail_type": "END"}, "mail-type and mail_type are one option"),
    ],
)
def test_what_would_silently_replace_dispatchs_own_is_refused_with_the_reason(sbatch, reason):
    (fault,) = cluster_faults(SlurmCluster(kind="slurm", name="x", sbatch=sbatch), 2)
    assert reason in fault


def test_plan_refuses_such_options(tmp_path):
    with pytest.raises(UserError, match="leave out array: "):
        plan_sweep([*TINY, "cluster=slurm", "cluster.sbatch={array:0-3}", f"output_dir={tmp_path}"])


def test_a_job_inherits_all_but_the_traces_of_another_job(monkeypatch):
    traces = ("SLURM_JOB_ID", "SLURMD_NODENAME", "SBATCH_ACCOUNT", "SRUN_DEBUG", "PMIX_RANK", "PMI_FD", "OMPI_MCA_x")
    traces += ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    kept = ("SLURM_CONF", "SLURM_CLUSTERS", "SQUEUE_USERS", "RANKING", "WANDB_MODE", "MY_RANK", "NCCL_DEBUG")
    for name in (*traces, *kept):
        monkeypatch.setenv(name, "7")
    before = dict(os.environ)
    with apart_from_any_job():
        assert before.keys() - os.environ.keys() == set(traces)
    assert dict(os.environ) == before
    seen = for_commands(before)
    assert before.keys() - seen.keys() == {*traces, "SQUEUE_USERS"} and seen["SLURM_BITSTR_LEN"] == "0"
    assert unheard(before) == ["SBATCH_ACCOUNT of this shell is not used; cluster.account asks for it"]


@pytest.mark.parametrize("room", [0, 1, 5, 8, 9, 10, 99])
def test_the_longest_beginning_that_fits_is_found_in_few_tries(room):
    tried = []

    def too_many(indices):
        tried.append(indices)
        return f"no more than {room}" if len(indices) > room else ""

    indices = [3, 4, 5, 6, 9, 10, 11, 12, 20, 21]
    assert that_fit(indices, too_many) == (indices[:room], "" if room >= 10 else f"no more than {room}")
    assert len(tried) <= 5


@pytest.mark.parametrize(
    ("complaint", "is_limit", "keys"),
    [
        ("sbatch: AssocMaxSubmitJobLimit; Batch job submission failed: Job violates accounting/QOS policy", True, None),
        ("sbatch: QOSMaxSubmitJobPerUserLimit", True, None),
        ("sbatch: AssocGrpSubmitJobsLimit", True, None),
        ("sbatch: allocation failure: Resource temporarily unavailable", True, None),
        ("sbatch: Slurm temporarily unable to accept job, sleeping and retrying", True, None),
        ("sbatch: invalid partition specified: x", False, "; see cluster.partition=x"),
        ("sbatch: Requested time limit is invalid (missing or exceeds some limit)", False, "; see resources.hours=1.0"),
        ("sbatch: Invalid feature specification", False, ""),
        ("sbatch: Unable to contact slurm controller (connect failure)", False, ""),
        ("sbatch: Zero Bytes were transmitted or received", False, ""),
    ],
)
def test_only_keys_that_the_complaint_is_about_are_named(cell, complaint, is_limit, keys):
    assert SlurmError(complaint).is_submit_limit is is_limit
    cluster = cell.config.cluster.model_copy(update={"partition": "x"})
    config = cell.config.model_copy(update={"cluster": cluster})
    if keys is not None:
        assert keys_that_matter(complaint, config) == keys


def test_the_queue_is_read_whatever_stands_in_a_comment():
    shown = "CLUSTER: one\n7_[1-5:2]|PENDING|Dependency|ID two | words\n8|RUNNING|None|\n"
    found = _read_queue(shown)
    assert sorted(found) == ["7_1", "7_3", "7_5", "8"]
    assert found["7_5"].comment == "ID two | words" and found["8"].comment == ""
