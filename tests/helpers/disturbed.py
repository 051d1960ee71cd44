"""A small real sweep, one process of which gets a signal; what is launched again until all is done; what it left."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

from helpers.constants import ROOT, TINY
from helpers.digests import Digest, differences, digest
from helpers.fault_moments import EVENTS, Moment
from helpers.file_events import FileEvents
from helpers.wandb_server import WandbServer
from sweep.dispatch.states import statuses
from sweep.run.ledger import read_sweep

MARK = "FAULTS_SWEEP"  # in the environment of every process of a sweep: its output directory
SWEEPS = {
    "one cell": ("reward=random", "steps=64", "evaluation.every=64"),  # seconds, so that a signal finds it at work
    "two cells": ("reward=random", "seed=0,1", "tracking.mode=online"),  # at a server of the tests
    "two processes": ("reward=random", "deepspeed.processes=2"),
}
ON_SLURM = ("cluster=slurm", "cluster.cpus_per_process=1", "model.resources.hours=0.5")
LAUNCHES, LAUNCH_SECONDS = 5, 300.0
LEAVE_SECONDS = 90.0  # a job waits for its work for 60, where the launcher died before it had handed the work over
LOOK_SECONDS, YOUNG_SECONDS, ASK_SECONDS = 0.2, 1.0, 1.0
KINDS = {  # of processes, by a part of their command line
    "launcher": "launch.py",
    "wandb": "/wandb",
    "grader": " -c ",
    "controller": "srun ",  # on Slurm
    "rank": "submitit.core._submit",
    "prepared": "sweep.dispatch.prepared",
}
OF_THE_SWEEP = ("launcher", "prepared")  # work on no single run, whatever they hold open
OF_A_RUN = re.compile(r".*/(?P<run>(cells|stages)/[^/]+)/.*")
LOG = re.compile(r".*/attempts/[^/]*_log\.(out|err)")  # a local job's ranks write to it, its controller holds it


@dataclass(frozen=True)
class Member:
    """A process of a sweep: what it is, and the run it works on ("" where it works on none)."""

    kind: str
    run: str
    process: psutil.Process

    @property
    def young(self) -> bool:
        """Whether it may not be what it will be: between fork and exec it has its parent's command line."""
        return time.time() - self.process.create_time() < YOUNG_SECONDS

    @property
    def alive(self) -> bool:
        try:
            return self.process.is_running() and self.process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


class Members:
    """The living processes of the sweep in an output directory, wherever they hang in the tree of processes."""

    def __init__(self, output: Path) -> None:
        self.output, self._strangers, self._known = output, set(), {}

    def look(self) -> list[Member]:
        """Those that live now. Each process is read once, as reading takes time, or again while it is young."""
        there = set(psutil.pids())
        self._known = {pid: m for pid, m in self._known.items() if pid in there and m.alive and not m.young}
        self._strangers &= there
        for pid in there - self._strangers - self._known.keys():
            try:
                member = self._read(psutil.Process(pid))
            except (psutil.Error, OSError):  # it has just ended, or just begun
                continue
            if member is None:
                self._strangers.add(pid)
            elif member.kind:
                self._known[pid] = member
        return self.seen()

    def seen(self) -> list[Member]:
        """Those of the last look."""
        return list(self._known.values())

    def _read(self, process: psutil.Process) -> Member | None:
        if process.environ().get(MARK) != str(self.output):
            return None
        kind, run = _kind_and_run(process)
        above = process.parents() if kind in ("grader", "wandb") else []
        return Member(kind, next(filter(None, (run, *(_kind_and_run(parent)[1] for parent in above))), ""), process)


