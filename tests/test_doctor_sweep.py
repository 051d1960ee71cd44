"""`doctor SWEEP` on a sweep that really ran: nothing is said of an intact one, and each damage is found."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.constants import ROOT, TINY
from helpers.damaged_files import as_directory, damage_file, link_to_itself, repeat_last, without_lines
from helpers.documented import bash_words, commands
from helpers.shells import Shell
from helpers.watched_sweep import watched_sweep
from sweep.__main__ import main
from sweep.doctor import torch_here
from sweep.run.answer_places import finished_of_training
from sweep.run.checkpoints import checkpoints
from sweep.run.claims import claim, new_submission
from sweep.run.directory import RunDirectory
from sweep.run.files import write_json
from sweep.run.process import start_of

# Those for Slurm are given on a real one, by tests/slurm/test_doctoring.py.
DOCUMENTED = [c for c in commands("python -m sweep doctor", pages=["docs/doctor.md"]) if "cluster=" not in c]
SMALL = [line for line in TINY if not line.startswith("model.mini")]  # the mini that comes with the project is not made
LAUNCHED = [*SMALL, "name=s", "reward=random", "checkpoint.weights_every=2"]


@pytest.fixture(scope="module")
def intact(tmp_path_factory, cache_dir) -> Path:
    """The output directory of a sweep of one cell, which trained for 4 steps."""
    shell = Shell(tmp_path_factory.mktemp("intact"), cache_dir)
    shell.launch(*LAUNCHED, "cluster=inline")
    return shell.root / "runs"


@pytest.fixture
def root(intact, tmp_path) -> Path:
    """A copy, to be damaged."""
    return Path(shutil.copytree(intact, tmp_path / "runs", ignore=shutil.ignore_patterns("code", "figures")))


def cell(root: Path) -> RunDirectory:
    (path,) = (root / "cells").iterdir()
    return RunDirectory(path)


def baseline(root: Path) -> RunDirectory:
    (path,) = (root / "stages").iterdir()
    return RunDirectory(path)


def answers(root: Path, step: int) -> Path:
    (found,) = [one for one in finished_of_training(root, cell(root).path.name) if one.step == step]
    return found.directory


def doctor(root: Path, capsys, *words: str) -> tuple[int, list[dict]]:
    """The exit code, and the findings that are not ok."""
    code = main(["doctor", "s", *words, "--output-dir", str(root), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["sweep"] == "s"
    return code, [one for one in told["findings"] if one["level"] != "ok"]


def contents(root: Path) -> dict[str, tuple[int, int]]:
    return {str(p): (p.stat().st_size, p.stat().st_mtime_ns) for p in sorted(root.rglob("*"))}


@pytest.mark.parametrize("words", [[], ["--hashes"], ["reward=random"]])
def test_an_intact_sweep_has_no_findings_and_is_left_as_it_was(root, capsys, words):
    before = contents(root)
    assert doctor(root, capsys, *words) == (0, [])
    assert contents(root) == before


@pytest.mark.parametrize("words", [[], ["--hashes"]])
def test_a_sweep_of_an_older_version_has_no_findings(tmp_path, capsys, words):
    """It has no answers, no responses, no attempts and no manifests."""
    shutil.copytree(ROOT / "tests" / "sweeps" / "schema2", tmp_path / "old")
    assert main(["doctor", "kept", *words, "--output-dir", str(tmp_path / "old")]) == 0
    assert capsys.readouterr().out.endswith("0 broken, 0 warning, 0 not checked, 2 ok\n")


def test_it_says_so_in_words(root, capsys):
    assert main(["doctor", "s", f"output_dir={root}"]) == 0
    shown = capsys.readouterr().out
    assert "2 runs: rows, answers, checkpoints and weights are whole" in shown
    assert shown.endswith("0 broken, 0 warning, 0 not checked, 2 ok\n")


@pytest.mark.parametrize("command", DOCUMENTED)
def test_commands_of_the_page(root, capsys, command, monkeypatch):
    """On a sweep that is called demo, and on this machine, where a large model does not run."""
    monkeypatch.setattr(torch_here, "gather", lambda vllm: {"error": "is not imported in this test"})
    (root / "sweeps" / "s").rename(root / "sweeps" / "demo")
    words = bash_words(command, root)[2:]
    of_a_sweep = words[1:2] == ["demo"]
    assert main([*words, "--output-dir", str(root)]) == int(not of_a_sweep)
    shown = capsys.readouterr().out
    assert shown.startswith("sweep demo\n" if of_a_sweep else "this machine (")


def change_state(run: RunDirectory, **values) -> None:
    write_json(run.path / "state.json", {**json.loads((run.path / "state.json").read_text()), **values})


def change_ledger(root: Path, change: Callable[[dict], dict]) -> None:
    for file in (root / "sweeps" / "s").glob("*.json"):
        launch = json.loads(file.read_text())
        kept = {kind: [change(e) | {"signature": e["signature"]} for e in launch[kind]] for kind in ("stages", "cells")}
        write_json(file, launch | kept)


def part_of(directory: Path) -> Path:
    return next(directory.glob("part-*.parquet"))


def orphan(run: RunDirectory, **values) -> None:
    """What a process leaves that was killed at step 3."""
    gone = {"pid": 2**22 + 1, "process_started": 1.0, "host": platform.node()}
    change_state(run, state="running", step=3, **{**gone, **values})


BROKEN, WARNING = "broken", "warning"
DAMAGES: dict[str, tuple[Callable[[Path], object], str, str, str, str]] = {
    # name: what is done, level, check, a part of what is seen, a part of the remedy
    "a row is gone": (
        lambda r: without_lines(cell(r).metrics, 2), BROKEN, "run.metrics", "lacks step 2", "put a copy of it back"),
    "the last row is gone": (
        lambda r: without_lines(cell(r).metrics, 4), BROKEN, "run.metrics", "lacks step 4", "launch.py -m"),
    "all rows are gone": (
        lambda r: cell(r).metrics.unlink(), BROKEN, "run.metrics", "lacks steps 1, 2, 3, 4", "delete"),
    "a row is there twice": (
        lambda r: repeat_last(cell(r).metrics), BROKEN, "run.metrics", "step 4 more than once", "delete"),
    "a row is no row": (
        lambda r: cell(r).metrics.write_text("{}\n"), BROKEN, "run.metrics", "line 1: not a row", "take the line out"),
    "responses are gone": (
        lambda r: sorted(cell(r).responses.iterdir())[1].unlink(),
        BROKEN, "run.responses", "lacks step 2", "missing part"),
    "responses are cut short": (
        lambda r: damage_file(part_of(cell(r).responses), "cut"),
        BROKEN, "run.responses", "cannot be read", "copy back"),
    "a checkpoint is cut short": (
        lambda r: damage_file(next(checkpoints(cell(r).checkpoints)[-1].glob("*optim*")), "cut"),
        WARNING, "run.checkpoint", "bytes instead of", "rm -r"),
    "a checkpoint lacks a file": (
        lambda r: next(checkpoints(cell(r).checkpoints)[0].glob("*optim*")).unlink(),
        WARNING, "run.checkpoint", "is missing", "rm -r"),
    "a manifest was changed": (
        lambda r: damage_file(checkpoints(cell(r).checkpoints)[0] / "manifest.json", "cut"),
        WARNING, "run.checkpoint", "manifest.json cannot be read", "rm -r"),
    "final weights are cut short": (
        lambda r: damage_file(cell(r).final / "model.safetensors", "cut"),
        BROKEN, "run.weights", "no whole safetensors file", "put a copy of it back"),
    "final weights are gone": (
        lambda r: shutil.rmtree(cell(r).final), BROKEN, "run.weights", "final weights are missing", "delete"),
    "kept weights are gone in part": (
        lambda r: (cell(r).weights / "step_000002" / "model.safetensors").unlink(),
        BROKEN, "run.weights", "holds no model.safetensors", "put a copy"),
    "a tokenizer of kept weights is gone": (
        lambda r: (cell(r).weights / "step_000002" / "tokenizer_config.json").unlink(),
        BROKEN, "run.weights", "step_000002: tokenizer_config.json is missing", "put a copy of it back"),
    "the record of an attempt is cut short": (
        lambda r: damage_file(cell(r).provenance, "cut"), BROKEN, "run.records", "holds no JSON", "put a copy"),
    "a sample is no row": (
        lambda r: cell(r).samples.write_text("{}\n"), BROKEN, "run.samples", "line 1: not a row", "take the line out"),
    "the configuration is empty": (
        lambda r: damage_file(cell(r).config, "emptied"),
        BROKEN, "run.frozen", "config.yaml cannot be read: damaged", "put a copy"),
    "the configuration is zeros": (
        lambda r: cell(r).config.write_bytes(bytes(999)),
        BROKEN, "run.frozen", "config.yaml cannot be read: damaged", "put a copy"),
    "the signature is of another type": (
        lambda r: (cell(r).path / "signature.json").write_text("[]"),
        BROKEN, "run.unreadable", "holds no JSON object", "put a copy"),
    "the ledger is of another type": (
        lambda r: next((r / "sweeps" / "s").glob("*.json")).write_text("null"),
        BROKEN, "sweep.damaged", "holds no JSON object", "put a copy"),
    "questions are no text": (
        lambda r: (answers(r, 4) / "_problems.jsonl").write_bytes(b"\xff\xfe\n"),
        BROKEN, "answers.damaged", "line 1: no question", "remove"),
    "the result is gone": (
        lambda r: cell(r).result.unlink(), BROKEN, "run.result", "its result is missing", "delete"),
    "a baseline's result is gone": (
        lambda r: baseline(r).result.unlink(), BROKEN, "run.result", "its result is missing", "delete"),
    "a result stands without its answers": (
        lambda r: shutil.rmtree(answers(r, 4)), BROKEN, "answers.missing", "without the answers", "evaluate s "),
    "a baseline stands without its answers": (
        lambda r: shutil.rmtree(next((r / "answers").glob("qwen2_mini-????????????"))),
        BROKEN, "answers.missing", "without the answers", "delete"),
    "answers were changed": (
        lambda r: damage_file(part_of(answers(r, 2)), "flipped"),
        BROKEN, "answers.damaged", "was changed since it was written", "put a copy back, or remove"),
    "answers are cut short": (
        lambda r: damage_file(part_of(answers(r, 4)), "cut"), BROKEN, "answers.damaged", "bytes instead of", "remove"),
    "a manifest of answers is gone": (
        lambda r: (answers(r, 2) / "_manifest.json").unlink(),
        WARNING, "answers.unfinished", "step_000002/mini", "evaluate s qwen2_mini-random-s0"),
    "questions were changed": (
        lambda r: without_lines(answers(r, 4) / "_problems.jsonl", 1),
        BROKEN, "answers.damaged", "not the questions that were asked", "remove"),
    "its process is gone": (
        lambda r: orphan(cell(r)), BROKEN, "run.orphan", "running at step 3, and neither process", "launch.py -m"),
    "its machine is gone": (
        lambda r: (orphan(cell(r), host="node7"), os.utime(cell(r).path / "heartbeat", (1, 1))),
        BROKEN, "run.orphan", "heartbeat", "launch.py -m"),
    "it failed": (
        lambda r: change_state(cell(r), state="failed", note="ValueError: odd"),
        BROKEN, "run.state", "failed at step 4 (ValueError: odd)", "logs s qwen2_mini-random-s0"),
    "it was interrupted": (
        lambda r: change_state(cell(r), state="interrupted"), WARNING, "run.state", "interrupted", "launch.py -m"),
    "writes were interrupted": (
        lambda r: (cell(r).path / ".state.json.0123.partial").touch(),
        WARNING, "run.leftovers", ".partial", "gc --yes"),
    "a claim was interrupted": (
        lambda r: (cell(r).attempts / ".claim-0123").touch(), WARNING, "run.leftovers", ".claim-0123", "gc --yes"),
    "a checkpoint was interrupted": (
        lambda r: (cell(r).checkpoints / "partial_000005").mkdir(), WARNING, "run.leftovers", "partial_000005", "gc"),
    "the directory is of no sweep": (
        lambda r: shutil.copytree(cell(r).path, r / "cells" / "other-random-s0-0123456789ab"),
        WARNING, "sweep.orphans", "cells/other-random-s0-0123456789ab: belongs to no sweep", "gc --yes"),
    "answers are of a training that is gone": (
        lambda r: shutil.copytree(answers(r, 4).parent, r / "answers" / "gone-0123456789ab" / "step_000004"),
        WARNING, "sweep.orphans", "answers of a training that is gone", "gc --yes"),
    "the configuration is gone": (
        lambda r: cell(r).config.unlink(), BROKEN, "run.frozen", "config.yaml is missing", "put a copy"),
    "the configuration is cut short": (
        lambda r: damage_file(cell(r).config, "cut"), BROKEN, "run.frozen", "config.yaml cannot be read", "put a copy"),
    "the state is damaged": (
        lambda r: damage_file(cell(r).path / "state.json", "cut"),
        BROKEN, "run.unreadable", "holds no JSON", "and give: python launch.py -m "),
    "the state is of another code": (
        lambda r: change_state(baseline(r), state="dreaming"), BROKEN, "run.unreadable", "cannot be read", "update"),
    "the state is a directory": (
        lambda r: as_directory(baseline(r).path / "state.json"),
        BROKEN, "run.unreadable", "Is a directory", "put a copy of it back"),
    "a run is a link to itself": (
        lambda r: link_to_itself(cell(r).path),
        BROKEN, "run.unreadable", "symbolic links", "put a copy of it back"),
    "the metrics are a directory": (
        lambda r: as_directory(cell(r).metrics), BROKEN, "run.unreadable", "Is a directory", "put a copy of it back"),
    "the metrics are binary": (
        lambda r: cell(r).metrics.write_bytes(os.urandom(9999)), BROKEN, "run.metrics", "line 1: not a row", "take"),
    "a claim is of a later version": (
        lambda r: write_json(cell(r).attempts / "claim-0001.json", {"serial": 1}),
        BROKEN, "run.unreadable", "or of a later version", "update the project"),
    "a lock is a directory": (
        lambda r: as_directory(cell(r).path / "lock"), BROKEN, "run.unreadable", "Is a directory", "ls -ld"),
    "the configuration of final weights is gone": (
        lambda r: (cell(r).final / "config.json").unlink(),
        BROKEN, "run.weights", "config.json is missing", "put a copy of it back"),
    "the tokenizer of kept weights is cut short": (
        lambda r: damage_file(cell(r).weights / "step_000002" / "tokenizer.json", "cut"),
        BROKEN, "run.weights", "step_000002: tokenizer.json holds no JSON", "put a copy of it back"),
    "the state is gone": (
        lambda r: (cell(r).path / "state.json").unlink(), BROKEN, "run.state", "state.json is missing", "launch.py -m"),
    "a launch of the ledger holds nothing": (
        lambda r: write_json(r / "sweeps" / "s" / "9.json", {}),
        BROKEN, "sweep.damaged", "or of a later version", "update the project"),
    "the ledger is of a later version": (
        lambda r: change_ledger(r, lambda e: {"title": e["label"], "module": e["module"]}),
        BROKEN, "sweep.damaged", "or of a later version", "update the project"),
    "the ledger is damaged": (
        lambda r: damage_file(next((r / "sweeps" / "s").glob("*.json")), "cut"),
        BROKEN, "sweep.damaged", "holds no JSON", "put a copy of it back"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGES)
def test_each_damage_is_found_with_its_remedy(root, capsys, name):
    damage, level, check, seen, remedy = DAMAGES[name]
    damage(root)
    code, found = doctor(root, capsys)
    those = [one for one in found if one["check"] == check]
    assert [one["level"] for one in those] == [level], found
    assert seen in those[0]["seen"] and remedy in those[0]["remedy"], those
    assert code == int(level == BROKEN)
    if check.startswith(("run.", "answers.")):
        assert those[0]["place"] in ("model=qwen2_mini reward=random seed=0", "baseline of qwen2_mini")


def test_a_key_that_a_later_version_added_to_the_ledger_is_no_damage(root, capsys):
    change_ledger(root, lambda entry: entry | {"colour": "red"})
    submission = new_submission(root, "me").write(runs=[f"cells/{cell(root).path.name}"], modules=["m"], error="no")
    write_json(submission.file, json.loads(submission.file.read_text()) | {"colour": "red"})
    code, found = doctor(root, capsys)
    assert code == 0 and {one["check"] for one in found} <= {"slurm.queue"}  # which is asked because of the submission


def test_what_only_the_hashes_show(root, capsys):
    damage_file(next(checkpoints(cell(root).checkpoints)[0].glob("*optim*")), "flipped")
    damage_file(cell(root).final / "model.safetensors", "flipped")
    assert doctor(root, capsys) == (0, [])
    code, found = doctor(root, capsys, "--hashes")
    assert code == 1 and {one["check"] for one in found} == {"run.checkpoint", "answers.weights"}


def test_no_whole_checkpoint_is_left_of_an_unfinished_run(root, capsys):
    change_state(cell(root), state="interrupted", step=3)
    for path in checkpoints(cell(root).checkpoints):
        next(path.glob("*optim*")).unlink()
    code, found = doctor(root, capsys)
    those = [one for one in found if one["check"] == "run.checkpoint"]
    assert code == 1 and all("no other is whole" in one["seen"] for one in those) and len(those) == 2
    assert "start again from step 0" in those[0]["remedy"]


def test_a_run_at_work_raises_no_alarm(root, capsys):
    """Its rows, checkpoints and answers are being written, so that what would be damage later is none now."""
    run = cell(root)
    orphan(run, pid=os.getpid(), process_started=start_of())
    without_lines(run.metrics, 2, 4)
    shutil.rmtree(run.final)
    (run.checkpoints / "partial_000004").mkdir()
    (run.path / ".state.json.0123.partial").touch()
    with open(run.path / "lock", "a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        (run.path / "heartbeat").touch()
        assert doctor(root, capsys) == (0, [])
    assert doctor(root, capsys)[0] == 1


def test_a_lock_of_another_process_is_named(root, capsys):
    with open(cell(root).path / "lock", "a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        (cell(root).path / "heartbeat").touch()
        assert doctor(root, capsys) == (0, [])  # an attempt that has not written its state yet, or is ending
        os.utime(cell(root).path / "heartbeat", (1, 1))
        _, found = doctor(root, capsys)
    (one,) = [one for one in found if one["check"] == "run.lock"]
    assert f"process {os.getpid()} holds its lock" in one["seen"] and f"ps -f {os.getpid()}" in one["remedy"]


def test_answers_that_are_being_written_raise_no_alarm(root, capsys):
    place = answers(root, 2)
    (place / "_manifest.json").unlink()
    with open(place / "_lock", "a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert doctor(root, capsys) == (0, [])
    assert doctor(root, capsys)[1]


def test_runs_that_wait_for_a_launch(root, capsys):
    shutil.rmtree(cell(root).path)
    shutil.rmtree(root / "answers" / next(p.name for p in (root / "answers").glob("*random*")))
    assert doctor(root, capsys) == (0, [])  # the launch may be at work still: it ended seconds ago
    change_state(baseline(root), updated=1.0)
    for file in (root / "sweeps" / "s").glob("*.json"):
        os.utime(file, (1, 1))
    code, found = doctor(root, capsys)
    assert code == 0 and [one["check"] for one in found] == ["sweep.waiting"]
    assert "name=s" in found[0]["remedy"] and "launch.py -m" in found[0]["remedy"]


def test_a_claim_whose_submission_is_gone(root, capsys):
    claim(cell(root).attempts, None, "0123456789ab", 0, "")
    code, found = doctor(root, capsys)
    (one,) = [one for one in found if one["check"] == "run.unreadable"]
    assert code == 1 and "runs were claimed for it" in one["seen"] + one["remedy"]


def test_a_sweep_of_slurm_is_checked_without_slurm(root, capsys, monkeypatch, tmp_path):
    submission = new_submission(root, "me").write(runs=[f"cells/{cell(root).path.name}"], modules=["m"], job="7")
    claim(cell(root).attempts, None, submission.id, 0, "")
    without_lines(cell(root).metrics, 2)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    code, found = doctor(root, capsys)
    levels = {one["check"]: one["level"] for one in found}
    assert code == 1 and levels["run.metrics"] == BROKEN and levels["slurm.queue"] == "not checked"


def test_a_sweep_in_the_midst_of_its_way(tmp_path, capsys):
    watched_sweep(tmp_path)
    assert main(["doctor", "grid", "--output-dir", str(tmp_path)]) == 1
    shown = capsys.readouterr().out
    assert "11 runs at work or queued, whose files were not looked at" in shown
    assert "\x1b" not in shown and "of 46 runs" in shown
    broken = [line for line in shown.splitlines() if line.startswith("broken")]
    assert not [line for line in broken if "lacks step" in line]


def test_a_pattern_that_matches_nothing(root, capsys):
    assert main(["doctor", "s", "reward=rnd", "--output-dir", str(root)]) == 2
    assert "no run has this value" in capsys.readouterr().err
