"""RUN/responses: a row for every response, a part a checkpoint interval, however often the training was interrupted."""

from __future__ import annotations

from pathlib import Path

import pandas
import pyarrow as pa
import pytest

from helpers.constants import TINY
from rewards.behaviours import Found
from rewards.extraction import Extracted
from rewards.grading import Grade, Outcome
from sweep.data.problems import Problem
from sweep.errors import DamagedFile
from sweep.grpo.deal import WithAdvantage
from sweep.plan.compose import compose_cells
from sweep.rollout.sample import Finish, Sampled
from sweep.run import responses
from sweep.run.responses import COLUMNS, ResponseParts, read_responses
from sweep.stages.collecting import Rollout
from sweep.stages.grading import Graded
from sweep.stages.groups import Group
from sweep.stages.metrics import StepDone
from sweep.stages.responses import response_rows
from sweep.stages.samples import sample_rows

EVERY = 5


def rows(step: int, reward: float = 1.0) -> pa.Table:
    made = [
        {
            "step": step, "slot": slot, "sample": 0, "problem": f"p{slot}", "reward": reward, "correct": slot == 0,
            "outcome": "right", "strategy": None if slot else "boxed", "behaviours": ["code"] * slot, "tokens": 3,
            "finish": "eos", "advantage": None if slot else 0.5, "counted": slot == 0, "text": None if slot else "é",
        }
        for slot in range(2)
    ]  # fmt: skip
    return pa.Table.from_pylist(made, schema=COLUMNS)


def train(directory: Path, first: int, last: int, saved: int | None = None, after: int | None = None) -> None:
    """The steps from `first` to `last`, with checkpoints up to `saved`, of an attempt that resumes after `after`."""
    parts = ResponseParts(directory, first - 1 if after is None else after, EVERY)
    for step in range(first, last + 1):
        parts.add(rows(step))
        if step % EVERY == 0 or step == saved:
            parts.flush()


def contents(directory: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(directory.iterdir())}


@pytest.fixture
def at_a_stretch(tmp_path) -> dict[str, bytes]:
    train(tmp_path / "once", 1, 12, saved=12)
    return contents(tmp_path / "once")


def test_a_part_holds_a_checkpoint_interval(at_a_stretch, tmp_path):
    assert [*at_a_stretch] == ["part-000001-000005.parquet", "part-000006-000010.parquet", "part-000011-000012.parquet"]
    table = read_responses(tmp_path / "once")
    assert table == pa.concat_tables([rows(step) for step in range(1, 13)])
    assert pandas.read_parquet(tmp_path / "once").groupby("step").size().to_dict() == dict.fromkeys(range(1, 13), 2)
    assert read_responses(tmp_path / "once", ["step"]).column_names == ["step"]
    assert read_responses(tmp_path / "none").num_rows == 0


@pytest.mark.parametrize(
    "attempts",
    [
        [(1, 7, None), (6, 12, 12)],  # killed after step 7: resumes from step 5
        [(1, 7, 7), (8, 12, 12)],  # stopped on request: a checkpoint of step 7
        [(1, 6, 6), (7, 7, 7), (8, 12, 12)],  # stopped twice in an interval
        [(1, 12, 12), (6, 12, 12)],  # training went back to an earlier checkpoint
        [(1, 12, 12), (8, 12, 12)],  # and to one within an interval
        [(1, 9, 9), (1, 12, 12)],  # no checkpoint was left
    ],
)
def test_interruptions_leave_the_files_of_a_training_at_a_stretch(attempts, at_a_stretch, tmp_path):
    for first, last, saved in attempts:
        train(tmp_path / "often", first, last, saved)
    assert contents(tmp_path / "often") == at_a_stretch


def test_rows_of_steps_that_run_again_are_gone_at_once(tmp_path):
    train(tmp_path, 1, 12, saved=12)
    ResponseParts(tmp_path, 7, EVERY)
    assert set(read_responses(tmp_path).column("step").to_pylist()) == set(range(1, 8))


