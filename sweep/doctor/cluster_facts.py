"""Ask Slurm for its partitions, its limits, and what this user may do. Reading its answers is pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sweep.dispatch import slurm
from sweep.dispatch.slurm import SlurmError

DAY = 24 * 60  # minutes


@dataclass(frozen=True)
class Nodes:
    """Nodes that are alike. memory: of each, in MB. gpus: of each, by type; "" where Slurm knows no type.

    states: of them, as sinfo abbreviates them.
    """

    count: int
    cpus: int
    memory: int
    gpus: dict[str, int]
    state: str

    @property
    def may_run(self) -> bool:
        """True unless Slurm has taken the nodes out of service."""
        return not re.match(r"down|drain|drng|fail|maint|boot|plnd|unk|inval|resv", self.state)

    def has(self, gpus: int, kind: str | None, cpus: int, memory: int) -> bool:
        """Return whether one of the nodes has so many GPUs (of that type, if one is given), cores, and MB."""
        held = self.gpus.get(kind, 0) if kind else sum(self.gpus.values())
        return held >= gpus and self.cpus >= cpus and self.memory >= memory


@dataclass(frozen=True)
class Partition:
    """A partition. minutes: the longest job; None: no limit. accounts, qos: those it takes; None: all."""

    name: str
    is_default: bool
    state: str
    minutes: int | None
    accounts: frozenset[str] | None
    qos: frozenset[str] | None
    nodes: tuple[Nodes, ...] = ()


@dataclass(frozen=True)
class Association:
    """An account of this user. qos: that it may use; most: jobs in the queue at once, None: no limit."""

    account: str
    partition: str
    qos: frozenset[str]
    most: int | None


@dataclass(frozen=True)
class Cluster:
    """What Slurm says of itself.

    settings: the values of `scontrol show config`. associations: None if accounting does not answer. accounts: why
    sacct does not work; "" if it does. queued: how many jobs of this user wait or run. enforced: what
    accounting enforces, such as limits.
    """

    settings: dict[str, str]
    partitions: tuple[Partition, ...]
    associations: tuple[Association, ...] | None
    accounts: str
    queued: int = 0
    enforced: frozenset[str] = frozenset()


def gather() -> Cluster:
    """Ask Slurm.

    Raises:
        SlurmError: its commands are missing, or its controller does not answer.
    """
    settings = read_settings(slurm.call("scontrol", "show", "config"))
    nodes = read_nodes(slurm.call("sinfo", "--noheader", "--exact", "--format=%R|%D|%c|%m|%G|%t"))
    partitions = read_partitions(slurm.call("scontrol", "show", "partition", "--oneliner"), nodes)
    columns = "format=account,partition,qos,maxsubmitjobs"
    query = ("--noheader", "--parsable2", "show", "associations", f"user={slurm.user()}", columns)
    try:
        associations = read_associations(slurm.call("sacctmgr", *query))
    except SlurmError:
        associations = None
    accounts = ""
    try:
        slurm.call("sacct", "--allocations", "--noheader", "--parsable2", "--format=JobID", "--starttime=now-1hour")
    except SlurmError as error:
        accounts = str(error)
    queued = sum(job.alive for job in slurm.queue().values())
    enforced = frozenset(settings.get("AccountingStorageEnforce", "none").split(","))
    return Cluster(settings, partitions, associations, accounts, queued, enforced)


def read_settings(shown: str) -> dict[str, str]:
    """Return the settings that `scontrol show config` prints."""
    pairs = (line.partition("=") for line in shown.splitlines() if "=" in line)
    return {name.strip(): value.strip() for name, _, value in pairs}


def read_nodes(shown: str) -> dict[str, list[Nodes]]:
    """Return the nodes of each partition from lines PARTITION|COUNT|CPUS|MEMORY|GRES|STATE; a + after a number counts
    not.
    """
    found: dict[str, list[Nodes]] = {}
    for line in shown.splitlines():
        parts = line.split("|")
        if len(parts) == 6:
            name, count, cpus, memory, gres, state = parts
            numbers = [int(re.sub(r"\D", "", text) or 0) for text in (count, cpus, memory)]
            found.setdefault(name, []).append(Nodes(*numbers, read_gres(gres), state))
    return found


def read_gres(text: str) -> dict[str, int]:
    """Return the GPUs in generic resources such as `gpu:a100:4(S:0-1),nvme:1`, by type."""
    found: dict[str, int] = {}
    for kind, count in re.findall(r"(?:^|,)gpu(?::([^:,()]+))??(?::(\d+))?(?=[,(]|$)", text):
        found[kind] = found.get(kind, 0) + int(count or 1)
    return found


def read_partitions(shown: str, nodes: dict[str, list[Nodes]]) -> tuple[Partition, ...]:
    """Return the partitions from the lines of `scontrol show partition --oneliner`."""
    found = []
    for line in shown.splitlines():
        values = dict(word.partition("=")[::2] for word in line.split() if "=" in word)
        if name := values.get("PartitionName"):
            found.append(
                Partition(
                    name,
                    values.get("Default") == "YES",
                    values.get("State", "UP"),
                    read_minutes(values.get("MaxTime", "")),
                    _those(values.get("AllowAccounts")),
                    _those(values.get("AllowQos")),
                    tuple(nodes.get(name, ())),
                )
            )
    return tuple(found)


def _those(text: str | None) -> frozenset[str] | None:
    return None if text in (None, "ALL", "N/A", "") else frozenset((text or "").split(","))


def read_minutes(text: str) -> int | None:
    """Return the minutes of a time as Slurm writes it: DAYS-HOURS:MINUTES:SECONDS; None for no limit."""
    match = re.fullmatch(r"(?:(\d+)-)?(\d+):(\d+):(\d+)", text)
    if not match:
        return None
    days, hours, minutes, _ = (int(part or 0) for part in match.groups())
    return days * DAY + hours * 60 + minutes


def read_associations(shown: str) -> tuple[Association, ...]:
    """Return the associations from lines ACCOUNT|PARTITION|QOS,…|MAXSUBMIT."""
    found = []
    for line in shown.splitlines():
        parts = line.split("|")
        if len(parts) == 4:
            account, partition, qos, most = parts
            found.append(
                Association(account, partition, frozenset(filter(None, qos.split(","))), int(most) if most else None)
            )
    return tuple(found)
