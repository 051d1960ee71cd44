"""Check whether cells can write to their directories, and whether the disk has room for their checkpoints."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from models.mini.shipped import shipped_mini
from sweep.config.cell import CellConfig
from sweep.config.faults import Labelled, plural
from sweep.plan.resources import predict_disk
from sweep.shown import human_bytes


def place_faults(cells: Iterable[Labelled]) -> list[str]:
    """Return why an output directory, or a cache that a cell fills, cannot be made or written to."""
    wanted = dict.fromkeys(place for cell in cells for place in _places(cell.config))
    return [fault for key, place in wanted for fault in _place_fault(key, place)]


def _places(config: CellConfig) -> Iterator[tuple[str, Path]]:
    """Yield the directories that a cell writes to, each with the key that names it."""
    yield "output_dir", Path(config.output_dir).expanduser().absolute()
    mini, cache = config.model.mini, Path(config.cache_dir).expanduser().absolute()
    # If a path does not exist here, this machine cannot check what the nodes of a cluster have there.
    is_seen = config.cluster.runs_here or os.path.exists(cache)
    if is_seen and mini is not None and shipped_mini(config.model.family, mini) is None:
        yield "cache_dir", cache


def _place_fault(key: str, wanted: Path) -> Iterator[str]:
    place = existing_parent(wanted)
    if link := dead_link(wanted):
        yield f"{key}={wanted}: {link} is a link to nothing; make what it names, or set {key} to a directory"
    elif not place.is_dir():
        yield f"{key}={wanted}: {place} is a file; set {key} to a directory"
    elif not os.access(place, os.W_OK | os.X_OK):
        why = os.strerror(errno.EROFS if os.statvfs(place).f_flag & os.ST_RDONLY else errno.EACCES)
        yield f"{key}={wanted}: {place} is not writable ({why}); set {key} to a directory you may write"


def disk_faults(cells: Sequence[Labelled]) -> list[str]:
    """Return a message if the checkpoints of all cells do not fit on the disk beside what it holds now."""
    needed: dict[Path, int] = {}
    for cell in cells:
        place = existing_parent(Path(cell.config.output_dir).expanduser().absolute())
        disk = predict_disk(cell.config)
        needed[place] = needed.get(place, 0) + (disk.peak if disk else 0)
    return [
        f"output_dir: the checkpoints of {plural(len(cells), 'cell')} need {human_bytes(size)}, and {place} has "
        f"{human_bytes(shutil.disk_usage(place).free)} free; set output_dir to a larger disk, lower checkpoint.keep, "
        "or launch fewer cells at a time"
        for place, size in needed.items()
        if size > shutil.disk_usage(place).free
    ]


def dead_link(path: Path) -> Path | None:
    """Return the link on the way to a path that leads nowhere, as to a disk that is not mounted; None if none does."""
    return next((part for part in (path, *path.parents) if os.path.islink(part) and not os.path.exists(part)), None)


def existing_parent(path: Path) -> Path:
    """Return the path, or the nearest directory above it that exists."""
    return path if os.path.exists(path) else existing_parent(path.parent)  # Path.exists raises where it may not look
