"""Look at a compute node: the program of the job that `doctor --on-node` submits, `python -m sweep.doctor.node FILE`.

It reads the request that the login node wrote, makes the same checks where the job is, and writes its findings beside
the request.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sweep.config.cell import CellConfig
from sweep.config.keys import of_today
from sweep.doctor import caches, packages
from sweep.doctor.examine import directories, hardware, needs_of
from sweep.doctor.finding import Finding, broken, ok, warning
from sweep.run.directory import DEAD_SECONDS
from sweep.run.files import try_lock, write_json
from sweep.run.provenance import ROOT, code_hash

RESULT, LOCK, TOUCHED = "result.json", "lock", "touched-by-the-login-node"
CLOCK_SECONDS = 20.0  # by which clocks may differ; heartbeats of other machines are compared with this one's clock


def request(config: CellConfig, code: Path, prefetch: str) -> dict[str, Any]:
    """Return what the job is told: the cell, and how things are on the machine that submits it."""
    _, found = packages.gather()
    return {
        "cell": config.model_dump(mode="json"),
        "python": list(sys.version_info[:3]),
        "packages": packages.installed_versions(found),
        "code": code_hash(code),
        "prefetch": prefetch,
    }


def main(file: Path) -> int:
    """Write the findings about this node beside the request in `file`; return the exit code."""
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)  # Slurm's reminder of the time limit
    asked, folder = json.loads(file.read_text()), file.parent
    host = os.environ.get("SLURMD_NODENAME") or platform.node()  # Slurm's name for the node
    config = CellConfig.model_validate(of_today(asked["cell"]))
    found = [*_software(asked), *_shared(folder), *hardware(needs_of([config], given=True)), *directories([config])]
    found += caches.judge(*caches.gather([config]), asked["prefetch"])
    write_json(folder / RESULT, {"host": host, "findings": [one.as_json() for one in found]})
    return 0


def _software(asked: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield whether this node runs the same Python, packages and code as the machine that submits."""
    here = {name: packages.version(name) for name in asked["packages"]}
    yield same_python(asked["python"], list(sys.version_info[:3]), sys.executable)
    yield from same_packages(asked["packages"], here)
    if code_hash() == asked["code"]:
        yield ok("node.code", f"the code is that of the launch ({ROOT})")
    else:
        seen = f"{ROOT} holds other code than the machine that submits sees there"
        yield broken("node.code", seen, "output_dir=DIR, on a disk that the nodes share")


def same_python(there: list[int], here: list[int], executable: str) -> Finding:
    """Return whether the node runs the same version of Python; `there`: on the machine that submits."""
    text = f"Python {'.'.join(map(str, here))}, {executable}"
    if here[:2] == there[:2]:
        return ok("node.python", text)
    seen = f"{text}, and {'.'.join(map(str, there))} where jobs are submitted"
    return broken("node.python", seen, "cluster.python=PATH, to the same Python")


def same_packages(there: Mapping[str, str | None], here: Mapping[str, str | None]) -> Iterator[Finding]:
    """Yield which packages the node lacks, or has of another version than the machine that submits."""
    remedy = "cluster.python=PATH, to an environment that the nodes see, or cluster.setup"
    missing = [name for name in there if here[name] is None]
    if missing:
        yield broken("node.packages", f"not installed on the node: {', '.join(missing)}", remedy)
    other = [f"{n} {here[n]} ({there[n]})" for n in there if None not in (here[n], there[n]) and here[n] != there[n]]
    if other:
        yield warning("node.packages", f"other versions than where jobs are submitted: {', '.join(other)}", remedy)
    if not missing and not other:
        yield ok("node.packages", f"{len(there)} packages, the same as where jobs are submitted")


def _shared(folder: Path) -> Iterator[Finding]:
    """Yield whether locks and clocks of the two machines agree. The login node holds the lock meanwhile."""
    with_login = (folder / TOUCHED).stat().st_mtime - float((folder / TOUCHED).read_text())
    mine = folder / "touched-by-the-node"
    now = time.time()
    mine.write_text("")
    yield same_clock((mine.stat().st_mtime - now) - with_login)
    held = try_lock(folder / LOCK)
    if held is None:
        yield ok("node.locks", "a lock that the login node holds is seen here")
        return
    held.close()
    seen = "a lock that the login node holds is not seen here: heartbeats and claims alone keep two jobs off one run"
    yield warning("node.locks", seen, "have the disk of output_dir mounted with locks that reach all nodes")


def same_clock(seconds: float) -> Finding:
    """Return whether the clocks agree; `seconds`: how much the login node's is ahead of this one's."""
    said = f"the clocks of the node and of the login node differ by {abs(seconds):.1f} s"
    if abs(seconds) <= CLOCK_SECONDS:
        return ok("node.clock", said)
    seen = f"{said}; a run counts as dead {DEAD_SECONDS} s after its last heartbeat"
    level = broken if abs(seconds) >= DEAD_SECONDS / 2 else warning
    return level("node.clock", seen, "have the clocks set (chrony, ntpd)")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
