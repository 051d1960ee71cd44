"""The page's data: the same numbers and words as `compare`, small series, cut texts; and what is refused."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers.constants import ROOT
from helpers.kept_answers import identity, keep_trained
from helpers.made_up_results import cells, verdict
from helpers.scored import verdicts
from helpers.shown_sweep import HOSTILE, shown_sweep
from sweep.__main__ import main
from sweep.compare.ask import Options, answer, verdicts_on
from sweep.compare.curves import curves
from sweep.compare.over_steps import with_curves
from sweep.compare.page.answers import chosen_answers, spread
from sweep.compare.page.facts import PageFacts, page_facts
from sweep.compare.page.packing import MISSING, packed_series, quantised
from sweep.compare.page.texts import shortened
from sweep.compare.page.write import SCRIPTS, STYLES, page_html
from sweep.compare.problem_tables import problem_lines
from sweep.plan.plan import Plan

PAGE = ROOT / "sweep/compare/page"


@pytest.fixture(scope="module")
def plan(tmp_path_factory) -> Plan:
    return shown_sweep(tmp_path_factory.mktemp("shown"))


@pytest.fixture(scope="module")
def found(plan) -> PageFacts:
    return page_facts([answer([plan.name], plan.root)])


def part(html: str, name: str) -> bytes:
    """One of the parts of a page's data."""
    text = re.search(f'id="{name}">([A-Za-z0-9+/=]*)</script>', html).group(1)
    return gzip.decompress(base64.b64decode(text))


def unpacked(found: PageFacts, name: str) -> dict[int, dict[int, float]]:
    """The values of a metric by cell and step, as the browser reads them."""
    index, at, values = found.facts["series"], 0, {}
    numbers = np.frombuffer(found.series, np.uint8).reshape(2, -1)
    for metric, entries in index["metrics"].items():
        for cell, steps, low, high in entries:
            steps = index["steps"][steps]
            whole = numbers[0, at : at + len(steps)].astype(int) * 256 + numbers[1, at : at + len(steps)]
            at += len(steps)
            if metric == name:
                values[cell] = {
                    s: low + n / 65534 * (high - low) for s, n in zip(steps, whole, strict=True) if n != MISSING
                }
    return values


@pytest.mark.parametrize("name", ["eval/accuracy", "eval/code", "reward/true_mean", "train/entropy"])
def test_each_metric_is_judged_as_compare_judges_it(plan, found, name):
    asked = answer([plan.name], plan.root, Options(name))
    shown = next(metric for metric in found.facts["metrics"] if metric["name"] == name)
    assert shown["sentences"] == [*asked.sentences, *problem_lines(asked)]
    assert [value for value, *_ in shown["tested"]] == [
        pytest.approx(asked.comparison.metric.scale * one.estimate.value)
        for one in [*asked.findings.contrasts, *asked.findings.changes]
    ]
    assert [of[1] and of[1][3] for of in shown["values"]] == [len(row.final) or None for row in asked.rows]


def test_several_benchmarks_are_metrics_of_one_page(tmp_path, found):
    """One that was asked after the launch is known from its answers alone, where its name is typed."""
    plan = shown_sweep(tmp_path)
    for task in plan.cells[:2]:
        keep_trained(plan, task, "later", identity("later"), verdicts(a="RR", b="Rw"))
    verdict, later = verdicts_on([plan.name], plan.root, Options(benchmarks="mini,later"))
    shown = page_facts([verdict, later]).facts["metrics"]
    assert [metric["title"] for metric in shown[:2]] == ["accuracy in % on mini", "accuracy in % on later"]
    assert shown[1]["name"] == "eval/later/accuracy" and shown[1]["values"][0][1] == [75.0, None, None, 2]
    assert shown[0]["values"] == found.facts["metrics"][0]["values"]


