"""Launch a sweep: `python launch.py -m model=… reward=… seed=…`, from any directory.

`pip install` lays this file and the project's packages out as one directory, `rlvr_sweep`, in which this file is the
module that the command `rlvr-sweep` begins with.
"""

from __future__ import annotations

import sys
from pathlib import Path

# The packages beside this file come before all others: the current directory, PYTHONPATH or the environment may hold
# packages of the same names.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from sweep.commands.launch import main


def program() -> int:
    """The command `rlvr-sweep`: `launch`, and every command of `python -m sweep`. Returns the exit code."""
    from sweep.__main__ import main as command_line

    return command_line(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
