"""What a person sees of a sweep in a terminal of 80 × 24, by a real pseudo-terminal; and how the terminal is left."""

from __future__ import annotations

import os
import re
import signal
import sys
import termios
from pathlib import Path

import pytest

from helpers.terminal import Terminal
from helpers.watched_sweep import HOSTILE, MODELS, REWARDS, watched_sweep
from helpers.written_sweeps import finish_all
from sweep.__main__ import main
from sweep.plan.plan import plan_sweep
from sweep.run.directory import RunDirectory
from sweep.run.ledger import Sweep
from sweep.run.state import State

PAGE = re.compile(r"page (\d) of (\d)")


@pytest.fixture(scope="module")
def sweep(tmp_path_factory) -> Sweep:
    return watched_sweep(tmp_path_factory.mktemp("watched"))


@pytest.fixture
def terminal(sweep):
    """Starts a command of `python -m sweep` (or another program) in a terminal."""
    made = []

    def start(*words: str, program: tuple[str, ...] = (), **options) -> Terminal:
        command = program or (sys.executable, "-m", "sweep", *words, "--output-dir", str(sweep.root))
        made.append(Terminal(*command, **options))
        return made[-1]

    yield start
    for one in made:
        one.close()


def on_page(number: int, of: int = 3):
    return lambda screen: (found := PAGE.search(screen.text)) and found.groups() == (str(number), str(of))


def left_as_found(terminal: Terminal) -> bool:
    screen = terminal.screen
    return termios.tcgetattr(terminal.side) == terminal.settings and screen.cursor_shown and not screen.alternate


def cells_of(text: str) -> set[tuple[str, ...]]:
    """Model, reward and seed of each line that shows a cell, by what is left of them."""
    ends = {f"{m[:5]}…{m[-5:]}": m for m in MODELS} | {f"{r[:5]}…{r[-5:]}": r for r in REWARDS}
    rows = [[ends.get(word, word) for word in line.split()[:3]] for line in text.splitlines()]
    return {tuple(row) for row in rows if row and row[0] in MODELS and row[2:3] in (["0"], ["1"], ["2"])}


def test_every_run_is_reached_by_keys_and_the_terminal_is_given_back(terminal):
    watch = terminal("watch", "grid")
    screen = watch.until(on_page(1))
    assert screen.alternate and not screen.cursor_shown and screen.coloured
    seen = cells_of(screen.text)
    for keys, page in (("n", 2), (" ", 3), ("\x1b[C", 1), ("p", 3), ("g", 1), ("G", 3), ("\x1b[5~", 2), ("zx\t", 2)):
        watch.press(keys)
        seen |= cells_of(watch.until(on_page(page)).text)
    assert len(seen) == 45
    assert (screen.widest, screen.lowest) == (80, 24) and len(screen.rows) == 24

    watch.press("\x1a")  # Ctrl-Z
    state = Path(f"/proc/{watch.process.pid}/stat")
    watch.until(lambda screen: state.read_text().rpartition(")")[2].split()[0] == "T" and not screen.alternate)
    assert left_as_found(watch)
    watch.process.send_signal(signal.SIGCONT)
    watch.until(lambda screen: screen.alternate and on_page(2)(screen))

    watch.resize(120, 60)
    screen = watch.until(lambda screen: len(screen.rows) == 60 and "q: leave" in screen.text)
    assert 80 < screen.widest <= 120 and screen.lowest == 60 and len(cells_of(screen.text)) == 45

    watch.press("q")
    assert watch.end() == 0 and left_as_found(watch)
    assert "time left: unknown until one of each was measured: a training of llama3_1_8b" in screen.main[1]
    assert len(cells_of("\n".join(screen.main))) == 45  # as they were last seen
    assert r"\x1b[2J\x1b]0;owned\x07\x9b31m\r\u202eback" in "\n".join(screen.main)
    assert not any(sequence in watch.raw for sequence in ("\x1b[2J", "\x1b]0", "\x9b", "\u202e"))


@pytest.mark.parametrize(
    ("ending", "code", "environment"),
    [("\x03", 130, {"NO_COLOR": "1"}), (signal.SIGTERM, 143, {"LANG": "C"})],
    ids=["Ctrl-C, without colours", "SIGTERM, without blocks"],
)
def test_however_it_ends_the_terminal_is_given_back(terminal, ending, code, environment):
    watch = terminal("watch", "grid", **environment)
    text = watch.until(on_page(1)).text
    assert (watch.screen.coloured, text.isascii()) == ("NO_COLOR" not in environment, "LANG" in environment)
    assert ("▁▅█" in text, "_=#" in text) == ("LANG" not in environment, "LANG" in environment)
    if isinstance(ending, str):
        watch.press(ending)
    assert watch.end(None if isinstance(ending, str) else ending) == code and left_as_found(watch)
    assert "25 queued, 7 done" in " ".join(line.strip() for line in watch.screen.main)


