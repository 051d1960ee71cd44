"""Values over steps and the figures of a verdict: their numbers, their files, and that nothing in them overlaps."""

from __future__ import annotations

import errno
import itertools
import json
import os
import re
import sys
from dataclasses import replace
from io import StringIO
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import matplotlib.style
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from rich.console import Console

from helpers.constants import ROOT, TINY
from helpers.made_up_results import cells, verdict
from helpers.written_sweeps import finish_all
from sweep.__main__ import main
from sweep.compare.ask import Options, answer
from sweep.compare.curve_table import print_curves
from sweep.compare.curves import Point, curves, pooled
from sweep.compare.export import read_comparison
from sweep.compare.figures import code as code_figure
from sweep.compare.figures import contrasts as contrasts_figure
from sweep.compare.figures import curves as curves_figure
from sweep.compare.figures.page import text_width, wrapped
from sweep.compare.figures.style import COLOURS, SETTINGS, looks, printable
from sweep.compare.figures.write import save, write_figures
from sweep.compare.metrics import ACCURACY, Metric
from sweep.compare.pool import pool
from sweep.compare.results import Comparison
from sweep.compare.tables import result_grid
from sweep.compare.verdict import Verdict, judge
from sweep.dispatch.ending import show_curves
from sweep.plan.plan import Plan, plan_sweep
from sweep.run.directory import RunDirectory
from sweep.run.files import write_json

LOCKED = "3.11.2"  # of matplotlib for Python from 3.11 on, which drew the committed pictures
LEARNING = ROOT / "benchmarks/results/learning.json"
MINIS = ("qwen2_mini", "llama3_mini", "olmo2_mini")
FOUR = ("ground_truth", "random", "format", "majority_vote")
LONG = [f"{'long_name_of_a_reward_or_a_model_which_a_file_may_have_':.58}{i}" for i in range(6)]
STEPS = (2, 4)


def drawn_from(models=MINIS, rewards=FOUR, seeds=(0, 1, 2), metric=ACCURACY, steps=STEPS, scale=1.0) -> Verdict:
    """A verdict with values over steps that rise by a hundredth a step and differ by a hundredth between seeds.

    `scale`: what values of another metric than the accuracy are multiplied with.
    """
    made = [
        replace(cell, base_code=0.4, final_code=0.5 + number / 50, length=4)
        for model in models
        for number, reward in enumerate(rewards)
        for cell in cells(reward, 0.5 + number / 50, seeds, model)
    ]
    if metric != ACCURACY:
        made = [replace(cell, base=None, final=cell.final * scale) for cell in made]
    series = {cell.signature: {step: scale * (0.5 + (step + cell.seed) / 100) for step in steps} for cell in made}
    comparison = Comparison(("s",), Path("runs"), made, metric=Metric(metric), curves={metric: series} if steps else {})
    return judge(comparison)


def texts(file: Path) -> str:
    """The letters of an SVG."""
    return " ".join(" ".join(ElementTree.parse(file).getroot().itertext()).split())


def test_seeds_are_pooled_by_step():
    by_seed = {0: {1: 0.2, 2: 0.4}, 1: {1: 0.6, 2: 0.4, 3: 0.9}, 2: {1: 0.1}}
    assert pooled(by_seed) == (
        Point(1, pytest.approx(0.3), 0.1, 0.6, 3),
        Point(2, pytest.approx(0.4), 0.4, 0.4, 2),
        Point(3, 0.9, 0.9, 0.9, 1),
    )


def curve_of(series: dict, metric: Metric | None = None, **changes) -> list[tuple[int, float, int]]:
    """Steps, means and seeds of the one curve of two seeds."""
    metric = metric or Metric()
    made = [replace(cell, **changes) for cell in cells("t", 0.6, (0, 1), final=0.6)]
    by_cell = {cell.signature: series for cell in made}
    comparison = Comparison(("s",), Path("runs"), made, metric=metric, curves={metric.name: by_cell})
    found = curves(comparison, pool(made), Metric(metric.name))
    return [(point.step, point.mean, point.n) for curve in found for point in curve.points]