@pytest.mark.parametrize("name", ["sync", "write_bytes"])
def test_killed_while_an_interval_is_made_one_part(name, at_a_stretch, tmp_path, monkeypatch):
    train(tmp_path / "often", 1, 7, saved=7)
    original = getattr(responses, name)

    def dies(*arguments):
        if name == "sync":  # the longer part is there, and the shorter one is not removed
            original(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(responses, name, dies)
        train(tmp_path / "often", 8, 10)
    assert (
        len(set(map(str, read_responses(tmp_path / "often").to_pylist())))
        == read_responses(tmp_path / "often").num_rows
    )
    (tmp_path / "often" / ".part-000006-000010.parquet.0123.partial").write_bytes(b"half")
    train(tmp_path / "often", 8, 12, saved=12)
    assert contents(tmp_path / "often") == at_a_stretch


def test_what_was_not_flushed_at_a_failure_is_kept_until_the_steps_run_again(tmp_path):
    parts = ResponseParts(tmp_path, 0, EVERY)
    parts.add(rows(1))
    parts.flush()
    parts.flush()
    assert [*contents(tmp_path)] == ["part-000001-000001.parquet"]
    train(tmp_path, 1, 5)
    assert [*contents(tmp_path)] == ["part-000001-000005.parquet"]


def test_a_damaged_part_is_named(tmp_path):
    train(tmp_path, 1, 7, saved=7)
    (tmp_path / "part-000006-000007.parquet").write_bytes(b"PAR1")
    with pytest.raises(DamagedFile, match=r"part-000006-000007\.parquet: cannot be read"):
        read_responses(tmp_path)
    train(tmp_path, 6, 10)  # whose steps run again: it is replaced unread
    assert read_responses(tmp_path).num_rows == 20


def graded_group(slot: int, reward: float) -> Group[Graded]:
    found = [Extracted("4", "boxed"), None]
    outcomes = [Outcome.RIGHT, Outcome.NONE]
    responses = [
        Graded(
            Sampled([1], [2] * (3 + i), [0.0] * (3 + i), Finish.LENGTH, f"{slot}.{i}"),
            reward,
            Grade(o),
            f,
            Found(("code",) * (i == 1)),
        )
        for i, (o, f) in enumerate(zip(outcomes, found, strict=True))
    ]
    return Group(slot, Problem(f"p{slot}", "2+2", ("4",)), responses)


def test_every_sampled_response_is_a_row_and_kept_groups_have_texts():
    (cell,) = compose_cells([*TINY, "tracking.sample_groups=1"])
    sampled = [graded_group(slot, 1.0) for slot in (0, 1, 2)] + [graded_group(5, 0.0)]
    groups = [
        sampled[0],
        sampled[3],
        sampled[2],
    ]  # resampling replaced the group in slot 1
    dealt = [
        [WithAdvantage(g.sampled, 0.25 * group.slot, i == 0) for i, g in enumerate(group.responses)] for group in groups
    ]
    done = StepDone(Rollout(groups, sampled), dealt, {}, {})
    table = response_rows(cell.config, 3, done)
    found = table.to_pylist()
    assert table.schema == COLUMNS and len(found) == 8
    by_place = {(row["slot"], row["sample"]): row for row in found}
    assert by_place[5, 0] | {"text": None} == {
        "step": 3, "slot": 5, "sample": 0, "problem": "p5", "reward": 0.0, "correct": True, "outcome": "right",
        "strategy": "boxed", "behaviours": [], "tokens": 3, "finish": "length", "advantage": 1.25, "counted": True,
        "text": None,
    }  # fmt: skip
    second = by_place[5, 1]
    assert (second["strategy"], second["behaviours"], second["outcome"]) == (None, ["code"], "none")
    replaced = by_place[1, 0]
    assert replaced["advantage"] is None and replaced["counted"] is False and replaced["text"] is None
    kept = {(row["slot"], row["sample"]): row["response"] for row in sample_rows(cell.config, 3, groups)}
    assert {place: row["text"] for place, row in by_place.items() if row["text"] is not None} == kept and kept
