"""Find a model's files: download them from the hub once, or find them on this machine. Imports no torch.

All files that a job needs are fetched together, so that jobs need no network after `python -m sweep prefetch`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

from models.config import ModelConfig, is_local

# Weights as safetensors, configuration, tokenizer. Other formats of the same weights are not downloaded.
PATTERNS = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]
LEFT_OUT = ["*/*"]
SAMPLED_BYTES, SAMPLES = 2**20, 64


def is_gguf(path: str) -> bool:
    """Return True if `path` names a GGUF file."""
    return path.endswith(".gguf")


def fetch(config: ModelConfig) -> Path:
    """Return the directory (or GGUF file) of a model that is not a mini; download it if necessary.

    Raises:
        ValueError: there is no such file, repository or revision, it is gated, or there is no network. The message says
            what to do.
    """
    if is_local(config.path):
        path = Path(config.path)
        if not path.exists():
            raise ValueError(f"model.path={config.path}: no such file or directory")
        return path
    place = fetch_repository(config.path, config.revision, "model", patterns=PATTERNS, left_out=LEFT_OUT)
    if not list(place.glob("*.safetensors")):
        place = fetch_repository(
            config.path, config.revision, "model", patterns=[*PATTERNS, "*.bin"], left_out=LEFT_OUT
        )
    if not [*place.glob("*.safetensors"), *place.glob("*.bin")]:
        raise ValueError(f"model.path={config.path}: the repository holds no weights that transformers loads")
    return place


def fetch_repository(
    repository: str,
    revision: str | None,
    kind: Literal["model", "dataset"],
    *,
    key: str = "model",
    patterns: list[str] | None = None,
    left_out: list[str] | None = None,
) -> Path:
    """Return the directory of a hub repository's snapshot in the cache; download it if necessary.

    Jobs that start together share huggingface_hub's cache and its locks, so each file is downloaded once.

    Args:
        key: the part of the configuration that names the repository, for messages.
        patterns, left_out: glob patterns of files to download and to leave; None for all files and for none.
    Raises:
        ValueError: it cannot be downloaded. The message says what to do.
    """
    from huggingface_hub import constants, errors, snapshot_download

    page = f"https://huggingface.co/{'datasets/' if kind == 'dataset' else ''}{repository}"
    options = {"repo_type": kind, "allow_patterns": patterns, "ignore_patterns": left_out}
    try:
        return Path(snapshot_download(repository, revision=revision, **options))
    except errors.GatedRepoError:
        reason = (
            f"is gated: accept its licence on {page}, then set HF_TOKEN or run `hf auth login` where you launch or "
            "prefetch"
        )
    except errors.RevisionNotFoundError:
        reason = f"has no revision {revision!r}; set {key}.revision to a branch, tag or commit of it, or to main"
    except errors.RepositoryNotFoundError:
        reason = "is not on the hub, or private: check the spelling, or set HF_TOKEN for a private repository"
    except errors.LocalEntryNotFoundError as error:
        offline = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else "the hub did not answer"
        why = f" ({error.__cause__})" if error.__cause__ else ""
        reason = (
            f"(revision {revision}) is not in the cache ({constants.HF_HUB_CACHE}) and {offline}{why}: run `python -m "
            f"sweep prefetch` with the same overrides where there is a network, or set {key}.path to a local file"
        )
    except (errors.HTTPError, OSError, ValueError) as error:
        reason = f"cannot be fetched: {type(error).__name__}: {error}"
    raise ValueError(f"{key}.path={repository}: {reason}")


def commit_of(directory: Path) -> str | None:
    """Return the hub commit of a fetched directory; None for files that are not from the hub."""
    return directory.name if directory.parent.name == "snapshots" else None


def content_hash(path: Path) -> str:
    """Return a hash of a local model's files: of all bytes of small files, of 64 samples of 1 MiB and the size of large
    ones.

    Sampling keeps planning fast. Training changes every weight, so two different models do not agree on all samples.
    """
    digest = hashlib.blake2b(digest_size=16)
    files = [path] if path.is_file() else sorted(f for f in path.rglob("*") if f.is_file() and f.name[0] != ".")
    for file in files:
        size = file.stat().st_size
        name = "" if file == path else file.name  # the name of a single file is not part of its content
        digest.update(f"{name}\0{size}\0".encode())
        with open(file, "rb") as handle:
            stride = max(SAMPLED_BYTES, size // SAMPLES)
            for start in range(0, size, stride):
                handle.seek(start)
                digest.update(handle.read(SAMPLED_BYTES))
    return digest.hexdigest()