@pytest.mark.parametrize(
    ("expected", "given"),
    [
        ([(0, 0.5, 2), (2, 0.7, 2), (4, 0.6, 2)], {"series": {2: 0.7}}),  # the base, a row, the result
        ([(0, 0.5, 2), (2, 0.7, 2), (4, 0.8, 2)], {"series": {2: 0.7, 4: 0.8}}),
        ([(0, 0.5, 2), (4, 0.6, 2)], {"series": {}}),  # evaluated again afterwards: no row is of this evaluation
        ([(2, 0.7, 2), (4, 0.6, 2)], {"series": {2: 0.7}, "unlike": "evaluated otherwise"}),
        ([], {"series": {}, "final": None}),  # the base alone is no curve
        ([(0, 0.5, 2), (2, 0.7, 2)], {"series": {2: 0.7}, "metric": Metric(step=2)}),
        ([(1, 0.9, 2)], {"series": {1: 0.9}, "metric": Metric("train/entropy"), "base": None, "final": None}),
    ],
)
def test_a_curve_begins_with_the_base_and_ends_with_the_result(expected, given):
    assert curve_of(**given) == expected


def test_what_was_compared_without_values_over_steps_has_no_curves():
    comparison, _ = read_comparison(LEARNING)
    assert curves(comparison, pool(comparison.cells), Metric()) == []


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Plan:
    """A sweep of two rewards and two seeds as runs leave it behind, with rows of its own and of another evaluation."""
    root = tmp_path_factory.mktemp("written")
    plan = plan_sweep([*TINY, "name=s", "reward=ground_truth,random", "seed=0,1", f"output_dir={root}"])
    finish_all(plan)
    for task in plan.cells:
        run = RunDirectory(task.directory)
        value = task.config.seed / 10
        rows = [
            {"step": 1, "reward/mean": value},
            {"step": 2, "reward/mean": value, "eval/accuracy": value, "evaluation": run.evaluation_signature},
            {"step": 3, "reward/mean": value, "eval/accuracy": 0.9, "evaluation": "another"},
        ]
        run.metrics.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for task in plan.tasks:
        run = RunDirectory(task.directory)
        write_json(run.result, {**run.read_result(), "code": 0.25})
    return plan


def test_values_over_steps_are_read_from_the_runs(written):
    verdict = answer(["s"], written.root, Options(curves=True))
    (truth, _) = curves(verdict.comparison, verdict.rows, Metric())
    assert [(p.step, p.mean, p.low, p.high) for p in truth.points] == [
        (0, 0.5, 0.5, 0.5),
        (2, 0.05, 0, 0.1),
        (4, 0.5, 0.5, 0.5),
    ]
    rewards = curves(verdict.comparison, verdict.rows, Metric("reward/mean"))
    assert [[point.step for point in curve.points] for curve in rewards] == [[1, 2, 3]] * 2
    assert curves(verdict.comparison, verdict.rows, Metric("reward/true_mean")) == []


def sweep(*words: str, capsys, code: int = 0) -> tuple[str, str]:
    capsys.readouterr()
    assert main(["compare", *words]) == code
    return tuple(capsys.readouterr())


def test_curves_in_the_terminal_are_a_line_for_each_row(written, capsys):
    shown, _ = sweep("s", "--curves", "--output-dir", str(written.root), capsys=capsys)
    block = shown[shown.index("accuracy in % over steps") :].splitlines()
    assert (
        block[0] == "accuracy in % over steps (0, 2, 4), means over seeds (n = 2); bars from 5.0 to 50.0 in all lines"
    )
    assert [line.rstrip() for line in block[1:3]] == [
        "ground_truth 50.0 █▁█ 50.0 n = 2",
        "random       50.0 █▁█ 50.0 n = 2",
    ]
    assert block[4].startswith("reward/mean over steps (1, 2, 3), means over seeds (n = 2); bars from 0.05 to 0.05")
    plain, _ = sweep("s", "--output-dir", str(written.root), capsys=capsys)
    assert shown.startswith(plain) and "over steps" not in plain


def test_a_step_that_some_seeds_lack_says_so_in_its_line():
    made = cells("t", 0.6, (0, 1), final=None)
    series = {made[0].signature: {1: 0.1, 2: 0.1}, made[1].signature: {1: 0.3}}
    comparison = Comparison(
        ("s",), Path("runs"), made, metric=Metric("train/entropy"), curves={"train/entropy": series}
    )
    console = Console(file=StringIO(), width=80)
    print_curves(judge(comparison), console)
    assert "0.1 n = 1 of 2" in console.file.getvalue()


