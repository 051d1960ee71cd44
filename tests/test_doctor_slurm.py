"""What `doctor` concludes from what Slurm prints: tables of clusters and of what cells ask."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from helpers.findings import BROKEN, WARNING, brief, only
from sweep.dispatch.slurm import JobView, SlurmError
from sweep.doctor import cluster, cluster_facts, on_node
from sweep.doctor.cluster import Ask
from sweep.doctor.cluster_facts import Association, Cluster, Nodes, Partition
from sweep.run.claims import new_submission

NODES = (Nodes(4, 64, 500_000, {"a100": 4}, "idle"), Nodes(2, 128, 1_000_000, {"h100": 8}, "down*"))
GPU_PARTITION = Partition("gpu", True, "UP", 24 * 60, None, None, NODES)
CPU_PARTITION = Partition("cpu", False, "UP", None, None, None, (Nodes(9, 32, 100_000, {}, "mix"),))
MINE = Association("lab", "", frozenset({"normal"}), 100)
SETTINGS = {
    "ClusterName": "c", "SLURM_VERSION": "24.05", "MaxArraySize": "1001", "MaxJobCount": "10000",
    "AccountingStorageType": "accounting_storage/slurmdbd",
}  # fmt: skip
SLURM = Cluster(SETTINGS, (GPU_PARTITION, CPU_PARTITION), (MINE,), "", 3, frozenset({"associations", "limits", "qos"}))
ASK = Ask("a cell", 10, 1, 4, None, 16, 100_000, 60, None, "lab", "normal")


@pytest.mark.parametrize(
    ("changes", "expected", "says", "remedy"),
    [
        ({}, None, "", ""),
        ({"partition": "gpu,cpu"}, None, "", ""),
        ({"partition": "gpus"}, "slurm.partition", "no partition gpus; there are gpu, cpu", "cluster.partition"),
        ({"minutes": 48 * 60}, "slurm.time", "for 24 h at most, and cells ask for 48 h", "resources.hours=24"),
        ({"partition": "cpu"}, "slurm.nodes", "no node with a GPU", "cluster.gpu_type=null"),
        ({"gpus": 16}, "slurm.nodes", "nodes with 4 a100 or 8 h100", "cluster.processes_per_node=8"),
        ({"gpu_type": "v100"}, "slurm.nodes", "4 GPUs of type v100", "cluster.gpu_type=null"),
        ({"cpus": 256}, "slurm.nodes", "128 cores at most", "cluster.cpus_per_process=32"),
        ({"memory": 2_000_000}, "slurm.nodes", "nodes with 976.6 GiB at most", "resources.memory_gb=976"),
        ({"nodes": 7}, "slurm.nodes", "fewer than 7 nodes", "cluster.partition=NAME"),
        ({"account": "other"}, "slurm.account", "no account other; yours: lab", "cluster.account=lab"),
        ({"qos": "high"}, "slurm.qos", "may not use the QoS high; yours: normal", "cluster.qos=normal"),
    ],
)
def test_what_slurm_would_refuse(changes, expected, says, remedy):
    found = [*cluster.judge(SLURM, [replace(ASK, **changes)])]
    assert brief(found) == ([(BROKEN, expected)] if expected else [])
    if expected:
        assert says in only(found).seen and remedy in only(found).remedy


def test_a_partition_that_waits_goes_before_one_that_refuses():
    short = replace(GPU_PARTITION, name="short", minutes=30)
    full = replace(GPU_PARTITION, name="long", state="DOWN", nodes=GPU_PARTITION.nodes[1:])
    asked = replace(ASK, partition="short,long")
    found = brief(cluster.judge(replace(SLURM, partitions=(short, full)), [asked]))
    assert found == [(WARNING, "slurm.partition"), (WARNING, "slurm.nodes")]


@pytest.mark.parametrize(
    ("changes", "ask", "expected"),
    [
        ({}, {"gpus": 8, "gpu_type": "h100"}, [(WARNING, "slurm.nodes")]),  # its nodes are down
        ({}, {"count": 98}, [(WARNING, "slurm.submit_limit")]),  # and 3 are in the queue
        ({"associations": None}, {"count": 98}, []),
        ({"enforced": frozenset()}, {"count": 98, "account": "other", "qos": "high"}, []),
        ({"associations": ()}, {}, [(BROKEN, "slurm.account")]),
        ({"settings": {**SETTINGS, "MaxArraySize": "0"}}, {}, [(BROKEN, "slurm.arrays")]),
        ({"settings": {**SETTINGS, "MaxJobCount": "5"}}, {}, [(WARNING, "slurm.submit_limit")]),
        ({"settings": {**SETTINGS, "AccountingStorageType": "x/none"}}, {}, [(WARNING, "slurm.accounting")]),
        ({"accounts": "sacct: connection refused"}, {}, [(WARNING, "slurm.accounting")]),
        ({"partitions": (CPU_PARTITION,)}, {}, [(BROKEN, "slurm.partition")]),  # there is no default
        ({"partitions": (replace(GPU_PARTITION, state="DOWN"),)}, {}, [(WARNING, "slurm.partition")]),
        ({"partitions": (replace(GPU_PARTITION, accounts=frozenset({"x"})),)}, {}, [(BROKEN, "slurm.account")]),
        ({"partitions": (replace(GPU_PARTITION, qos=frozenset({"x"})),)}, {}, [(BROKEN, "slurm.qos")]),
    ],
)  # fmt: skip
def test_limits_of_a_cluster(changes, ask, expected):
    assert brief(cluster.judge(replace(SLURM, **changes), [replace(ASK, **ask)])) == expected


@pytest.mark.parametrize("minutes", [1, 30, 100, 249, 2879])
def test_the_hours_that_are_proposed_are_hours_that_the_partition_takes(composed, minutes):
    here = replace(SLURM, partitions=(replace(GPU_PARTITION, minutes=minutes),))
    hours = only(cluster.judge(here, [replace(ASK, minutes=minutes + 1)])).remedy.removeprefix("resources.hours=")
    resources = composed().resources.model_copy(update={"hours": float(hours)})
    asked = cluster.ask_of(composed().model_copy(update={"resources": resources}), "a cell", 1)
    assert minutes - 1 <= asked.minutes <= minutes


@pytest.mark.parametrize(
    ("gres", "gpus"),
    [
        ("gpu:a100:4(S:0-1),nvme:1", {"a100": 4}),
        ("gpu:2", {"": 2}),
        ("gpu", {"": 1}),
        ("nvme:2,gpu:h100:8(S:0)", {"h100": 8}),
        ("gpu:a100:3,gpu:v100:1", {"a100": 3, "v100": 1}),
        ("(null)", {}),
    ],
)
def test_gpus_of_nodes_are_read(gres, gpus):
    assert cluster_facts.read_gres(gres) == gpus


def test_a_controller_that_is_busy_is_asked_again(monkeypatch):
    shown = JobView("7_0", "RUNNING")
    answers = iter([SlurmError("Socket timed out"), SlurmError("Socket timed out"), {"7_0": shown}])

    def queue():
        if isinstance(found := next(answers), SlurmError):
            raise found
        return found

    monkeypatch.setattr("sweep.doctor.on_node.slurm.queue", queue)
    monkeypatch.setattr(on_node, "POLL_SECONDS", 0)
    visit = on_node.Visit(replace(new_submission(Path("/nowhere")), job="7"), Path("/nowhere"))
    assert visit.view == shown
    monkeypatch.setattr(on_node, "SEEN_SECONDS", -1)
    answers = iter([SlurmError("Socket timed out")])
    with pytest.raises(SlurmError):
        _ = visit.view


def test_what_slurm_prints_is_read():
    assert cluster_facts.read_settings("A    = 1\nSlurm is up\nB = x=y\n") == {"A": "1", "B": "x=y"}
    nodes = cluster_facts.read_nodes("gpu|4|64|500000+|gpu:a100:4|idle~\nodd line\n")
    assert nodes == {"gpu": [Nodes(4, 64, 500_000, {"a100": 4}, "idle~")]} and nodes["gpu"][0].may_run
    line = "PartitionName=gpu AllowAccounts=a,b AllowQos=ALL Default=YES MaxTime=2-12:30:00 State=UP"
    assert cluster_facts.read_partitions(f"{line}\n\n", nodes) == (
        Partition("gpu", True, "UP", 60 * 60 + 30, frozenset({"a", "b"}), None, tuple(nodes["gpu"])),
    )
    assert cluster_facts.read_minutes("UNLIMITED") is None
    shown = "lab||normal,high|20\nlab|gpu||\n"
    assert cluster_facts.read_associations(shown) == (
        Association("lab", "", frozenset({"normal", "high"}), 20),
        Association("lab", "gpu", frozenset(), None),
    )
