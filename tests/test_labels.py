"""Majority labels: the vote, the stage for real, and what it leaves a cell to train on."""

from __future__ import annotations

import json

from helpers.constants import TINY
from helpers.made_up_statuses import status_of
from rewards.grading import Grader, GradingConfig
from sweep.compare.labels import label_summaries
from sweep.data.problems import Problem
from sweep.plan.labels import problems_left
from sweep.plan.plan import plan_sweep
from sweep.plan.signature import labels_identity, training_identity
from sweep.plan.task import BASELINE, EVALUATION, LABEL, TRAIN
from sweep.run.directory import RunDirectory
from sweep.run.entry import Entry
from sweep.run.labels import read_labels, read_rows, too_few, usable
from sweep.run.ledger import record
from sweep.run.status import blocked_by
from sweep.stages.label import label_rows


def test_rows_hold_counts_labels_shares_and_truth():
    problems = [Problem("a", "?", ("1/2",)), Problem("b", "?", ("7",)), Problem("c", "?", ("7",))]
    groups = [["0.5", "3", "3", "1/2", "\\frac12", None], ["8", "7", None, "8", "8.0", ""], [None] * 6]
    grader = Grader(GradingConfig(name="t", extraction=("boxed",), deadline_s=5, memory_gb=1), workers=1)
    first, second, third = label_rows([0, 1, 2], problems, groups, grader)
    assert first == {
        "place": 0,
        "id": "a",
        "gold": "1/2",
        "answers": {"3": 2, "0.5": 1, "1/2": 1, "\\frac12": 1},
        "no_answer": 1,
        "true_share": 3 / 6,
        "equivalence": {"label": "0.5", "share": 3 / 6, "correct": True},
        "string": {"label": "3", "share": 2 / 6, "correct": False},
    }
    assert second["equivalence"] == {"label": "8", "share": 3 / 6, "correct": False}
    assert (second["no_answer"], second["true_share"]) == (2, 1 / 6)
    assert third["equivalence"] == {"label": None, "share": 0.0, "correct": False} and third["true_share"] == 0
    assert grader.guard.processes == []


