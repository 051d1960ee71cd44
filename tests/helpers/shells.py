"""The program as a user starts it, on this machine and on Slurm."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
import time
from pathlib import Path

from helpers.constants import ROOT
from sweep.__main__ import main
from sweep.run.state import State


class Shell:
    """Runs launch.py and `-m sweep` as a user would; output goes to `root / "runs"`."""

    def __init__(self, root: Path, cache_dir: Path) -> None:
        self.root, self.cache_dir = root, cache_dir

    def launch(self, *overrides: str, check: bool = True) -> subprocess.CompletedProcess:
        done = subprocess.run(self._launch(overrides), cwd=ROOT, capture_output=True, text=True, timeout=600)
        if check:
            logs = "\n".join(p.read_text()[-3000:] for p in self.root.rglob("*_log.err"))
            assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{logs}"
        return done

    def start(self, *overrides: str) -> subprocess.Popen:
        """Launch in the background."""
        return subprocess.Popen(self._launch(overrides), cwd=ROOT, stdout=subprocess.DEVNULL)

    def sweep(self, *arguments: str) -> dict:
        """The JSON of a `python -m sweep` command on the launched runs; in this process, which saves starting one."""
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            code = main([*arguments, "--output-dir", str(self.root / "runs"), "--json"])
        assert code == 0, said.getvalue()
        return json.loads(said.getvalue())

    def _launch(self, overrides: tuple[str, ...]) -> list[str]:
        place = [f"output_dir={self.root / 'runs'}", f"cache_dir={self.cache_dir}"]
        return [sys.executable, "launch.py", *overrides, *place]


class SlurmShell(Shell):
    """Launches small jobs on the real Slurm that SLURM_CONF names."""

    own = ("cluster=slurm", "cluster.cpus_per_process=1", "model.resources.hours=0.5")

    def _launch(self, overrides: tuple[str, ...]) -> list[str]:
        return super()._launch((*self.own, *overrides))

    def command(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess:
        """A `python -m sweep` command on the launched runs."""
        command = [sys.executable, "-m", "sweep", *arguments, "--output-dir", str(self.root / "runs")]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert not check or done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done

    def statuses(self, sweep: str) -> dict[str, dict]:
        return {s["label"]: s for s in self.sweep("status", sweep)["runs"]}

    def wait(self, sweep: str, until, seconds: float = 600) -> dict[str, dict]:
        """The sweep's statuses once `until(statuses)` holds."""
        deadline = time.monotonic() + seconds
        while not until(found := self.statuses(sweep)):
            assert time.monotonic() < deadline, f"{found}\n{self.logs()}"
            time.sleep(1)
        return found

    def wait_for_the_end(self, sweep: str, seconds: float = 600) -> dict[str, dict]:
        return self.wait(sweep, lambda found: all(State(s["state"]).ended for s in found.values()), seconds)

    def logs(self) -> str:
        return "\n".join(f"{p}\n{p.read_text()[-2000:]}" for p in self.root.rglob("*_log.err"))
