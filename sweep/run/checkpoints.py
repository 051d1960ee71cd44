"""Checkpoints on disk, and whether they are whole. No torch: commands that only look read them, too.

step_000010/         a checkpoint; the name appears once all of it is written
  manifest.json      size and hash of every file, written last
partial_000010/      one that is being written or removed, or that a killed process left half done
set_aside_000010/    one that training went back from; it goes when the next one is written
"""

from __future__ import annotations

import json
import os
import re
import shutil
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import xxhash

from sweep.run.files import write_text

FORMAT = 1
MANIFEST = "manifest.json"
BLOCK_BYTES = 2**22
RANK = re.compile(r"zero_pp_rank_(\d+)_")  # in the name of a file that each process writes


@dataclass(frozen=True)
class FileRecord:
    """A file of a checkpoint: its name, its bytes, and the XXH3 hash (128 bits) of what they are."""

    name: str
    size: int
    xxh3: str


@dataclass(frozen=True)
class Manifest:
    """What the files of a checkpoint must be."""

    step: int
    world_size: int
    files: tuple[FileRecord, ...]


class Damaged(Exception):
    """A checkpoint is not what was written; the message says which file, and how it shows."""


def checkpoints(home: Path) -> list[Path]:
    """The checkpoints in `home`, oldest first, damaged ones included."""
    return sorted(home.glob("step_*"))


def checkpoint_path(home: Path, step: int) -> Path:
    return home / f"step_{step:06d}"


def partial_path(home: Path, step: int) -> Path:
    """Where a checkpoint is written until it is whole."""
    return home / f"partial_{step:06d}"


def partials(home: Path) -> list[Path]:
    return sorted(home.glob("partial_*"))


def checkpoints_set_aside(home: Path) -> list[Path]:
    """Those that training went back from."""
    return sorted(home.glob("set_aside_*"))


def set_aside(checkpoint: Path) -> Path:
    """Give the name of a checkpoint up, so that training goes on from an older one; returns where it is now."""
    target = checkpoint.with_name(checkpoint.name.replace("step_", "set_aside_"))
    checkpoint.rename(target)
    return target


def remove(checkpoint: Path) -> None:
    """Delete one. Its name goes first: a process that is killed meanwhile leaves none that looks like a checkpoint."""
    unnamed = checkpoint.with_name(f"partial_{checkpoint.name.rpartition('_')[2]}")
    shutil.rmtree(unnamed, ignore_errors=True)
    checkpoint.rename(unnamed)
    shutil.rmtree(unnamed)


def record_file(path: Path) -> FileRecord:
    """Hash a file that was just written, and have the system put it on the disk."""
    record = FileRecord(path.name, path.stat().st_size, file_hash(path))
    sync(path)
    return record


def sync(path: Path) -> None:
    """Have the system put a file, or a directory's names, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def file_hash(path: Path) -> str:
    """Its XXH3, of 128 bits: not for secrets, but as fast as memory is read, which no hash for secrets is."""
    found = xxhash.xxh3_128()
    with open(path, "rb") as file:
        while block := file.read(BLOCK_BYTES):
            found.update(block)
    return found.hexdigest()


def write_manifest(directory: Path, step: int, world_size: int, files: Iterable[FileRecord]) -> None:
    """Say what the files of a checkpoint are, once all of them are written."""
    records = sorted((asdict(record) for record in files), key=lambda record: record["name"])
    body = {"format": FORMAT, "step": step, "world_size": world_size, "files": records}
    write_text(directory / MANIFEST, json.dumps({**body, "xxh3": _hash_of(body)}, indent=1) + "\n")
    sync(directory)


def _hash_of(body: dict) -> str:
    return xxhash.xxh3_128(json.dumps(body, sort_keys=True).encode()).hexdigest()


def read_manifest(checkpoint: Path) -> Manifest | None:
    """None where there is none: an older version of this code wrote the checkpoint.

    Raises:
        Damaged: it is not what was written.
    """
    try:
        body = json.loads((checkpoint / MANIFEST).read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:  # not UTF-8 or not JSON
        raise Damaged(f"{MANIFEST} cannot be read") from None
    if not isinstance(body, dict) or body.pop("xxh3", None) != _hash_of(body):
        raise Damaged(f"{MANIFEST} was changed since it was written")
    if body["format"] != FORMAT:
        raise Damaged(f"{MANIFEST} has format {body['format']}, of a later version of this code, which reads {FORMAT}")
    return Manifest(body["step"], body["world_size"], tuple(FileRecord(**record) for record in body["files"]))


def world_size(checkpoint: Path) -> int:
    """The number of processes that wrote it."""
    manifest = read_manifest(checkpoint)
    return manifest.world_size if manifest else len(list(checkpoint.glob("*_optim_states.pt")))


def damage(checkpoint: Path, part: int = 0, parts: int = 1) -> str | None:
    """What is wrong with a checkpoint, in words; None where it is whole.

    A checkpoint of an older version has no manifest. Its name says that it was written to the end, and its files carry
    checksums of torch's own, which are looked at instead.

    Args:
        part, parts: names and sizes are always looked at; of the contents every `parts`-th file from `part` on, so that
            processes can share the work. With `parts` 0 no content is read.
    """
    try:
        manifest = read_manifest(checkpoint)
        files = _present(checkpoint, manifest)
        for record in files[part::parts] if parts else ():
            _compare_content(checkpoint / record.name, record.xxh3)
    except Damaged as found:
        return str(found)
    return None


def _present(checkpoint: Path, manifest: Manifest | None) -> list[FileRecord]:
    """The files that must be there, which are, in their sizes."""
    if manifest is None:
        return _present_of_older(checkpoint)
    if checkpoint.name != checkpoint_path(checkpoint.parent, manifest.step).name:
        raise Damaged(f"{MANIFEST} is of step {manifest.step}")
    for record in manifest.files:
        file = checkpoint / record.name
        if not file.exists():
            raise Damaged(f"{record.name} is missing")
        if (size := file.stat().st_size) != record.size:
            raise Damaged(f"{record.name} has {size} bytes instead of {record.size}")
    return list(manifest.files)


def _present_of_older(checkpoint: Path) -> list[FileRecord]:
    """The files of a checkpoint without a manifest, of which some must be there; with no hash."""
    found = {path.name: path.stat().st_size for path in sorted(checkpoint.glob("*.pt"))}
    for kind in ("model_states.pt", "optim_states.pt"):
        if not any(name.endswith(kind) for name in found):
            raise Damaged(f"there is neither {MANIFEST} nor any *{kind}")
    ranks = sorted(int(of.group(1)) for name in found if (of := RANK.search(name)) and name.endswith("optim_states.pt"))
    if gaps := sorted(set(range(len(ranks))) - set(ranks)):
        raise Damaged(f"the *optim_states.pt of process {gaps[0]} is missing")
    if empty := [name for name, size in found.items() if not size]:
        raise Damaged(f"{empty[0]} is empty")
    return [FileRecord(name, size, "") for name, size in found.items()]


def _compare_content(file: Path, xxh3: str) -> None:
    if xxh3:
        if file_hash(file) != xxh3:
            raise Damaged(f"{file.name} was changed since it was written: its hash is another")
        return
    try:
        with zipfile.ZipFile(file) as archive:  # what torch.save writes
            broken = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError):
        raise Damaged(f"{file.name} was cut short or changed") from None
    if broken:
        raise Damaged(f"{file.name} was changed since it was written: its checksum is another")
