"""Eighty thousand answers are written and read in little memory, whatever their texts hold."""

from __future__ import annotations

from helpers.processes import python_processes


def test_peak_memory_of_many_answers(tmp_path):
    """Their texts hold 80 MB. Measured: 92 MB more while writing, 51 MB while reading them without texts."""
    (written,) = python_processes("tests/programs/answers_memory.py", 1, "write", tmp_path)
    (read,) = python_processes("tests/programs/answers_memory.py", 1, "read", tmp_path)
    assert int(written.split()[-2]) < 150
    megabytes, answers = map(int, read.split()[-2:])
    assert megabytes < 100 and answers == 80_000
