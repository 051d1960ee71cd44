"""Pass the values of `cluster.env` to jobs. They may be secrets, so each submission has a file that only its owner can
read.

The job's script sources that file. So the values are not in Slurm's records, and a retry reads them from the file.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from sweep.run.files import write_text


def environment_file(folder: Path) -> Path:
    """Return the file with the environment of a submission's jobs; `folder` is the submission's."""
    return folder / "environment.sh"


def write_environment(folder: Path, env: Mapping[str, str]) -> None:
    """Write the file that `read_environment` and the job's shell read; no file for an empty `env`."""
    if env:
        lines = [f"export {name}={shlex.quote(value)}\n" for name, value in env.items()]
        write_text(environment_file(folder), "".join(lines), mode=0o600)


def read_environment(folder: Path) -> dict[str, str]:
    """Return the environment of a submission's jobs; {} if none was written.

    Raises:
        PermissionError: another user submitted it.
    """
    try:
        text = environment_file(folder).read_text()
    except FileNotFoundError:
        return {}
    pairs = (word.partition("=") for word in shlex.split(text) if word != "export")
    return {name: value for name, _, value in pairs}
