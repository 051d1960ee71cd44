"""metrics.jsonl and its W&B mirror in training, with the real client: no fault of W&B's ends a run."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest
import wandb

from helpers.constants import ROOT, TINY
from helpers.wandb_server import Fault, wandb_server
from sweep.__main__ import main
from sweep.plan.compose import compose_cells
from sweep.run import wandb_process
from sweep.run.bounded import CallFailed, within
from sweep.run.directory import RunDirectory
from sweep.run.files import try_lock
from sweep.run.state import State
from sweep.track import mirror
from sweep.track.metrics import RowLog
from sweep.track.mirror import open_mirror

KEY = "0123456789" * 4
LONG = [f"reward.rewards=[{','.join(['ground_truth', 'no_python', 'no_repetition', 'format', 'random'] * 3)}]"]


def test_rows_are_finite_or_null_and_each_step_stands_once(tmp_path):
    path = tmp_path / "metrics.jsonl"
    log = RowLog(path, resume_after=0)
    for step in (1, 2, 3):
        log.write({"step": step, "loss": math.nan if step == 2 else 0.5, "peak": math.inf})
    log.close()
    with open(path, "a") as file:
        file.write('{"step": 4, "lo')  # a crash in the middle of a row
    log = RowLog(path, resume_after=2)
    log.write({"step": 3, "loss": 0.25})
    log.close()
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert rows == [
        {"step": 1, "loss": 0.5, "peak": None},
        {"step": 2, "loss": None, "peak": None},
        {"step": 3, "loss": 0.25},
    ]


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), KeyboardInterrupt(), OSError(28, "full")])
def test_a_bounded_call_turns_whatever_it_raises_into_one_kind_of_failure(error):
    def fail():
        raise error

    with pytest.raises(CallFailed, match=type(error).__name__) as caught:
        within(60, fail)
    assert caught.value.__cause__ is error
    assert within(60, lambda: 7) == 7
    with pytest.raises(CallFailed, match="no answer within"):
        within(0.01, threading.Event().wait)


SIGN = "abc123def456"


@pytest.fixture
def server(monkeypatch):
    for name in [name for name in os.environ if name.startswith("WANDB")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    with wandb_server() as server:
        yield server
    wandb_process.end_service(failed=True)


@pytest.fixture
def trained(tmp_path, composed, server, monkeypatch):
    """Makes attempts at a run that no job trains: they write rows, with the mirror beside them."""
    monkeypatch.setattr(mirror, "CLOSE_SECONDS", 60.0)  # other tests may hold the cores

    class Attempt:
        def __init__(self, sign: str = SIGN, config=None, after: int = 0, **tracking) -> None:
            self.run = RunDirectory(tmp_path / "cells" / f"cell-s0-{sign}")
            place = {"mode": "online", "base_url": server.url, "project": "p"}
            self.run.freeze(config or composed(**{**place, **tracking}), sign, {}, {})
            self.log = RowLog(self.run.metrics, after)
            self.mirror = open_mirror(self.run, self.run.read_config())

        def write(self, *steps: int, **more) -> Attempt:
            for step in steps:
                self.log.write({"step": step, "loss": step / 3, "peak": math.nan, "evaluation": "name"} | more)
                self.mirror.row_written()
            return self

        def close(self, state: State = State.DONE) -> Attempt:
            self.mirror.close(state)
            self.log.close()
            return self

    return Attempt


def services() -> list[psutil.Process]:
    return [p for p in psutil.Process().children() if p.name() == wandb_process.SERVICE]


def ours(caplog) -> list[str]:
    """What the mirror warned of; W&B's own records go to its own files."""
    return [r.getMessage() for r in caplog.records if r.name == "sweep.track" and r.levelname == "WARNING"]


def said_once(caplog, attempt) -> str:
    (said,) = ours(caplog)
    assert "training goes on without it, and metrics.jsonl has every row" in said
    assert f"`python -m sweep sync sweep --output-dir {attempt.run.root}` sends them" in said
    return said


