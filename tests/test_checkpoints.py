"""Checkpoints are whole, or named as what they are, and training goes on from one that is."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path

import pytest
import torch

from helpers.constants import TINY
from helpers.damaged_files import KINDS, damage_file
from helpers.processes import python_processes
from sweep.run.checkpoints import (
    MANIFEST,
    FileRecord,
    checkpoint_path,
    checkpoints,
    damage,
    partials,
    read_manifest,
    record_file,
    remove,
    set_aside,
    world_size,
    write_manifest,
)
from sweep.run.directory import RunDirectory

FILES = ("mp_rank_00_model_states.pt", "zero_pp_rank_0_mp_rank_00_optim_states.pt")
FILES += ("zero_pp_rank_1_mp_rank_00_optim_states.pt",)


def write_checkpoint(home: Path, step: int, manifest: bool = True) -> Path:
    """A small checkpoint of two processes, in DeepSpeed's files; without a manifest, as an older version wrote it."""
    checkpoint = checkpoint_path(home, step)
    checkpoint.mkdir(parents=True)
    for name in FILES:
        torch.save({"weights": torch.randn(3000)}, checkpoint / name)
    if manifest:
        write_manifest(checkpoint, step, 2, [record_file(checkpoint / name) for name in FILES])
    return checkpoint


EVERY_DAMAGE = list(itertools.product([*FILES, MANIFEST], KINDS))


@pytest.mark.parametrize(("name", "kind"), EVERY_DAMAGE)
def test_each_file_that_is_cut_flipped_emptied_or_missing_is_named(tmp_path, name, kind):
    checkpoint = write_checkpoint(tmp_path, 7)
    damage_file(checkpoint / name, kind)
    if (name, kind) == (MANIFEST, "missing"):  # as an older version left it
        assert damage(checkpoint) is None
        return
    assert name in damage(checkpoint)
    # Processes share the work: at least one of them finds it.
    assert damage(checkpoint) in [damage(checkpoint, part, 2) for part in range(2)]
    assert (damage(checkpoint, parts=0) is None) == (kind == "flipped" and name != MANIFEST)


@pytest.mark.parametrize(
    ("name", "kind"), [(n, k) for n, k in EVERY_DAMAGE if n != MANIFEST and (n, k) != (FILES[-1], "missing")]
)
def test_files_of_an_older_version_are_known_by_checksums_of_their_own(tmp_path, name, kind):
    checkpoint = write_checkpoint(tmp_path, 7, manifest=False)
    assert damage(checkpoint) is None and world_size(checkpoint) == 2
    damage_file(checkpoint / name, kind)
    missing = "process 0 is missing" if "optim" in name else "nor any *model_states.pt"
    assert (missing if kind == "missing" else name) in damage(checkpoint)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: shutil.rmtree(c) or c.mkdir(), "there is neither manifest.json nor any *model_states.pt"),
        (lambda c: (c / FILES[2]).unlink(), f"{FILES[2]} is missing"),
        (lambda c: damage_file(c / FILES[0], "emptied"), f"{FILES[0]} has 0 bytes instead of "),
        (lambda c: damage_file(c / FILES[0], "flipped"), f"{FILES[0]} was changed since it was written"),
        (lambda c: damage_file(c / MANIFEST, "cut"), "manifest.json cannot be read"),
        (lambda c: write_manifest(c, 8, 2, []), "manifest.json is of step 8"),
        (
            lambda c: (c / MANIFEST).write_text(
                (c / MANIFEST).read_text().replace('"world_size": 2', '"world_size": 3')
            ),
            "manifest.json was changed since it was written",
        ),
    ],
)
def test_the_words_say_what_is_wrong(tmp_path, change, said):
    checkpoint = write_checkpoint(tmp_path, 7)
    change(checkpoint)
    assert damage(checkpoint).startswith(said)


def test_a_manifest_says_what_was_written(tmp_path):
    checkpoint = write_checkpoint(tmp_path, 7)
    assert damage(checkpoint) is None and world_size(checkpoint) == 2
    manifest = read_manifest(checkpoint)
    assert (manifest.step, manifest.world_size) == (7, 2)
    assert [record.name for record in manifest.files] == sorted(FILES)
    (tmp_path / "abc").write_bytes(b"abc")
    # XXH3 of 128 bits, from its specification's reference implementation.
    assert record_file(tmp_path / "abc") == FileRecord("abc", 3, "06b05ab6733a618578af5f94892f3950")


def test_a_checkpoint_that_is_set_aside_is_none(tmp_path):
    assert set_aside(write_checkpoint(tmp_path, 7)) == tmp_path / "set_aside_000007"
    assert checkpoints(tmp_path) == []


