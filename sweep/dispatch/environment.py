"""Restore the environment of a run that is submitted again: its frozen configuration holds only the names."""

from __future__ import annotations

from pathlib import Path

from sweep.config.cell import CellConfig
from sweep.errors import UserError
from sweep.run.claims import claims
from sweep.run.environment import read_environment


def with_environment(config: CellConfig, attempts: Path, root: Path) -> CellConfig:
    """Return `config` with the missing values of `cluster.env` as the latest submission that has them gave them.

    Args:
        attempts: the run's directory of attempts, which name its submissions.
        root: the output directory.
    Raises:
        UserError: a value is in no submission that this user may read.
    """
    if None not in config.cluster.env.values():
        return config
    known: dict[str, str] = {}
    why = "no earlier submission has it"
    for claim in claims(attempts):  # oldest first
        try:
            known |= read_environment(root / "submissions" / claim.submission)
        except PermissionError:
            why = "another user submitted this run, and only they can read it"
    env = {name: known.get(name) if value is None else value for name, value in config.cluster.env.items()}
    if lacking := [name for name, value in env.items() if value is None]:
        keys = " ".join(f"--set cluster.env.{name}=…" for name in lacking)
        raise UserError(f"cluster.env.{lacking[0]}: its value is not at hand ({why}); give it again: {keys}")
    return config.model_copy(update={"cluster": config.cluster.model_copy(update={"env": env})})
