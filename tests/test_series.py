"""Metrics over steps, read while a run writes them."""

from __future__ import annotations

import pytest

from sweep.errors import DamagedFile
from sweep.run.series import BLOCK, SeriesReader, last_row, read_rows, read_series
from sweep.track.metrics import RowLog


def test_what_has_grown_is_read_and_what_a_resumed_run_makes_again_is_replaced(tmp_path):
    path = tmp_path / "metrics.jsonl"
    reader = SeriesReader(path, ["a", "b"])
    assert reader.read() == {"a": {}, "b": {}}
    rows = RowLog(path, 0)
    rows.write({"step": 1, "a": 0.5})
    rows.write({"step": 2, "a": 0.25, "b": 3.0, "text": "other"})
    assert reader.read() == {"a": {1: 0.5, 2: 0.25}, "b": {2: 3.0}}
    with open(path, "a") as file:
        file.write('{"step": 3, "a": 0.1')
    assert reader.read() == {"a": {1: 0.5, 2: 0.25}, "b": {2: 3.0}}
    with open(path, "a") as file:
        file.write("25}\n")
    assert reader.read()["a"] == {1: 0.5, 2: 0.25, 3: 0.125}
    rows.close()
    again = RowLog(path, 1)
    again.write({"step": 2, "a": float("nan"), "b": 4.0})
    assert reader.read() == read_series(path, ["a", "b"]) == {"a": {1: 0.5}, "b": {2: 4.0}}
    path.unlink()
    assert reader.read() == {"a": {}, "b": {}}


@pytest.mark.parametrize("length", [1, 100, BLOCK - 40, BLOCK, 3 * BLOCK])
def test_the_last_complete_row_is_found_from_the_end(tmp_path, length):
    path = tmp_path / "metrics.jsonl"
    assert last_row(path) == {}
    rows = RowLog(path, 0)
    assert last_row(path) == {}
    for step in (1, 2, 3):
        rows.write({"step": step, "text": "x" * length})
        assert last_row(path) == {"step": step, "text": "x" * length}
    with open(path, "a") as file:
        file.write('{"step": 4, "te')
    assert last_row(path)["step"] == 3


@pytest.mark.parametrize(
    "damage", [b"", b"\0" * 20, b"\xff\xfe{}", b'{"step": 2, "a"', b"[2]", b"7", b'{"a": 0.5}', b'{"step": "2"}']
)
def test_a_damaged_line_is_named_whoever_reads_it(tmp_path, damage):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1, "a": 0.5}\n' + damage + b"\n")
    for read, place in (
        (lambda: read_series(path, ["a"]), "line 2"),
        (lambda: [*read_rows(path)], "line 2"),
        (lambda: last_row(path), "its last line"),
    ):
        with pytest.raises(DamagedFile, match=f"^{path}, {place}: not a row of a step .*take the line out"):
            read()


def test_half_a_surrogate_pair_in_a_text_damages_nothing(tmp_path):
    path = tmp_path / "samples.jsonl"
    RowLog(path, 0).write({"step": 1, "question": "\ud800"})
    assert [*read_rows(path)] == [last_row(path)] == [{"step": 1, "question": "\ud800"}]
