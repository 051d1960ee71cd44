"""A run directory, which explains itself:

config.yaml      the frozen, resolved configuration; jobs read only this
signature.json   the signature and what it was computed from; how the run evaluates
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
heartbeat        touched by that process while it lives, wherever it runs
"""

from __future__ import annotations

import errno
import fcntl
import json
import platform
import threading
import time
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import yaml

from sweep.errors import UserError
from sweep.run.config import CellConfig
from sweep.run.files import read_json, read_rows, write_json, write_text
from sweep.run.identity import signature

# What a job writes into state.json; `status` derives the others (queued, blocked, and running without a process).
RUNNING, DONE, FAILED, INTERRUPTED = "running", "done", "failed", "interrupted"
HEARTBEAT_SECONDS = 15
DEAD_SECONDS = 120  # without a heartbeat a process on another machine counts as gone
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # a network file system that was mounted without them


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's, which is ten times as fast, where it is installed


@lru_cache(maxsize=4096)
def _yaml(name: str, value: str) -> str:
    """One section as YAML, from JSON. The cells of a sweep share most of theirs, and each takes milliseconds."""
    return yaml.safe_dump({name: json.loads(value)}, sort_keys=False, allow_unicode=True)


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
        self._heartbeat = self.path / "heartbeat"

    def freeze(self, config: CellConfig, sign: str, identity: dict, evaluation: dict) -> None:
        """Write the configuration that the next attempt will read, creating the directory.

        Args:
            sign: the signature.
            identity: what the signature is the hash of.
            evaluation: the identity of the evaluation that the run carries out; {} where it carries out none.
        """
        self.attempts.mkdir(parents=True, exist_ok=True)
        write_json(self._signature, {"signature": sign, "identity": identity, "evaluation": evaluation})
        sections = config.model_dump(mode="json").items()
        write_text(self.config, "".join(_yaml(name, json.dumps(value)) for name, value in sections))

    def read_config(self) -> CellConfig:
        return CellConfig.model_validate(yaml.load(self.config.read_text(), Loader=_LOADER))

    @property
    def signature(self) -> str:
        return read_json(self._signature)["signature"]

    @property
    def identity(self) -> dict | None:
        """What the signature was computed from; None before the run is frozen."""
        return (read_json(self._signature) or {}).get("identity")

    @property
    def evaluation(self) -> dict | None:
        """The identity of the evaluation that the run carries out; None where it carries out none, or none is known."""
        return (read_json(self._signature) or {}).get("evaluation") or None

    @property
    def evaluation_signature(self) -> str | None:
        """The name of that evaluation in results and metrics rows."""
        return self.evaluation and signature(self.evaluation)

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
        """Hold the lock for as long as the process works here, and let the heart beat; the kernel lets go at its death.

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
                except OSError as error:
                    if error.errno not in NO_LOCKS:  # claims (sweep.run.claims) hold without locks, too
                        raise
                    break
            ended = threading.Event()
            heart = threading.Thread(target=self._beat, args=(ended,), daemon=True)
            heart.start()
            try:
                yield
            finally:
                ended.set()
                heart.join()

    def _beat(self, ended: threading.Event) -> None:
        self._heartbeat.touch()
        while not ended.wait(HEARTBEAT_SECONDS):
            self._heartbeat.touch()

    def heartbeat_age(self) -> float | None:
        """Seconds since the last heartbeat; None where there was none."""
        try:
            return time.time() - self._heartbeat.stat().st_mtime
        except FileNotFoundError:
            return None

    @property
    def alive(self) -> bool:
        """Whether some process works here: it holds the lock, or its heart beats on another machine."""
        host = self.read_state().get("host")
        if host is not None and host != platform.node():
            age = self.heartbeat_age()
            return age is not None and age < DEAD_SECONDS
        if not self._lock.exists():
            return False
        with open(self._lock, "a") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two readers never see each other
            except BlockingIOError:
                return True
            except OSError as error:
                if error.errno not in NO_LOCKS:
                    raise
                return (self.heartbeat_age() or DEAD_SECONDS) < DEAD_SECONDS
        return False
