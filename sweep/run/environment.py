"""The values of `cluster.env` on their way to a job: they may be tokens, so that one file for each submission has them.

That file only its owner can read. The script of the job sources it, so that Slurm's records do not have the values,
and a retry takes them from it.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from sweep.run.files import write_text


def environment_file(folder: Path) -> Path:
    """Where the environment of the jobs of a submission stands; `folder` is the submission's."""
    return folder / "environment.sh"


def write_environment(folder: Path, env: Mapping[str, str]) -> None:
    """Write what `read_environment` and a shell read; nothing where there is nothing to say."""
    if env:
        lines = [f"export {name}={shlex.quote(value)}\n" for name, value in env.items()]
        write_text(environment_file(folder), "".join(lines), mode=0o600)


def read_environment(folder: Path) -> dict[str, str]:
    """The environment of the jobs of a submission; empty where none was written.

    Raises:
        PermissionError: another user submitted it.
    """
    try:
        text = environment_file(folder).read_text()
    except FileNotFoundError:
        return {}
    pairs = (word.partition("=") for word in shlex.split(text) if word != "export")
    return {name: value for name, _, value in pairs}
