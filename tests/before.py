"""Whether a sweep that another version of the code began ends well under this one.

    python tests/before.py COMMIT

The code of COMMIT launches three tiny cells on this machine. One job is killed midway, and so is the launch, while the
other jobs go on. Then the code of the working tree shows the sweep, is asked to retry, is given the launch again (which
takes over the jobs that still run) and compares. The runs must be those that the code of COMMIT leaves undisturbed, to
the bit. Prints a line for each check and exits with 1 where one fails. It takes some two minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from helpers.constants import ROOT, TINY
from helpers.digests import differences, digest
from same import checkout, environment, wait_until

NAME = "begun"
CELLS = ("reward=random,ground_truth,format", "steps=150", "evaluation.every=150", "cluster.max_parallel=3")
KILLED, AFTER_STEPS = "random", 10  # the reward of the cell whose job is killed, once it has made so many steps


class Checks:
    """What holds and what does not, a line each."""

    def __init__(self) -> None:
        self.failed = 0

    def check(self, holds: bool, what: str, found: object) -> None:
        """Print `what`, and `found` where it does not hold."""
        self.failed += not holds
        print(f"ok      {what}" if holds else f"FAILED  {what}: {found}", flush=True)


def launch_command(home: Path, output: Path) -> list[str]:
    place = (f"name={NAME}", f"output_dir={output}", f"cache_dir={home / 'cache'}")
    return [sys.executable, "launch.py", "-m", *TINY, *CELLS, *place]


def run(command: list[str], code: Path) -> subprocess.CompletedProcess:
    return subprocess.run(command, cwd=code, env=environment(), capture_output=True, text=True, timeout=900)


def sweep(output: Path, command: str, *more: str) -> subprocess.CompletedProcess:
    """A command about the sweep, by the code of the working tree."""
    return run([sys.executable, "-m", "sweep", command, NAME, "--output-dir", str(output), *more], ROOT)


def begin(code: Path, home: Path, output: Path) -> None:
    """Launch with `code`, kill the job of one cell midway, and then the launch; the other jobs go on."""
    with open(home / "launch.log", "w") as log:
        launch = subprocess.Popen(launch_command(home, output), cwd=code, env=environment(), stdout=log, stderr=log)
    try:
        wait_until(lambda: launch.poll() is not None or _under_way(output))
        if launch.poll() is not None:
            raise RuntimeError(f"the launch ended early:\n{(home / 'launch.log').read_text()[-3000:]}")
        (cell,) = output.glob(f"cells/*-{KILLED}-*")
        os.kill(json.loads((cell / "state.json").read_text())["pid"], signal.SIGKILL)
        wait_until(lambda: _state(cell) != "running" or launch.poll() is not None, seconds=30)
    finally:
        launch.kill()
        launch.wait()


def _under_way(output: Path) -> bool:
    """Whether every cell has made a step, and the one that is to be killed enough of them."""
    rows = [_steps(cell) for cell in output.glob("cells/*")]
    (killed,) = (_steps(cell) for cell in output.glob(f"cells/*-{KILLED}-*")) if rows else (0,)
    return len(rows) == 3 and all(rows) and killed >= AFTER_STEPS


def _steps(cell: Path) -> int:
    metrics = cell / "metrics.jsonl"
    return metrics.read_bytes().count(b"\n") if metrics.exists() else 0


def _state(cell: Path) -> str:
    return json.loads((cell / "state.json").read_text())["state"]


def outcome(output: Path) -> dict[str, dict[str, dict[str, str]]]:
    """What the runs of a finished sweep say, by directory; of a stage its result."""
    found = {cell.name: digest(cell) for cell in sorted(output.glob("cells/*"))}
    stages = sorted(output.glob("stages/*"))
    return found | {stage.name: {"result": {"text": (stage / "result.json").read_text()}} for stage in stages}


def end_with_this_code(home: Path, output: Path, checks: Checks) -> None:
    """Show, retry, launch again, and compare what was begun."""
    shown, said = sweep(output, "status"), sweep(output, "status", "--json")
    checks.check(said.returncode == 0, "status --json reads the sweep", said.stderr)
    states = {one["label"]: one["state"] for one in json.loads(said.stdout)["runs"]}
    killed = [state for label, state in states.items() if f"reward={KILLED}" in label]
    checks.check(killed == ["interrupted"], "the killed cell is interrupted", states)
    checks.check("running" in states.values(), "other cells still run", states)
    missing = [label for label in states if label not in shown.stdout]
    checks.check(shown.returncode == 0 and not missing, "status names every run", shown.stdout + shown.stderr)

    retried = sweep(output, "retry")
    refused = retried.returncode == 2 and "give the launch command again" in retried.stderr
    checks.check(refused, "retry says that a launch here is given again", retried.stdout + retried.stderr)
    again = run(launch_command(home, output), ROOT)
    checks.check(again.returncode == 0, "the same launch ends well", again.stdout[-3000:] + again.stderr[-3000:])

    said = json.loads(sweep(output, "status", "--json").stdout)["runs"]
    states = {one["label"]: one["state"] for one in said}
    checks.check(set(states.values()) == {"done"}, "every run is done", states)
    attempts = {one["label"]: one["cost"]["attempts"] for one in said}
    expected = {label: 1 + (f"reward={KILLED}" in label) for label in attempts}
    checks.check(attempts == expected, "only the killed run was started a second time", attempts)
    compared = sweep(output, "compare", "--json")
    checks.check(compared.returncode == 0, "compare --json reads the sweep", compared.stderr)
    cells = json.loads(compared.stdout)["cells"]
    whole = len(cells) == 3 and all(cell["final_accuracy"] is not None and not cell["unlike"] for cell in cells)
    checks.check(whole, "compare has a final accuracy of every cell", cells)


def main(arguments: list[str]) -> int:
    """Returns the exit code: 1 where a check failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", metavar="COMMIT")
    asked = parser.parse_args(arguments)
    checks, began = Checks(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="before-") as directory:
        home = Path(directory)
        code = checkout(asked.before, home / "code")
        undisturbed = run(launch_command(home, home / "undisturbed"), code)
        checks.check(undisturbed.returncode == 0, "the code of before trains undisturbed", undisturbed.stderr[-3000:])
        begin(code, home, home / "runs")
        end_with_this_code(home, home / "runs", checks)
        expected, found = outcome(home / "undisturbed"), outcome(home / "runs")
        checks.check(expected.keys() == found.keys(), "the runs have the same names", [*expected, *found])
        for name in expected.keys() & found.keys():
            changes = differences(expected[name], found[name])
            checks.check(not changes, f"{name} is the undisturbed one, to the bit", "; ".join(changes))
    print(f"{checks.failed} checks failed; {time.monotonic() - began:.0f} s")
    return int(checks.failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