def _kind_and_run(process: psutil.Process) -> tuple[str, str]:
    """What a process is, and the run whose files it holds open, which tell copies of one process apart."""
    line, files = " ".join(process.cmdline()), [file.path for file in process.open_files()]
    run = next((found["run"] for file in files if (found := OF_A_RUN.fullmatch(file))), "")
    kind = next((kind for kind, part in KINDS.items() if part in line), "")
    if kind in ("", "prepared", "rank") and any(map(LOG.fullmatch, files)):
        kind = "rank" if LOG.fullmatch(os.readlink(f"/proc/{process.pid}/fd/1")) else "controller"
    return kind, "" if kind in OF_THE_SWEEP else run


@cache
def _wandb_server() -> WandbServer:
    """Of all sweeps of this process."""
    server = WandbServer()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class DisturbedSweep:
    """A sweep in an output directory of its own, launched as a user would."""

    def __init__(self, output: Path, cache: Path, sweep: str, on_slurm: bool, baseline: Path | None = None) -> None:
        """Where `baseline` is given, what is in that directory stands as the done stage."""
        output.mkdir(parents=True)
        if baseline:
            not_its_jobs = shutil.ignore_patterns("attempts")
            shutil.copytree(baseline, output / "stages" / baseline.name, ignore=not_its_jobs)
        self.output, self.on_slurm, self.launches = output, on_slurm, 0
        self.log = output.with_suffix(".log")
        place = (f"output_dir={output}", f"cache_dir={cache}", f"tracking.base_url={_wandb_server().url}")
        self._launch = ["launch.py", "-m", "name=faults", *TINY, *SWEEPS[sweep], *ON_SLURM * on_slurm, *place]
        self._retry = ["-m", "sweep", "retry", "faults", "--output-dir", str(output)]
        self._members, self._events = Members(output), FileEvents(output)
        self._jobs_there, self._asked = True, 0.0

    def until_done(self, *moments: Moment, whole_seconds: float = 0.0) -> list[str]:
        """Launch until all is done; at each moment in turn a signal is sent. Returns what was hit, in words.

        A moment that does not come in a launch is waited for in the next, if there is one.

        Args:
            whole_seconds: what the undisturbed sweep takes.
        Raises:
            RuntimeError: it does not get done.
        """
        hits: list[str] = []
        try:
            while not self.done:
                if self.launches == LAUNCHES:
                    raise RuntimeError(f"not done after {LAUNCHES} launches; see {self.log}")
                left = moments[len(hits) :]
                hits += self._go(left[0] if left else None, whole_seconds)
            return hits
        finally:
            self._events.close()

    @property
    def done(self) -> bool:
        runs = [*self.output.glob("cells/*"), *self.output.glob("stages/*")]
        return len(runs) > 1 and all(_state(run) == "done" for run in runs)

    def _go(self, moment: Moment | None, whole_seconds: float) -> list[str]:
        """One launch, until it ends; returns what `moment` hit, if it came."""
        again = self.on_slurm and self.launches > 0 and bool(list(self.output.glob("submissions/*/submission.json")))
        self.launches += 1
        self._jobs_there = True
        self._events.forget()  # of the launch before, whose processes are gone
        environment = {**os.environ, MARK: str(self.output), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        environment["WANDB_API_KEY"] = "0" * 40
        command = [sys.executable, *(self._retry if again else self._launch)]
        with open(self.log, "a") as log:
            launcher = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        began, count, looked, hits = time.monotonic(), 0, 0.0, []
        while launcher.poll() is None or self._jobs_run():
            now = time.monotonic() - began
            if now > LAUNCH_SECONDS:
                raise RuntimeError(f"launch {self.launches} did not end in {LAUNCH_SECONDS:.0f} s; see {self.log}")
            if now - looked > LOOK_SECONDS:
                self._members.look()
                looked = now
            for event in self._events.wait(LOOK_SECONDS):
                if hits or moment is None or moment.event is None:
                    continue
                found = re.fullmatch(EVENTS[moment.event][0], event)
                count += found is not None
                if found and count >= moment.count:  # at a later one where nobody was there to be hit
                    hits += self._strike(moment, found.groupdict().get("run", ""), began)
            if moment and moment.event is None and not hits and now > moment.fraction * whole_seconds:
                hits += self._strike(moment, "", began)
        return hits

    def _jobs_run(self) -> bool:
        """Whether Slurm has jobs of the sweep that go on without its launcher; it is asked once a second."""
        if not self.on_slurm or not (self.output / "sweeps").exists():
            return False
        if time.monotonic() - self._asked > ASK_SECONDS:
            stages, cells = statuses(read_sweep(self.output, "faults"))
            self._jobs_there = any(not status.ended for status in (*stages, *cells))
            self._asked = time.monotonic()
        return self._jobs_there

    def _strike(self, moment: Moment, run: str, began: float) -> list[str]:
        """Send the moment's signal to its victim; where there is none of the kind, to what drives the run."""
        time.sleep(moment.delay_ms / 1000)
        for look in (self._members.seen, self._members.look):
            there = [m for m in look() if not run or m.run in (run, "")]
            of_kind = [[m for m in there if m.kind == kind] for kind in (moment.victim, "rank", "controller")]
            if of_kind[0] and (moment.victim != "rank" or self._writers(of_kind[0], run)):
                break
        of_kind[0] = (moment.victim == "rank" and self._writers(of_kind[0], run)) or of_kind[0]
        launchers = [m for m in there if m.kind == "launcher"]
        chosen = next((some for some in (*of_kind, launchers) if some), None)
        if chosen is None:
            return []
        victim = chosen[moment.count % len(chosen)]
        seconds = time.monotonic() - began
        try:
            victim.process.send_signal(moment.number)
        except psutil.NoSuchProcess:
            return [f"{victim.kind} had just ended at {seconds:.1f} s"]
        place = f" of {Path(victim.run).name.rpartition('-')[0]}" if victim.run else ""
        return [f"{moment.number.name} to the {victim.kind}{place} at {seconds:.1f} s"]

    def _writers(self, ranks: list[Member], run: str) -> list[Member]:
        """Those of the job that wrote the run's state last: another that an earlier launch left may only wait."""
        try:
            state = json.loads((self.output / run / "state.json").read_text())
            above = {m.process.pid: m.process.ppid() for m in ranks}
        except (FileNotFoundError, IsADirectoryError, psutil.NoSuchProcess):
            return []
        job = above.get(state.get("pid"))
        return [m for m in ranks if above[m.process.pid] == job]

    def left_running(self) -> list[str]:
        """Processes that outlive the sweep by LEAVE_SECONDS, which none should."""
        deadline = time.monotonic() + LEAVE_SECONDS
        while (left := self._members.look()) and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
        return [f"a {m.kind} was left running" for m in left]

    def kill_all(self) -> None:
        for member in self._members.look():
            try:
                member.process.send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                continue

    def left_behind(self) -> list[str]:
        """Unfinished files that nobody will take away; gc would."""
        names = ("checkpoints/partial_*", ".*.partial")
        found = [p for run in self.output.glob("cells/*") for name in names for p in run.glob(name)]
        return sorted(p.name for p in found)


def outcome(output: Path) -> dict[str, Digest]:
    """What a finished sweep says, by run."""
    found = {f"cells/{run.name}": digest(run) for run in output.glob("cells/*")}
    for run in output.glob("stages/*"):
        found[f"stages/{run.name}"] = {"result": {"text": (run / "result.json").read_text()}}
    return found


def changed(expected: dict[str, Digest], found: dict[str, Digest]) -> list[str]:
    """In which runs the two differ, and in what; empty where they are the same."""
    if expected.keys() != found.keys():
        return [f"other runs: {sorted(expected.keys() ^ found.keys())}"]
    return [f"{run}: {text}" for run in expected for text in differences(expected[run], found[run])]


def _state(run: Path) -> str:
    try:
        return json.loads((run / "state.json").read_text())["state"]
    except FileNotFoundError:
        return ""
