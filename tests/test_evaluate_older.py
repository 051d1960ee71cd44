"""`evaluate` on a sweep of a version that knew one benchmark and kept no answers."""

from __future__ import annotations

import shutil

import pytest

from helpers.constants import ROOT
from helpers.evaluated import evaluate, numbers
from sweep.__main__ import main
from sweep.run.answer_places import finished_of_training
from sweep.run.directory import RunDirectory
from sweep.stages import policy

WORDS = ["kept", "reward=random", "seed=0"]


@pytest.fixture
def older(tmp_path, monkeypatch) -> RunDirectory:
    """The cell of WORDS in a sweep of an older version."""
    root = shutil.copytree(ROOT / "tests" / "sweeps" / "schema2", tmp_path / "runs")
    run = RunDirectory(next((root / "cells").glob("qwen2_mini-random-s0-*")))
    monkeypatch.setattr(policy, "weights_source", lambda *_: run.final)  # its mini takes long to make
    return run


def test_a_sweep_of_before_there_were_benchmarks(older):
    """Its final weights are evaluated, and its baseline is the one that it has."""
    run = older
    root = run.root
    assert "2 evaluations, 1 done before" in (said := evaluate(root, *WORDS))
    assert said.count("100 × 2") == 2  # the table has its numbers beside the new ones
    assert said.count("baseline of qwen2_mini, own: no interval, because no answers of it are kept") == 1
    (found,) = finished_of_training(root, run.path.name)
    assert (found.step, found.manifest.benchmark, found.manifest.problems) == (2, "own", 100)
    assert numbers(found, 2)["accuracy"] == run.read_result()["accuracy"]
    evaluate(root, *WORDS, "--step", "2", "evaluation=mini_fresh", "evaluation.problems=4")
    assert {one.manifest.benchmark for one in finished_of_training(root, run.path.name)} == {"own", "mini_fresh"}


def test_other_numbers_of_answers_give_transitions_of_an_older_sweep(older, capsys):
    """With the numbers of the launch the untrained model stays done without answers, so that there is no other side."""
    asked = ["transitions", *WORDS, "--output-dir", str(older.root)]
    evaluate(older.root, *WORDS)
    assert main(asked) == 2 and "no answers are kept of two evaluations" in capsys.readouterr().err
    evaluate(older.root, *WORDS, "evaluation.samples_per_problem=4", "evaluation.problems=20")
    assert main(asked) == 0 and "all: untrained → step 2" in capsys.readouterr().out