def test_curves_are_kept_in_the_file_and_drawn_from_it(written, tmp_path, capsys):
    file = tmp_path / "found.json"
    said, _ = sweep("s", "--curves", "--json", "--output-dir", str(written.root), capsys=capsys)
    file.write_text(said)
    assert sweep(str(file), "--json", capsys=capsys)[0] == said
    without, _ = sweep("s", "--json", "--output-dir", str(written.root), capsys=capsys)
    assert json.loads(without)["curves"] == {} and json.loads(said)["curves"].keys() >= {"eval/accuracy", "reward/mean"}
    from_file, beside = sweep(str(file), "--csv", "--figures", str(tmp_path / "a"), capsys=capsys)
    assert from_file.startswith("kind,") and beside.splitlines()[-1] == str(tmp_path / "a/curves.png")
    sweep("s", "--figures", str(tmp_path / "b"), "--output-dir", str(written.root), capsys=capsys)
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == [f"{name}.{kind}" for name in ("code", "contrasts", "curves") for kind in ("png", "svg")]
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
    file.write_text(said.replace('"reward/mean": {', '"reward/mean": {"x": 3, '))
    assert "a comparison that lacks something" in sweep(str(file), capsys=capsys, code=2)[1]


@pytest.mark.parametrize(
    ("verdict", "names", "labels"),
    [
        (
            {},
            "code contrasts curves",
            {
                "curves": ["accuracy in %", "majority_vote, n = 3", "untrained model", "Band: from the lowest"],
                "contrasts": ["format − random", "random − its base", "m = 12 tests", "95 % intervals"],
                "code": ["answers with code, %", "format, n = 3", "untrained model"],
            },
        ),
        (
            {"seeds": (0,)},
            "code contrasts curves",
            {"curves": ["one seed (n = 1)", "random, n = 1"], "contrasts": ["one seed (n = 1)"], "code": ["n = 1"]},
        ),
        (
            {"rewards": ("format", "python"), "metric": "train/entropy"},
            "curves",
            {"curves": ["train/entropy over steps"]},
        ),
        ({"metric": "train/entropy"}, "contrasts curves", {"contrasts": ["difference in train/entropy"]}),
        ({"steps": ()}, "code contrasts", {"code": ["ground_truth"]}),
        (
            {"models": ("a", "b$c$", "<d>&\u001b[31m"), "rewards": ("ground_truth", "random", "_own")},
            "code contrasts curves",
            {"curves": ["b$c$", "<d>&\\x1b[31m", "_own, n = 3"], "contrasts": ["_own − random"]},
        ),
    ],
)  # fmt: skip
def test_figures_hold_their_labels_and_what_is_not_drawn_has_a_reason(tmp_path, verdict, names, labels):
    drawn = write_figures(drawn_from(**verdict), tmp_path / "new" / "figures")
    there = sorted({path.stem for path in (tmp_path / "new/figures").iterdir()})
    assert " ".join(there) == names and sorted(drawn.files) == sorted((tmp_path / "new/figures").iterdir())
    assert set(drawn.left_out) == {"code", "contrasts", "curves"} - set(there) and all(drawn.left_out.values())
    for name in there:
        assert (tmp_path / f"new/figures/{name}.png").read_bytes().startswith(b"\x89PNG")
        shown = texts(tmp_path / f"new/figures/{name}.svg")
        for label in (*labels.get(name, ()), *(printable(m) for m in verdict.get("models", MINIS))):
            assert label in shown, (name, label)


def test_a_reward_looks_alike_in_all_families_and_no_two_rows_of_a_family_do():
    rows = drawn_from(rewards=("format", "random", *FOUR)).rows + drawn_from(models=("other",)).rows
    known = looks(rows, ("model",))
    assert set(known) == set(FOUR)
    assert len({(look.colour, look.marker, look.dashes) for look in known.values()}) == 4
    for label in ("ground_truth", "random"):  # whatever else a sweep has
        assert known[label] == looks(drawn_from(rewards=("random", "ground_truth")).rows, ("model",))[label]
    by_rate = pool([c for rate in (1, 2, 3) for c in cells("random", 0.5, model="a", reward__probability=rate)])
    rates = looks(by_rate, ("model",)).values()
    assert len({look.colour for look in rates}) == 1 and len({(look.marker, look.dashes) for look in rates}) == 3
    many = looks(drawn_from(rewards=[f"r{i}" for i in range(20)], models=("a",)).rows, ("model",)).values()
    assert len({(look.marker, look.dashes) for look in many}) == 20  # in grey print too