def fails(error: BaseException):
    def call(*_, **__):
        raise error

    return call


def truth(run: RunDirectory) -> list[dict]:
    return [{key: value for key, value in row.items() if value is not None} for row in run.read_metrics()]


def test_rows_are_sent_under_their_own_steps_and_a_later_attempt_goes_on_in_the_same_run(
    trained, server, caplog, monkeypatch
):
    for first, state in ((1, State.INTERRUPTED), (4, State.DONE)):
        monkeypatch.setenv("WANDB_RUN_ID", "same")  # what a shell may have
        monkeypatch.setenv("WANDB_RESUME", "never")
        attempt = trained(after=first - 1).write(*range(first, first + 3)).close(state)
    assert list(server.runs) == [SIGN] and not ours(caplog) and not services()
    run = server.runs[SIGN]
    assert server.rows(SIGN) == truth(attempt.run) and [row["_step"] for row in run.rows] == [1, 2, 3, 4, 5, 6]
    assert (run.fields["project"], run.state, run.summary["state"]) == ("p", "finished", "done")
    assert not list(attempt.run.path.rglob("*.wandb"))  # metrics.jsonl is enough


def test_steps_that_are_made_again_are_not_sent_twice(trained, server):
    trained().write(1, 2, 3, 4, 5).close(State.FAILED)
    trained(after=3).write(4).write(5, loss=7.0).write(6).close()
    assert [row["loss"] for row in server.rows(SIGN)] == [step / 3 for step in range(1, 7)]
    assert server.runs[SIGN].summary["repeated_steps"] == 1


def test_names_made_by_us_are_cut_to_what_wandb_takes_and_a_users_tags_stay(trained, server, caplog):
    given = ["tracking.mode=online", f"tracking.base_url={server.url}", "tracking.tags=[mine,qwen2_mini]"]
    (cell,) = compose_cells([*given, "reward=all_of", *LONG])
    for sign in ("aaaaaaaaaaaa", "bbbbbbbbbbbb", "aaaaaaaaaaaa"):
        trained(sign, cell.config).write(1).close()
        tags = server.runs[sign].fields["tags"]
        assert {"mine", "qwen2_mini", "seed=0"} < set(tags) and len(tags) == len(set(tags)) == 4 + ("a user's" in tags)
        assert max(map(len, tags)) <= 64
        tags.append("a user's")
    assert "a user's" in server.runs["aaaaaaaaaaaa"].fields["tags"] and not ours(caplog)


@pytest.mark.parametrize("mode", ["offline", "disabled"])
def test_what_is_not_tracked_online_says_nothing_to_wandb(trained, server, mode):
    attempt = trained(mode=mode)
    assert attempt.mirror is None and not (attempt.run.path / "wandb").exists() and not server.bodies


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("Tag 0 is odd"), ["ValueError: Tag 0 is odd", "see first that the W&B server is reached"]),
        (SystemExit(1), ["SystemExit: 1"]),
        (PermissionError(13, "Permission denied", "/x/wandb"), ["look at /x/wandb first: W&B writes there"]),
        (ImportError("no wandb"), ["`pip install wandb` first"]),
        (wandb.errors.AuthenticationError("bad key"), ["`wandb login` first"]),
    ],
)
def test_an_error_at_the_start_leaves_the_run_untracked_and_is_said_once(trained, monkeypatch, caplog, error, words):
    monkeypatch.setattr(wandb, "init", fails(error))
    said = said_once(caplog, trained().write(1, 2).close())
    assert all(word in said for word in words)


