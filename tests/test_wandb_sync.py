"""`python -m sweep sync`: W&B has the rows of metrics.jsonl, whatever came between, read back with the real client."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
from pathlib import Path

import pytest
import wandb
from wandb.sdk.data_types._private import MEDIA_TMP

from helpers.constants import TINY
from helpers.documented import bash_words, commands
from helpers.wandb_server import Fault, WandbServer, wandb_server
from helpers.written_sweeps import finish, finish_all
from sweep.__main__ import main
from sweep.plan.plan import Plan, plan_sweep
from sweep.run.directory import RunDirectory
from sweep.run.files import try_lock
from sweep.run.state import State
from sweep.run.wandb_process import end_service
from sweep.track import mirror, writer
from sweep.track import sync as syncing
from sweep.track.client import Patience, Session
from sweep.track.metrics import RowLog

KEY = "0123456789" * 4


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setattr(syncing, "PATIENCE", Patience(open=10, call=10, finish=10))
    # W&B's process serves a whole test; one for each command would take most of the time.
    monkeypatch.setattr(syncing, "end_service", lambda failed: end_service(failed) if failed else None)
    with wandb_server() as server:
        yield server
    end_service(failed=True)


def row(step: int, **more) -> dict:
    evaluated = {"eval/accuracy": step / 7, "evaluation": "e"} if step % 5 == 0 else {}
    return {"step": step, "train/loss": 1 / step, "timing_s/step": 0.5, "nothing": None} | evaluated | more


def write_rows(run: RunDirectory, rows: list[dict], after: int = 0) -> None:
    """As training writes them: rows after the step `after` are made again."""
    log, answers = RowLog(run.metrics, after), RowLog(run.samples, after)
    for one in rows:
        answers.write({"step": one["step"], "problem": "p", "question": "1+1", "response": "2" * 3000, "reward": 1.0})
        log.write(one)
    log.close()
    answers.close()


class Trained:
    """A sweep as finished trainings leave it behind."""

    def __init__(self, root: Path, server: WandbServer, *overrides: str, name: str = "demo") -> None:
        self.root, self.server, self.name = root, server, name
        place = [f"output_dir={root / 'runs'}", f"tracking.base_url={server.url}", "tracking.project=p"]
        self.plan: Plan = plan_sweep([*TINY, "tracking.mode=offline", *place, f"name={name}", *overrides])
        finish_all(self.plan)
        self.runs = [RunDirectory(task.directory) for task in self.plan.cells]

    def sync(self, *words: str) -> int:
        return main(["sync", self.name, *words, "--output-dir", str(self.root / "runs")])

    def api_runs(self) -> dict:
        api = wandb.Api(overrides={"base_url": self.server.url})
        return {run.id: run for run in api.runs("e/p", lazy=False)}

    def read_back(self, identifier: str) -> list[dict]:
        """The history of a run, without the client's columns and the tables."""
        run = self.api_runs()[identifier]
        return [
            {key: value for key, value in found.items() if key[0] != "_" and key != "samples"}
            for found in run.scan_history(use_cache=False)
        ]


def truth(run: RunDirectory) -> list[dict]:
    return [{key: value for key, value in one.items() if value is not None} for one in run.read_metrics()]


def test_what_was_trained_offline_is_read_back_as_it_was_written_and_a_second_sync_has_nothing_to_do(
    tmp_path, server, capsys
):
    sweep = Trained(tmp_path, server, "reward=random,format", "seed=0,1")
    for run in sweep.runs[:3]:
        write_rows(run, [row(step, gone=math.nan) for step in range(1, 13)])
    assert sweep.sync() == 0
    said = capsys.readouterr().out
    assert said.count("sent: 12 rows of 12") == 3 and "left out: no rows yet" in said
    assert f"sync demo: 3 sent, 1 left out; 36 rows sent\n{server.url}/e/p\n" in said
    for run in sweep.runs[:3]:
        assert sweep.read_back(run.signature) == truth(run)
        assert [one["_step"] for one in server.runs[run.signature].rows] == list(range(1, 13))
        shown = sweep.api_runs()[run.signature]
        assert len(shown.history(pandas=False)) == 12
        assert [one["train/loss"] for one in shown.history(keys=["train/loss"], x_axis="step", pandas=False)] == [
            1 / step for step in range(1, 13)
        ]
        assert "wandb-metadata.json" not in server.runs[run.signature].files  # of the machine that syncs
    operations = len(server.operations)
    assert sweep.sync() == 0
    assert "3 up to date" in capsys.readouterr().out
    assert server.operations[operations:].count("UpsertBucket") == 0
    assert sweep.sync("--check") == 0
    assert server.operations[operations:].count("UpsertBucket") == 0 and "3 up to date" in capsys.readouterr().out


