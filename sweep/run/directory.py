"""A run directory. All facts about a run are in its files:

config.yaml      the frozen, resolved configuration; jobs read only this
signature.json   the signature and the identity it is computed from; the identities of the run's evaluations
provenance.json  of the latest attempt: code, package versions, the model's hub commit, the seconds of its start
state.json       state, step, reward, accuracy, seconds a step, last error: sweep.run.state describes every key
metrics.jsonl    a row a step
samples.jsonl    all answers of a few groups a step, with their rewards
responses/       part-FIRST-LAST.parquet: a row for every response of these steps: sweep.run.responses
checkpoints/     step_N/ (DeepSpeed) while training
weights/         step_N/: the weights after chosen steps, in the format of transformers
final/           the trained weights, in the same format
result.json      accuracy and behaviour at the end; written last
wandb.json       the ids under which W&B has the run, the current one last
labels.jsonl     in a label stage: a row for each training problem
not_finite_step_N.json  the batch of a step that was abandoned because a number was not finite
log.txt          the job's log, with tracebacks
attempts/        submitit's files of every attempt
ranks/           the present phase of each process of the latest attempt: sweep.run.ranks
lock             locked by the process that works on the run
heartbeat        touched regularly by that process, on whichever machine it runs
reserve          room on the disk for the last state of an attempt, which must be written even on a full disk

The directory is called NAME-SIGNATURE, and lies in `cells/` (trainings) or `stages/` of an output directory.
"""

from __future__ import annotations

import fcntl
import json
import platform
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from sweep.config.cell import CellConfig
from sweep.config.keys import OF_OLDER_VERSIONS, of_today
from sweep.errors import DamagedFile, UserError
from sweep.run.files import (
    NO_LOCKS,
    PARTIAL,
    as_json,
    locked,
    read_json,
    set_aside,
    write_into,
    write_json,
    write_text,
)
from sweep.run.identity import signature
from sweep.run.process import send
from sweep.run.series import read_rows
from sweep.run.state import RunState
from sweep.run.unwritable import FULL

CELLS, STAGES = "cells", "stages"
HEARTBEAT_SECONDS = 15
DEAD_SECONDS = 120  # after so long without a heartbeat, a process on another machine counts as gone
RESERVE_BYTES = 2**16  # a state has a few thousand bytes; the rest is for the log's last lines


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's loader, if installed, is ten times as fast


@lru_cache(maxsize=4096)
def _yaml(name: str, value: str) -> str:
    """Return one section as YAML, from JSON. It is cached, because cells share most sections and each takes
    milliseconds.
    """
    return yaml.safe_dump({name: json.loads(value)}, sort_keys=False, allow_unicode=True)


def run_directory(root: Path, kind: str, name: str, sign: str) -> Path:
    """Return the directory of the run with signature `sign` in the output directory `root`; `kind`: CELLS or STAGES."""
    return root / kind / f"{name}-{sign}"


def run_directories(root: Path, *kinds: str) -> list[RunDirectory]:
    """Return every run directory of the output directory `root`, or only those of the `kinds`."""
    found = [path for kind in kinds or (CELLS, STAGES) for path in sorted((root / kind).glob("*"))]
    return [RunDirectory(path) for path in found if path.is_dir()]