def test_a_checkpoint_whose_removal_is_cut_short_looks_like_none(tmp_path, monkeypatch):
    whole, old = write_checkpoint(tmp_path, 8), write_checkpoint(tmp_path, 7)
    monkeypatch.setattr(
        shutil, "rmtree", lambda path, ignore_errors=False: path.exists() and (path / FILES[0]).unlink()
    )
    remove(old)
    monkeypatch.undo()
    assert checkpoints(tmp_path) == [whole] and partials(tmp_path) == [tmp_path / "partial_000007"]
    again = write_checkpoint(tmp_path, 7)
    remove(again)
    assert sorted(tmp_path.iterdir()) == [whole]


def trainings(directory: Path, world_size: int, script: list[list]) -> list[list[dict]]:
    """What each process says of each training of the script: see trainings_in_a_row.py."""
    (directory / "script.json").write_text(json.dumps(script))
    outputs = python_processes("tests/programs/trainings_in_a_row.py", world_size, directory)
    return [json.loads(output.splitlines()[-1]) for output in outputs]


def test_training_goes_on_from_the_newest_whole_checkpoint(tmp_path, cache_dir):
    def to(step: int) -> list:
        sharded = ["deepspeed=zero2", "deepspeed.processes=2", "checkpoint.keep=2"]
        return ["train", "run", [*TINY, *sharded, f"steps={step}", f"cache_dir={cache_dir}", "evaluation.every=9"]]

    script = [
        to(3),
        ["damage", "run", 3, "zero_pp_rank_1*", "cut"],
        ["damage", "run", 2, MANIFEST, "missing"],  # as an older version left it
        to(4),  # from step 2
        ["poison", "run", 4],
        to(5),  # fails after step 4, goes back to step 3
        ["poison", "run", 5],
        to(6),  # fails after step 5, for good
        ["damage", "run", 5, "*", "missing"],
        ["damage", "run", 4, "zero_pp_rank_0*", "flipped"],
        to(6),
    ]
    found, other = trainings(tmp_path, 2, script)
    assert [f["error"] for f in found] == [f["error"] for f in other]
    whole, cut, back, for_good, none = found
    run = RunDirectory(tmp_path / "run")
    log = run.log.read_text()

    assert (whole["error"], whole["checkpoints"]) == (None, ["step_000002", "step_000003"])
    assert (cut["error"], cut["checkpoints"]) == (None, ["step_000003", "step_000004"])
    damaged = run.checkpoints / "step_000003"
    assert f"{damaged} is damaged: zero_pp_rank_1_mp_rank_00_optim_states.pt has " in log
    assert "resumed after step 2" in log
    assert (back["error"], back["checkpoints"]) == (None, ["step_000004", "step_000005"])
    assert back["state"]["state"] == "done" and back["state"]["rolled_back_from"] == 4
    assert "goes back: the first step after step 4 is not finite" in log and "resumed after step 3" in log
    assert for_good["error"].startswith("NotFinite: step 6: not finite: log-probs of a sampled response. ")
    assert for_good["state"]["state"] == "failed" and str(run.not_finite(6)) in for_good["state"]["note"]
    assert "went back once before, from step 4" in for_good["error"]
    batch = json.loads(run.not_finite(6).read_text())
    assert [rank["rank"] for rank in batch["ranks"]] == [0, 1] and batch["ranks"][1]["responses"][0]["ids"]
    assert for_good["checkpoints"] == ["step_000004", "step_000005"]
    assert none["error"].startswith("NoWholeCheckpoint: ")
    assert "step_000005: there is neither" in none["error"] and "step_000004: zero_pp_rank_0" in none["error"]
    assert none["error"].endswith(f"to start again from step 0, remove {run.checkpoints}")
    assert none["checkpoints"] == for_good["checkpoints"]  # nothing is removed unasked
    assert list(none["rows"]) == ["1", "2", "3", "4", "5"]
    # What was trained again came out as before.
    assert cut["rows"].items() >= whole["rows"].items() and back["rows"].items() >= cut["rows"].items()


def test_a_learning_rate_that_breaks_the_policy_ends_the_run(tmp_path, cache_dir):
    huge = [*TINY, f"cache_dir={cache_dir}", "reward=random", "steps=2"]
    huge += ["optimizer.learning_rate=1e30", "optimizer.max_grad_norm=1e30"]
    one = [*huge, "algorithm.updates_per_rollout=1", "evaluation.every=1"]
    greedy, drawn = [*one, "evaluation.temperature=0"], [*one, "evaluation.temperature=1"]
    script = [["train", "updates", huge], ["train", "greedy", greedy], ["train", "drawn", drawn]]
    (found,) = trainings(tmp_path, 1, script)
    assert found[0]["error"].startswith(
        "NotFinite: step 1: not finite: loss, ratios, log-probs of micro-batch 1 of update"
    )
    for name, run in zip(("updates", "greedy", "drawn"), found, strict=True):
        assert run["error"].startswith("NotFinite: step 1: not finite: ") and "(it is 1e+30)" in run["error"]
        assert run["checkpoints"] == [] and run["state"]["state"] == "failed"
        batch = json.loads((tmp_path / name / "not_finite_step_000001.json").read_text())
        assert len(batch["rollout"]) == 16 and "advantage" in batch["rollout"][0] and batch["ranks"][0]["responses"]