def test_tables_are_sent_although_a_copy_of_this_process_ended_and_deleted_what_all_copies_have(
    tmp_path, server, monkeypatch
):
    """As the jobs of the local cluster are copies of one process that has imported W&B's client."""
    monkeypatch.delenv("WANDB_DATA_DIR", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    sweep = Trained(tmp_path, server, "reward=random")
    write_rows(sweep.runs[0], [row(step) for step in range(1, 6)])
    shutil.rmtree(MEDIA_TMP.name, ignore_errors=True)
    assert sweep.sync() == 0
    assert "samples" in server.runs[sweep.runs[0].signature].rows[-1]
    assert not (tmp_path / "home").exists()  # where W&B would keep a copy of every table


def test_sync_goes_on_after_the_last_step_that_the_server_has_however_often_it_was_stopped(tmp_path, server, capsys):
    sweep = Trained(tmp_path, server, "reward=random")
    (run,) = sweep.runs
    for length in (3, 7, 12):  # as after SIGKILLs of a sync: some rows came through, and nothing was closed
        write_rows(run, [row(step) for step in range(1, 13)])
        assert sweep.sync() == 0
        received = server.runs[run.signature]
        received.rows, received.state = received.rows[:length], "running"
        received.summary = {"_step": length}
    assert sweep.sync() == 0
    assert sweep.read_back(run.signature) == truth(run) and server.runs[run.signature].state == "finished"
    said = capsys.readouterr().out
    assert [line.split(" of ")[0][-7:] for line in said.splitlines() if " of 12" in line] == [
        "12 rows",
        " 9 rows",
        " 5 rows",
        " 0 rows",
    ]


def test_rows_of_an_earlier_version_whose_step_w_and_b_counted_from_0_are_not_sent_again(tmp_path, server):
    sweep = Trained(tmp_path, server, "reward=random")
    (run,) = sweep.runs
    write_rows(run, [row(step) for step in (1, 2, 3)])
    sweep.sync()
    received = server.runs[run.signature]
    received.rows, received.summary = [one | {"_step": one["step"] - 1} for one in received.rows], {"_step": 2}
    write_rows(run, [row(4)], after=3)
    assert sweep.sync() == 0 and sweep.read_back(run.signature) == truth(run) and sweep.sync("--check") == 0


def test_steps_that_came_out_otherwise_are_counted_and_named_and_a_rebuild_has_them_right(tmp_path, server, capsys):
    sweep = Trained(tmp_path, server, "reward=random")
    (run,) = sweep.runs
    write_rows(run, [row(step) for step in range(1, 11)])
    assert sweep.sync() == 0 and sweep.sync("--check") == 0
    again = [row(step, **{"timing_s/step": 9.0}) for step in range(7, 13)]  # seconds differ, and count for nothing
    again[2]["train/loss"] = again[3]["train/loss"] = 7.0  # steps 9 and 10
    write_rows(run, again, after=6)
    capsys.readouterr()
    assert sweep.sync() == 0
    assert "2 rows of 12; 2 steps that training made again came out otherwise" in capsys.readouterr().out
    assert server.runs[run.signature].summary["repeated_steps"] == 2
    assert [one["train/loss"] for one in server.rows(run.signature)][8:] == [1 / 9, 1 / 10, 1 / 11, 1 / 12]
    before = server.runs[run.signature].rows[:]
    assert sweep.sync("--check") == 1
    assert "steps 9-10 otherwise than metrics.jsonl has them" in capsys.readouterr().out
    assert server.runs[run.signature].rows == before and list(server.runs) == [run.signature]

    server.runs[run.signature].fields["tags"].append("a user's")
    server.faults = [Fault(403, path=f"{run.signature}-2")]  # stopped in the middle of the rebuild
    assert sweep.sync("--rebuild") == 1
    server.faults = []
    assert sweep.sync() == 0  # goes on with it
    second = f"{run.signature}-2"
    assert sweep.read_back(second) == truth(run) and sweep.sync("--check") == 0
    tags = {identifier: found.tags for identifier, found in sweep.api_runs().items()}
    assert "sweep:demo" in tags[second] and "superseded" not in tags[second]
    assert {"superseded", "a user's"} < set(tags[run.signature]) and "sweep:demo" not in tags[run.signature]
    assert len(server.runs[run.signature].rows) == 12  # nothing is deleted
    assert server.runs[second].summary["repeated_steps"] == 0
    assert sweep.sync("--rebuild") == 0 and len(server.runs) == 2  # nothing is left to rebuild


def test_holes_and_rows_of_a_training_that_went_back_are_named_and_not_called_in_order(tmp_path, server, capsys):
    sweep = Trained(tmp_path, server, "reward=random")
    (run,) = sweep.runs
    assert sweep.sync("--check") == 0 and "no rows yet" in capsys.readouterr().out
    write_rows(run, [row(step) for step in range(1, 11)])
    assert sweep.sync("--check") == 1 and "the server does not have it" in capsys.readouterr().out
    assert not server.runs
    sweep.sync()
    del server.runs[run.signature].rows[3:6]
    write_rows(run, [row(9)], after=8)  # and step 10 is not made again yet
    capsys.readouterr()
    assert sweep.sync("--check") == 1
    said = capsys.readouterr().out
    assert "steps 4-6 missing; step 10 there and not in metrics.jsonl" in said
    for _ in range(2):
        assert sweep.sync() == 1
        assert "differs: 0 rows of 9; steps 4-6 are missing" in capsys.readouterr().out
    assert sweep.sync("--rebuild") == 0 and sweep.sync("--check") == 0
    second = server.runs[f"{run.signature}-2"]
    del second.rows[7:]  # its summary, which came through, keeps W&B from taking these
    second.summary.pop("synced")
    capsys.readouterr()
    assert sweep.sync("--check") == 1 and "steps 8-9 missing" in capsys.readouterr().out
    assert sweep.sync() == 1 and "steps 8-9 are missing" in capsys.readouterr().out
    del server.runs[f"{run.signature}-2"]  # whose id W&B refuses from now on
    assert sweep.sync("--rebuild") == 0 and sweep.read_back(f"{run.signature}-3") == truth(run)


def test_a_change_beside_the_rows_is_named_and_sent(tmp_path, server, capsys):
    sweep = Trained(tmp_path, server, "reward=random")
    (run,) = sweep.runs
    write_rows(run, [row(1)])
    run.write_state(state="interrupted")
    sweep.sync()
    assert server.runs[run.signature].state == "failed"
    assert server.runs[run.signature].summary["state"] == "interrupted"
    run.write_state(state="done")
    assert sweep.sync("--check") == 1 and "state, tags, configuration or summary changed" in capsys.readouterr().out
    assert sweep.sync() == 0
    assert (server.runs[run.signature].state, server.runs[run.signature].summary["state"]) == ("finished", "done")
    assert sweep.sync("--check") == 0


def test_one_process_sends_the_rows_of_a_run_and_a_run_that_goes_on_is_not_ended(tmp_path, server, capsys):
    sweep = Trained(tmp_path, server, "reward=random")
    (run,) = sweep.runs
    write_rows(run, [row(1), row(2)])
    run.write_state(state="running")
    with run.exclusive():  # its job, which tracks offline
        with try_lock(run.sending):  # or sends itself
            assert sweep.sync() == 0
            assert "left out: its job, or another sync, sends its rows" in capsys.readouterr().out
        assert not server.runs
        assert sweep.sync() == 0
        assert (server.runs[run.signature].state, server.runs[run.signature].summary["state"]) == ("running",) * 2
        assert sweep.sync("--check") == 0 and "not checked, as it is being trained" in capsys.readouterr().out
    write_rows(run, [row(3)], after=2)
    run.write_state(state="done")
    assert sweep.sync() == 0
    assert sweep.read_back(run.signature) == truth(run) and server.runs[run.signature].state == "finished"


def test_a_training_that_sent_everything_itself_leaves_sync_nothing_to_do(tmp_path, server, capsys, monkeypatch):
    monkeypatch.setattr(mirror, "CLOSE_SECONDS", 60.0)  # other tests may hold the cores
    sweep = Trained(tmp_path, server, "reward=random", "tracking.mode=online")
    (run,) = sweep.runs
    write_rows(run, [row(step) for step in range(1, 7)])
    mirror.open_mirror(run, run.read_config()).close(State.DONE)
    operations = len(server.operations)
    assert sweep.sync() == sweep.sync("--check") == 0
    assert capsys.readouterr().out.count("up to date: 6 rows") == 2
    assert "UpsertBucket" not in server.operations[operations:] and sweep.read_back(run.signature) == truth(run)


def test_what_was_launched_untracked_is_sent_where_that_is_asked_for_alone(tmp_path, server, capsys):
    sweep = Trained(tmp_path, server, "reward=random", "tracking.mode=disabled")
    write_rows(sweep.runs[0], [row(1)])
    assert sweep.sync() == 0
    assert "tracking.mode=disabled; --disabled sends it all the same" in capsys.readouterr().out and not server.runs
    assert sweep.sync("--disabled") == 0 and len(server.runs) == 1
    assert sweep.sync("--check", "--rebuild") == 2
    assert sweep.sync("baseline*") == 2 and "W&B is sent trainings alone" in capsys.readouterr().err


def test_sync_that_is_interrupted_says_how_it_goes_on(tmp_path, server, capsys, monkeypatch):
    sweep = Trained(tmp_path, server, "reward=random")
    write_rows(sweep.runs[0], [row(1), row(2)])
    with monkeypatch.context() as patched:
        patched.setattr(Session, "finish", lambda *_: os.kill(os.getpid(), signal.SIGINT))
        assert sweep.sync() == 130
    assert "the same command goes on from here" in capsys.readouterr().err
    assert sweep.sync() == 0 and sweep.read_back(sweep.runs[0].signature) == truth(sweep.runs[0])


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(401), "`wandb login` first"),
        (Fault(403, path="file_stream"), "see first that the key may write to the project"),
        (Fault(429, path="file_stream"), "Timed out finishing run"),
        (Fault(seconds=3), "see first that the W&B server is reached"),
    ],
)
def test_a_server_that_fails_is_named_and_a_later_sync_mends_it(fault, words, tmp_path, server, capsys, monkeypatch):
    monkeypatch.setattr(syncing, "PATIENCE", Patience(open=1, call=1, finish=1))
    sweep = Trained(tmp_path, server, "reward=random")
    write_rows(sweep.runs[0], [row(1)])
    server.faults = [fault]
    assert sweep.sync() == 1
    said = capsys.readouterr().out
    assert "failed: " in said and words in said and "sync demo: 1 failed; 0 rows sent" in said
    server.faults = []
    monkeypatch.setattr(syncing, "PATIENCE", Patience(open=10, call=10, finish=10))
    assert sweep.sync() == 0 and sweep.read_back(sweep.runs[0].signature) == truth(sweep.runs[0])


