"""Change values of a frozen configuration."""

from __future__ import annotations

from typing import Any

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sweep.config.evaluation import SHARED
from sweep.errors import UserError


def is_of_one_benchmark(key: str) -> bool:
    """Return whether a dotted key is of one benchmark alone. Such a key wins over the one that all benchmarks share, so
    that it is put last.
    """
    return key.startswith("evaluation.benchmarks.")


def put(raw: DictConfig, override: Override, option: str = "") -> None:
    """Set a value of the frozen configuration `raw` as `put_value` does.

    A reference in it, such as `${oc.env:HF_TOKEN}`, is resolved now: a job would not do so.

    Args:
        option: the option of the command line that precedes the override, for messages.
    Raises:
        UserError: the value cannot be resolved.
    """
    try:
        resolved: Any = OmegaConf.to_container(OmegaConf.create({"value": override.value()}), resolve=True)
        put_value(raw, override.key_or_group, resolved["value"])
    except OmegaConfBaseException as error:
        raise UserError(f"{option}{override.key_or_group}: {str(error).splitlines()[0]}") from None


def put_value(raw: DictConfig, key: str, value: Any) -> None:
    """Set the value at the dotted `key` of the frozen configuration `raw`.

    A key that all benchmarks share was given to each of them when the cell was frozen, and is now given to them again.
    """
    OmegaConf.update(raw, key, value, force_add=True)
    section, _, rest = key.partition(".")
    shared = rest.partition(".")[0]
    if section == "evaluation" and shared in SHARED:
        for benchmark in raw.evaluation.benchmarks.values():
            benchmark[shared] = raw.evaluation[shared]
