"""A sweep of 45 cells in the midst of its way, made by the project's own writers and without any training."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

from sweep.run.directory import RunDirectory
from sweep.run.entry import Entry
from sweep.run.ledger import Sweep, record

MODELS = ("qwen2_5_math_7b", "llama3_1_8b", "olmo2_7b")
REWARDS = ("ground_truth", "majority_vote", "incorrect", "format", "random")
STEPS = 300
HOSTILE = "\x1b[2J\x1b]0;owned\x07\x9b31m\r\u202eback"  # clears the screen, names the window, colours, overwrites
BROKEN = {
    7: ("failed", f"ValueError: {HOSTILE}"),
    11: ("interrupted", "its process is gone"),
    13: ("refused", "its labels leave 3 problems, fewer than a batch of 16"),
}


def state_of(number: int) -> tuple[str, str]:
    """State and note of a cell."""
    return BROKEN.get(number) or ("done" if number < 6 else "running" if number < 20 else "queued", "")


def watched_sweep(root: Path) -> Sweep:
    """A baseline that is done; of the cells 6 done, 11 running, 25 queued, and three that broke."""
    stage = Entry("baseline of olmo2_7b", "m", {}, "olmo2_7b", "", 0, "b0", 0, "stages/baseline-olmo2_7b-b0", [])
    cells = []
    for number, (model, reward, seed) in enumerate(itertools.product(MODELS, REWARDS, range(3))):
        axes = {"model": model, "reward": reward, "seed": str(seed)}
        label, name = " ".join(f"{k}={v}" for k, v in axes.items()), f"{model}-{reward}-s{seed}-c{number}"
        place = f"cells/{name}"
        cells.append(Entry(label, "m", axes, model, reward, seed, f"c{number}", STEPS, place, [stage.directory]))
    sweep = record("grid", root, [stage], cells, [])
    write(sweep.directory(stage), "done", 0)
    for number, cell in enumerate(cells):
        state, note = state_of(number)
        if state != "queued":
            write(sweep.directory(cell), state, STEPS if state == "done" else 10 * number, note)
    return sweep


def write(path: Path, state: str, step: int, note: str = "") -> None:
    """What a run has written by this step: rewards that rise by 0.001 a step, and an evaluation every 10 steps."""
    path.mkdir(parents=True)
    run = RunDirectory(path)
    rows = [{"step": k, "reward/mean": 0.3 + k / 1000} for k in range(1, step + 1)]
    for row in rows[9::10]:
        row["eval/accuracy"] = 0.4 + row["step"] / 2000
    numbers = {"accuracy": 0.4 + step // 10 / 200}
    if rows:
        run.metrics.write_text("".join(json.dumps(row) + "\n" for row in rows))
        numbers["reward"] = rows[-1]["reward/mean"]
    # Of another machine, where nothing but the heartbeat tells that it is alive.
    run.write_state(state=state, step=step, steps=STEPS, note=note, seconds_per_step=10.0, host="node7", **numbers)
    if state == "running":
        (path / "heartbeat").touch()
