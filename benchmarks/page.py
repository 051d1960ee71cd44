"""Size of the page of a large sweep, seconds to write it, and seconds until a browser has drawn it and answers a click.

    python benchmarks/page.py [--cells 135] [--steps 300] [--keep DIR]

The sweep is written as `benchmarks/compare.py` writes its own, and ten evaluations of each cell with their answers:
ten answers of about 1,200 characters each. The browser is Debian's chromium, driven by playwright, without a display.
`first_s` is from opening the file until its first view is drawn, and `at_once_ms` from then until answers are shown to
somebody who asks for them at once. The others are milliseconds from a click, after the page has unpacked itself, until
the next frame after the view was drawn again; beside each stands what the processor spent on it in the page's main
thread, which other programs on the machine do not lengthen. `load`: the machine's load when the browser began.
Last line: JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path

from compare import NAME, ROOT, measured, moved, write

from sweep.run.answer_files import open_answers
from sweep.run.answer_manifest import Evaluated, Made, Question, Weights
from sweep.run.answer_places import of_benchmark, of_model, of_training
from sweep.run.answers import Answer
from sweep.run.directory import RunDirectory
from sweep.run.files import write_json
from sweep.run.ledger import read_sweep

MADE = Made(engine="transformers", dtype="float32", hardware="cpu", code="0")
QUESTIONS = [Question(id=f"p{n}", question=f"What is {n} + 1?", golds=(str(n + 1),)) for n in range(10)]
DETECTORS = {"code": 1, "boxed": 1, "code_block": 1}
WORDS, CHARACTERS = 1500, 1200
# A change of the page, and what has to be done for it in the browser.
CLICKS = {
    "curves_ms": "location.hash = '#view=curves&metric=train/entropy'",
    "contrasts_ms": "location.hash = '#view=contrasts'",
    "health_ms": "location.hash = '#view=health'",
    "hide_line_ms": "document.querySelector('.legend button').click()",
    "answers_first_ms": "location.hash = '#view=answers'",
    "filter_ms": "location.hash = '#view=answers&verdict=wrong&behaviour=code'",
    "search_first_ms": "location.hash = '#view=answers&text=w77'",
    "search_ms": "location.hash = '#view=answers&text=w778'",
    "beside_ms": "location.hash = '#view=answers&step=300&side=yes'",
    "metric_ms": "location.hash = '#view=summary&metric=reward/mean'",
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cells", type=int, default=135)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--keep", type=Path, help="where to leave the sweep and the page, or to find the sweep again")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="page-") as folder:
        root = asked.keep or Path(folder)
        if not (root / "runs/sweeps" / NAME).exists():
            with_answers(root / "runs", asked.cells, asked.steps)
        page = root / "page.html"
        command = [
            sys.executable,
            "-m",
            "sweep",
            "compare",
            NAME,
            "--output-dir",
            str(root / "runs"),
            "--html",
            str(page),
        ]
        seconds, memory = measured(command)
        found = {
            "cells": len(read_sweep(root / "runs", NAME).cells),
            "steps": asked.steps,
            "written_s": seconds,
            "written_gib": memory,
        }
        found |= {"page_mb": page.stat().st_size / 1e6, **in_browser(page)}
    print(json.dumps({name: round(value, 3) for name, value in found.items()}))


def with_answers(root: Path, cells: int, steps: int) -> None:
    """Write the sweep, and ten evaluations of each of its cells."""
    plan, _ = write(root, cells, steps)
    draws = random.Random(0)
    vocabulary = [f"w{n:x}" for n in range(WORDS)]
    for task in plan.tasks:
        run = RunDirectory(task.directory)
        result = run.read_result()
        for name, numbers in result.get("benchmarks", {}).items():
            result["benchmarks"][name] = {k: moved(v, draws) for k, v in numbers.items()}
        write_json(run.result, result)
        if not task.steps:
            answer_all(of_model(root, task.config.model.name, run.identity["model"]), None, draws, vocabulary)
            continue
        for step in range(steps // 10, steps + 1, steps // 10):
            answer_all(of_training(root, run.path.name, step), step, draws, vocabulary)


def answer_all(weights: Path, step: int | None, draws: random.Random, vocabulary: list[str]) -> None:
    """Write the answers of some weights."""
    evaluated = Evaluated(
        benchmark="mini",
        weights=Weights(name=weights.name, hash=str(weights), step=step),
        identity={},
        detectors=DETECTORS,
    )
    with open_answers(of_benchmark(weights, "mini", {}), evaluated, QUESTIONS, 1, lambda text: []) as writer:
        writer.write([made_up(question.id, draws, vocabulary) for question in QUESTIONS], MADE)
        writer.finish()


def made_up(problem: str, draws: random.Random, vocabulary: list[str]) -> Answer:
    """An answer of random words, which compresses less than a text of a model does."""
    text = " ".join(draws.choices(vocabulary, k=CHARACTERS // 5))
    right = draws.random() < 0.5
    behaviours = tuple(sorted(name for name in DETECTORS if draws.random() < 0.5))
    outcome = "right" if right else "wrong"
    return Answer(problem, 0, text, "1", right, outcome, "boxed", "1", behaviours, len(text), "eos")


def in_browser(page: Path) -> dict[str, float]:
    """Seconds until the page is drawn, and milliseconds of each change."""
    from playwright.sync_api import sync_playwright

    drawn = """async (change) => {
        const root = document.documentElement, before = root.dataset.drawn, began = performance.now();
        (0, eval)(change);
        while (root.dataset.drawn === before) await new Promise((done) => setTimeout(done, 1));
        const frame = () => new Promise((done) => requestAnimationFrame(done));
        await frame(); // charts are drawn one frame later, when it is known which ones are in sight
        await new Promise((done) => setTimeout(done));
        return performance.now() - began;
    }"""
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        # Only here is code evaluated that the page's content policy would refuse.
        tab = browser.new_context(bypass_csp=True).new_page()
        session = tab.context.new_cdp_session(tab)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})

        def busy() -> float:
            told = session.send("Performance.getMetrics")["metrics"]
            return next(1000 * one["value"] for one in told if one["name"] == "TaskDuration")

        load = os.getloadavg()[0]
        began = time.perf_counter()
        tab.goto(page.as_uri(), wait_until="commit")
        tab.wait_for_selector("html[data-drawn]", timeout=60_000)
        found = {"load": load, "first_s": time.perf_counter() - began, "first_cpu_ms": busy()}
        found["at_once_ms"] = tab.evaluate(drawn, CLICKS["answers_first_ms"])
        tab.wait_for_function("() => document.documentElement.dataset.unpacked", timeout=60_000)
        found["unpacked_s"] = time.perf_counter() - began
        tab.evaluate(drawn, "location.hash = '#view=summary'")
        for name, change in CLICKS.items():
            before = busy()
            found[name] = tab.evaluate(drawn, change)
            found[name.replace("_ms", "_cpu_ms")] = busy() - before
        browser.close()
    return found


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