def test_an_interruption_while_wandb_is_waited_for_is_no_failure_of_wandbs(monkeypatch):
    """Ctrl-C reaches the main thread, and nothing here holds it."""
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "join", fails(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            within(60, lambda: None)


def wait_for(condition) -> None:
    for _ in range(6000):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it never came")


def kill_service(patched):
    services()[0].kill()


def stop_service(patched):
    os.kill(services()[0].pid, signal.SIGSTOP)


def break_log(patched):
    patched.setattr(wandb.Run, "log", fails(RuntimeError("surprise")))


def break_finish(patched):
    patched.setattr(wandb.Run, "finish", fails(TimeoutError("not all was sent")))


@pytest.mark.parametrize("fault", [kill_service, stop_service, break_log, break_finish])
def test_a_fault_in_mid_run_is_said_once_and_the_run_goes_on(trained, server, monkeypatch, caplog, fault):
    monkeypatch.setattr(mirror, "CLOSE_SECONDS", 2.0)
    attempt = trained().write(1)
    wait_for(lambda: SIGN in server.runs and services())
    with monkeypatch.context() as patched:
        fault(patched)
        attempt.write(2, 3).close()
        said_once(caplog, attempt)
    assert not services()


def test_a_mistake_in_the_mirror_shows_and_ends_no_run(trained, monkeypatch, caplog):
    monkeypatch.setattr(mirror, "read_listed", fails(ZeroDivisionError("ours")))
    assert "ZeroDivisionError: ours" in said_once(caplog, trained().write(1).close())
    assert any(record.exc_info for record in caplog.records if record.name == "sweep.track")


def test_a_run_that_another_process_sends_is_left_to_it(trained, server, caplog):
    with try_lock(trained(mode="offline").run.sending):
        attempt = trained().write(1).close()
    assert "another process sends the rows of this run" in said_once(caplog, attempt) and not server.runs


def test_what_wandb_does_to_its_directory_is_said_once(trained, tmp_path, caplog):
    in_the_way = tmp_path / "cells" / f"cell-s0-{SIGN}" / "wandb"
    in_the_way.parent.mkdir(parents=True)
    in_the_way.write_text("in the way")
    assert str(in_the_way) in said_once(caplog, trained().write(1).close())


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(401), "`wandb login` first"),
        (Fault(403, path="file_stream"), "the server has 0 of 1 rows"),
        (Fault(500), "within the 2 s that it is given"),
        (Fault(429, path="file_stream"), "within the 2 s that it is given"),
        (Fault(seconds=30), "within the 2 s that it is given"),
    ],
)
def test_whatever_a_server_answers_ends_no_run_and_is_said_once(trained, server, monkeypatch, caplog, fault, words):
    long = fault.status in (401, 403)  # the answer comes at once, and other tests may hold the cores
    monkeypatch.setattr(mirror, "CLOSE_SECONDS", 60.0 if long else 2.0)
    server.faults = [fault]
    assert words in said_once(caplog, trained().write(1).close())
    assert not services()


def test_a_training_that_goes_back_in_the_same_process_is_sent_once_the_server_is_well(
    trained, server, monkeypatch, caplog
):
    monkeypatch.setattr(mirror, "CLOSE_SECONDS", 1.0)
    server.faults = [Fault(seconds=30)]
    said_once(caplog, trained().write(1, 2).close(State.FAILED))
    server.faults = []
    monkeypatch.setattr(mirror, "CLOSE_SECONDS", 60.0)
    attempt = trained(after=1).write(2, 3)
    wait_for(lambda: SIGN in server.runs)
    attempt.close()
    assert server.rows(SIGN) == truth(attempt.run) and len(ours(caplog)) == 1


@pytest.mark.parametrize("body", [b"surprise", b'{"data": {}}'])  # W&B's own process dies of the second
def test_answers_that_are_none_end_no_run(trained, monkeypatch, caplog, body):
    monkeypatch.setattr(mirror, "CLOSE_SECONDS", 4.0)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers.get("content-length") or 0))
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_POST

        def log_message(self, *_):
            pass

    answering = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=answering.serve_forever, daemon=True).start()
    said_once(caplog, trained(base_url=f"http://127.0.0.1:{answering.server_port}").write(1).close())
    answering.shutdown()
    assert not services()