def test_what_a_reward_can_train_on(tmp_path):
    row = {"place": 0, "id": "a", "true_share": 0.5}
    votes = [("1", True), ("2", False), (None, False)]
    rows = [{**row, "place": k, "string": {"label": t, "share": 0.5, "correct": c}} for k, (t, c) in enumerate(votes)]
    (tmp_path / "labels.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows) + '{"place": 3, "cut')
    labels = list(read_labels([tmp_path], "string"))
    assert [x.place for x in labels] == [0, 1, 2]
    assert [x.text for x in usable(labels, wrong_only=False)] == ["1", "2"]
    assert [x.text for x in usable(labels, wrong_only=True)] == ["2"]
    assert too_few(32, prompts_per_step=32, before=100) is None
    assert too_few(1, prompts_per_step=32, before=1) is None  # one-shot training repeats its problem
    assert too_few(31, prompts_per_step=32, before=100) == "labels leave 31 of 100 problems, fewer than a batch of 32"


def test_labels_are_shared_by_all_that_differs_in_reward_seed_or_algorithm():
    sweep = ["reward=majority_vote,incorrect,random", "seed=0,1", "algorithm.clip_high=0.2,0.3"]
    plan = plan_sweep(sweep)
    assert [t.label for t in plan.stages] == ["baseline of qwen2_mini", "labels of qwen2_mini"]
    assert [len(t.after) for t in plan.cells] == [2] * 8 + [1] * 4
    identities = {json.dumps(labels_identity(t.config), sort_keys=True) for t in plan.cells[:8]}
    assert len(identities) == 1
    more = plan_sweep([*sweep, "labels.samples=32"])
    changed = [a.signature != b.signature for a, b in zip(plan.cells, more.cells, strict=True)]
    assert changed == [True] * 8 + [False] * 4  # the number of votes matters to those that need them
    jobs = plan_sweep([*sweep, "labels.jobs=3"])
    assert [t.label for t in jobs.stages[1:]] == [f"labels of qwen2_mini {k}/3" for k in (1, 2, 3)]
    assert [training_identity(t.config) for t in jobs.cells] == [training_identity(t.config) for t in plan.cells]


def test_labels_are_made_once_resumed_sharded_and_rule_cells_out(shell, tmp_path):
    problems = tmp_path / "problems.jsonl"
    sums = [(a, b, c) for a in range(1, 6) for b in range(1, 5) for c in range(1, 4)]
    problems.write_text("".join(f'{{"prompt": "{a}+{b}-{c}", "answer": "{a + b - c}"}}\n' for a, b, c in sums))
    data = ["data=jsonl", f"data.path={problems}", "rollout.max_prompt_tokens=32", "labels.samples=8"]
    cells = [*TINY, *data, "steps=1", "name=labelled", "reward=majority_vote", "algorithm.prompts_per_step=4,64"]
    places = [f"output_dir={tmp_path / 'runs'}", f"cache_dir={shell.cache_dir}"]
    before = plan_sweep([*cells, *places])
    assert [problems_left(t, before.root) for t in before.cells] == [None, None]

    done = shell.launch("-m", *cells, "labels.chunk=7", check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    baseline, labels, trained, refused = shell.sweep("status", "labelled")["runs"]
    assert (baseline["state"], labels["state"], trained["state"], refused["state"]) == (
        "done",
        "done",
        "done",
        "refused",
    )
    stage, run = before.cells[0].after[1], RunDirectory(before.cells[0].directory)
    left = problems_left(before.cells[0], before.root)
    assert refused["note"] == f"labels leave {left['training']} of 48 problems, fewer than a batch of 64"
    assert run.read_state().problems == {"training": left["training"], "labelled": 48}
    assert 4 <= left["training"] < 48 and left["refused"] is None
    voted = {x.id: x.text for x in read_labels([stage], "equivalence")}
    for sample in map(json.loads, run.samples.read_text().splitlines()):
        assert sample["label"] == voted[sample["problem"]] is not None
        assert sample["reward"] in (0.0, 1.0) and (sample["reward"] == 0 or sample["answer"] is not None)

    summary, _ = shell.sweep("labels", "labelled")["labels"]
    assert (summary["problems"], summary["labelled"], summary["state"]) == (48, left["training"], "done")

    # Cut in the middle of a row of the second chunk: what is sampled again is what was there.
    file = stage / "labels.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(b"".join(whole.splitlines(keepends=True)[:9])) + 20])
    (stage / "result.json").unlink()
    RunDirectory(stage).write_state(state="interrupted")
    shell.launch("-m", *cells, "labels.chunk=7", check=False)
    assert file.read_bytes() == whole
    assert "goes on after 7 labelled problems" in (stage / "log.txt").read_text()
    assert RunDirectory(before.cells[1].directory).read_state().attempt == 1  # refused for good

    shell.launch("-m", *cells, "labels.chunk=7", "labels.jobs=2", "deepspeed.processes=2", check=False)
    shards = [d for d in (tmp_path / "runs" / "stages").glob("labels-*") if d != stage]
    rows = sorted((row for shard in shards for row in read_rows(shard)), key=lambda row: row["place"])
    assert len(shards) == 2 and rows == list(read_rows(stage))


def test_a_refused_run_is_over_and_not_done(tmp_path):
    run = RunDirectory(tmp_path)
    run.write_state(state="refused", note="labels leave 0 of 9 problems, fewer than a batch of 4")
    status = status_of(tmp_path, 30)
    assert status.ended and status.state == "refused" and "0 of 9" in status.note
    assert blocked_by([], status) == status


def test_a_sweep_without_labels_has_none_to_show(tmp_path):
    record("none", tmp_path, [], [], [])
    assert label_summaries(tmp_path, "none") == []


def test_a_cell_that_only_evaluates_shows_the_labels_of_its_training(tmp_path):
    def entry(module: str, steps: int, directory: str, stages: list[str]) -> Entry:
        return Entry(directory, module, {}, "mini", "majority_vote", 0, directory, steps, directory, stages)

    labels, base = entry(LABEL, 0, "stages/labels-mini-1", []), entry(BASELINE, 0, "stages/baseline-mini-2", [])
    training = entry(TRAIN, 4, "cells/mini-3", [labels.directory])
    cell = entry(EVALUATION, 0, "stages/evaluation-mini-4", [base.directory, training.directory])
    record("evaluated", tmp_path, [base, labels, training], [cell], [])
    assert [summary.model for summary in label_summaries(tmp_path, "evaluated")] == ["mini", "mini"]
