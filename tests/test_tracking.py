"""metrics.jsonl and its W&B mirror, with the real client."""

from __future__ import annotations

import json
import math
import os
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest
import wandb
from conftest import TINY
from sweep.track.meanwhile import OpenedMeanwhile
from sweep.track.wandb_mirror import open_mirror
from wandb_server import wandb_server

from sweep.plan.compose import compose_cells
from sweep.run.bounded import CallFailed, within
from sweep.run.directory import RunDirectory
from sweep.track import wandb_mirror
from sweep.track.metrics import RowLog

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
    assert caught.value.__cause__ is error and not caught.value.hangs
    assert within(60, lambda: 7) == 7
    with pytest.raises(CallFailed, match="no answer within") as caught:
        within(0.01, threading.Event().wait)
    assert caught.value.hangs


@pytest.fixture
def opened(tmp_path, monkeypatch, composed):
    """Opens the mirror of a cell that no job trains, offline or as `tracking` says."""
    for name in [name for name in os.environ if name.startswith("WANDB")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")

    def opened(signature: str = "abc123def456", config=None, **tracking):
        run = RunDirectory(tmp_path / "cells" / f"cell-s0-{signature}")
        run.freeze(config or composed(**{"mode": "offline", **tracking}), signature, {}, {})
        return open_mirror(run, run.read_config()), run

    yield opened
    wandb_mirror._end_service()


def services() -> list[psutil.Process]:
    return [p for p in psutil.Process().children() if p.name() == wandb_mirror.SERVICE]


def ours(caplog) -> list[str]:
    """What the mirror logged; W&B's own records go to its own files."""
    return [record.getMessage() for record in caplog.records if record.name == "sweep.track"]


def fails(error: BaseException):
    def call(*_, **__):
        raise error

    return call


def test_names_made_by_us_are_cut_to_what_wandb_takes_and_a_shells_run_is_not_joined(opened, monkeypatch, caplog):
    (cell,) = compose_cells(["tracking.mode=offline", "tracking.tags=[mine,qwen2_mini]", "reward=all_of", *LONG])
    for signature in ("aaaaaaaaaaaa", "bbbbbbbbbbbb"):
        for name, value in {"WANDB_RUN_ID": "same", "WANDB_SWEEP_ID": "e/p/s", "WANDB_PROJECT": "other"}.items():
            monkeypatch.setenv(name, value)
        mirror, _ = opened(signature, cell.config)
        assert (mirror._started.id, mirror._started.project) == (signature, "rlvr-sweep")
        tags = mirror._started.tags
        assert {"mine", "qwen2_mini", "seed=0"} < set(tags) and len(tags) == len(set(tags)) == 4
        mirror.finish(0)
    assert not ours(caplog) and not services()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("Tag 0 is odd"), ["(ValueError: Tag 0 is odd)", "tracking.mode=offline"]),
        (SystemExit(1), ["W&B does not start (SystemExit: 1)"]),
        (PermissionError(13, "Permission denied", "/x/wandb"), ["look at /x/wandb: W&B writes there"]),
        (ImportError("no wandb"), ["`pip install wandb`"]),
        (wandb.errors.AuthenticationError("bad key"), ["`wandb login`"]),
    ],
)
def test_an_error_at_the_start_leaves_the_run_untracked_and_is_said_once(opened, monkeypatch, caplog, error, words):
    monkeypatch.setattr(wandb, "init", fails(error))
    mirror, _ = opened(mode="online")
    assert mirror is None
    (said,) = ours(caplog)
    assert all(word in said for word in [*words, "the run goes on without it"])


