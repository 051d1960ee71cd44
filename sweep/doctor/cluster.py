"""Compare what cells ask of Slurm with what the cluster has and allows. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sweep.config.cell import CellConfig
from sweep.config.faults import plural
from sweep.doctor.cluster_facts import Association, Cluster, Partition
from sweep.doctor.finding import Finding, any_broken, broken, ok, warning
from sweep.shown import human_bytes

LISTED = 6  # names in one line


@dataclass(frozen=True)
class Ask:
    """What jobs of one shape ask for: on each of their nodes `gpus`, `cpus` and `memory` MB, for `minutes`.

    `label`: of the first of the jobs. `count`: how many jobs there are.
    """

    label: str
    count: int
    nodes: int
    gpus: int
    gpu_type: str | None
    cpus: int
    memory: int
    minutes: int
    partition: str | None
    account: str | None
    qos: str | None


def ask_of(config: CellConfig, label: str, count: int) -> Ask:
    """Return what `count` jobs like that of `config` ask for."""
    cluster, asked, nodes = config.slurm, config.resources, config.nodes
    return Ask(
        label=label,
        count=count,
        nodes=nodes,
        gpus=math.ceil(asked.gpus / nodes),
        gpu_type=cluster.gpu_type,
        cpus=cluster.cpus_per_process * (config.processes // nodes),
        memory=math.ceil((asked.memory_gb or 0) * 1024 / nodes),
        minutes=math.ceil(asked.hours * 60),
        partition=cluster.partition,
        account=cluster.account,
        qos=cluster.qos,
    )


def judge(cluster: Cluster, asks: Sequence[Ask]) -> Iterator[Finding]:
    """Yield what the cluster refuses or limits."""
    name, version = cluster.settings.get("ClusterName", "?"), cluster.settings.get("SLURM_VERSION", "?")
    names = [partition.name for partition in cluster.partitions]
    yield ok("slurm.controller", f"Slurm {version}, cluster {name}, partitions {_listed(names)}")
    for ask in asks:
        yield from _ask(cluster, ask)
    yield from _limits(cluster, asks)
    yield from _accounting(cluster)


def _ask(cluster: Cluster, ask: Ask) -> Iterator[Finding]:
    known = {one.name: one for one in cluster.partitions}
    wanted = [one for one in (ask.partition or "").split(",") if one] or [
        one.name for one in cluster.partitions if one.is_default
    ]
    if not wanted:
        seen = f"the cluster has no default partition; there are {_listed(known)}"
        yield broken("slurm.partition", seen, "cluster.partition=NAME", ask.label)
        return
    if unknown := [one for one in wanted if one not in known]:
        seen = f"no partition {unknown[0]}; there are {_listed(known)}"
        yield broken("slurm.partition", seen, "cluster.partition=NAME", ask.label)
        return
    found = [[*_in_partition(known[one], ask)] for one in wanted]
    faults = min(found, key=lambda one: (any_broken(one), len(one)))  # Slurm takes a partition in which the job fits
    yield from faults
    yield from _account(cluster, ask)
    if not faults:
        nodes = f" on {ask.nodes} nodes each" if ask.nodes > 1 else ""
        on_each = [plural(ask.gpus, "GPU"), plural(ask.cpus, "core"), *([_size(ask.memory)] if ask.memory else [])]
        said = f"{plural(ask.count, 'job')}{nodes}, with {', '.join(on_each)} of a node for {_time(ask.minutes)}"
        yield ok("slurm.shape", f"{said}: partition {_listed(wanted)} has room", ask.label)


def _in_partition(partition: Partition, ask: Ask) -> Iterator[Finding]:
    name = f"partition {partition.name}"
    if partition.state != "UP":
        seen = f"{name} is {partition.state}: its jobs wait"
        yield warning("slurm.partition", seen, "cluster.partition=NAME", ask.label)
    if partition.minutes is not None and ask.minutes > partition.minutes:
        seen = f"{name} runs a job for {_time(partition.minutes)} at most, and cells ask for {_time(ask.minutes)}"
        yield broken("slurm.time", seen, f"resources.hours={_hours_within(partition.minutes):g}", ask.label)
    if partition.accounts is not None and ask.account and ask.account not in partition.accounts:
        seen = f"{name} takes the accounts {_listed(sorted(partition.accounts))}, not {ask.account}"
        yield broken("slurm.account", seen, "cluster.account=NAME", ask.label)
    if partition.qos is not None and ask.qos and ask.qos not in partition.qos:
        seen = f"{name} takes the QoS {_listed(sorted(partition.qos))}, not {ask.qos}"
        yield broken("slurm.qos", seen, "cluster.qos=NAME", ask.label)
    yield from _nodes(partition, ask)


def _hours_within(minutes: int) -> float:
    """Return the most hours, to a hundredth, that are no more minutes than these when a job rounds them up."""
    return minutes / 60 if minutes % 60 == 0 else (100 * minutes - 1) // 60 / 100


def _nodes(partition: Partition, ask: Ask) -> Iterator[Finding]:
    fitting = [one for one in partition.nodes if one.has(ask.gpus, ask.gpu_type, ask.cpus, ask.memory)]
    if sum(one.count for one in fitting) < ask.nodes:
        yield broken("slurm.nodes", *_too_large(partition, ask), ask.label)
    elif sum(one.count for one in fitting if one.may_run) < ask.nodes:
        states = sorted({one.state for one in fitting if not one.may_run})
        seen = f"the nodes of partition {partition.name} that suit are out of service ({', '.join(states)})"
        yield warning("slurm.nodes", seen, "cluster.partition=NAME, or ask who runs the cluster", ask.label)


def _too_large(partition: Partition, ask: Ask) -> tuple[str, str]:
    """Return what no node of the partition has, and the key to set."""
    nodes, name = partition.nodes, f"partition {partition.name}"
    if not any(one.has(ask.gpus, ask.gpu_type, 0, 0) for one in nodes):
        kinds = sorted({f"{count} {kind or 'GPUs'}" for one in nodes for kind, count in one.gpus.items()})
        there = f"nodes with {' or '.join(kinds)}" if kinds else "no node with a GPU that Slurm knows"
        kind = f" of type {ask.gpu_type}" if ask.gpu_type else ""
        seen = f"{name} has {there}, and cells ask for {plural(ask.gpus, 'GPU')}{kind} of a node"
        most = _most(one.gpus.get(ask.gpu_type, 0) if ask.gpu_type else sum(one.gpus.values()) for one in nodes)
        return seen, f"cluster.processes_per_node={most}, or fewer resources.gpus" if most else "cluster.gpu_type=null"
    if not any(one.has(ask.gpus, ask.gpu_type, ask.cpus, 0) for one in nodes):
        most = _most(one.cpus for one in nodes)
        seen = f"{name} has nodes with {most} cores at most, and cells ask for {ask.cpus}"
        return seen, f"cluster.cpus_per_process={max(1, most // max(1, ask.gpus))}"
    if not any(one.has(ask.gpus, ask.gpu_type, ask.cpus, ask.memory) for one in nodes):
        most = _most(one.memory for one in nodes)
        seen = f"{name} has nodes with {_size(most)} at most, and cells ask for {_size(ask.memory)}"
        return seen, f"resources.memory_gb={ask.nodes * most // 1024}"
    return f"{name} has fewer than {ask.nodes} nodes that suit", "cluster.partition=NAME"


def _most(values: Iterable[int]) -> int:
    return max(values, default=0)


def _account(cluster: Cluster, ask: Ask) -> Iterator[Finding]:
    """Yield whether this user may use the account and the QoS."""
    mine = cluster.associations
    if mine is None or "associations" not in cluster.enforced:
        return
    if not mine:
        yield broken("slurm.account", "you have no account on this cluster", "ask who runs the cluster", ask.label)
        return
    accounts = sorted({one.account for one in mine})
    if ask.account and ask.account not in accounts:
        seen = f"you have no account {ask.account}; yours: {_listed(accounts)}"
        yield broken("slurm.account", seen, f"cluster.account={accounts[0]}", ask.label)
        return
    usable = sorted({qos for one in _of_account(mine, ask.account) for qos in one.qos})
    if ask.qos and "qos" in cluster.enforced and ask.qos not in usable:
        seen = f"you may not use the QoS {ask.qos}; yours: {_listed(usable) or 'none'}"
        yield broken("slurm.qos", seen, f"cluster.qos={usable[0]}" if usable else "cluster.qos=null", ask.label)


def _of_account(mine: Iterable[Association], account: str | None) -> list[Association]:
    return [one for one in mine if account is None or one.account == account]


def _limits(cluster: Cluster, asks: Sequence[Ask]) -> Iterator[Finding]:
    """Yield the limits on the number of jobs that the sweep reaches."""
    count = sum(ask.count for ask in asks)
    largest = _number(cluster.settings.get("MaxArraySize"))
    if largest == 0:
        yield broken("slurm.arrays", "this cluster takes no job arrays (MaxArraySize=0)", "ask who runs the cluster")
    elif largest and any(ask.count > largest for ask in asks):
        yield ok("slurm.arrays", f"arrays have {largest} jobs at most, so that a launch submits several")
    on_cluster = _number(cluster.settings.get("MaxJobCount"))
    limits = [one.most for ask in asks for one in _of_account(cluster.associations or (), ask.account) if one.most]
    mine = min(limits, default=None) if "limits" in cluster.enforced else None
    if mine is not None and cluster.queued + count > mine:
        seen = f"you may have {mine} jobs in the queue, {cluster.queued} are there, and the sweep has {count}"
        yield warning("slurm.submit_limit", seen, "launch again when some have ended: it submits what is missing")
    elif on_cluster and count > on_cluster:
        seen = f"the cluster holds {on_cluster} jobs in all (MaxJobCount), and the sweep has {count}"
        yield warning("slurm.submit_limit", seen, "launch again when some have ended: it submits what is missing")
    elif asks:
        yield ok("slurm.submit_limit", f"room for {plural(count, 'job')}; {cluster.queued} of yours in the queue")


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None


def _accounting(cluster: Cluster) -> Iterator[Finding]:
    storage = cluster.settings.get("AccountingStorageType", "")
    without = "a job that is killed hard is then only known to be gone"
    if storage.endswith("none") or not storage or storage == "(null)":
        yield warning("slurm.accounting", f"this cluster keeps no accounts: {without}", "ask who runs the cluster")
    elif cluster.accounts:
        seen = f"sacct does not work ({cluster.accounts}): {without}"
        yield warning("slurm.accounting", seen, "ask who runs the cluster")
    else:
        yield ok("slurm.accounting", "sacct answers")


def _listed(names: Iterable[str]) -> str:
    found = [*names]
    return ", ".join(found[:LISTED]) + (" …" if len(found) > LISTED else "")


def _size(megabytes: int) -> str:
    return human_bytes(megabytes * 2**20)


def _time(minutes: int) -> str:
    return f"{minutes / 60:g} h" if minutes % 60 == 0 or minutes > 600 else f"{minutes} min"
