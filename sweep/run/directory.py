"""A run directory, which explains itself:

config.yaml      the frozen, resolved configuration; jobs read only this
signature.json   the signature and what it was computed from; how the run evaluates
provenance.json  code, package versions, the model's hub commit and the seconds of its start, of the latest attempt
state.json       state, step, reward, accuracy, seconds a step, last error: sweep.run.state names every key
metrics.jsonl    a row a step
samples.jsonl    all answers of a few groups a step, with their rewards
checkpoints/     step_N/ (DeepSpeed) while training
final/           the trained weights, as transformers loads them
result.json      accuracy and behaviour at the end; written last
wandb.json       the ids under which W&B knows the run, the current one last
labels.jsonl     of a label stage: a row for each training problem
not_finite_step_N.json  the batch of a step that was given up because a number was not finite
log.txt          what the job said, tracebacks included
attempts/        submitit's files of every attempt
ranks/           where each process of the latest attempt is: sweep.run.ranks
lock             held by the process that works here
heartbeat        touched by that process while it lives, wherever it runs
reserve          room on the disk for the last state of a living attempt, which must be written when all else is full

Its own name is NAME-SIGNATURE, and it lies in `cells/` (trainings) or `stages/` of an output directory.
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

import yaml

from sweep.config.cell import CellConfig, of_today
from sweep.errors import UserError
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
DEAD_SECONDS = 120  # without a heartbeat a process on another machine counts as gone
RESERVE_BYTES = 2**16  # a state takes a few thousand; the rest is for the log's last lines


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's, which is ten times as fast, where it is installed


@lru_cache(maxsize=4096)
def _yaml(name: str, value: str) -> str:
    """One section as YAML, from JSON. The cells of a sweep share most of theirs, and each takes milliseconds."""
    return yaml.safe_dump({name: json.loads(value)}, sort_keys=False, allow_unicode=True)


def run_directory(root: Path, kind: str, name: str, sign: str) -> Path:
    """Where the run `sign` of the output directory `root` lies; `kind`: CELLS or STAGES."""
    return root / kind / f"{name}-{sign}"


def run_directories(root: Path, *kinds: str) -> list[RunDirectory]:
    """Every run directory of the output directory `root`, or only those of the `kinds`."""
    found = [path for kind in kinds or (CELLS, STAGES) for path in sorted((root / kind).glob("*"))]
    return [RunDirectory(path) for path in found if path.is_dir()]


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
        """What the run is called, without its signature."""
        return self.path.name.rpartition("-")[0]

    @property
    def sign(self) -> str:
        """The signature that the directory's name ends with; `signature` is the recorded one."""
        return self.path.name.rpartition("-")[2]

    def not_finite(self, step: int) -> Path:
        """Where the batch of a step is left in which a number was not finite."""
        return self.path / f"not_finite_step_{step:06d}.json"

    def meeting(self) -> Path:
        """A new file in which the processes of an attempt find each other."""
        return self.attempts / f"meeting-{uuid.uuid4().hex}.json"

    def error_files(self) -> list[Path]:
        """What the processes of each attempt on this machine wrote to their standard error."""
        return sorted(self.attempts.glob("*_log.err"))

    def unfinished(self) -> list[Path]:
        """What processes that died were about to write; a live one may still be at it."""
        return sorted(self.path.glob(f".*{PARTIAL}"))

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
        """The frozen configuration, whatever version of the code froze it."""
        return CellConfig.model_validate(of_today(yaml.load(self.config.read_text(), Loader=_LOADER)))

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

    def read_state(self) -> RunState:
        """The last state written; where none was, one of the defaults."""
        return RunState.model_validate(read_json(self._state) or {})

    def write_state(self, add: Mapping[str, float] | None = None, **changes) -> None:
        """Merge `changes`, which are fields of RunState, into the state; whoever else writes at the same time waits.

        Args:
            add: amounts, by their names in sweep.run.costs, that are added to what the latest attempt has spent.
        """
        with locked(self._state_lock):
            write_text(self._state, self._changed_state(changes, add or {}))

    def set_room_aside(self) -> None:
        """Make sure of the room for the state that `write_last_state` writes."""
        set_aside(self._reserve, RESERVE_BYTES)

    def write_last_state(self, **changes) -> None:
        """Write the state that an attempt ends with: on a full disk, too, into the room that was set aside for it."""
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
        """The content of state.json with `changes`, and with the amounts `add` added to the latest attempt's."""
        if unknown := changes.keys() - RunState.model_fields.keys():
            raise TypeError(f"no such field of a run's state: {', '.join(sorted(unknown))}")
        merged = (read_json(self._state) or {}) | changes | {"updated": time.time()}
        if add:
            *earlier, latest = RunState.model_validate(merged).spent
            merged["spent"] = [*earlier, latest.plus(**add)]
        return as_json(merged | RunState.model_validate(merged).model_dump(mode="json", include=set(merged)))

    def signal(self, number: int) -> bool:
        """Send a signal to the process that works here; False where it is gone.

        Raises:
            UserError: it runs on another machine, or which process it is was not recorded.
        """
        state = self.read_state()
        if state.host != platform.node():
            raise UserError(f"{self.path.name}: runs on {state.host or 'an unknown machine'}; give the command there")
        if state.pid is None or state.process_started is None:
            raise UserError(f"{self.path.name}: its process was started by an older version; stop process {state.pid}")
        return send(number, state.pid, state.process_started)

    def add_provenance(self, **facts) -> None:
        """Merge `facts` into what is recorded of the attempt's code, packages and files."""
        write_json(self.provenance, {**self.read_provenance(), **facts})

    def read_provenance(self) -> dict:
        """What is recorded of the latest attempt's code, packages and files; {} before the first."""
        return read_json(self.provenance) or {}

    @property
    def model_commit(self) -> str | None:
        """The hub commit that an earlier attempt loaded."""
        return (self.read_provenance().get("model") or {}).get("commit")

    def read_result(self) -> dict | None:
        return read_json(self.result)

    def read_metrics(self) -> list[dict]:
        return [*read_rows(self.metrics)]

    @contextmanager
    def exclusive(self) -> Iterator[float | None]:
        """Hold the lock for as long as the process works here, and let the heart beat; the kernel lets go at its death.

        Yields when the heart of an earlier process last beat, in seconds since 1970; None where there was none.

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
            with suppress(OSError):  # of a disk that may take it again; what the run itself writes raises the same
                self._heartbeat.touch()
            if ended.wait(HEARTBEAT_SECONDS):
                return

    def last_heartbeat(self) -> float | None:
        """When the heart last beat, in seconds since 1970; None where it never did."""
        try:
            return self._heartbeat.stat().st_mtime
        except FileNotFoundError:
            return None

    def heartbeat_age(self) -> float | None:
        """Seconds since the last heartbeat; None where there was none."""
        last = self.last_heartbeat()
        return None if last is None else time.time() - last

    @property
    def alive(self) -> bool:
        """Whether some process works here: it holds the lock, or its heart beats on another machine."""
        host = self.read_state().host
        if host is not None and host != platform.node():
            age = self.heartbeat_age()
            return age is not None and age < DEAD_SECONDS
        if not self._lock.exists():
            return False
        with open(self._lock) as handle:  # to read, as the disk may be read-only or somebody else's
            try:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two readers never see each other
            except BlockingIOError:
                return True
            except OSError as error:
                if error.errno not in NO_LOCKS:
                    raise
                return (self.heartbeat_age() or DEAD_SECONDS) < DEAD_SECONDS
        return False