@pytest.mark.parametrize("name", ["eval/accuracy", "reward/true_mean"])
def test_values_over_steps_are_those_of_compare(plan, found, name):
    asked = with_curves(answer([plan.name], plan.root, Options(name)))
    values, places = unpacked(found, name), {cell.signature: n for n, cell in enumerate(asked.comparison.cells)}
    for curve in curves(asked.comparison, asked.rows, asked.comparison.metric):
        own = [
            values[places[cell.signature]] for cell in curve.row.by_seed.values() if places[cell.signature] in values
        ]
        for point in curve.points:
            at = [of[point.step] for of in own if point.step in of]
            assert (np.mean(at), min(at), max(at), len(at)) == pytest.approx(
                (point.mean, point.low, point.high, point.n), abs=1e-5
            )


def test_half_a_sweep_says_what_is_missing(found):
    assert [cell["state"] for cell in found.facts["cells"]].count("failed") == 1
    accuracy = found.facts["metrics"][0]
    (row,) = [row for row, of in enumerate(accuracy["values"]) if of[1][3] == 1]
    assert len(found.facts["rows"][row]["cells"]) == 2
    assert found.facts["cells"][-1]["note"] == "the node went down <b>hard</b>"


def test_without_records_there_are_the_numbers_of_the_file(tmp_path, capsys, plan):
    assert main(["compare", plan.name, "--output-dir", str(plan.root), "--curves", "--json"]) == 0
    told = json.loads(capsys.readouterr().out) | {"directory": str(tmp_path / "elsewhere")}
    for cell in told["cells"]:
        cell |= {"directory": "gone", "training": "gone"}
    (tmp_path / "told.json").write_text(json.dumps(told))
    page = tmp_path / "deep" / "page.html"
    assert main(["compare", str(tmp_path / "told.json"), "--html", str(page)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(page)
    facts, answers = (json.loads(part(page.read_text(), name)) for name in ("facts", "answers"))
    assert facts["metrics"][0]["sentences"][:2] == told["sentences"] and len(facts["metrics"]) == 1
    assert "eval/accuracy" in facts["series"]["metrics"] and "name the sweep" in facts["transitions"]["missing"]
    assert answers["columns"]["text"] == []


def test_times_are_shown_when_they_are_asked_for(plan):
    asked = answer([plan.name], plan.root)
    names = [{m["name"] for m in page_facts([asked], every).facts["metrics"]} for every in (False, True)]
    assert names[1] - names[0] == {"timing_s/step"}


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ([0.1, 0.2, 0.7], 0.6 / 131068),
        ([5.0, 5.0], 0.0),
        ([-1e308, 1e308], 2e308 / 131068),
        ([1.0, float("nan"), float("inf"), 3.0], 2 / 131068),
        ([float("nan")], 0.0),
        ([0.0, 1e-310], 1e-310),
    ],
)
def test_a_series_of_16_bits_is_as_near_as_it_says(values, error):
    numbers, low, high = quantised(values)
    for value, number in zip(values, numbers.tolist(), strict=True):
        assert (number == MISSING) == (not np.isfinite(value))
        if number != MISSING:
            back = low * (1 - number / 65534) + high * (number / 65534)
            assert abs(back - value) <= error * 1.001


def test_with_too_many_numbers_some_steps_are_kept(found):
    series = [{"a": dict.fromkeys(range(1, 101), 0.5)} for _ in range(3)]
    index, numbers = packed_series(series, most=100)
    assert index["every"] == 3 and index["steps"] == [[*range(1, 101, 3)]] and len(numbers) == 2 * 3 * 34
    index, _ = packed_series([{"a": dict.fromkeys(range(1, 100), 0.5)}], most=50)
    assert index["steps"][0][-1] == 99 and found.facts["series"]["every"] == 1


def test_texts_are_cut_in_the_middle_and_say_so():
    assert shortened("a" * 8000) == replace(shortened(""), text="a" * 8000)
    cut = shortened("a" * 5000 + "b" * 5000)
    assert cut.cut == 2000 and cut.text == "a" * 4000 + "\n[… 2,000 characters are cut here …]\n" + "b" * 4000
    assert shortened("\ud800").text == "?"


