"""The processes of a job find each other, whatever started them."""

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

# For one process to wait for another in a collective. Hanging ones are found by the watchdog, which learns how long a
# phase takes; torch's own limit is shorter than one long evaluation on one process.
PATIENCE = timedelta(days=7)


def join(rank: int, world_size: int, local_rank: int, meeting: Path) -> None:
    """Initialise torch.distributed over gloo (nccl beside CUDA), then DeepSpeed on top of it.

    Rank 0 takes a port that the system gives it and leaves it in the file `meeting`, so that jobs sharing a node
    never collide.
    """
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(world_size), LOCAL_RANK=str(local_rank))
    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
    os.environ.setdefault("MASTER_PORT", "0")  # never used: the store below is the rendezvous
    if not torch.cuda.is_available():
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    import deepspeed

    # On the CPU DeepSpeed would compile a shared-memory all-reduce for most of a minute; gloo does without. Which other
    # operators could be compiled here is asked by nothing, and would be found out with a compiler.
    deepspeed.ops.__compatible_ops__ = {"deepspeed_shm_comm": False}
    _import_muon()
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    store = _store(rank, world_size, meeting)
    dist.init_process_group(backend, timeout=PATIENCE, rank=rank, world_size=world_size, store=store)
    deepspeed.init_distributed(backend, dist_init_required=False, verbose=False)


def _import_muon() -> None:
    """DeepSpeed asks of every optimiser whether it is Muon, whose module would load torch's compiler: a second."""
    asked = os.environ.get(NO_COMPILER)
    os.environ[NO_COMPILER] = "1"
    try:
        import deepspeed.runtime.zero.muon.muon_optimizer  # noqa: F401
    finally:
        del os.environ[NO_COMPILER]
        if asked is not None:
            os.environ[NO_COMPILER] = asked


def leave() -> None:
    """End what `join` began: a process that exits while gloo's threads run may be aborted, which fails its job."""
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
    """What other machines may reach this one by: its name, where it has one, then its addresses."""
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
    """The GPU of this process, or the CPU where there is none."""
    return torch.device("cuda", int(os.environ["LOCAL_RANK"])) if torch.cuda.is_available() else torch.device("cpu")


def gpus_of(world_size: int) -> int:
    """How many GPUs the processes of a job hold: one each, or none."""
    return world_size if torch.cuda.is_available() else 0


def gather(values: list) -> list:
    """The ranks' lists, joined in rank order on every rank."""
    if dist.get_world_size() == 1:
        return values
    parts: list = [None] * dist.get_world_size()
    dist.all_gather_object(parts, values)
    return [value for part in parts for value in part]


def any_rank(flag: bool) -> bool:
    """Whether the flag is set on any rank; all ranks get the same answer."""
    return any(gather([bool(flag)]))


@contextmanager
def together(fault: type[Exception]) -> Iterator[None]:
    """A block that every rank runs on its own: where it raises `fault` on any rank, it does on all of them.

    The others would wait in the next collective for a rank that is gone. They raise the first one's.
    """
    own = None
    try:
        yield
    except fault as error:
        own = error
    found = gather([] if own is None else [own])
    if found:
        raise own or found[0]