def test_an_interruption_while_wandb_is_waited_for_is_no_failure_of_wandbs(monkeypatch):
    """Ctrl-C reaches the main thread, and nothing here holds it."""
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "join", fails(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            within(60, lambda: None)


def kill_service(mirror):
    services()[0].kill()


def stop_service(mirror):
    os.kill(services()[0].pid, signal.SIGSTOP)


def break_log(mirror):
    mirror._started.log = fails(RuntimeError("surprise"))


def break_finish(mirror):
    mirror._started.finish = fails(TimeoutError("not all was sent"))


@pytest.mark.parametrize("fault", [kill_service, stop_service, break_log, break_finish])
def test_a_fault_in_mid_run_is_said_once_and_the_run_goes_on(opened, monkeypatch, caplog, fault):
    monkeypatch.setattr(wandb_mirror, "HANGS", {**wandb_mirror.HANGS, "log": 1.0, "finish": 1.0, "teardown": 0.5})
    mirror, run = opened()
    mirror.log({"step": 1, "loss": 0.5, "peak": math.inf, "nothing": None, "evaluation": "name"})
    fault(mirror)
    for step in range(2, 5):
        mirror.log({"step": step, "loss": 0.5})
    mirror.finish(0)
    (said,) = ours(caplog)
    assert "metrics.jsonl has every row" in said and str(run.path) in said
    assert not services()


def test_a_directory_that_wandb_cannot_use_leaves_the_run_untracked(opened, caplog, tmp_path):
    (tmp_path / "cells" / "cell-s0-abc123def456").mkdir(parents=True)
    (tmp_path / "cells" / "cell-s0-abc123def456" / "wandb").write_text("in the way")
    mirror, run = opened()
    assert mirror is None
    (said,) = ours(caplog)
    assert f"{run.path}/wandb" in said


def answering(status: int, body: bytes):
    """A server that answers whatever is asked with the same."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers.get("content-length") or 0))
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_POST

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, b"{}", "this run is tracked offline; `wandb login`"),
        (200, b"surprise", "this run is tracked offline; look whether the job reaches the W&B server"),
        (200, b'{"data": {}}', "W&B failed in finish"),  # its process dies of this one
    ],
)
def test_whatever_a_server_answers_ends_no_run_and_is_said_once(opened, monkeypatch, caplog, status, body, words):
    server = answering(status, body)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    mirror, run = opened(mode="online", base_url=f"http://127.0.0.1:{server.server_port}")
    mirror.log({"step": 1})
    mirror.finish(0)
    server.shutdown()
    (said,) = ours(caplog)
    assert words in said
    assert bool(list(run.path.glob("wandb/offline-run-*/*.wandb"))) == ("offline" in words)


def test_a_run_online_is_gone_on_with_by_its_signature_whatever_the_shell_names(opened, monkeypatch, caplog):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    with wandb_server() as server:
        for step in (1, 2):
            monkeypatch.setenv("WANDB_RUN_ID", "same")
            monkeypatch.setenv("WANDB_RESUME", "never")
            mirror, _ = opened(mode="online", base_url=server.url, project="p", entity="e")
            mirror.log({"step": step, "loss": step / 2, "peak": math.nan})
            mirror.finish(0)
    assert list(server.runs) == ["abc123def456"] and not ours(caplog)
    assert (server.runs["abc123def456"]["project"], server.runs["abc123def456"]["entity"]) == ("p", "e")
    rows = [{key: row.get(key) for key in ("step", "loss", "peak")} for row in server.rows["abc123def456"]]
    assert rows == [{"step": 1, "loss": 0.5, "peak": None}, {"step": 2, "loss": 1.0, "peak": None}]


def test_a_server_that_goes_away_is_waited_for_as_long_as_is_set_and_no_longer(opened, monkeypatch, caplog):
    assert wandb_mirror.INIT_SECONDS <= 10 and wandb_mirror.FINISH_SECONDS <= 30
    monkeypatch.setattr(wandb_mirror, "FINISH_SECONDS", 0.5)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    with wandb_server() as server:
        mirror, _ = opened(mode="online", base_url=server.url)
    mirror.log({"step": 1})
    mirror.finish(0)
    (said,) = ours(caplog)
    assert "W&B failed in finish (TimeoutError" in said and not services()


def files_with(text: str, *roots: Path) -> list[Path]:
    files = [f for root in roots for f in ([root] if root.is_file() else root.rglob("*")) if f.is_file()]
    return [f for f in files if text.encode() in f.read_bytes()]


def test_a_key_without_a_network_falls_back_to_offline_says_so_and_is_written_nowhere(shell, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("HF_TOKEN", "hf_planted_in_the_shell")
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    done = shell.launch(*TINY, "steps=1", "name=unreachable", "tracking.mode=auto")
    (cell,) = shell.sweep("compare", "unreachable")["cells"]
    assert cell["state"] == "done"
    run = RunDirectory(cell["directory"])
    assert run.log.read_text().count("W&B cannot be reached") == 1
    (mirrored,) = run.path.glob("wandb/offline-run-*/*.wandb")
    places = (shell.root, Path(os.environ["NETRC"]))
    for secret in (KEY, "hf_planted_in_the_shell"):
        assert secret not in done.stdout + done.stderr and not files_with(secret, *places)
    assert mirrored in files_with("qwen2_mini", *places)  # what is mirrored can be found by its text


def test_without_a_key_the_launch_says_once_that_runs_are_offline(shell, monkeypatch):
    monkeypatch.setenv("WANDB_RUN_ID", "same")
    reward = ["reward=all_of", *LONG]  # a title longer than a tag, a run's name or a file's name
    done = shell.launch(*TINY, "steps=1", "name=keyless", "seed=0,1", "tracking.mode=auto", *reward)
    assert done.stdout.count("no API key") == done.stdout.count("WANDB_RUN_ID not used") == 1
    cells = [RunDirectory(cell["directory"]) for cell in shell.sweep("compare", "keyless")["cells"]]
    assert len(cells) == 2
    for run in cells:
        (mirrored,) = run.path.glob("wandb/offline-run-*")
        assert mirrored.name.endswith(run.signature)


class Received:
    """A mirror that keeps what it is sent."""

    def __init__(self) -> None:
        self.rows, self.exit_code = [], None

    def log(self, row: dict) -> None:
        self.rows.append(row)

    def finish(self, exit_code: int) -> None:
        self.exit_code = exit_code


def test_rows_wait_in_order_for_a_mirror_that_still_opens():
    opens, mirror = threading.Event(), Received()
    meanwhile = OpenedMeanwhile(lambda: mirror if opens.wait(60) else None)
    meanwhile.log({"step": 1})
    meanwhile.log({"step": 2})
    assert mirror.rows == []
    threading.Timer(0.05, opens.set).start()
    meanwhile.finish(3)  # waits for the mirror, and brings it every row first
    assert [row["step"] for row in mirror.rows] == [1, 2] and mirror.exit_code == 3


def test_without_a_mirror_rows_are_dropped_and_an_error_in_opening_one_shows():
    nothing = OpenedMeanwhile(lambda: None)
    nothing.log({"step": 1})
    nothing.finish(0)
    broken = OpenedMeanwhile(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        broken.finish(0)