def test_of_each_evaluation_the_same_problems_are_shown(plan, found):
    answers = found.answers["columns"]
    of_benchmark = [i for i, b in enumerate(answers["benchmark"]) if found.answers["benchmarks"][b] == "mini"]
    seen: dict[tuple, list] = {}
    for i in of_benchmark:
        seen.setdefault((answers["subject"][i], answers["step"][i]), []).append(answers["problem"][i])
    assert len(seen) == 2 + 8 * 2 and len({tuple(problems) for problems in seen.values()}) == 1
    few = chosen_answers(answer([plan.name], plan.root).comparison, most=0)
    kept = {
        (s, t) for s, t, b in zip(*(few.columns[n] for n in ("subject", "step", "benchmark")), strict=True) if b == 0
    }
    assert kept == {key for key in seen if key[1] != 2}  # the last step of each cell, and the untrained models
    assert few.left_out == [
        "Answers of 10 of 18 evaluations are shown, those of the last step of each cell always; the others would make "
        "this file too large."
    ]
    assert spread([*range(10)], 4) == [0, 3, 6, 9] and spread([1, 2], 4) == [1, 2]


def test_the_page_allows_nothing_but_what_it_brings(found):
    html = page_html(found)
    policy = re.search('Content-Security-Policy" content="([^"]*)"', html).group(1)
    rules = dict(rule.strip().partition(" ")[::2] for rule in policy.split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    brought = {
        "script-src": re.findall(r"<script(?: type=\"module\")?>(.*?)</script>", html, flags=re.S),
        "style-src": re.findall(r"<style>(.*?)</style>", html, flags=re.S),
    }
    for rule, texts in brought.items():
        digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts]
        assert rules[rule] == " ".join(f"'sha256-{digest}'" for digest in digests)
    assert set(rules) == {"default-src", "base-uri", "form-action", *brought}
    assert not re.search(r"<[^>]+\b(src|href)=(?!\"#)", html) and not re.search(r"url\(|@import", html)
    assert not any(text[:30] in html for text in HOSTILE)  # texts of models are in the compressed parts alone


def test_a_title_is_text():
    cruel = verdict(cells("random", 0.5))
    cruel = replace(cruel, comparison=replace(cruel.comparison, sweeps=("<script>window.ran = 1</script>",)))
    html = page_html(page_facts([replace(cruel, sentences=["<img src=x>"])]))
    assert "<title>sweep &lt;script&gt;" in html and "<script>window.ran" not in html and "<img" not in html


def test_every_file_of_the_page_is_used_and_short():
    used = {*STYLES, *(f"assets/{name}.js" for name in SCRIPTS)}
    there = {str(file.relative_to(PAGE)) for file in (PAGE / "assets").iterdir()}
    assert there == {name for name in used if name.startswith("assets/")} | {"assets/page.html.jinja"}
    assert max(len((PAGE / name).read_text().splitlines()) for name in there) <= 400
    licence = (PAGE / "vendor" / "LICENSE-uPlot").read_text()
    assert "MIT" in licence and licence.splitlines()[-1] in page_html(page_facts([verdict(cells("random", 0.5))]))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--html", "{root}"], "is a directory; name a file in it"),
        (["--html", "{root}/file/page.html"], "file is a file; name another place"),
        (["--all-metrics"], "name its file with --html"),
    ],
)
def test_what_cannot_be_written_is_refused_first(plan, tmp_path, capsys, words, message):
    (tmp_path / "file").touch()
    typed = [word.format(root=tmp_path) for word in words]
    assert main(["compare", plan.name, "--output-dir", str(plan.root), *typed]) == 2
    shown = capsys.readouterr()
    assert message in " ".join(shown.err.replace("│", "").split()) and not shown.out
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_is_named(plan, tmp_path, capsys, monkeypatch):
    def full(path: Path, text: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sweep.compare.page.write.write_text", full)
    assert main(["compare", plan.name, "--output-dir", str(plan.root), "--html", str(tmp_path / "page.html")]) == 2
    assert f"--html {tmp_path / 'page.html'}" in capsys.readouterr().err