def overlapping(figure: Figure, monkeypatch) -> list[str]:
    """Pairs of texts of which one lies over the other, and texts that leave the page."""
    canvas, drawn, draw = FigureCanvasAgg(figure), {}, Text.draw
    monkeypatch.setattr(Text, "draw", lambda text, renderer: (drawn.update({id(text): text}), draw(text, renderer)))
    canvas.draw()
    renderer = canvas.get_renderer()
    shown = [text for text in drawn.values() if text.get_visible() and text.get_text().strip()]
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in shown]
    page = figure.bbox
    found = [text for text, box in boxes if box.x0 < 0 or box.y0 < 0 or box.x1 > page.x1 or box.y1 > page.y1]
    for (text, box), (other, beside) in itertools.combinations(boxes, 2):
        over_x = min(box.x1, beside.x1) - max(box.x0, beside.x0)
        over_y = min(box.y1, beside.y1) - max(box.y0, beside.y0)
        if over_x > 0.5 and over_y > 0.25 * min(box.height, beside.height):  # lines of a text are that close
            found.append(f"{text} over {other}")
    assert min(text.get_fontsize() for text in shown) >= 7
    return found


@pytest.mark.parametrize("draw", [curves_figure.draw, contrasts_figure.draw, code_figure.draw])
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"models": ("a",), "rewards": ("ground_truth", "random")},
        {"models": LONG, "rewards": ("random", *LONG[:5]), "seeds": (0, 1)},
        {"models": [f"m{i}" for i in range(7)], "metric": "train/sampler_difference_max"},
        {"metric": "train/learning_rate", "scale": 1e-6},
        {"metric": "perf/tokens", "scale": 7654321.0},
    ],
    ids=["demo", "one family", "long names", "long metric", "small numbers", "large numbers"],
)
def test_nothing_overlaps_and_no_letter_is_small(draw, given, monkeypatch):
    with matplotlib.style.context(["default", SETTINGS]):
        assert overlapping(draw(drawn_from(**given)), monkeypatch) == []


def test_a_figure_of_two_thousand_lines_is_written_with_fewer_dots(tmp_path):
    matplotlib_writes_no_more = 2**16
    figure = Figure(figsize=(0.1, 400.0))
    (png, _) = save(figure, "long", tmp_path)
    height = int.from_bytes(png.read_bytes()[20:24], "big")
    assert 50_000 < height < matplotlib_writes_no_more


def test_every_row_is_drawn_however_the_launch_ordered_them():
    rows = [cells(reward, 0.6, model=model) for reward in ("ground_truth", "random") for model in ("a", "b")]
    found = verdict(*rows)
    values = {cell.signature: {1: 0.5, 2: 0.6} for row in rows for cell in row}
    found = replace(found, comparison=replace(found.comparison, curves={"eval/accuracy": values}))
    for panel in curves_figure.draw(found).axes:
        drawn = {line.get_color() for line in panel.lines}
        assert {COLOURS[0], COLOURS[1]} <= drawn  # that of ground_truth and that of random


def test_lines_of_text_fit_their_width():
    text = "a name_with_parts/and.more and averyveryverylongwordwithoutanyplacetobreakit"
    lines = wrapped(text, 0.8, 7)
    assert max(text_width(line, 7) for line in lines) <= 0.8
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize("place", ["file", "file/below", "closed"])
def test_a_place_for_figures_that_takes_none_is_refused_before_anything_is_read(tmp_path, monkeypatch, capsys, place):
    (tmp_path / "file").touch()
    monkeypatch.setattr(os, "access", lambda path, mode: "closed" not in str(path))
    (tmp_path / "closed").mkdir()
    said = sweep("nosuch", "--figures", str(tmp_path / place), capsys=capsys, code=2)[1]
    assert said.startswith(f"--figures {tmp_path / place}: ")
    assert "is a file; name a directory" in said or "may not be written; name another directory" in said
    assert "is empty" in sweep("nosuch", "--figures=", capsys=capsys, code=2)[1]


