"""Find the values that a composed configuration lacks: the keys, and the file or override that sets them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sweep.config.keys import known_keys
from sweep.plan.explain import unknown_key

_REFERENCE = re.compile(r"\$\{([A-Za-z_][\w.]*)\}")
_NOWHERE = "nowhere"


def missing_values(config: DictConfig, file_of: Callable[[str], Path | None]) -> list[str]:
    """Return a line for each key without a value, or that takes its value from a key that is not there.

    Args:
        config: unresolved.
        file_of: the file that was chosen for a group, if the key begins with one.
    """
    texts = dict(texts_of(OmegaConf.to_container(config, resolve=False)))
    faults = [f"{key}: has no default; add {key}=…" for key, text in sorted(texts.items()) if text == MISSING]
    takers: dict[str, list[str]] = {}
    for key, text in texts.items():
        for reference in _REFERENCE.findall(text):
            if _absent(config, reference):
                takers.setdefault(reference, []).append(key)
    for reference, keys in takers.items():
        if reference not in known_keys():
            faults.append(f"{' and '.join(keys)}: takes its value from another key; {unknown_key(reference)}")
            continue
        *sections, last = reference.split(".")[1:] or [reference]
        file = file_of(reference.partition(".")[0])
        under = f" under `{'.'.join(sections)}:`" if sections else ""
        place = f"add `{last}: …`{under} to {file}, or " if file else "add "
        faults.append(
            f"{reference}: is not set, and {' and '.join(keys)} takes its value from it; {place}{reference}=… here"
        )
    return faults


def _absent(config: DictConfig, reference: str) -> bool:
    try:
        return OmegaConf.select(config, reference, default=_NOWHERE) == _NOWHERE
    except OmegaConfBaseException:  # the key exists, and the fault is in what it refers to
        return False


def texts_of(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield the strings of a nested container with their dotted keys."""
    if isinstance(value, dict | list):
        for part, inside in value.items() if isinstance(value, dict) else enumerate(value):
            yield from texts_of(inside, f"{key}.{part}" if key else str(part))
    elif isinstance(value, str):
        yield key, value


def file_of_choice(group_lines: list[str], group: str) -> Path | None:
    """Return the file that the overrides `group_lines` choose for `group`; None if that is not a group."""
    chosen = compose("config", overrides=group_lines, return_hydra_config=True).hydra.runtime.choices.get(group)
    for source in GlobalHydra.instance().config_loader().get_sources():
        file = Path(source.path) / group / f"{chosen}.yaml"
        if chosen is not None and file.is_file():
            return file
    return None
