"""Seeded moments at which a process of a sweep gets a signal: while a named file is being written, or after a while."""

from __future__ import annotations

import random
import signal
from dataclasses import dataclass

CELL, STAGE = r"(?P<run>cells/[^/]+)", r"(?P<run>stages/[^/]+)"
# By what happens to a file: the regular expression of the event, and how often at most it happens before the signal.
EVENTS: dict[str, tuple[str, int]] = {
    "the ledger is written": (r"created sweeps/.*", 2),
    "the code is copied": (r"created code/partial-.*", 5),
    "the baseline is frozen": (rf"created {STAGE}/\.(config|signature).*", 2),
    "the baseline is submitted": (rf"created {STAGE}/attempts/.*\.pkl", 1),
    "the baseline's state is written": (rf"created {STAGE}/\.state\.json.*", 3),
    "the baseline's result is written": (rf"created {STAGE}/\.result\.json.*", 1),
    "a cell is frozen": (rf"created {CELL}/\.(config|signature).*", 2),
    "a cell is submitted": (rf"created {CELL}/attempts/.*\.pkl", 1),
    "a cell's processes meet": (rf"created {CELL}/attempts/\.?meeting.*", 1),
    "a job takes its lock": (rf"created {CELL}/lock", 1),
    "provenance is written": (rf"created {CELL}/\.provenance.*", 1),
    "a state is written": (rf"created {CELL}/\.state\.json.*", 8),
    "a state takes its name": (rf"named {CELL}/state\.json", 8),
    "samples are written": (rf"modified {CELL}/samples\.jsonl", 4),
    "a metrics row is written": (rf"modified {CELL}/metrics\.jsonl", 4),
    "a checkpoint begins": (rf"created {CELL}/checkpoints/partial_\d+", 4),
    "a checkpoint's weights are written": (rf"(created|modified) {CELL}/checkpoints/partial_\d+/.*model_states.*", 8),
    "a checkpoint's optimiser is written": (rf"(created|modified) {CELL}/checkpoints/partial_\d+/.*optim_states.*", 8),
    "a checkpoint's manifest is written": (rf"created {CELL}/checkpoints/partial_\d+/\.manifest.*", 4),
    "a checkpoint takes its name": (rf"named {CELL}/checkpoints/step_\d+", 4),
    "an old checkpoint is removed": (rf"deleted {CELL}/checkpoints/step_\d+/.*", 3),
    "the export begins": (rf"created {CELL}/\.final\.partial", 1),
    "final weights are written": (rf"(created|modified) {CELL}/\.final\.partial/.*", 2),
    "final weights take their name": (rf"named {CELL}/final", 1),
    "a result is written": (rf"created {CELL}/\.result\.json.*", 1),
}
FROM_NOTHING = ("the ledger", "the code", "the baseline")  # at the other moments the baseline is done before
TIMES = len(EVENTS) // 4  # moments that are set by time, for each round of all events
DELAYS_MS = (0.0, 0.0, 0.5, 2.0, 8.0, 30.0)
VICTIMS = {"rank": 20, "launcher": 6, "controller": 6, "grader": 4, "wandb": 4, "prepared": 2}  # of 42
SIGNALS = {signal.SIGKILL: 8, signal.SIGTERM: 1, signal.SIGINT: 1}  # of ten


@dataclass(frozen=True)
class Moment:
    """Whom a signal reaches, and when: at the `count`-th event of a kind, or after a share of the sweep's time."""

    sweep: str  # of disturbed.SWEEPS
    event: str | None
    count: int
    fraction: float
    delay_ms: float
    victim: str
    number: signal.Signals

    @property
    def from_nothing(self) -> bool:
        """Whether the output directory is empty when the sweep is launched; else the baseline in it is done."""
        return self.event is None or self.event.startswith(FROM_NOTHING)

    def __str__(self) -> str:
        when = f"{self.event}, time {self.count}," if self.event else f"at {self.fraction:.2f} of its time,"
        return f"{self.sweep}: {when} {self.delay_ms:g} ms later"


def moments(count: int, seed: int, sweeps: dict[str, int]) -> list[Moment]:
    """`count` moments, the same for the same seed; each kind of event comes before one comes twice.

    Args:
        sweeps: the weight of each kind of sweep.
    """
    draw = random.Random(seed)
    kinds: list[str | None] = []
    while len(kinds) < count:
        kinds += draw.sample([*EVENTS, *[None] * TIMES], len(EVENTS) + TIMES)
    return [
        Moment(
            sweep=_drawn(draw, sweeps),
            event=kind,
            count=draw.randint(1, EVENTS[kind][1]) if kind else 0,
            fraction=draw.random(),
            delay_ms=draw.choice(DELAYS_MS),
            victim=_drawn(draw, VICTIMS),
            number=_drawn(draw, SIGNALS),
        )
        for kind in kinds[:count]
    ]


def _drawn(draw: random.Random, weights: dict):
    return draw.choices(list(weights), list(weights.values()))[0]