def test_a_directory_in_the_place_of_a_figure_is_named(written, tmp_path, capsys):
    (tmp_path / "curves.png").mkdir()
    typed = ["s", "--output-dir", str(written.root), "--figures", str(tmp_path)]
    said = sweep(*typed, capsys=capsys, code=2)[1]
    assert said.startswith(f"--figures {tmp_path}: ") and "Is a directory" in said and "curves.png" in said


def ended(verdict: Verdict, directory: Path) -> list[str]:
    console = Console(file=StringIO(), width=80)
    show_curves(verdict, directory, console)
    return console.file.getvalue().splitlines()


def test_a_launch_here_ends_with_the_paths_of_a_figure_and_of_the_page(written, tmp_path, monkeypatch):
    verdict = answer(["s"], written.root)
    lines = ended(verdict, tmp_path / "figures")
    assert lines[-2:] == [str(tmp_path / "figures/curves.png"), str(tmp_path / "page.html")]
    assert all(Path(line).is_file() for line in lines[-2:])
    assert "█▁█" in "\n".join(lines)
    (tmp_path / "file").touch()
    assert ended(verdict, tmp_path / "file")[-2].startswith("the figures were not written: ")
    with monkeypatch.context() as full:
        error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        full.setattr("sweep.compare.figures.write.write_bytes", lambda *_: (_ for _ in ()).throw(error))
        assert "the figures were not written: No space left on device: " in ended(verdict, tmp_path / "full")[-2]
    monkeypatch.setitem(sys.modules, "matplotlib.style", None)
    assert ended(verdict, tmp_path / "other")[-2].startswith("the figures were not written: import of matplotlib")
    (tmp_path / "below" / "page.html").mkdir(parents=True)
    last = ended(verdict, tmp_path / "below" / "figures")[-1]
    assert last.startswith(f"the page was not written: --html {tmp_path / 'below/page.html'}: ")
    nothing = replace(verdict.comparison, cells=[replace(c, training=str(tmp_path)) for c in verdict.comparison.cells])
    assert ended(replace(verdict, comparison=nothing), tmp_path / "none") == []
    (tmp_path / "metrics.jsonl").write_bytes(b"\0\0\n")
    damaged = f"no values over steps: {tmp_path}/metrics.jsonl, line 1: not a row of a step"
    assert ended(replace(verdict, comparison=nothing), tmp_path / "none")[0].startswith(damaged)


def table_of(page: str) -> list[list[str]]:
    """The first table of a page, its heads first, without the marks of code."""
    lines = [line for line in (ROOT / page).read_text().splitlines() if line.startswith("|")]
    rows = [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines]
    end = next(number for number, row in enumerate(rows) if len(row) != len(rows[0]))
    return [rows[0], *rows[2:end]]


def test_the_table_and_the_pictures_of_the_pages_are_what_the_command_makes(tmp_path):
    comparison, question = read_comparison(LEARNING)
    grid = result_grid(judge(comparison, question))
    assert table_of("README.md") == [grid.columns, *grid.rows]
    write_figures(judge(comparison, question), tmp_path)
    for name, page in (("contrasts", "README.md"), ("code", "docs/compare.md")):
        assert f"figures/{name}.svg)" in (ROOT / page).read_text()
        committed, made = ((place / f"{name}.svg").read_text() for place in (ROOT / "docs/figures", tmp_path))
        assert len(committed) < 150_000
        assert texts(ROOT / f"docs/figures/{name}.svg") == texts(tmp_path / f"{name}.svg")
        # Another processor may round a coordinate otherwise, and names in the file are hashes of coordinates.
        # Another version of matplotlib may write the same drawing in other words.
        if matplotlib.__version__ == LOCKED:
            (words, numbers), (other, beside) = (_parts(text) for text in (committed, made))
            assert words == other
            assert np.allclose(numbers, beside, atol=0.01)


def _parts(svg: str) -> tuple[list[str], list[float]]:
    without = re.sub(r'(id|xlink:href|clip-path)="[^"]*"', "", svg)
    number = r"-?\d+(?:\.\d+)?(?:e-?\d+)?"
    return re.split(number, without), [float(found) for found in re.findall(number, without)]
