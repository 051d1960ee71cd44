"""The guard: hostile answers, deadlines, threads, deaths on either side of the pipe."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from helpers.constants import ROOT
from rewards.grading import Grader, GradingConfig, Outcome
from rewards.guard import Guard
from rewards.worker import EXCEEDED, RIGHT

DEADLINE = 1.0
HONEST = ("\\frac{\\sqrt{12}}{2}", "\\sqrt{3}")
SLOW = ("\\sum_{k=1}^{900000} \\sin k", "\\sqrt{3}")  # small numbers, but very many of them


@pytest.fixture
def guard():
    made = Guard(workers=2, deadline_s=DEADLINE, memory_gib=1.0)
    yield made
    made.close()


@pytest.fixture(scope="module")
def grader():
    made = Grader(GradingConfig(name="t", extraction=("boxed",), deadline_s=DEADLINE, memory_gb=1.0), workers=2)
    yield made
    made.close()


@pytest.mark.parametrize(
    "answer",
    [
        "5^(5^(5^(5^5)))",
        "5^{5^{5^{5^5}}}",
        "{" * 100_000 + "}" * 100_000,
        "(" * 400 + "1" + ")" * 400,
        "\\frac{" * 150,
        "\\sqrt{" * 140 + "2" + "}" * 140,
        "\0\0\0",
        "1" * 1_000_000,
        "9" * 900 + "!",
        "100000000!",
        "10^{10^{10}}",
        "(x+1)^{100000}",
        "\\input{/etc/passwd}",
        "\\sum_{i=1}^{999}\\sum_{j=1}^{999} \\sqrt{i+j}",
        "9" * 100_000,
        "x" + "/x" * 490,
        "x" + "/-x" * 300,
        "x!" * 400,
        "\\{" * 400,
        "0." + "12" * 480 + "...",
        "x<1," * 240,
        "exit()",
        "quit",
        "__import__('os').system('touch hostile')",
        "().__class__.__base__.__subclasses__()",
        "lambda: 0",
        "\ud800",
        "\\pm" * 300,
        "x=" * 400,
        "1," * 400,
        "<" * 900,
        "a_" * 400,
        "\\text{" * 150,
        "^\\circ" * 150,
        "\\begin{pmatrix}" * 50,
    ],
    ids=lambda text: ascii(text[:18]),
)
def test_a_hostile_answer_costs_its_deadline_at_most_and_nobody_else_anything(grader, answer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    grader.grade([HONEST])  # the workers are up
    began = time.monotonic()
    hostile, honest = grader.grade(
        [(answer, "\\sqrt{51}+x"), (f"\\frac{{{len(answer)}}}{{\\sqrt{{3}}}}", f"{len(answer)}/\\sqrt{{3}}")]
    )
    assert time.monotonic() - began < 4 * DEADLINE + 20  # processor time is bounded; this machine may be busy
    assert hostile.outcome in (Outcome.WRONG, Outcome.UNPARSED, Outcome.TIMEOUT)
    assert honest.correct
    assert not list(tmp_path.iterdir())


def test_time_outs_are_counted_as_such_and_the_rest_of_the_batch_is_graded(guard):
    pairs = [HONEST, SLOW, HONEST, (SLOW[0] + "+1", "2"), *[HONEST] * 20]
    verdicts = [verdict for verdict, _ in guard.verdicts(pairs)]
    assert verdicts == [RIGHT, EXCEEDED, RIGHT, EXCEEDED, *[RIGHT] * 20]
    assert len(guard.processes) == 2


@pytest.mark.parametrize(
    "answer",
    [
        "9^{9^{9^9}}",
        "\\sum_{i=1}^{3} 2^{2^{40+i}}",
        "10^{10^{10}}!",
        "\\binom{10^{12}}{10^{11}}",
        "e^{e^{e^{e^9}}}",
        "2^{400000}",
    ],
)
def test_what_cannot_be_held_is_counted_as_a_time_out_before_it_is_computed(guard, answer):
    guard.verdicts([HONEST])
    used = _processor_seconds(guard)
    assert guard.verdicts([(answer, "\\sqrt{3}")]) == [(EXCEEDED, False)]
    assert _processor_seconds(guard) - used < DEADLINE  # it was not the deadline that ended it


def _processor_seconds(guard: Guard) -> float:
    return sum(psutil.Process(pid).cpu_times().user for pid in guard.processes)


def test_it_works_off_the_main_thread(guard):
    found = []
    thread = threading.Thread(target=lambda: found.extend(guard.verdicts([HONEST, SLOW, HONEST])))
    thread.start()
    thread.join(60)
    assert [verdict for verdict, _ in found] == [RIGHT, EXCEEDED, RIGHT]


def test_workers_that_die_while_idle_are_replaced(guard):
    guard.verdicts([HONEST] * 4)
    before = guard.processes
    for pid in before:
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # a process that waits for a disk dies later
    assert [verdict for verdict, _ in guard.verdicts([HONEST] * 4)] == [RIGHT] * 4
    assert not set(before) & set(guard.processes)


def test_workers_are_kept_and_ended(guard):
    guard.verdicts([HONEST] * 4)
    before = guard.processes
    guard.verdicts([("\\sqrt{8}", "2\\sqrt{2}")] * 4)
    assert guard.processes == before and len(before) == 2
    guard.close()
    assert not any(psutil.pid_exists(pid) for pid in before)


@pytest.mark.parametrize("busy", [False, True])
def test_workers_end_with_a_parent_that_is_killed(busy):
    code = (
        "import sys, threading; from rewards.guard import Guard; guard = Guard(2, 1.0, 1.0)\n"
        f"guard.verdicts([{HONEST!r}] * 2); print(*guard.processes, flush=True)\n"
        f"guard.verdicts([{SLOW!r}] * {8 if busy else 0}); sys.stdin.read()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    workers = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(workers) == 2 and all(map(psutil.pid_exists, workers))
    time.sleep(0.5)
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 60
    while any(map(_runs, workers)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(_runs, workers))


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_worker_that_cannot_start_says_why():
    with pytest.raises(RuntimeError, match=r"(?s)does not start: .*(MemoryError|failed to map)"):
        Guard(workers=1, deadline_s=1.0, memory_gib=0.01).verdicts([HONEST])


def test_the_trainer_never_loads_the_symbolic_library():
    code = (
        "import sys; from rewards.grading import Grader, GradingConfig\n"
        "grader = Grader(GradingConfig(name='t', extraction=('boxed',), deadline_s=20, memory_gb=1), workers=1)\n"
        f"assert grader.grade([{HONEST!r}])[0].correct; grader.close()\n"
        "assert not {'sympy', 'mpmath', 'rewards.numeric'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=120)
