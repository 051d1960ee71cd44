"""Bring the processes of a job together, whatever started them, and let them exchange values."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import psutil
import torch
import torch.distributed as dist

from sweep.run.files import read_json, write_json

NO_COMPILER = "TORCHDYNAMO_DISABLE"

# How long a process may wait for another in a collective. The watchdog finds processes that hang, because it learns how
# long a phase takes. torch's own limit of 30 minutes would end a run whose ranks wait for one long evaluation.
PATIENCE = timedelta(days=7)


def join(rank: int, world_size: int, local_rank: int, meeting: Path) -> None:
    """Initialise torch.distributed over gloo (nccl beside CUDA), then DeepSpeed on top of it.

    Rank 0 requests a free port from the system and writes it into the file `meeting`. Jobs on one node therefore never
    use the same port.
    """
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(world_size), LOCAL_RANK=str(local_rank))
    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
    os.environ.setdefault("MASTER_PORT", "0")  # never used: the store below is the rendezvous
    if not torch.cuda.is_available():
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    import deepspeed

    # DeepSpeed has a table of its C++ operators that tells which of them this machine can compile. It fills the table
    # when it first reads it, for which it runs the compiler, and then compiles what can be: on a CPU a shared-memory
    # all-reduce, which takes most of a minute and which gloo does not need. A table that exists already is not filled,
    # and a missing entry means no: `__compatible_ops__.get("deepspeed_shm_comm", False)` is all it reads.
    deepspeed.ops.__compatible_ops__ = {"deepspeed_shm_comm": False}
    _import_muon()
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    store = _store(rank, world_size, meeting)
    dist.init_process_group(backend, timeout=PATIENCE, rank=rank, world_size=world_size, store=store)
    deepspeed.init_distributed(backend, dist_init_required=False, verbose=False)


def _import_muon() -> None:
    """Import DeepSpeed's Muon optimiser without torch's compiler, which would take a second to load.

    DeepSpeed imports that module itself later, to check whether an optimiser is Muon.
    """
    asked = os.environ.get(NO_COMPILER)
    os.environ[NO_COMPILER] = "1"
    try:
        import deepspeed.runtime.zero.muon.muon_optimizer  # noqa: F401
    finally:
        del os.environ[NO_COMPILER]
        if asked is not None:
            os.environ[NO_COMPILER] = asked


def leave() -> None:
    """End what `join` began. A process that exits while threads of gloo run may be aborted, which fails its job."""
    dist.destroy_process_group()


def _store(rank: int, world_size: int, meeting: Path) -> dist.TCPStore:
    if rank == 0:
        hosts = _own_names()
        store = dist.TCPStore(hosts[0], 0, world_size, is_master=True, wait_for_workers=False)
        write_json(meeting, {"hosts": hosts, "port": store.port})
        return store
    deadline = time.monotonic() + 300
    while (address := read_json(meeting)) is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"rank {rank}: rank 0 left no address in {meeting} for 300 s")
        time.sleep(0.05)
    host = next(h for h in address["hosts"] if _resolves(h))
    return dist.TCPStore(host, address["port"], world_size, is_master=False)


def _own_names() -> list[str]:
    """Return names under which other machines may reach this one: host name first, local addresses last."""
    name = socket.gethostname()
    found = [a.address for addresses in psutil.net_if_addrs().values() for a in addresses if a.family == socket.AF_INET]
    return ([name] if _resolves(name) else []) + sorted(found, key=lambda a: a.startswith("127."))


def _resolves(host: str) -> bool:
    try:
        socket.getaddrinfo(host, None)
    except OSError:
        return False
    return True


def device() -> torch.device:
    """Return the GPU of this process, or the CPU if there is none."""
    return torch.device("cuda", int(os.environ["LOCAL_RANK"])) if torch.cuda.is_available() else torch.device("cpu")


def gpus_of(world_size: int) -> int:
    """Return how many GPUs the processes of a job use: one each, or none."""
    return world_size if torch.cuda.is_available() else 0


def gather(values: list) -> list:
    """Join the lists of all ranks in the order of ranks. Every rank calls this, and all get the same list."""
    if dist.get_world_size() == 1:
        return values
    parts: list = [None] * dist.get_world_size()
    dist.all_gather_object(parts, values)
    return [value for part in parts for value in part]


def any_rank(flag: bool) -> bool:
    """Return whether the flag is set on any rank. Every rank calls this, and all get the same answer."""
    return any(gather([flag]))


@contextmanager
def together(fault: type[Exception]) -> Iterator[None]:
    """Run a block on every rank; if it raises `fault` on one rank, every rank raises it.

    Without this the other ranks would wait in the next collective for a rank that is gone. A rank whose own block was
    fine raises the fault of the first rank that has one.
    """
    own = None
    try:
        yield
    except fault as error:
        own = error
    found = gather([] if own is None else [own])
    if found:
        raise own or found[0]
