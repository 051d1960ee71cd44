"""What a frame shows, by hand: order, pages, columns, time left, names, keys. No terminal."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest
from rich.console import Console

from helpers.made_up_statuses import made_up_status
from helpers.watched_sweep import HOSTILE, MODELS, STEPS, watched_sweep, write
from sweep.dispatch.frame import Hints, Surface, frame, whole
from sweep.dispatch.keys import FIRST, LAST, MEANS, NEXT, PREVIOUS, QUIT, split
from sweep.dispatch.names import cut, names_of
from sweep.dispatch.plain import plain_line
from sweep.dispatch.series import Curve, Curves, directories
from sweep.dispatch.states import look
from sweep.dispatch.view import LiveView
from sweep.dispatch.words import ATTENTION, in_order
from sweep.run.entry import Entry
from sweep.run.ledger import Sweep
from sweep.run.state import State
from sweep.run.status import Status

HINTS = Hints("n: next", "q: leave")
NO_CURVE = Curve([], [])


@pytest.fixture(scope="module")
def sweep(tmp_path_factory) -> Sweep:
    return watched_sweep(tmp_path_factory.mktemp("watched"))


@pytest.fixture(scope="module")
def statuses(sweep) -> list[Status]:
    (stages, cells), _ = look(sweep)
    return [*stages, *cells]


def drawn(statuses, columns: int = 80, lines: int = 24, page: int = 0, curves=lambda _: NO_CURVE, **more):
    more = {"left": "time left: about 1:00 at the pace so far", **more}
    found = frame("grid", statuses, Surface(columns, lines, more.pop("encoding", "utf-8")), curves, page, HINTS, **more)
    return [line.plain for line in found.lines], found.pages


SIZES = [(80, 24), (200, 60), (132, 10), (60, 24), (40, 12), (24, 6), (20, 4), (7, 2), (1, 1)]


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize(("columns", "lines"), SIZES)
def test_a_frame_fits_its_terminal_and_its_pages_hold_every_run(sweep, statuses, columns, lines, encoding):
    curves, asked = Curves(directories(sweep)), []

    def curve_of(status: Status) -> Curve:
        asked.append(status.run)
        return curves(status)

    extra = {
        "clock": "12:00:00",
        "warning": "Slurm does not answer: " + "so it says " * 30,
    }
    _, pages = drawn(statuses, columns, lines, encoding=encoding, **extra)
    shown = []
    for page in range(pages):
        asked.clear()
        found, _ = drawn(statuses, columns, lines, page, curve_of, encoding=encoding, **extra)
        assert len(found) == lines and max(map(len, found)) <= columns
        assert all(line.isprintable() and (encoding == "utf-8" or line.isascii()) for line in found)
        assert len(asked) <= lines  # of a page that is not looked at nothing is read
        shown += asked
    beside = {s.run for s in statuses if s.note and s.reward is None and s.accuracy is None}
    assert sorted(shown) == sorted({s.run for s in statuses} - beside)


def test_45_cells_stand_on_three_pages_with_what_needs_attention_first(sweep, statuses):
    pages = [drawn(statuses, page=page, curves=Curves(directories(sweep)))[0] for page in range(3)]
    assert drawn(statuses)[1] == 3 and drawn(statuses, page=3)[0] == drawn(statuses)[0]
    first = "\n".join(pages[0])
    assert "\ntime left: about 1:00 at the pace so far\n" in first
    assert "sweep grid: 46 runs: 1 failed, 1 refused, 1 interrupted, 11 running, 25 queued" in first
    states = [word for page in pages for line in page[4:-1] for word in line.split() if word in set(map(str, State))]
    assert states == ["failed", "refused", "interrupted", *["running"] * 11, *["queued"] * 25, *["done"] * 7]
    assert r"  ValueError: \x1b[2J\x1b]0;owned\x07\x9b31m\r\u202eback" in pages[0]
    assert "  its labels leave 3 problems, fewer than a batch of 16" in pages[0]
    # 100 of 300 steps fill two of the six bars, whose rewards are 0.326 and 0.376 in the mean: half of the least height
    # of 0.1. The evaluations 0.405 … 0.425, kept until the next, are 0.413 and 0.436 in the mean.
    assert next(line for line in pages[0] if "format      1" in line).split()[-4:] == ["0.400", "▁▅", "0.450", "▁▂"]


def test_the_final_picture_holds_every_run_with_its_whole_note(statuses):
    long = [replace(statuses[1], note="because " * 40), *statuses[2:]]
    lines = [line.plain for line in whole("grid", long, Surface(80, 24), lambda _: NO_CURVE)]
    assert sum(any(model[:5] in line for model in MODELS) for line in lines[3:]) == 45
    assert "".join(line.strip() for line in lines).count("because") == 40 and max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("cell", "shows"),
    [
        (made_up_status("a", State.QUEUED, steps=4, note="Priority"), "a   queued 0/4      Priority"),
        (made_up_status("a", State.RUNNING, steps=4, note="starting"), "a   running 0/4      starting"),
        (made_up_status("a", State.RUNNING, 2, 4, 0.5, None, seconds_left=3.0), "a   running 2/4 0:03 0.500"),
        (made_up_status("a", State.DONE, accuracy=0.25), "a   done              0.250"),
        (made_up_status("a", State.RUNNING, 2, 4, -12.25, 0.5), "a   running 2/4 -12.250 0.500"),
    ],
)
def test_a_row_by_hand(cell, shows):
    line = drawn([cell])[0][3]
    assert line.split() == shows.split()
    assert line.startswith("a  ")


def test_a_file_of_metrics_that_cannot_be_read_is_said_and_ends_nothing(tmp_path, statuses):
    running = next(s for s in statuses if s.state == State.RUNNING)
    (tmp_path / "metrics.jsonl").write_text("{broken\n")
    found, _ = drawn([running], 120, curves=Curves({running.run: tmp_path}))
    assert f"{running.reward:.3f} damaged metrics.jsonl, line 1: " in found[3]


def test_curves_go_on_as_far_as_the_run_and_keep_the_last_evaluation(tmp_path):
    curves, run = Curves({"r": tmp_path}), made_up_status("r", State.RUNNING, steps=6, run="r")
    assert curves(run) == Curve([None] * 6, [None] * 6)
    rows = [{"step": 1, "reward/mean": 0.5}, {"step": 2, "reward/mean": 0.6, "eval/accuracy": 0.25}]
    rows += [{"step": 3, "reward/mean": float("nan")}, {"step": 4, "reward/mean": 0.7}]
    file = tmp_path / "metrics.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows[:2]))
    assert curves(run) == Curve([0.5, 0.6, *[None] * 4], [None, 0.25, *[None] * 4])
    with file.open("a") as more:
        more.write("".join(json.dumps(row) + "\n" for row in rows[2:]))
    assert curves(run).rewards[3:] == [0.7, None, None] and curves(run).rewards[2] != curves(run).rewards[2]
    assert curves(run).accuracies == [None, 0.25, 0.25, 0.25, None, None]
    assert curves(made_up_status("r", State.RUNNING, run="not in this sweep")) == NO_CURVE


def test_an_evaluation_of_a_training_shows_the_curves_of_that_training(tmp_path):
    entry = Entry("evaluation", "m", {}, "a", "b", 0, "e", 0, "cells/e", ["stages/baseline", "cells/trained"])
    assert directories(Sweep("s", tmp_path, [], [entry])) == {"e": tmp_path / "cells/trained"}


def test_every_state_has_its_place():
    assert sorted(ATTENTION) == sorted(State)
    mixed = [made_up_status(str(n), state) for n, state in enumerate([*State, *State])]
    random.Random(0).shuffle(mixed)
    ordered = in_order(mixed)
    assert [s.state for s in ordered[::2]] == list(ATTENTION)
    assert [s for s in ordered if s.state == State.DONE] == [s for s in mixed if s.state == State.DONE]


@pytest.mark.parametrize(
    ("labels", "heading", "common", "lines"),
    [
        (["model=a reward=b"], "model reward", "", ["a     b     "]),
        (["model=a reward=b seed=0", "model=a reward=c seed=0"], "reward", "model=a seed=0", ["b     ", "c     "]),
        (
            ["baseline of a", "model=a seed=0", "model=b seed=0"],
            "model",
            "seed=0",
            ["base…of a", "a        ", "b        "],
        ),
        (["model=a seed=0", "model=b"], "model seed", "", ["a     0   ", "b         "]),
        (
            ["reward=all of x reward.p=0.5", "reward=y reward.p=0.5"],
            "reward  ",
            "reward.p=0.5",
            ["all of x", "y       "],
        ),
        (["model=数学 seed=0", "model=b seed=1"], "model seed", "", ["数学  0   ", "b     1   "]),
        (["a run", "another"], "run    ", "", ["a run  ", "another"]),
        (["same", "same"], "run    ", "", ["same r0", "same r1"]),
        ([f"reward={HOSTILE}"], None, "", None),
    ],
)
def test_names_by_hand(labels, heading, common, lines):
    names = names_of([made_up_status(label, State.DONE, run=f"cell-r{n}") for n, label in enumerate(labels)])
    width = 9 if lines and "base…of a" in lines else names.width
    titles, rows = names.lines(width, "…")
    assert names.common == common
    assert all(text.isprintable() for text in (titles, *rows))
    if lines:
        assert (titles.rstrip(), rows) == (heading.rstrip(), lines)


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("qwen2_5_math_7b", 15, "qwen2_5_math_7b"),
        ("qwen2_5_math_7b", 11, "qwen2…th_7b"),
        ("abcdef", 4, "a…ef"),
        ("abcdef", 2, "ab"),
        ("abcdef", 0, ""),
    ],
)
def test_a_long_name_keeps_both_ends(text, width, shown):
    assert cut(text, width, "…") == shown


@pytest.mark.parametrize(
    ("typed", "meant", "rest"),
    [
        ("n", [NEXT], ""),
        (" j\x1b[C\x1bOB\x1b[6~", [NEXT] * 5, ""),
        ("pkb\x1b[D\x1b[A\x1b[5~", [PREVIOUS] * 6, ""),
        ("g\x1b[H\x1b[1~G\x1b[F", [FIRST] * 3 + [LAST] * 2, ""),
        ("q", [QUIT], ""),
        ("xyz\x1b[15~\x1b[1;5C\t\r", [], ""),  # other keys, and Ctrl with an arrow
        ("n\x1b[", [NEXT], "\x1b["),  # the rest of a sequence comes later
        ("\x1b\x1b[C", [NEXT], ""),
        ("é数", [], ""),
    ],
)
def test_keys_by_hand(typed, meant, rest):
    keys, left = split(typed)
    assert [MEANS[key] for key in keys if key in MEANS] == meant and left == rest


def test_a_sequence_that_never_ends_is_dropped():
    assert split("\x1b[" + "1" * 40) == ([], "")


def test_plain_lines_show_control_characters(tmp_path):
    line = plain_line(made_up_status(f"reward={HOSTILE}", State.FAILED, note=HOSTILE))
    assert line.isprintable() and line.count(r"\x1b[2J") == 2


def test_a_look_at_a_thousand_runs_draws_one_page_and_reads_no_other(tmp_path):
    write(tmp_path / "one", "running", 200)
    many = [made_up_status(f"seed={n}", State.RUNNING, 200, STEPS, 0.5, 0.5, run=f"r{n}") for n in range(1000)]
    curves, asked = Curves({s.run: tmp_path / "one" for s in many}), []
    drawn(many, curves=lambda s: asked.append(s.run) or curves(s))
    assert asked == [f"r{n}" for n in range(20)]


def test_a_queue_that_looks_often_is_drawn_four_times_a_second(sweep, statuses, monkeypatch):
    clock, drawings = iter([0.0, 0.0, 0.04, 0.2, 0.25, 0.3, 0.5]), []
    monkeypatch.setattr("sweep.dispatch.view.time.monotonic", lambda: next(clock))
    view = LiveView(sweep, Console(), can_leave=False)
    monkeypatch.setattr(view, "_draw", lambda: drawings.append(len(view._statuses)))
    for number in range(6):
        view.show(statuses[:number])
    assert drawings == [0, 3, 5]  # at 0, 0.25 and 0.5 s, with what was given then
