"""The commands that brought the runs of a sweep, as one types them again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from sweep.config.local import default_output_dir
from sweep.errors import HIDDEN
from sweep.program import launcher, program
from sweep.run.files import read_json

EVALUATE = "evaluate"  # the first word that the ledger keeps of the command of that name


def key_of(override: str) -> str:
    """Return the key that an override sets."""
    return override.partition("=")[0].lstrip("+~")


def launch_command(overrides: Sequence[str], sweep: str, root: Path, more: Sequence[str] = ()) -> str:
    """Return the launch with these overrides, and `more` after them, as a command.

    A remark at its end names those whose values are secret.
    """
    hidden = [word for word in overrides if HIDDEN in word]
    words = [word for word in overrides if word not in hidden]
    keys = {key_of(word) for word in words}
    if "name" not in keys:
        words.append(f"name={sweep}")
    if "output_dir" not in keys and root.absolute() != default_output_dir():
        words.append(f"output_dir={root}")
    command = f"{launcher()} -m {shlex.join([*words, *more])}"
    left = ", ".join(key_of(word) for word in hidden)
    return f"{command}  # and {left}, whose values are not recorded" if hidden else command


def commands_by_run(root: Path, sweep: str) -> dict[str, str]:
    """Return for each run of a sweep, by its signature, the command of the last launch that changed its entry."""
    found: dict[str, str] = {}
    for file in sorted((root / "sweeps" / sweep).glob("*.json")):
        launch = read_json(file)
        if entries := [*launch["stages"], *launch["cells"]]:
            command = _command(launch["overrides"], sweep, root)
            found |= {entry["signature"]: command for entry in entries}
    return found


def _command(typed: Sequence[str], sweep: str, root: Path) -> str:
    if typed[:1] != [EVALUATE]:
        return launch_command(typed, sweep, root)
    of_a_model = any(word.startswith("--model") for word in typed)
    words = [EVALUATE, *(["--name"] if of_a_model else []), sweep, *typed[1:]]
    place = [] if root.absolute() == default_output_dir() else ["--output-dir", str(root)]
    return f"{program()} {shlex.join([*words, *place])}"
