"""Act on a sweep's runs after their launch: read their logs, cancel them and retry them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import OmegaConf
from pydantic import ValidationError

from sweep.config.cell import CellConfig
from sweep.dispatch.backend import Backend
from sweep.dispatch.backends import backend_of, holder_of
from sweep.dispatch.environment import with_environment
from sweep.dispatch.select import Run, runs, select
from sweep.dispatch.states import look
from sweep.dispatch.submit import Submitted
from sweep.errors import UserError, without_secrets
from sweep.plan.explain import explain_validation
from sweep.plan.frozen import is_of_one_benchmark, put
from sweep.plan.overrides import is_decided_at_launch, parse, reader_of
from sweep.plan.signature import benchmark_identities, training_identity
from sweep.plan.task import Task
from sweep.plan.unread import unread, why_unread
from sweep.run.claims import latest_claim, read_submission
from sweep.run.directory import RunDirectory
from sweep.run.identity import stale
from sweep.run.ledger import Sweep
from sweep.run.state import ACTIVE, State


def log_lines(sweep: Sweep, patterns: Sequence[str], follow: bool) -> Iterator[str]:
    """Yield the log of the one run that matches; if it has none, what its job wrote to standard error.

    Raises:
        UserError: no run or several match.
    """
    seen, _ = look(sweep)  # a log can be read even if Slurm does not answer
    chosen = select(runs(sweep, seen), patterns)
    if len(chosen) != 1:
        names = "\n  ".join(Path(run.entry.directory).name for run in chosen)
        raise UserError(f"logs shows one run, and these match:\n  {names}")
    run = chosen[0]
    log = RunDirectory(run.path).log
    if not log.exists() and not follow:
        yield from _standard_error(sweep, run) or [f"{run.path.name}: {run.status.state}; no log yet"]
        return
    position = 0
    while True:
        if log.exists():
            with open(log, errors="backslashreplace") as file:  # a process may have written anything
                file.seek(position)
                yield from (line.rstrip("\n") for line in file)
                position = file.tell()
        if not follow:
            return
        time.sleep(0.5)


def _standard_error(sweep: Sweep, run: Run) -> list[str]:
    files = RunDirectory(run.path).error_files()
    if claim := latest_claim(RunDirectory(run.path).attempts):
        files = read_submission(sweep.root, claim.submission).error_files(claim.index)
    return [line for file in files for line in file.read_text(errors="replace").splitlines()]


@dataclass(frozen=True)
class Cancelled:
    """The runs that were stopped, and those that were not, each with the reason."""

    stopped: list[Run]
    left: list[tuple[Run, str]]


def cancel(sweep: Sweep, patterns: Sequence[str]) -> Cancelled:
    """Stop the matching runs; those that train write a checkpoint first."""
    chosen = select(runs(sweep), patterns)
    refused = {run.path: f"has ended ({run.status.state})" for run in chosen if run.status.state not in ACTIVE}
    by_backend: dict[Backend, list[Run]] = {}
    for run in chosen:
        if run.path not in refused:
            by_backend.setdefault(holder_of(run), []).append(run)
    for backend, its_runs in by_backend.items():
        refused |= backend.cancel(its_runs)
    stopped = [run for run in chosen if run.path not in refused]
    return Cancelled(stopped, [(run, refused[run.path]) for run in chosen if run.path in refused])


def retry(
    sweep: Sweep, patterns: Sequence[str], states: Sequence[str], overrides: Sequence[str], force: bool
) -> Submitted:
    """Submit runs that ended badly again, with the stages they need, perhaps with other resources.

    Args:
        states: only runs in one of these; empty: in any that is not a good end.
        overrides: `key=value` on the frozen configuration, of keys that are not part of a signature.
        force: also retry runs that ended the same way several times in a row.
    Raises:
        UserError: bad input; nothing was changed.
    """
    found = runs(sweep)
    by_directory = {run.entry.directory: run for run in found}
    wanted = [run for run in select(found, patterns) if _to_retry(run, states)]
    needed: dict[str, Run] = {}
    for run in wanted:
        for directory in run.entry.stages:
            if _to_retry(by_directory[directory], ()):
                needed[directory] = by_directory[directory]
        needed[run.entry.directory] = run
    ordered = [run for run in found if run.entry.directory in needed]
    tasks = [_task(run, sweep, _change(overrides) if run in wanted else _same) for run in ordered]
    if not tasks:
        return Submitted()
    return backend_of(tasks[0].config.cluster).retry(tasks, sweep, force or bool(overrides))


def _to_retry(run: Run, states: Sequence[str]) -> bool:
    ended = run.is_to_come or run.status.state not in (*ACTIVE, State.DONE, State.REFUSED)
    waits_for_one = run.status.state == State.BLOCKED and State.FAILED in states
    return ended and (not states or run.status.state in states or waits_for_one)


def _same(config: CellConfig) -> CellConfig:
    return config


def _change(overrides: Sequence[str]) -> Callable[[CellConfig], CellConfig]:
    """Return the function that applies the overrides of `--set` to a frozen configuration.

    Raises:
        UserError: an override cannot be read, or a retry cannot change its key.
    """
    parsed = sorted(map(_settable, overrides), key=lambda override: is_of_one_benchmark(override.key_or_group))

    def changed(config: CellConfig) -> CellConfig:
        """Return the configuration with the overrides applied; raise UserError if they are not allowed."""
        raw = OmegaConf.create(config.model_dump(mode="json"))
        for override in parsed:
            put(raw, override, "--set ")
        try:
            made = CellConfig.model_validate(OmegaConf.to_container(raw))
        except ValidationError as error:
            given = {key: value for key, _, value in (line.partition("=") for line in overrides)}
            raise UserError("\n".join(explain_validation(error, given))) from None
        if any(identity(made) != identity(config) for identity in (training_identity, benchmark_identities)):
            typed = " ".join(map(without_secrets, overrides))
            raise UserError(
                f"{typed}: that would be another run; retry changes what is not part of the signature: "
                "resources.*, cluster.*, checkpoint.*, deepspeed.*, rollout.batch_size, tracking.*, evaluation.every"
            )
        found = unread(made)
        for override in parsed:
            if why := why_unread(made, override.key_or_group, found):
                raise UserError(f"--set {override.input_line}: would change nothing, because {why}")
        return made

    return changed


def _settable(line: str) -> Override:
    override = parse(line)
    key = override.key_or_group
    if override.is_sweep_override() or override.type is OverrideType.DEL:
        raise UserError(f"--set {line}: a retry takes one value")
    if is_decided_at_launch(key):
        raise UserError(f"--set {line}: {key} is decided by the launch; launch the sweep again with it")
    if (reader := reader_of(key)) != key:
        raise UserError(
            f"--set {line}: would change nothing, because {reader} took its value from {key} at the launch and is read "
            f"in its place; give --set {reader}=…"
        )
    return override


def _task(run: Run, sweep: Sweep, change: Callable[[CellConfig], CellConfig]) -> Task:
    directory = RunDirectory(run.path)
    entry, identity = run.entry, directory.identity or {}
    if difference := stale(identity):
        raise UserError(
            f"{entry.label}: made by another version of the code ({difference}); going on would mix the two. Launch "
            "the sweep again: it trains such cells anew and leaves these as they are"
        )
    config = with_environment(change(directory.read_config()), directory.attempts, sweep.root)
    return Task(entry, sweep.root, config, identity, directory.evaluations).with_config(config)
