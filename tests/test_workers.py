"""How tests are dealt out to workers, and in which order."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from helpers.constants import ROOT
from helpers.workers import LONGEST, SLURM, place_of, unit_of


@pytest.mark.parametrize(
    ("nodeid", "unit"),
    [
        ("tests/test_plan.py::test_a", "test_plan.py"),
        ("tests/test_plan.py::test_a[a/b::c@d]", "test_plan.py"),
        ("tests/slurm/test_docs.py::test_a", SLURM),
        ("slurm/test_docs.py::test_a", SLURM),
    ],
)
def test_units_are_files_and_slurm(nodeid, unit):
    assert unit_of(nodeid) == unit


def test_what_takes_longest_is_there_and_comes_first():
    files = {path.name for path in (ROOT / "tests").glob("test_*.py")}
    assert set(LONGEST) - {SLURM} <= files and len(set(LONGEST)) == len(LONGEST)
    assert place_of("tests/slurm/test_docs.py::test_a") == 0
    assert place_of(f"tests/{LONGEST[1]}::test_a") < place_of("tests/test_workers.py::test_a")


def test_a_worker_takes_a_whole_file():
    """As `make test` deals them out: with groups that have no effect, both workers would take tests of both files."""
    files = ["tests/test_shown.py", "tests/test_sparkline.py"]
    command = [sys.executable, "-m", "pytest", "-v", "-n", "2", "-p", "no:cacheprovider", *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    taken = set(re.findall(r"^\[(gw\d)\].* (tests/\w+\.py)::", done.stdout, re.MULTILINE))
    assert sorted(file for _, file in taken) == files, done.stdout
