"""Try what the project asks of a file system, in a directory of its own, which is removed again."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sweep.doctor.finding import Finding, broken, ok, warning
from sweep.plan.places import dead_link, existing_parent
from sweep.run.files import NO_LOCKS, sync, write_text
from sweep.shown import human_bytes

FILES = 100  # written to see how long one takes
SLOW_SECONDS = 0.1  # a file; a run writes its state and a row each step
SMALL_BYTES, SMALL_INODES = 2**30, 10_000
IN_MEMORY = ("tmpfs", "ramfs")
# Tries a lock that another process holds: exit code 0 if it is refused, 3 if it is given, else the error's number + 10.
OTHER_PROCESS = """
import fcntl, sys
with open(sys.argv[1], "a") as file:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(0)
    except OSError as error:
        sys.exit(10 + error.errno)
sys.exit(3)
"""
EXCLUDES, BOTH_HOLD = "excludes", "both hold it"


@dataclass(frozen=True)
class Tried:
    """What a directory's file system did.

    place: the directory, or the nearest one above it that exists. kind: the file system, as the kernel calls it; "" if
    unknown. refused: why nothing can be written there; "" if it can. locks: EXCLUDES, BOTH_HOLD, or why there are none.
    links, replaces, syncs: "" if it works, else what went wrong. seconds: of one small file. free: bytes. inodes: how
    many more files there may be; None if there is no limit.
    """

    place: Path
    kind: str = ""
    refused: str = ""
    locks: str = EXCLUDES
    links: str = ""
    replaces: str = ""
    syncs: str = ""
    seconds: float = 0.0
    free: int = 0
    inodes: int | None = None


def gather(wanted: Path) -> Tried:
    """Try everything in a temporary directory in `wanted`, or in the nearest directory above it that exists."""
    whole = wanted.expanduser().absolute()
    place = existing_parent(whole)
    kind = file_system(place)
    if link := dead_link(whole):
        return Tried(whole, kind, refused=f"{link} is a link to nothing")
    if not place.is_dir():
        return Tried(place, kind, refused="it is a file")
    try:
        home = Path(tempfile.mkdtemp(dir=place, prefix=".doctor-"))
    except OSError as error:
        return Tried(place, kind, refused=error.strerror or str(error))
    try:
        return _tried(place, kind, home)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _tried(place: Path, kind: str, home: Path) -> Tried:
    room = os.statvfs(place)
    try:
        seconds = _seconds_of_a_file(home)
    except OSError as error:
        return Tried(place, kind, refused=error.strerror or str(error))
    return Tried(
        place,
        kind,
        locks=_locks(home),
        links=_fault(_link, home),
        replaces=_fault(_replace, home),
        syncs=_fault(sync, home),
        seconds=seconds,
        free=room.f_bavail * room.f_frsize,
        inodes=room.f_favail if room.f_files else None,
    )


def _seconds_of_a_file(home: Path) -> float:
    began = time.monotonic()
    for number in range(FILES):
        (home / f"file-{number}").write_text("x")
    if len(list(home.iterdir())) != FILES:
        raise OSError(errno.EIO, "a directory does not list the files that were just written")
    return (time.monotonic() - began) / FILES


def _locks(home: Path) -> str:
    """Return whether a lock that this process holds keeps another process out."""
    file = home / "lock"
    with open(file, "a") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return _name(error.errno)
        done = subprocess.run([sys.executable, "-c", OTHER_PROCESS, str(file)], capture_output=True)
    if done.returncode in (0, 3):
        return EXCLUDES if done.returncode == 0 else BOTH_HOLD
    return _name(done.returncode - 10)


def _name(number: int | None) -> str:
    return errno.errorcode.get(number or 0, f"error {number}")


def _fault(trial, home: Path) -> str:
    """Return "" if the trial works in `home`, else what went wrong."""
    try:
        trial(home)
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _link(home: Path) -> None:
    """Make a hard link, and see that a second one of that name is refused, as claims need it."""
    source, target = home / "source", home / "claim"
    source.write_text("first")
    os.link(source, target)
    try:
        os.link(source, target)
    except FileExistsError:
        return
    raise OSError(errno.EEXIST, "a second link of the same name was made over the first one")


def _replace(home: Path) -> None:
    """Write over a file that is open, and see that its reader keeps what it had."""
    file = home / "state.json"
    write_text(file, "old")
    with open(file) as reader:
        write_text(file, "new")
        if (reader.read(), file.read_text()) != ("old", "new"):
            raise OSError(errno.EIO, "a file that is replaced changes under its reader")


def file_system(place: Path, mounts: Path = Path("/proc/self/mounts")) -> str:
    """Return the kind of file system that a directory lies on, as Linux calls it; "" if it cannot be told."""
    try:
        lines = mounts.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return ""
    target, found, kind = os.path.realpath(place), "", ""
    for line in lines:
        _, where, this_kind, *_ = line.split(" ")
        where = where.replace("\\040", " ")
        if os.path.commonpath([target, where]) == where and len(where) >= len(found):
            found, kind = where, this_kind
    return kind


def judge(key: str, tried: Tried, on_slurm: bool) -> Iterator[Finding]:
    """Yield what a directory cannot do, or one line that it can.

    Args:
        key: the key of the configuration that names the directory.
        on_slurm: whether launches claim runs there by links, and jobs on several machines share it.
    """
    elsewhere = f"{key}=DIR, on another disk"
    if tried.refused:
        yield broken(f"{key}.write", f"{key}: nothing can be written to {tried.place}: {tried.refused}", elsewhere)
        return
    found = [*_faults(key, tried, on_slurm), *_room(key, tried)]
    yield from found
    if not found:
        said = f"{key}: {tried.place} ({tried.kind or 'unknown file system'}), {human_bytes(tried.free)} free"
        yield ok(f"{key}.file_system", f"{said}: locks, links, renames and fsync work")


def _faults(key: str, tried: Tried, on_slurm: bool) -> Iterator[Finding]:
    where = f"{key}: {tried.place}" + (f" ({tried.kind})" if tried.kind else "")
    elsewhere = f"{key}=DIR, on another disk"
    if tried.locks == BOTH_HOLD:
        seen = f"{where}: two processes hold one lock, so that two could work on one run"
        yield broken(f"{key}.locks", seen, elsewhere)
    elif tried.locks in [_name(number) for number in NO_LOCKS]:
        seen = f"{where} has no locks ({tried.locks}): heartbeats and claims alone keep two jobs off one run"
        yield warning(f"{key}.locks", seen, "have it mounted with locks (Lustre: -o flock)")
    elif tried.locks != EXCLUDES:
        yield broken(f"{key}.locks", f"{where}: locks fail with {tried.locks}", elsewhere)
    if tried.links:
        level = broken if on_slurm else warning
        seen = f"{where}: no atomic hard links ({tried.links}), by which launches to Slurm claim runs"
        yield level(f"{key}.links", seen, elsewhere)
    for name, fault in (("rename", tried.replaces), ("fsync", tried.syncs)):
        if fault:
            yield broken(f"{key}.{name}", f"{where}: {name} does not work: {fault}", elsewhere)
    if tried.kind in IN_MEMORY:
        seen = f"{where} lies in memory: it is gone after a restart, and takes the memory of jobs"
        yield warning(f"{key}.memory", seen, elsewhere)
    if tried.seconds > SLOW_SECONDS:
        yield warning(f"{key}.slow", f"{where}: writing a small file takes {tried.seconds:.1f} s", elsewhere)


def _room(key: str, tried: Tried) -> Iterator[Finding]:
    remedy = f"`gc` lists what may go; or {key}=DIR, on another disk"
    if tried.free < SMALL_BYTES:
        yield warning(f"{key}.space", f"{key}: {tried.place} has {human_bytes(tried.free)} free", remedy)
    if tried.inodes is not None and tried.inodes < SMALL_INODES:
        yield warning(f"{key}.files", f"{key}: {tried.place} takes only {tried.inodes} more files", remedy)


def judge_shared_memory(total: int | None, free: int | None, processes: int) -> Finding:
    """Return whether /dev/shm suffices, through which processes on one machine exchange tensors.

    Args:
        total, free: its bytes; None if it cannot be used.
        processes: the most processes of one job.
    """
    remedy = "start the container with --ipc=host or --shm-size=8g"
    if total is None or free is None:
        level = broken if processes > 1 else warning
        return level("shm.size", "/dev/shm cannot be written", remedy)
    said = f"/dev/shm has {human_bytes(free)} free of {human_bytes(total)}"
    if processes > 1 and free < SMALL_BYTES:
        return warning("shm.size", f"{said}; {processes} processes of a job exchange tensors through it", remedy)
    return ok("shm.size", said)


def gather_shared_memory(place: Path = Path("/dev/shm")) -> tuple[int | None, int | None]:
    """Return the size of the shared memory and how much of it is free, in bytes; None if it cannot be written."""
    if not os.access(place, os.W_OK | os.X_OK):
        return None, None
    room = os.statvfs(place)
    return room.f_blocks * room.f_frsize, room.f_bavail * room.f_frsize
