"""How long does a job take to its first rollout and its first finished step? In seconds, part by part.

A mini is trained for two steps in three ways: by `launch.py` on this machine, where the baseline goes first; as a plain
process that runs the stage, as on a cluster's node; and in a process that does nothing but import, one package after
another. The parts are those that the run itself takes and leaves in its provenance.json. Warm is the median of several
repeats. Cold is one time each with no compiled Python files, caches of the project or, as far as the kernel follows
the advice of a user, files in memory. "processor" is the processor time of everything that was started, to its end: on
a machine that others use too it says more than the seconds that passed.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CELL = [
    "model=qwen2_mini", "reward=ground_truth", "steps=2", "algorithm.prompts_per_step=8",
    "algorithm.samples_per_prompt=8", "evaluation.every=2", "evaluation.problems=16",
    "evaluation.samples_per_problem=1",
]  # fmt: skip
IMPORTS = {
    "torch": "import torch",
    "transformers": "from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel",
    "deepspeed": "import deepspeed",
    "our own code": "import sweep.stages.train",
    "wandb": "import wandb",
}
STAGE = """
import pathlib, sys
from sweep.dispatch.imports import import_stage
run = pathlib.Path(sys.argv[1])
import_stage("sweep.stages.train").main(run, 0, 1, 0, run / "attempts" / "meeting.json")
"""


class Place:
    """Where one measurement writes, and the environment it runs in."""

    def __init__(self, home: Path, more: list[str], cold: bool) -> None:
        self.home, self.more, self.cold = home, more, cold
        home.mkdir(parents=True)
        cores = os.environ.get("OMP_NUM_THREADS", "1")
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": cores, "WANDB_MODE": "offline"}

    def start(self, command: list[str]) -> subprocess.Popen:
        """Start `python COMMAND`; where it is to be cold, with nothing compiled before and nothing in memory."""
        environment = dict(self.environment)
        if self.cold:
            environment["PYTHONPYCACHEPREFIX"] = tempfile.mkdtemp(dir=self.home)
            forget_files()
        log = open(self.home / "log.txt", "a")  # noqa: SIM115  the process holds it
        return subprocess.Popen([sys.executable, *command], cwd=ROOT, env=environment, stdout=log, stderr=log)

    def ended(self, process: subprocess.Popen) -> None:
        if process.wait(timeout=900):
            raise RuntimeError((self.home / "log.txt").read_text()[-3000:])


def adopt_orphans() -> None:
    """Become the parent of processes whose own parent ends, so that their processor time can be asked for."""
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def processor_seconds() -> float:
    """Of all children that have ended so far, and their children; waits for those that still run."""
    try:
        while True:
            os.wait()
    except ChildProcessError:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime


def forget_files() -> None:
    """Ask the kernel to drop Python, its packages and the project from memory; what others have mapped stays."""
    places = {sys.prefix, sys.base_prefix, sysconfig.get_path("purelib"), str(ROOT)}
    os.sync()
    for place in places:
        for directory, _, names in os.walk(place):
            for name in names:
                path = os.path.join(directory, name)
                if os.path.isfile(path) and not os.path.islink(path):
                    with open(path, "rb") as file:
                        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def launched(place: Place) -> dict[str, float]:
    """Seconds from the start of `launch.py` to the end of the baseline and of the cell's first step."""
    output = place.home / "runs"
    where = [f"output_dir={output}", f"cache_dir={place.home / 'cache'}"]
    launch = place.start(["launch.py", *CELL, *place.more, *where])
    began = time.monotonic()
    seen: dict[str, float] = {}
    watched = {"baseline done": "stages/*/result.json", "first step done": "cells/*/metrics.jsonl"}
    while launch.poll() is None:
        for name, pattern in watched.items():
            if name not in seen and any(file.stat().st_size for file in output.glob(pattern)):
                seen[name] = time.monotonic() - began
        time.sleep(0.01)
    place.ended(launch)
    return {**seen, "everything done": time.monotonic() - began}


def parts_of(output: Path) -> dict[str, float]:
    """What the cell in `output` says of its own start."""
    (provenance,) = output.glob("cells/*/provenance.json")
    return with_sums(json.loads(provenance.read_text())["start"])


def with_sums(parts: dict[str, float]) -> dict[str, float]:
    update = parts["first update"]
    return {**parts, "to the first rollout": sum(parts.values()) - update, "to the first step": sum(parts.values())}


def alone(place: Place) -> dict[str, float]:
    """The parts of the same cell's start in a process of its own; a launch in `place` has frozen it."""
    (frozen,) = (place.home / "runs" / "cells").iterdir()
    run = place.home / "alone" / "cells" / frozen.name
    (run / "attempts").mkdir(parents=True)
    for file in ("config.yaml", "signature.json"):
        shutil.copy2(frozen / file, run)
    place.ended(place.start(["-c", STAGE, str(run)]))
    return parts_of(place.home / "alone")


def imports(place: Place) -> dict[str, float]:
    """Seconds for each of IMPORTS, in this order in one process, after the interpreter itself."""
    lines = ["import gc", "gc.disable()", "from sweep.job.starting import Starting", "s = Starting()"]  # as jobs do
    for part, statement in {"interpreter": "", **IMPORTS}.items():
        lines += [statement, f"s.reached({part!r})"]
    written = place.home / "imports.json"
    lines += ["import json, pathlib", f"pathlib.Path({str(written)!r}).write_text(json.dumps(s.parts))"]
    place.ended(place.start(["-c", "\n".join(lines)]))
    return json.loads(written.read_text())


def measure(home: Path, more: list[str], cold: bool) -> dict[str, dict[str, float]]:
    place, before = Place(home, more, cold), processor_seconds()
    launch = launched(place)
    launch["processor"] = processor_seconds() - before
    before = processor_seconds()
    plain = alone(place)
    plain["processor"] = processor_seconds() - before
    return {
        "launch": launch,
        "launched job": parts_of(home / "runs"),
        "plain process": plain,
        "imports": imports(place),
    }


def medians(found: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    return {
        kind: {part: round(statistics.median(f[kind][part] for f in found), 2) for part in parts}
        for kind, parts in found[0].items()
    }


def show(title: str, found: dict[str, dict[str, float]]) -> None:
    print(title)
    for kind, parts in found.items():
        print(f"  {kind}: " + ", ".join(f"{part} {seconds:.2f}" for part, seconds in parts.items()), flush=True)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3, help="warm measurements")
    parser.add_argument("--cold", action="store_true", help="measure a cold start too, which takes a minute or more")
    parser.add_argument("overrides", nargs="*", help="of the cell, such as tracking.mode=disabled")
    asked = parser.parse_args(arguments)
    adopt_orphans()
    with tempfile.TemporaryDirectory(prefix="start-") as home:
        found = {}
        if asked.cold:
            found["cold"] = medians([measure(Path(home) / "cold", asked.overrides, cold=True)])
            show("cold", found["cold"])
        measured = []
        for k in range(asked.repeats):
            measured.append(measure(Path(home) / str(k), asked.overrides, cold=False))
            show(f"warm {k + 1}", measured[-1])
        found["warm"] = medians(measured)
    print(json.dumps({"repeats": asked.repeats, "cores": len(os.sched_getaffinity(0)), **found}))


if __name__ == "__main__":
    main(sys.argv[1:])
