"""A run directory, which explains itself:

config.yaml      the frozen, resolved configuration; jobs read only this
signature.json   the signature and what it was computed from
provenance.json  code, package versions and the model's hub commit, of the latest attempt
state.json       state, step, reward, accuracy, seconds a step, last error
metrics.jsonl    a row a step
samples.jsonl    responses with their rewards
checkpoints/     step_N/ (DeepSpeed) while training
final/           the trained weights, as transformers loads them
result.json      accuracy and behaviour at the end; written last
log.txt          what the job said, tracebacks included
attempts/        submitit's files of every attempt
lock             held by the process that works here
"""

from __future__ import annotations

import fcntl
import time
from contextlib import contextmanager
from pathlib import Path

import yaml

from sweep.errors import UserError
from sweep.run.config import CellConfig
from sweep.run.files import read_json, read_rows, write_json, write_text

# What a job writes into state.json; `status` derives the others (queued, blocked, and running without a process).
RUNNING, DONE, FAILED, INTERRUPTED = "running", "done", "failed", "interrupted"


class RunDirectory:
    """Paths and state of one run (a cell's training or a stage)."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.config = self.path / "config.yaml"
        self._signature = self.path / "signature.json"
        self.provenance = self.path / "provenance.json"
        self.metrics = self.path / "metrics.jsonl"
        self.samples = self.path / "samples.jsonl"
        self.checkpoints = self.path / "checkpoints"
        self.final = self.path / "final"
        self.result = self.path / "result.json"
        self.log = self.path / "log.txt"
        self.attempts = self.path / "attempts"
        self._state = self.path / "state.json"
        self._lock = self.path / "lock"

    def freeze(self, config: CellConfig, signature: str, identity: dict) -> None:
        """Write the configuration that the next attempt will read, creating the directory."""
        self.attempts.mkdir(parents=True, exist_ok=True)
        write_json(self._signature, {"signature": signature, "identity": identity})
        write_text(self.config, yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True))

    def read_config(self) -> CellConfig:
        return CellConfig.model_validate(yaml.safe_load(self.config.read_text()))

    @property
    def signature(self) -> str:
        return read_json(self._signature)["signature"]

    def read_state(self) -> dict:
        """The last state written; {} before the first attempt."""
        return read_json(self._state) or {}

    def write_state(self, **changes) -> None:
        """Merge `changes` into the state, atomically."""
        write_json(self._state, {**self.read_state(), **changes, "updated": time.time()})

    def add_provenance(self, **facts) -> None:
        """Merge `facts` into what is recorded of the attempt's code, packages and files."""
        write_json(self.provenance, {**(read_json(self.provenance) or {}), **facts})

    @property
    def model_commit(self) -> str | None:
        """The hub commit that an earlier attempt loaded."""
        return ((read_json(self.provenance) or {}).get("model") or {}).get("commit")

    def read_result(self) -> dict | None:
        return read_json(self.result)

    def read_metrics(self) -> list[dict]:
        return read_rows(self.metrics)

    @contextmanager
    def exclusive(self):
        """Hold the lock for as long as the process works here; the kernel lets go when it dies.

        Raises:
            UserError: another live process holds it.
        """
        with open(self._lock, "a") as handle:
            for attempt in range(10):
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if attempt == 9:
                        raise UserError(f"{self.path}: another process works on this run") from None
                    time.sleep(0.2)
            yield

    @property
    def alive(self) -> bool:
        """Whether some process holds the lock (shared here, so that two readers never see each other)."""
        if not self._lock.exists():
            return False
        with open(self._lock, "a") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False
