"""Files of problems for tests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sweep.config.data import JsonLinesData
from sweep.data.problems import load_split
from sweep.errors import UserError

SUMS = [{"prompt": f"{i}+1", "answer": str(i + 1)} for i in range(20)]


def data_of(path: Path | str, **settings) -> JsonLinesData:
    most = {"max_prompt_tokens": 32, "max_response_tokens": 32}
    return JsonLinesData(source="jsonl", name="jsonl", path=str(path), **{"held_out": 0.2, **most, **settings})


def lines(rows: list, ending: str = "\n") -> str:
    return "".join(json.dumps(row) + ending for row in rows)


def refused(data: JsonLinesData, split: str = "train") -> str:
    with pytest.raises(UserError) as caught:
        load_split(data, split)
    return str(caught.value)