def test_a_server_that_limits_requests_for_a_while_is_waited_for(tmp_path, server, monkeypatch):
    monkeypatch.setattr(writer, "MOST_AT_ONCE", 2)
    sweep = Trained(tmp_path, server, "reward=random")
    (run,) = sweep.runs
    write_rows(run, [row(step) for step in range(1, 6)])  # with a table
    server.faults = [Fault(429, path=path, times=1) for path in ("graphql", "file_stream", "upload")]
    assert sweep.sync() == 0 and sweep.read_back(run.signature) == truth(run)
    assert [fault.times for fault in server.faults] == [0, 0, 0] and server.uploads


def test_the_process_of_the_client_ends_after_some_runs_as_it_keeps_memory_and_connections_of_each(
    tmp_path, server, monkeypatch
):
    sweep = Trained(tmp_path, server, "reward=random", "seed=range(0,3)")
    for run in sweep.runs:
        write_rows(run, [row(1)])
    ended = []
    monkeypatch.setattr(syncing, "AT_ONCE", 2)
    monkeypatch.setattr(syncing, "end_service", lambda failed: ended.append(len(server.runs)) or end_service(failed))
    assert sweep.sync() == 0 and ended == [2, 3]
    assert all(sweep.read_back(run.signature) == truth(run) for run in sweep.runs)


