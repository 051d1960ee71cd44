"""Plans, scripts for sbatch and tables of an old sweep are those of tests/recorded, byte for byte.

tests/recordings.py makes them, says what it replaces, and records them again: `python tests/recordings.py`.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from recordings import OLD_SWEEP, PLANS, RECORDED, ROOT, SUBMISSIONS

NAMES = [
    *(f"plans/{name}.txt" for name in PLANS),
    *(f"sbatch/{name}.txt" for name in SUBMISSIONS),
    *(f"schema2/{name}" for name in OLD_SWEEP),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The recordings of the code as it is now, made by one process for all tests."""
    directory = tmp_path_factory.mktemp("recordings")
    command = [sys.executable, str(ROOT / "tests" / "recordings.py"), "--into", str(directory)]
    done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return directory


@pytest.mark.parametrize("name", NAMES)
def test_what_is_said_and_submitted_is_what_was_recorded(made, name):
    assert (made / name).read_text() == (RECORDED / name).read_text()


def test_every_recording_is_made(made):
    recorded = {path.relative_to(RECORDED) for path in RECORDED.glob("*/*") if path.parent.name != "conf"}
    recorded = {str(path) for path in recorded if path.parts[0] != "__pycache__"}
    assert recorded == set(NAMES) == {str(path.relative_to(made)) for path in made.glob("*/*")}
