"""What one does to a sweep's runs after their launch: find them, read their logs, cancel and retry them."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from omegaconf import OmegaConf
from pydantic import ValidationError

from sweep.dispatch import slurm
from sweep.dispatch.snapshot import snapshot_code
from sweep.dispatch.states import statuses
from sweep.dispatch.submit import Submitted, check_requests, submit
from sweep.errors import UserError
from sweep.plan.explain import explain_validation
from sweep.plan.overrides import parse
from sweep.plan.signature import evaluation_identity, training_identity
from sweep.plan.task import Task
from sweep.run.claims import latest_claim, read_submission
from sweep.run.config import CellConfig, SlurmCluster
from sweep.run.directory import RunDirectory
from sweep.run.identity import stale
from sweep.run.ledger import Entry, Sweep
from sweep.run.state import ACTIVE, State
from sweep.run.status import Status


@dataclass(frozen=True)
class Run:
    """An entry of a sweep's ledger with its directory and its status."""

    entry: Entry
    path: Path
    status: Status


def runs(sweep: Sweep) -> list[Run]:
    """Every stage and cell."""
    stages, cells = statuses(sweep)
    entries = [*sweep.stages, *sweep.cells]
    return [Run(e, sweep.root / e.directory, s) for e, s in zip(entries, [*stages, *cells], strict=True)]


def select(found: Sequence[Run], patterns: Sequence[str]) -> list[Run]:
    """The runs that match: every `axis=pattern`, and one of the other words, if there are any.

    A word is (the beginning of) a signature, a run directory's name or a label, with * and ? as in a shell.

    Raises:
        UserError: nothing matches, or there is no such axis.
    """
    axes = dict(p.split("=", 1) for p in patterns if "=" in p)
    names = [p for p in patterns if "=" not in p]
    known = {axis for run in found for axis in run.entry.axes}
    if unknown := axes.keys() - known:
        raise UserError(f"{', '.join(sorted(unknown))}: no axis of this sweep; there are {', '.join(sorted(known))}")
    chosen = [run for run in found if _matches(run.entry, axes, names)]
    if patterns and not chosen:
        there = "\n  ".join(Path(run.entry.directory).name for run in found)
        raise UserError(f"{' '.join(patterns)}: matches none of\n  {there}")
    return chosen


def _matches(entry: Entry, axes: dict[str, str], names: list[str]) -> bool:
    if not all(fnmatchcase(entry.axes.get(axis, ""), pattern) for axis, pattern in axes.items()):
        return False
    directory = Path(entry.directory).name
    return not names or any(
        fnmatchcase(directory, n) or fnmatchcase(entry.label, n) or entry.signature.startswith(n) for n in names
    )


def log_lines(sweep: Sweep, patterns: Sequence[str], follow: bool) -> Iterator[str]:
    """The log of the one run that matches, and what its job wrote to standard error if it never came to a log.

    Raises:
        UserError: no run or several match.
    """
    chosen = select(runs(sweep), patterns)
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
            with open(log) as file:
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


def cancel(sweep: Sweep, patterns: Sequence[str]) -> list[Run]:
    """Stop the matching runs; those that train write a checkpoint first. Returns what was stopped."""
    chosen = [run for run in select(runs(sweep), patterns) if run.status.state in ACTIVE]
    if jobs := [run.status.job for run in chosen if run.status.job]:
        slurm.cancel(jobs)
    here = [run for run in chosen if not run.status.job and run.status.state == State.RUNNING]
    for run in here:
        RunDirectory(run.path).signal(signal.SIGTERM)
    return [run for run in chosen if run.status.job] + here


def retry(
    sweep: Sweep, patterns: Sequence[str], states: Sequence[str], overrides: Sequence[str], force: bool
) -> Submitted:
    """Submit runs that ended badly again, with the stages they need, perhaps with other resources.

    Args:
        states: only runs in one of these; empty: in any that is not a good end.
        overrides: `key=value` on the frozen configuration, of keys that are not part of a signature.
        force: also where a run ended the same way several times in a row.
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
    if not isinstance(tasks[0].config.cluster, SlurmCluster):
        raise UserError(f"{sweep.name} ran on this machine: give the launch command again, it goes on from there")
    check_requests(tasks, sweep.root)
    return submit(tasks, sweep.root, snapshot_code(sweep.root), sweep.name, force or bool(overrides))


def _to_retry(run: Run, states: Sequence[str]) -> bool:
    ended = run.status.state not in (*ACTIVE, State.DONE, State.REFUSED)
    waits_for_one = run.status.state == State.BLOCKED and State.FAILED in states
    return ended and (not states or run.status.state in states or waits_for_one)


def _same(config: CellConfig) -> CellConfig:
    return config


def _change(overrides: Sequence[str]) -> Callable[[CellConfig], CellConfig]:
    def changed(config: CellConfig) -> CellConfig:
        raw = OmegaConf.create(config.model_dump(mode="json"))
        for line in overrides:
            override = parse(line)
            if override.is_sweep_override():
                raise UserError(f"--set {line}: a retry takes one value")
            OmegaConf.update(raw, override.key_or_group, override.value(), force_add=True)
        try:
            made = CellConfig.model_validate(OmegaConf.to_container(raw))
        except ValidationError as error:
            typed = {key: value for key, _, value in (line.partition("=") for line in overrides)}
            raise UserError("\n".join(explain_validation(error, typed))) from None
        if any(identity(made) != identity(config) for identity in (training_identity, evaluation_identity)):
            raise UserError(
                f"{' '.join(overrides)}: that would be another run; retry changes what is not part of the signature: "
                "resources.*, cluster.*, checkpoint.*, deepspeed.*, rollout.batch_size, tracking.*, evaluation.every"
            )
        return made

    return changed


def _task(run: Run, sweep: Sweep, change: Callable[[CellConfig], CellConfig]) -> Task:
    directory = RunDirectory(run.path)
    entry, identity = run.entry, directory.identity or {}
    if difference := stale(identity):
        raise UserError(
            f"{entry.label}: made by another version of the code ({difference}); going on would mix the two. Launch "
            "the sweep again: it trains such cells anew and leaves these as they are"
        )
    return Task(
        label=entry.label,
        module=entry.module,
        signature=entry.signature,
        identity=identity,
        evaluation=directory.evaluation or {},
        directory=run.path,
        config=change(directory.read_config()),
        axes=entry.axes,
        after=tuple(sweep.root / d for d in entry.stages),
    )