def test_after_three_failures_in_a_row_the_rest_is_left_for_another_time(tmp_path, server, capsys):
    sweep = Trained(tmp_path, server, "reward=random", "seed=range(0,5)")
    for run in sweep.runs:
        write_rows(run, [row(1)])
    server.faults = [Fault(401)]
    assert sweep.sync() == 1
    said = capsys.readouterr().out
    assert said.count("AuthenticationError") == 4 and "2 failed: not tried, after 3 failures in a row" in said
    assert "3 failed: AuthenticationError" in said and "sync demo: 5 failed; 0 rows sent" in said


def test_runs_group_by_flat_typed_axes_in_every_sweep_that_lists_them(tmp_path, server, capsys):
    first = Trained(tmp_path, server, "reward=random,ground_truth", "seed=0,1", name="first")
    second = Trained(tmp_path, server, "reward=random", "algorithm.kl_coefficient=0,0.1", "seed=0", name="second")
    again = Trained(tmp_path, server, "reward=random", "seed=0", "evaluation.temperature=0.5", name="again")
    for run in {run.path: run for run in (*first.runs, *second.runs)}.values():
        write_rows(run, [row(1)])
    assert first.sync() == second.sync() == 0
    capsys.readouterr()
    assert again.sync() == 0  # an evaluation of a training of both
    assert "sync again: 1 up to date" in capsys.readouterr().out
    shown = {run.id: run for run in second.api_runs().values()}
    assert {run.job_type for run in shown.values()} == {"train"}
    shared, control = shown[second.runs[0].signature], shown[second.runs[1].signature]
    assert {tag for tag in shared.tags if tag[:6] == "sweep:"} == {"sweep:first", "sweep:second", "sweep:again"}
    assert {tag for tag in control.tags if tag[:6] == "sweep:"} == {"sweep:second"}
    wanted = {"model": "qwen2_mini", "reward": "random", "seed": 0, "algorithm_kl_coefficient": 0.0}
    assert {key: shared.config[key] for key in wanted} == wanted
    assert control.config["algorithm_kl_coefficient"] == 0.1
    # One seed was launched in both sweeps, the other in one: they are one line of a chart all the same.
    of_seeds = {shown[run.signature].config["cell"] for run in first.runs[:2]}
    assert of_seeds == {"qwen2_mini random algorithm_kl_coefficient=0.0"}
    assert shared.config["frozen"]["algorithm"]["kl_coefficient"] == 0.0