def test_without_keys_pages_turn_by_themselves(terminal, sweep):
    quick = "import sys; from sweep.dispatch import view; view.TURN_SECONDS = 0.3; from sweep.__main__ import main; "
    with open(os.devnull) as nothing:
        program = (sys.executable, "-c", f"{quick} sys.exit(main(sys.argv[1:]))")
        watch = terminal(program=(*program, "watch", "grid", "--output-dir", sweep.root), stdin=nothing)
    for page in (2, 3, 1):
        watch.until(on_page(page))
    assert "turns every" in watch.screen.text and "Ctrl-C: leave" in watch.screen.text
    assert watch.end(signal.SIGINT) == 130 and left_as_found(watch)


@pytest.mark.parametrize("how", ["dumb", "background"])
def test_what_cannot_be_drawn_on_gets_plain_lines(terminal, sweep, how):
    command = f"{sys.executable} -m sweep watch grid --output-dir {sweep.root} & echo process $!; wait"
    # Under -m bash puts it in the background, where it may neither draw on the terminal nor set it.
    option, kind = {"dumb": ("-c", "dumb"), "background": ("-mc", "xterm")}[how]
    watch = terminal(program=("bash", option, command), TERM=kind)
    watch.until(lambda screen: sum("queued" in line for line in screen.main) == 25)
    assert not watch.screen.alternate and "\x1b" not in watch.raw and left_as_found(watch)
    number = next(int(line.split()[1]) for line in watch.screen.main if line.startswith("process "))
    os.kill(number, signal.SIGTERM)


def test_other_commands_show_control_characters_too(terminal, sweep, capsys):
    cell = next(cell for cell in sweep.cells if cell.signature == "c7")
    run = RunDirectory(sweep.directory(cell))
    run.log.write_bytes(f"a line\tand\n{HOSTILE}\n".encode() + b"\xff\n")
    visible, place = r"\x1b[2J\x1b]0;owned\x07\x9b31m", ["--output-dir", str(sweep.root)]
    status, logs = terminal("status", "grid"), terminal("logs", "grid", run.path.name)
    for ran in (status, logs):
        assert ran.end() == 0
        assert visible in "".join(ran.screen.main) and HOSTILE[:4] not in ran.raw
    table = status.screen.main[: next(n for n, line in enumerate(status.screen.main) if line.startswith("cost"))]
    assert len(cells_of("\n".join(table))) == 45 and max(map(len, table)) <= 80
    assert r"\xff" in "".join(logs.screen.main)

    for words, code in ((["status", "grid"], 0), (["compare", "grid"], 0), (["cancel", "grid", HOSTILE], 2)):
        assert main([*words, *place]) == code
        said = "".join(capsys.readouterr())
        assert visible in said and HOSTILE[:4] not in said, words
    assert main(["logs", "grid", run.path.name, *place]) == 0  # to what is no terminal, as it stands there
    assert capsys.readouterr().out.replace("\n", "") == "a line\tand" + HOSTILE.replace("\r", "") + r"\xff"


def test_a_launch_here_shows_the_same_view(terminal, tmp_path):
    overrides = ["reward=random,format", "name=s", "tracking.mode=disabled", f"output_dir={tmp_path}"]
    finish_all(plan_sweep(overrides))
    launch = terminal(program=(sys.executable, "launch.py", *overrides))
    assert launch.end() == 0 and left_as_found(launch)
    assert "Ctrl-C: stop the runs" in launch.raw and "q: leave" not in launch.raw
    text = "\n".join(launch.screen.main)
    parts = [text.index(part) for part in ("every run has ended", "every cell: model=qwen2_mini seed=0", "contrasts")]
    assert parts == sorted(parts)


def test_a_watch_ends_with_its_sweep(tmp_path, terminal):
    plan = plan_sweep(["reward=random", "name=s", "tracking.mode=disabled", f"output_dir={tmp_path}"])
    finish_all(plan)
    RunDirectory(plan.cells[0].directory).write_state(state="running", host="node7")
    (plan.cells[0].directory / "heartbeat").touch()
    watch = terminal(program=(sys.executable, "-m", "sweep", "watch", "s", "reward=random", "--output-dir", tmp_path))
    watch.until(lambda screen: "1 running" in screen.text)
    RunDirectory(plan.cells[0].directory).write_state(state=State.FAILED)
    assert watch.end() == 1 and left_as_found(watch)
    assert "sweep s: 1 run: 1 failed" in watch.screen.main
