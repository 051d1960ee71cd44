"""Check the files of one run that is not at work: rows, checkpoints, weights, answers, and what a killed process left.

Each function yields findings without a place, which the caller knows; `redo` is the command that runs it again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from models.config import ADAPTER
from sweep.dispatch.select import Run
from sweep.doctor.finding import Finding, broken, warning
from sweep.errors import UserError
from sweep.plan.task import LABEL
from sweep.run import weights
from sweep.run.checkpoints import checkpoints, checkpoints_set_aside, damage, partials
from sweep.run.directory import RunDirectory
from sweep.run.files import PARTIAL, read_json
from sweep.run.kept_weights import kept_weights
from sweep.run.labels import read_rows as read_labels
from sweep.run.responses import intervals, read_responses
from sweep.run.series import listed, read_rows
from sweep.run.state import RunState, State


def anew(run: RunDirectory, redo: str) -> str:
    """Return how to make a run again from its beginning."""
    return f"put a copy of it back, or delete {run.path} and give: {redo}"


def frozen(run: RunDirectory, redo: str) -> Iterator[Finding]:
    """Yield whether the run's configuration can be read, and its signature is the one that its directory has."""
    for file in (run.config, run.path / "signature.json"):
        if not file.exists():
            yield broken("run.frozen", f"{file.name} is missing", anew(run, redo), file=str(file))
            return
    try:
        run.read_config()
    except ValueError as error:
        first = next(iter(str(error).splitlines()), "").removeprefix(f"{run.config}: ").partition("; ")[0]
        yield broken("run.frozen", f"config.yaml cannot be read: {first}", anew(run, redo), file=str(run.config))
        return
    if run.signature != run.sign:
        seen = f"the directory is named {run.sign}, and its signature is {run.signature}: it was renamed or copied"
        yield broken("run.signature", seen, f"rename it to {run.name}-{run.signature}", file=str(run.path))


def result(run: RunDirectory, written: RunState, redo: str) -> Iterator[Finding]:
    """Yield whether a finished run has its result and, if it trained, the final weights."""
    if written.state != State.DONE:
        return
    if run.read_result() is None:
        yield broken("run.result", "it is done, and its result is missing", anew(run, redo), file=str(run.result))
    if written.steps and not run.final.is_dir():
        yield broken("run.weights", "its final weights are missing", anew(run, redo), file=str(run.final))


def rows(run: RunDirectory, written: RunState, redo: str) -> Iterator[Finding]:
    """Yield gaps and repeats among the steps of a training's rows, and of its responses."""
    if not written.steps:
        return
    try:
        steps = [row["step"] for row in read_rows(run.metrics)]
    except UserError as error:
        yield damaged("run.metrics", error, run.metrics)
        return
    reached = written.step if written.state == State.DONE else max(steps, default=0)
    file = str(run.metrics)
    if fault := step_fault(steps, reached):
        yield broken("run.metrics", f"{run.metrics.name} {fault}", anew(run, redo), file=file)
    yield from _responses(run, written, redo)


def attempt_records(run: RunDirectory) -> Iterator[Finding]:
    """Yield whether what an attempt reads of earlier ones, and the samples, can be read, if they are there."""
    try:
        run.read_provenance()
        read_json(run.wandb_ids)
    except UserError as error:
        yield damaged("run.records", error, run.path)
    try:
        for _ in read_rows(run.samples):
            pass
    except UserError as error:
        yield damaged("run.samples", error, run.samples)


def step_fault(steps: Sequence[int], reached: int) -> str:
    """Return how the steps of rows differ from 1, 2, … `reached`, in words; "" if they do not."""
    missing = sorted(set(range(1, reached + 1)) - set(steps))
    faults = [f"lacks {_steps(missing)}"] if missing else []
    if repeated := sorted(step for step, count in Counter(steps).items() if count > 1):
        faults.append(f"has {_steps(repeated)} more than once")
    if beyond := sorted({step for step in steps if not 1 <= step <= reached}):
        faults.append(f"has {_steps(beyond)}, and the run is at step {reached}")
    if not faults and any(later < earlier for earlier, later in pairwise(steps)):
        faults.append("has its steps out of order")
    return " and ".join(faults)


def _steps(found: Sequence[int]) -> str:
    return f"step {found[0]}" if len(found) == 1 else f"steps {listed(found)}"


def _responses(run: RunDirectory, written: RunState, redo: str) -> Iterator[Finding]:
    """Yield whether the parts of responses can be read and hold each step once; older versions kept none."""
    parts = intervals(run.responses)
    if not parts:
        return
    try:
        read_responses(run.responses, ["step"])
    except UserError as error:
        yield damaged("run.responses", error, run.responses)
        return
    steps = [step for part in parts for step in range(part.first, part.last + 1)]
    reached = written.step if written.state == State.DONE else max(steps)
    begun = min(steps)  # an older version may have made the steps before
    if fault := step_fault([*range(1, begun), *steps], reached):
        remedy = "put a copy of the missing part back; what compares responses leaves these steps out"
        yield broken("run.responses", f"{run.responses.name}/ {fault}", remedy, file=str(run.responses))


