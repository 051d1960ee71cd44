"""Write checkpoints so that they are whole or absent, and find the newest whole one. Every process takes part."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import torch.distributed as dist

from sweep.grpo.learner import Learner
from sweep.job.processes import gather
from sweep.run.checkpoints import (
    RANK,
    checkpoint_path,
    checkpoints,
    checkpoints_set_aside,
    damage,
    partial_path,
    partials,
    record_file,
    remove,
    set_aside,
    write_manifest,
)
from sweep.run.files import sync

log = logging.getLogger("sweep")


class NoWholeCheckpoint(Exception):
    """There are checkpoints, but training cannot go on from any of them."""


def save_checkpoint(learner: Learner, home: Path, step: int, keep: int) -> None:
    """Write the checkpoint `home/step_N`. It has another name until all its files are written; its manifest comes last.

    Of the earlier checkpoints the newest `keep` - 1 stay.

    Raises:
        NotFinite: a weight or a moment of the optimiser is not finite; nothing was written.
    """
    learner.refuse_weights()
    rank, partial = dist.get_rank(), partial_path(home, step)
    if rank == 0:
        home.mkdir(exist_ok=True)
        for unfinished in partials(home):  # of any step: this checkpoint may need the room that they take
            shutil.rmtree(unfinished)
    dist.barrier()
    learner.save(partial, step)
    dist.barrier()
    records = gather([record_file(file) for file in sorted(partial.iterdir()) if _writer(file) == rank])
    if rank == 0:
        write_manifest(partial, step, dist.get_world_size(), records)
        _put_into_place(partial, checkpoint_path(home, step))
        for old in (*checkpoints(home)[:-keep], *checkpoints_set_aside(home)):
            remove(old)
    dist.barrier()


def _writer(file: Path) -> int:
    """Return the rank that wrote a file, from its name; rank 0 wrote the files whose names hold no rank."""
    found = RANK.search(file.name)
    return int(found.group(1)) if found else 0


def _put_into_place(partial: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
    sync(target.parent)


def newest_whole(home: Path) -> Path | None:
    """Return the newest whole checkpoint, the same on every process; None if there is no checkpoint at all.

    Newer checkpoints, which are damaged, are named in the log and set aside.

    Raises:
        NoWholeCheckpoint: there are checkpoints, and none of them is whole.
    """
    found, faults = _first_whole(home, reversed(_names(checkpoints, home)))
    if found:
        _set_aside(home, faults)
        return home / found
    aside = _names(checkpoints_set_aside, home)
    if faults or aside:
        said = [f"{name}: {fault}" for name, fault in faults.items()] + [f"{name} was given up" for name in aside]
        raise NoWholeCheckpoint(
            f"no checkpoint in {home} is whole ({'; '.join(said)}); to start again from step 0, remove {home}"
        )
    return None


def go_back(home: Path, newest: Path) -> bool:
    """If an older checkpoint is whole, set `newest` aside, so that the older one is used. Return whether one is."""
    older, _ = _first_whole(home, reversed([n for n in _names(checkpoints, home) if n < newest.name]))
    if older:
        _set_aside(home, [newest.name])
    return older is not None


def _first_whole(home: Path, names: Iterable[str]) -> tuple[str | None, dict[str, str]]:
    """Return the first whole checkpoint of `names`, and the damage of those before it.

    Every process reads a part of the files, and all get the same answer.
    """
    rank, world, faults = dist.get_rank(), dist.get_world_size(), {}
    for name in names:
        fault = next(filter(None, gather([damage(home / name, rank, world)])), None)
        if fault is None:
            return name, faults
        faults[name] = fault
        log.warning("%s is damaged: %s", home / name, fault)
    return None, faults


def _names(listed: Callable[[Path], list[Path]], home: Path) -> list[str]:
    """Return on every process the names that rank 0 lists: a shared file system may show them to others later."""
    (names,) = gather([[path.name for path in listed(home)]] if dist.get_rank() == 0 else [])
    return names


def _set_aside(home: Path, names: Iterable[str]) -> None:
    if dist.get_rank() == 0:
        for name in names:
            set_aside(home / name)
    dist.barrier()
