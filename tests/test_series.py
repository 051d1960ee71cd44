"""Metrics over steps, read while a run writes them."""

from __future__ import annotations

import pytest

from sweep.run.series import BLOCK, SeriesReader, last_row, read_series
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
