"""The Python on the page about answers runs."""

from __future__ import annotations

import re

import pyarrow as pa

from helpers.constants import ROOT
from helpers.made_up_answers import evaluate
from sweep.run.responses import COLUMNS, ResponseParts

PAGE = (ROOT / "docs" / "answers.md").read_text()


def test_the_snippets_run_and_the_page_names_every_column(tmp_path, capsys):
    evaluate(tmp_path / "answers")
    parts = ResponseParts(tmp_path / "responses", 0, 5)
    row = {"step": 1, "slot": 0, "sample": 0, "problem": "p0", "reward": 1.0, "correct": True, "outcome": "right"}
    row |= {"behaviours": [], "tokens": 3, "finish": "eos", "counted": True}
    parts.add(pa.Table.from_pylist([row], schema=COLUMNS))
    parts.flush()
    snippets = re.findall(r"```python\n(.*?)```", PAGE, flags=re.S)
    for snippet in snippets:
        exec(snippet, {"directory": tmp_path / "answers", "run": tmp_path})
    assert len(snippets) == 2 and "p0" in capsys.readouterr().out
    assert all(f"`{name}`" in PAGE for name in COLUMNS.names)