def test_the_summary_says_what_a_run_came_to_and_the_table_what_it_answered(tmp_path, server):
    sweep = Trained(tmp_path, server, "reward=random,ground_truth", "seed=0,1")
    for task, accuracy in zip(sweep.plan.cells, (0.5, 0.75, 0.25, 1.0), strict=True):
        finish(task, accuracy)
        write_rows(RunDirectory(task.directory), [row(step) for step in (4, 5, 6)])
        RunDirectory(task.directory).add_provenance(code="c0de")
    assert sweep.sync() == 0
    of_control, of_truth = (server.runs[run.signature].summary for run in (sweep.runs[0], sweep.runs[3]))
    wanted = {"base": 0.5, "final": 1.0, "difference": 0.5, "state": "done", "code": "c0de", "contrast": 0.25}
    assert {key: of_truth[key] for key in wanted} == wanted and "contrast" not in of_control
    assert of_truth["contrast_to"] == sweep.runs[1].signature and of_truth["directory"] == str(sweep.runs[3].path)
    assert of_truth["rules"] == sweep.runs[3].identity["rules"]
    with_table = [found for found in server.runs[sweep.runs[3].signature].rows if "samples" in found]
    assert [found["step"] for found in with_table] == [5]
    table = json.loads(server.uploads[with_table[0]["samples"]["path"]])
    (answer,) = (dict(zip(table["columns"], cells, strict=True)) for cells in table["data"])
    assert (answer["step"], answer["question"], answer["reward"]) == (5, "1+1", 1.0)
    assert answer["response"] == "2" * 2000 + " […1000 characters left out]"


def test_the_commands_of_the_page_run(tmp_path, server, capsys):
    sweeps = {name: Trained(tmp_path, server, "reward=random", name=name) for name in ("demo", "offline")}
    for sweep in sweeps.values():
        write_rows(sweep.runs[0], [row(1), row(2)])
    shown = commands("python -m sweep", pages=["docs/wandb.md"])
    assert {word for command in shown for word in command.split() if word[:2] == "--"} == {"--check", "--rebuild"}
    for command in sorted(shown, key=lambda command: "--check" in command):
        words = bash_words(command, tmp_path)[2:]
        assert main([*words, "--output-dir", str(tmp_path / "runs")]) == 0
        assert f"sync {words[1]}: 1 " in capsys.readouterr().out
