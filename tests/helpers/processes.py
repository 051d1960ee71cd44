"""Several processes of one of the programs in `tests/programs`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from helpers.constants import ROOT


def python_processes(script: str, world_size: int, *arguments, python: str | Path = sys.executable) -> list[str]:
    """What `script RANK WORLD_SIZE ARGUMENTS…` prints on each rank."""
    started = [
        subprocess.Popen(
            [python, script, str(rank), str(world_size), *map(str, arguments)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
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