def kept(run: RunDirectory, written: RunState, hashes: bool, redo: str) -> Iterator[Finding]:
    """Yield damaged checkpoints and weights.

    Args:
        hashes: whether to read all of each checkpoint, and not only names and sizes.
    """
    found = {path: damage(path, parts=int(hashes)) for path in checkpoints(run.checkpoints)}
    whole = [path for path, fault in found.items() if fault is None]
    for path, fault in found.items():
        if fault is not None:
            seen, file = f"{path.name} is damaged: {fault}", str(path)
            if whole or written.state == State.DONE:
                older = "training goes on from the newest whole one" if whole else "the run is done, and needs none"
                yield warning("run.checkpoint", f"{seen}; {older}", f"rm -r {path}", file=file)
            else:
                remedy = f"to start again from step 0, delete {run.checkpoints} and give: {redo}"
                yield broken("run.checkpoint", f"{seen}, and no other is whole", remedy, file=file)
    places = {*kept_weights(run).values(), *([run.final] if run.final.is_dir() else [])}
    for place in sorted(places):
        if fault := weights.damage(place) or _beside(place):
            seen, _, _ = fault.partition("; ")
            yield broken("run.weights", f"{place.name}: {seen}", anew(run, redo), file=str(place))


def _beside(place: Path) -> str:
    """Return what is wrong with the files that transformers reads beside weights; "" if they are whole."""
    of_model = ADAPTER if (place / weights.ADAPTERS).exists() else "config.json"
    for name in (of_model, "tokenizer_config.json"):
        if not (place / name).exists():
            return f"{name} is missing"
    for file in sorted(place.glob("*.json")):
        try:
            read_json(file)
        except UserError:
            return f"{file.name} holds no JSON"
    return ""


def labels(run: RunDirectory, redo: str) -> Iterator[Finding]:
    """Yield whether a finished label stage has a row for each problem that its result counts."""
    expected = (run.read_result() or {}).get("problems")
    if not isinstance(expected, int):
        return
    try:
        count = sum(1 for _ in read_labels(run.path))
    except ValueError:
        yield broken(
            "run.labels", f"{run.labels.name} holds a line that is no row", anew(run, redo), file=str(run.labels)
        )
        return
    if count != expected:
        seen = f"{run.labels.name} has {count} rows, and its result counts {expected}"
        yield broken("run.labels", seen, anew(run, redo), file=str(run.labels))


def leftovers(run: RunDirectory, gc: str) -> Iterator[Finding]:
    """Yield what interrupted writes left; `gc`: the command that deletes it."""
    unfinished = [*run.unfinished(), *partials(run.checkpoints), *run.weights.glob(f".*{PARTIAL}")]
    unfinished += [*run.attempts.glob(".claim-*"), *checkpoints_set_aside(run.checkpoints)]
    if unfinished:
        names = ", ".join(str(path.relative_to(run.path)) for path in unfinished[:3])
        more = f" and {len(unfinished) - 3} more" if len(unfinished) > 3 else ""
        yield warning("run.leftovers", f"unfinished or given up: {names}{more}", gc, file=str(unfinished[0]))


def damaged(check: str, error: UserError, file: Path) -> Finding:
    """Return the finding of a file that cannot be read, from the error that says so and what to do."""
    seen, _, remedy = str(error).rpartition("; ")
    return broken(check, seen or str(error), remedy if seen else "put a copy of it back", file=str(file))


def refused(error: OSError, path: Path) -> Finding:
    """Return the finding of a run of which the system lets a file not be read."""
    file = str(error.filename or path)
    seen = f"{file}: {error.strerror or error}; what else the run holds was not checked"
    return broken("run.unreadable", seen, f"ls -ld {file} shows what it is and whose; put a copy of it back", file=file)


def of_run(run: Run, hashes: bool, redo: str, gc: str) -> Iterator[Finding]:
    """Yield every finding about the files of a run that is not at work."""
    directory = RunDirectory(run.path)
    written = directory.read_state()
    yield from leftovers(directory, gc)
    if not written.begun:
        if directory.metrics.exists() or directory.result.exists():
            seen, file = "state.json is missing, although the run has results", str(directory.path / "state.json")
            yield broken("run.state", seen, f"put a copy of it back, or give: {redo}", file=file)
        return
    if unlike := [*frozen(directory, redo)]:
        yield from unlike  # and nothing else, because what the files should hold follows from these
        return
    yield from result(directory, written, redo)
    yield from rows(directory, written, redo)
    yield from attempt_records(directory)
    yield from kept(directory, written, hashes, redo)
    if run.entry.module == LABEL:
        yield from labels(directory, redo)