def test_every_wait_is_bounded_and_all_of_them_together_by_ten_seconds(trained, monkeypatch):
    assert mirror.PATIENCE.finish < 5 and max(mirror.PATIENCE.open, mirror.PATIENCE.call) <= 90
    closes = Path(mirror.__file__).read_text().split("CLOSE_SECONDS = ")[1].split()[0]  # which these tests replace
    assert float(closes) + 3 * wandb_process.END_SECONDS <= 10  # its kill, W&B's own end, and the kill again
    given, init = [], wandb.init
    monkeypatch.setattr(wandb, "init", lambda **arguments: given.append(arguments) or init(**arguments))
    trained().write(1).close()
    (settings,) = (arguments["settings"] for arguments in given)
    assert (settings["init_timeout"], settings["x_service_wait"]) == (mirror.PATIENCE.open,) * 2
    assert settings["finish_timeout"] == mirror.PATIENCE.finish and settings["finish_timeout_raises"]


KILLED = """
import itertools, sys, time
from pathlib import Path
from sweep.run.bounded import CallFailed, within
from sweep.run.directory import RunDirectory
from sweep.track.metrics import RowLog
from sweep.track.mirror import open_mirror
run = RunDirectory(Path(sys.argv[1]))
rows, mirror = RowLog(run.metrics, 0), open_mirror(run, run.read_config())
for step in itertools.count(1):
    rows.write({"step": step, "loss": step / 3})
    mirror.row_written()
    time.sleep(0.01)
"""


def test_a_training_that_is_killed_loses_no_row_once_the_next_attempt_sends(trained, server):
    run = trained().close().run
    del server.runs[SIGN]
    training = subprocess.Popen([sys.executable, "-c", KILLED, str(run.path)], cwd=ROOT)
    wait_for(lambda: SIGN in server.runs)
    training.kill()
    training.wait()
    written = len(run.read_metrics())
    assert len(server.rows(SIGN)) < written
    trained(after=written).close()  # as a last attempt that has nothing left to train
    assert server.rows(SIGN) == truth(run)


def files_with(text: str, *roots: Path) -> list[Path]:
    files = [f for root in roots for f in ([root] if root.is_file() else root.rglob("*")) if f.is_file()]
    return [f for f in files if text.encode() in f.read_bytes()]


def test_a_key_without_a_network_ends_no_run_is_said_once_and_is_written_nowhere(shell, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("HF_TOKEN", "hf_planted_in_the_shell")
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    done = shell.launch(*TINY, "steps=1", "name=unreachable", "tracking.mode=auto")
    (cell,) = shell.sweep("compare", "unreachable")["cells"]
    assert cell["state"] == "done"
    run = RunDirectory(cell["directory"])
    assert run.log.read_text().count("W&B failed") == 1 and "sync unreachable" in run.log.read_text()
    places = (shell.root, Path(os.environ["NETRC"]))
    for secret in (KEY, "hf_planted_in_the_shell"):
        assert secret not in done.stdout + done.stderr and not files_with(secret, *places)


def test_without_a_key_the_launch_says_so_once_and_sync_sends_the_runs(shell, server, monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY")
    monkeypatch.setenv("WANDB_RUN_ID", "same")
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    reward = ["reward=all_of", *LONG]  # a title longer than a tag, a run's name or a file's name
    done = shell.launch(*TINY, "steps=4", "name=keyless", "seed=0,1", "tracking.mode=auto", *reward)
    assert done.stdout.count("no API key") == done.stdout.count("WANDB_RUN_ID not used") == 1
    cells = [RunDirectory(cell["directory"]) for cell in shell.sweep("compare", "keyless")["cells"]]
    assert len(cells) == 2 and not server.bodies and not any((run.path / "wandb").exists() for run in cells)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    assert main(["sync", "keyless", "--output-dir", str(shell.root / "runs")]) == 0
    for run in cells:
        sent = [{k: v for k, v in row.items() if k != "samples"} for row in server.rows(run.signature)]
        assert sent == truth(run)
