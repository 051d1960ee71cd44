"""Give each job on this machine GPUs of its own, also where several launches, of several users, share the machine.

A GPU is taken by binding a Unix socket whose name (in Linux's abstract namespace) holds the GPU's UUID: only one socket
of the machine can have the name. The launch binds it, and the processes of the job inherit it. So the GPU stays taken
until the last of them has ended, whatever becomes of the launch, and the kernel frees it when they are killed. A lock
file would do the same, but it needs a directory that every user may write to and that nothing tidies up meanwhile.

A job that needs more GPUs than are free waits for others to end. Within a launch no later job takes a GPU before it.
Between launches it keeps the free GPUs that it has found, until they are enough. Of launches that may use the same GPU
only one keeps GPUs like that at a time, because two would wait for each other without end.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sweep.plan.machine import VISIBLE, Gpu, devices_of, usable_by
from sweep.plan.resources import predict_memory, predict_sampling
from sweep.plan.task import Task
from sweep.shown import human_bytes

KEPT = "kept"  # before a UUID, in the name of a socket of the one launch that may keep the GPU for a job that waits


@dataclass(frozen=True)
class Lease:
    """A GPU that this process has taken. A process that inherits the file descriptor has it as well."""

    gpu: Gpu
    holder: socket.socket

    def fileno(self) -> int:
        """Return the file descriptor that holds the GPU."""
        return self.holder.fileno()

    def close(self) -> None:
        """Give the GPU back, unless a process that inherited it still runs."""
        self.holder.close()


class Devices:
    """The GPUs that a launch may use, in the order in which it takes them."""

    def __init__(self, gpus: Sequence[Gpu], needed: int | None) -> None:
        """`needed`: bytes that a process takes on a GPU, None if unknown. GPUs without that room are taken last."""
        self.gpus = sorted(gpus, key=lambda gpu: lacks_room(gpu, needed))
        self._order = {gpu.uuid: place for place, gpu in enumerate(gpus)}
        self._kept: list[Lease] = []
        self._keeper: list[socket.socket] = []

    def take(self, count: int) -> list[Lease] | None:
        """Take `count` GPUs, in CUDA's order; None if so many are not free.

        After None this launch keeps those that it found, if no other launch does so: until the next call, or `release`.
        """
        usable = usable_by(count, self.gpus)
        found = {lease.gpu.uuid: lease for lease in self._kept}
        for gpu in usable:
            if gpu.uuid not in found and len(found) < count and (lease := _lease(gpu)):
                found[gpu.uuid] = lease
        chosen = [found[gpu.uuid] for gpu in usable if gpu.uuid in found][:count]
        if len(chosen) == count:
            self._kept = [lease for lease in found.values() if lease not in chosen]
            self.release()
            return sorted(chosen, key=lambda lease: self._order[lease.gpu.uuid])
        self._keeper = self._keeper or _all_bound(f"{KEPT}/{uuid}" for uuid in sorted(self._order))
        self._kept = [*found.values()]
        if not self._keeper:
            self.release()
        return None

    def release(self) -> None:
        """Give back what was kept for a job that waits."""
        for lease in self._kept:
            lease.close()
        for held in self._keeper:
            held.close()
        self._kept, self._keeper = [], []

    def environment(self, leases: Iterable[Lease]) -> dict[str, str]:
        """Return the variables with which a job sees these GPUs and no other; {} on a machine without GPUs.

        CUDA is told to number GPUs as nvidia-smi does. By default it begins with the fastest.
        """
        if not self.gpus:
            return {}
        return {VISIBLE: self.named(leases), "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}

    def named(self, leases: Iterable[Lease]) -> str:
        """Return these GPUs as CUDA_VISIBLE_DEVICES names them: by index or id, as the shell does."""
        taken = [lease.gpu for lease in leases]
        kinds = {gpu.visible.isdecimal() for gpu in taken}
        return ",".join(gpu.visible if len(kinds) == 1 else gpu.uuid for gpu in taken)  # CUDA takes no mixture


def lacks_room(gpu: Gpu, needed: int | None) -> bool:
    """Return whether less memory is free on a GPU than a process needs; if that is unknown, than half of it."""
    if gpu.free is None or gpu.total is None:
        return False
    return gpu.free < (gpu.total // 2 if needed is None else needed)


def needed_bytes(tasks: Iterable[Task]) -> int | None:
    """Return the most bytes that a process of the tasks is predicted to take on a GPU; None if that is unknown."""
    sizes: list[int | None] = []
    for task in tasks:
        if not devices_of(task.config):
            continue
        if task.steps:
            memory = predict_memory(task.config, on_gpu=True)
            sizes.append(None if memory is None else memory.peak)
        else:
            sizes.append(predict_sampling(task.config, on_gpu=True))
    return max((size for size in sizes if size is not None), default=None)


def crowded(tasks: Sequence[Task], gpus: Sequence[Gpu]) -> list[str]:
    """Return a line for each GPU on which another program leaves too little room for the tasks.

    A GPU that a job of a launch has is none of these: it is not taken before that job has ended.
    """
    if not any(devices_of(task.config) for task in tasks):
        return []
    needed = needed_bytes(tasks)
    asks = "most of it" if needed is None else human_bytes(needed)
    return [
        f"GPU {gpu.visible} ({gpu.name}): {human_bytes(gpu.free)} of {human_bytes(gpu.total)} are free, and a process "
        f"of this sweep needs {asks}; another program uses it, which nvidia-smi names. Jobs take this GPU last; "
        f"{VISIBLE} with the other GPUs leaves it out"
        for gpu in gpus
        if lacks_room(gpu, needed) and gpu.free is not None and gpu.total is not None and _is_free(gpu)
    ]


def _is_free(gpu: Gpu) -> bool:
    lease = _lease(gpu)
    if lease is None:
        return False
    lease.close()
    return True


def _lease(gpu: Gpu) -> Lease | None:
    """Take a GPU; None if a process of this machine has it."""
    holder = _bound(gpu.uuid)
    return Lease(gpu, holder) if holder else None


def _all_bound(names: Iterable[str]) -> list[socket.socket]:
    """Return a socket with each of these names; none if another process of this machine has one of the names."""
    made: list[socket.socket] = []
    for name in names:
        if (one := _bound(name)) is None:
            for other in made:
                other.close()
            return []
        made.append(one)
    return made


def _bound(name: str) -> socket.socket | None:
    """Return a socket with this name; None if another one of this machine has it."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.bind(f"\0rlvr-sweep/gpu/{name}")
    except OSError as error:
        made.close()
        if error.errno != errno.EADDRINUSE:
            raise
        return None
    return made
