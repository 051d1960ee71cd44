"""Checkpoints on disk, and checks that they are complete. Imports no torch, because commands that only read use it too.

step_000010/         a checkpoint; it gets this name once all of it is written
  manifest.json      size and hash of every file, written last
partial_000010/      a checkpoint that is being written or removed, or that a killed process left incomplete
set_aside_000010/    a checkpoint that training went back from; it is removed when the next one is written
"""

from __future__ import annotations

import json
import re
import shutil
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import xxhash

from sweep.run.files import file_hash, sync, write_text

FORMAT = 1
MANIFEST = "manifest.json"
RANK = re.compile(r"zero_pp_rank_(\d+)_")  # the process in the name of the file that it writes


@dataclass(frozen=True)
class FileRecord:
    """A file of a checkpoint: its name, its size in bytes, and the XXH3 hash (128 bits) of its content."""

    name: str
    size: int
    xxh3: str


@dataclass(frozen=True)
class Manifest:
    """The expected files of a checkpoint."""

    step: int
    world_size: int
    files: tuple[FileRecord, ...]


class Damaged(Exception):
    """A checkpoint differs from what was written. The message names the file and the difference."""


def checkpoints(home: Path) -> list[Path]:
    """Return the checkpoints in `home`, oldest first, damaged ones included."""
    return sorted(home.glob("step_*"))


def checkpoint_path(home: Path, step: int) -> Path:
    """Return the path of the checkpoint of `step`."""
    return home / f"step_{step:06d}"


def partial_path(home: Path, step: int) -> Path:
    """Return the path where the checkpoint of `step` is written until it is complete."""
    return home / f"partial_{step:06d}"


def partials(home: Path) -> list[Path]:
    """Return the incomplete checkpoints in `home`, oldest first."""
    return sorted(home.glob("partial_*"))


def checkpoints_set_aside(home: Path) -> list[Path]:
    """Return the checkpoints in `home` that training went back from, oldest first."""
    return sorted(home.glob("set_aside_*"))


def set_aside(checkpoint: Path) -> Path:
    """Rename a checkpoint so that training goes on from an older one; return its new path."""
    target = checkpoint.with_name(checkpoint.name.replace("step_", "set_aside_"))
    checkpoint.rename(target)
    return target


def remove(checkpoint: Path) -> None:
    """Delete a checkpoint. It is renamed first, so that a process that is killed meanwhile leaves no incomplete
    checkpoint.
    """
    unnamed = checkpoint.with_name(f"partial_{checkpoint.name.rpartition('_')[2]}")
    shutil.rmtree(unnamed, ignore_errors=True)
    checkpoint.rename(unnamed)
    shutil.rmtree(unnamed)


def record_file(path: Path) -> FileRecord:
    """Hash a file that was just written, flush it to the disk, and return its record."""
    record = FileRecord(path.name, path.stat().st_size, file_hash(path))
    sync(path)
    return record


def write_manifest(directory: Path, step: int, world_size: int, files: Iterable[FileRecord]) -> None:
    """Write the manifest of a checkpoint, once all its files are written."""
    records = sorted((asdict(record) for record in files), key=lambda record: record["name"])
    body = {"format": FORMAT, "step": step, "world_size": world_size, "files": records}
    write_text(directory / MANIFEST, json.dumps({**body, "xxh3": _hash_of(body)}, indent=1) + "\n")
    sync(directory)


def _hash_of(body: dict) -> str:
    return xxhash.xxh3_128(json.dumps(body, sort_keys=True).encode()).hexdigest()


def read_manifest(checkpoint: Path) -> Manifest | None:
    """Return the manifest, or None if there is none, because an older version of this code wrote the checkpoint.

    Raises:
        Damaged: the manifest is not what was written.
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
    """Return the number of processes that wrote the checkpoint."""
    manifest = read_manifest(checkpoint)
    return manifest.world_size if manifest else len(list(checkpoint.glob("*_optim_states.pt")))


def damage(checkpoint: Path, part: int = 0, parts: int = 1) -> str | None:
    """Return a description of the damage to a checkpoint; None if it is intact.

    A checkpoint of an older version has no manifest. Its name shows that it was written to the end, and its files carry
    torch's own checksums, which are checked instead.

    Args:
        part, parts: names and sizes of all files are checked; the contents only of every `parts`-th file from `part`
            on, so that processes can share the work. With `parts` 0 no content is read.
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
    """Check that all files exist and have their sizes, and return them."""
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
    """Check that a checkpoint without a manifest has its files, and return them without hashes."""
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
