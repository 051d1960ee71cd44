"""Hashes of what a finished run left behind, and what differs between two of them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

MEASURED = ("timing_s/", "perf/", "memory_gb/")  # columns that no two runs share
Digest = dict[str, dict[str, str]]  # part of a run → column → hash


def digest(run: Path) -> Digest:
    """Hashes of everything a finished run says, by part and column."""
    return {
        "weights": _weights(run / "final"),
        "result": _columns([json.loads((run / "result.json").read_text())]),
        "samples": _columns(_rows(run / "samples.jsonl")),
        "metrics": _columns(_rows(run / "metrics.jsonl")),
    }


def differences(before: Digest, after: Digest) -> list[str]:
    """What changed between two digests of a cell, in words; empty where nothing did."""
    found = []
    for part, columns in before.items():
        other = after[part]
        for words, names in (
            ("changed", [c for c in columns if c in other and columns[c] != other[c]]),
            ("gone", [c for c in columns if c not in other]),
            ("new", [c for c in other if c not in columns]),
        ):
            if names:
                found.append(f"{part} {words}: {', '.join(sorted(names))}")
    return found


def _weights(directory: Path) -> dict[str, str]:
    import torch
    from safetensors.torch import load_file

    return {
        name: _hash(f"{tensor.dtype}{tuple(tensor.shape)}".encode(), tensor.view(torch.uint8).numpy().tobytes())
        for file in sorted(directory.glob("*.safetensors"))
        for name, tensor in load_file(file).items()
    }


def _columns(rows: list[dict]) -> dict[str, str]:
    """A hash of each column's values; a row that lacks a column says so in its hash."""
    names = sorted({name for row in rows for name in row if not name.startswith(MEASURED)})
    absent = "absent"
    return {name: _hash(json.dumps([row.get(name, absent) for row in rows]).encode()) for name in names}


def _rows(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def _hash(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