class RunDirectory:
    """The paths, records and state of one run (a cell's training or a stage)."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config = self.path / "config.yaml"
        self._signature = self.path / "signature.json"
        self.provenance = self.path / "provenance.json"
        self.metrics = self.path / "metrics.jsonl"
        self.samples = self.path / "samples.jsonl"
        self.responses = self.path / "responses"
        self.checkpoints = self.path / "checkpoints"
        self.weights = self.path / "weights"
        self.final = self.path / "final"
        self.result = self.path / "result.json"
        self.log = self.path / "log.txt"
        self.wandb_ids = self.path / "wandb.json"
        self.sending = self.path / ".wandb.lock"  # held by the one process that sends the run's rows to W&B
        self.attempts = self.path / "attempts"
        self.labels = self.path / "labels.jsonl"
        self.ranks = self.path / "ranks"
        self.starting = self.attempts / ".starting.lock"  # held by the launch on this machine that starts the run
        self._state = self.path / "state.json"
        self._state_lock = self.path / ".state.lock"
        self._lock = self.path / "lock"
        self._heartbeat = self.path / "heartbeat"
        self._reserve = self.path / "reserve"

    @property
    def root(self) -> Path:
        """The output directory that the run belongs to; other runs are named relative to it."""
        return self.path.parents[1]

    @property
    def name(self) -> str:
        """The run's name without its signature."""
        return self.path.name.rpartition("-")[0]

    @property
    def sign(self) -> str:
        """The signature that the directory's name ends with; `signature` is the recorded one."""
        return self.path.name.rpartition("-")[2]

    def not_finite(self, step: int) -> Path:
        """Return the file for the batch of a step in which a number was not finite."""
        return self.path / f"not_finite_step_{step:06d}.json"

    def meeting(self) -> Path:
        """Return a new file in which the processes of an attempt exchange addresses."""
        return self.attempts / f"meeting-{uuid.uuid4().hex}.json"

    def error_files(self) -> list[Path]:
        """Return the files with the standard error of the processes of every attempt on this machine."""
        return sorted(self.attempts.glob("*_log.err"))

    def unfinished(self) -> list[Path]:
        """Return partly written files. A process that died left them, or a live one is still writing."""
        return sorted((*self.path.glob(f".*{PARTIAL}"), *self.responses.glob(f".*{PARTIAL}")))

    def freeze(self, config: CellConfig, sign: str, identity: dict, evaluations: Mapping[str, dict]) -> None:
        """Write the configuration that the next attempt will read; create the directory if necessary.

        Args:
            sign: the signature.
            identity: the dictionary that the signature is the hash of.
            evaluations: the identity of the run's evaluation by each benchmark, by its name; {} if it has none.
        """
        self.attempts.mkdir(parents=True, exist_ok=True)
        first: dict = next(iter(evaluations.values()), {})
        recorded = {"signature": sign, "identity": identity, "evaluation": first, "benchmarks": dict(evaluations)}
        write_json(self._signature, recorded)
        sections = config.model_dump(mode="json").items()
        write_text(self.config, "".join(_yaml(name, json.dumps(value)) for name, value in sections))

    def read_config(self) -> CellConfig:
        """Return the frozen configuration, also if an older version of the code wrote it.

        Raises:
            DamagedFile: the file holds none, as a power failure can leave it.
        """
        try:
            found = yaml.load(self.config.read_bytes(), Loader=_LOADER)
        except yaml.YAMLError as error:
            why = next(iter(str(error).splitlines()), "")
            raise DamagedFile(f"{self.config}: damaged, as it holds no YAML ({why}); put a copy of it back") from None
        if not isinstance(found, dict):
            raise DamagedFile(f"{self.config}: damaged, as it holds no configuration; put a copy of it back")
        return CellConfig.model_validate(of_today(found))

    @property
    def signature(self) -> str:
        """The recorded signature of the run."""
        return read_json(self._signature)["signature"]

    @property
    def identity(self) -> dict | None:
        """The dictionary that the signature was computed from; None before the run is frozen."""
        return (read_json(self._signature) or {}).get("identity")

    @property
    def evaluation(self) -> dict | None:
        """The identity of the run's evaluation by its first benchmark; None if it has none, or none is known."""
        return (read_json(self._signature) or {}).get("evaluation") or None

    @property
    def evaluations(self) -> dict[str, dict]:
        """The identity of the run's evaluation by each benchmark, by its name; {} if it has none, or none is known.

        Runs of older versions have one evaluation, and their benchmark is called as in `sweep.config.keys.of_today`.
        """
        recorded = read_json(self._signature) or {}
        if "benchmarks" in recorded or not recorded.get("evaluation"):
            return recorded.get("benchmarks", {})
        return {OF_OLDER_VERSIONS: recorded["evaluation"]}

    @property
    def evaluation_signature(self) -> str | None:
        """The signature of its evaluation by its first benchmark, which results and metrics rows name; None if none."""
        return signature(self.evaluation) if self.evaluation else None

    def read_state(self) -> RunState:
        """Return the last state that was written, or the default state if there is none."""
        return RunState.model_validate(read_json(self._state) or {})

    def write_state(self, add: Mapping[str, float] | None = None, **changes: Any) -> None:
        """Merge `changes`, which are fields of RunState, into the state. Other writers wait meanwhile.

        Args:
            add: amounts, named as in sweep.run.costs.AMOUNTS, to add to the cost of the latest attempt.
        """
        with locked(self._state_lock):
            write_text(self._state, self._changed_state(changes, add or {}))

    def set_room_aside(self) -> None:
        """Reserve room on the disk for the state that `write_last_state` writes."""
        set_aside(self._reserve, RESERVE_BYTES)

    def write_last_state(self, **changes: Any) -> None:
        """Write the state that an attempt ends with. On a full disk it goes into the room that was reserved for it."""
        with locked(self._state_lock):
            text = self._changed_state(changes)
            try:
                write_text(self._state, text)
            except OSError as error:
                if error.errno not in FULL or not self._reserve.exists():
                    raise
                write_into(self._reserve, self._state, text)
        self._reserve.unlink(missing_ok=True)

    def _changed_state(self, changes: dict, add: Mapping[str, float] = MappingProxyType({})) -> str:
        """Return the content of state.json with `changes`, and with the amounts `add` added to the latest attempt's
        cost.
        """
        if unknown := changes.keys() - RunState.model_fields.keys():
            raise TypeError(f"no such field of a run's state: {', '.join(sorted(unknown))}")
        merged = (read_json(self._state) or {}) | changes | {"updated": time.time()}
        if add:
            *earlier, latest = RunState.model_validate(merged).spent
            merged["spent"] = [*earlier, latest.plus(**add)]
        return as_json(merged | RunState.model_validate(merged).model_dump(mode="json", include=set(merged)))

    def signal(self, number: int) -> bool:
        """Send a signal to the process that works on the run. Return False if it is gone.

        Raises:
            UserError: it runs on another machine, or its start time was not recorded.
        """
        state = self.read_state()
        if state.host != platform.node():
            raise UserError(f"{self.path.name}: runs on {state.host or 'an unknown machine'}; give the command there")
        if state.pid is None or state.process_started is None:
            raise UserError(f"{self.path.name}: its process was started by an older version; stop process {state.pid}")
        return send(number, state.pid, state.process_started)

    def add_provenance(self, **facts: Any) -> None:
        """Merge `facts` into the record of the attempt's code, packages and files."""
        write_json(self.provenance, {**self.read_provenance(), **facts})

    def read_provenance(self) -> dict:
        """Return the record of the latest attempt's code, packages and files; {} before the first attempt."""
        return read_json(self.provenance) or {}

    @property
    def model_commit(self) -> str | None:
        """The hub commit that an earlier attempt loaded, or None."""
        return (self.read_provenance().get("model") or {}).get("commit")

    def read_result(self) -> dict | None:
        """Return the final result, or None before the run is done."""
        return read_json(self.result)

    def read_metrics(self) -> list[dict]:
        """Return all rows of metrics.jsonl."""
        return [*read_rows(self.metrics)]

    @contextmanager
    def exclusive(self) -> Iterator[float | None]:
        """Hold the run's lock and write heartbeats while the process works. The kernel releases the lock if the process
        dies.

        Yields the time of an earlier process's last heartbeat, in seconds since 1970; None if there was none.

        Raises:
            UserError: another live process holds the lock.
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
                    if error.errno not in NO_LOCKS:  # without locks, claims (sweep.run.claims) still protect the run
                        raise
                    break
            earlier, ended = self.last_heartbeat(), threading.Event()
            heart = threading.Thread(target=self._beat, args=(ended,), daemon=True)
            heart.start()
            try:
                yield earlier
            finally:
                ended.set()
                heart.join()

    def _beat(self, ended: threading.Event) -> None:
        while True:
            with suppress(OSError):  # a full disk may get room again; the run's own writes raise the same error
                self._heartbeat.touch()
            if ended.wait(HEARTBEAT_SECONDS):
                return

    def last_heartbeat(self) -> float | None:
        """Return the time of the last heartbeat, in seconds since 1970; None if there was none."""
        try:
            return self._heartbeat.stat().st_mtime
        except FileNotFoundError:
            return None

    def heartbeat_age(self) -> float | None:
        """Return the seconds since the last heartbeat; None if there was none."""
        last = self.last_heartbeat()
        return None if last is None else time.time() - last

    @property
    def alive(self) -> bool:
        """True if a process works on the run: it holds the lock, or a recent heartbeat came from another machine."""
        host = self.read_state().host
        if host is not None and host != platform.node():
            age = self.heartbeat_age()
            return age is not None and age < DEAD_SECONDS
        if not self._lock.exists():
            return False
        with open(self._lock) as handle:  # for reading, because the disk may be read-only or another user's
            try:
                fcntl.flock(
                    handle, fcntl.LOCK_SH | fcntl.LOCK_NB
                )  # a shared lock, so that readers do not exclude each other
            except BlockingIOError:
                return True
            except OSError as error:
                if error.errno not in NO_LOCKS:
                    raise
                return (self.heartbeat_age() or DEAD_SECONDS) < DEAD_SECONDS
        return False
