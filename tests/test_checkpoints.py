"""Checkpoints are whole, or named as what they are, and training goes on from one that is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from conftest import TINY, python_processes
from damaged_files import KINDS, damage_file

from sweep.run.checkpoints import (
    MANIFEST,
    FileRecord,
    checkpoint_path,
    damage,
    read_manifest,
    record_file,
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


@pytest.fixture(scope="module", params=[True, False], ids=["manifest", "older"])
def written(request, tmp_path_factory):
    """The same checkpoint with and without a manifest, to be copied."""
    return write_checkpoint(tmp_path_factory.mktemp("checkpoints"), 7, request.param)


def test_what_was_written_is_whole(written):
    assert damage(written) is None
    assert world_size(written) == 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [*FILES, MANIFEST])
def test_each_file_that_is_cut_flipped_emptied_or_missing_is_named(written, tmp_path, name, kind):
    older = not (written / MANIFEST).exists()
    if older and (name == MANIFEST or (name == FILES[2] and kind == "missing")):
        pytest.skip("without a manifest nothing says how many processes there were; loading does")
    checkpoint = shutil.copytree(written, tmp_path / written.name)
    damage_file(checkpoint / name, kind)
    if (name, kind) == (MANIFEST, "missing"):  # its files have checksums of their own
        assert damage(checkpoint) is None
        damage_file(checkpoint / FILES[0], "flipped")
        name = FILES[0]
    missing_of_older = older and kind == "missing"  # told by its kind, as nothing names it
    assert (name.split("_")[-2] if missing_of_older else name) in damage(checkpoint)
    # Processes share the work: the fault is found by one of them at least, without a look at contents by none or all.
    found = [damage(checkpoint, part, 2) for part in range(2)]
    assert any(found) and damage(checkpoint) in found
    if kind in ("emptied", "missing") and name != FILES[0]:
        assert damage(checkpoint, parts=0)


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
    manifest = read_manifest(write_checkpoint(tmp_path, 7))
    assert (manifest.step, manifest.world_size) == (7, 2)
    assert [record.name for record in manifest.files] == sorted(FILES)
    (tmp_path / "abc").write_bytes(b"abc")
    # XXH3 of 128 bits, from its specification's reference implementation.
    assert record_file(tmp_path / "abc") == FileRecord("abc", 3, "06b05ab6733a618578af5f94892f3950")


def test_a_checkpoint_that_is_set_aside_is_none(tmp_path):
    assert set_aside(write_checkpoint(tmp_path, 7)) == tmp_path / "set_aside_000007"


def rows_of(run: RunDirectory) -> dict[int, dict]:
    measured = ("timing_s/", "perf/", "memory_gb/")
    return {row["step"]: {k: v for k, v in row.items() if not k.startswith(measured)} for row in run.read_metrics()}


def test_training_goes_on_from_the_newest_whole_checkpoint(tmp_path, cache_dir):
    def to(step: int) -> list:
        return ["train", [*TINY, f"steps={step}", f"cache_dir={cache_dir}", "evaluation.every=9"]]

    script = [
        to(4),
        ["damage", 4, "*model_states.pt", "cut"],
        to(5),  # from step 3
        ["damage", 5, MANIFEST, "missing"],
        to(6),  # from step 5, as an older version left it
        ["poison", 6],
        to(7),  # fails after step 6, goes back to step 5
        ["poison", 7],
        to(8),  # fails after step 7, for good
        ["damage", 7, "*", "missing"],
        ["damage", 6, "*optim_states.pt", "flipped"],
        to(8),
    ]
    (tmp_path / "script.json").write_text(json.dumps(script))
    (output,) = python_processes("tests/trainings_in_a_row.py", 1, tmp_path)
    whole, cut, older, back, for_good, none = json.loads(output.splitlines()[-1])
    run = RunDirectory(tmp_path / "run")
    log = run.log.read_text()

    assert (whole["error"], whole["checkpoints"]) == (None, ["step_000003", "step_000004"])
    assert (cut["error"], cut["checkpoints"]) == (None, ["step_000004", "step_000005"])
    damaged = run.checkpoints / "step_000004"
    assert f"{damaged} is damaged: mp_rank_00_model_states.pt has " in log and "resumed after step 3" in log
    assert older["error"] is None and "resumed after step 5" in log
    assert (back["error"], back["checkpoints"]) == (None, ["step_000006", "step_000007"])
    assert back["state"]["state"] == "done" and back["state"]["rolled_back_from"] == 6
    assert "goes back: the first step after step 6 is not finite" in log
    assert for_good["error"].startswith("NotFinite: step 8: not finite: log-probs of a sampled response. ")
    assert for_good["state"]["state"] == "failed" and str(run.not_finite(8)) in for_good["state"]["note"]
    assert "went back once before, from step 6" in for_good["error"]
    assert (run.not_finite(7).exists(), run.not_finite(8).exists()) == (True, True)
    assert for_good["checkpoints"] == ["step_000006", "step_000007"]
    assert none["error"].startswith("NoWholeCheckpoint: ")
    assert "step_000007: there is neither" in none["error"] and "step_000006: zero_pp_rank_0" in none["error"]
    assert none["error"].endswith(f"to start again from step 0, remove {run.checkpoints}")
    assert none["checkpoints"] == for_good["checkpoints"]  # nothing is removed unasked
    assert list(rows_of(run)) == [1, 2, 3, 4, 5, 6, 7]
