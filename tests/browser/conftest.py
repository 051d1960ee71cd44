"""One page and one browser for all tests here; they are skipped where there is no chromium."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from helpers.shown_sweep import shown_sweep
from sweep.__main__ import main

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or ""


@pytest.fixture(scope="session")
def page_file(tmp_path_factory) -> Path:
    """The page of a sweep as the command writes it."""
    root = tmp_path_factory.mktemp("shown")
    plan = shown_sweep(root / "runs")
    assert main(["compare", plan.name, "--output-dir", str(plan.root), "--html", str(root / "page.html")]) == 0
    return root / "page.html"


@pytest.fixture(scope="session")
def browser() -> Iterator:
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright here: pip install playwright")
    if not CHROMIUM:
        pytest.skip("no chromium here: apt-get install chromium, or CHROMIUM=/path/to/it")
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def opened(browser, page_file) -> Iterator[Callable]:
    """Opens a view of the page in a window of its own; nothing may be said in the console, and nothing asked of a
    network.
    """
    said: list[str] = []
    contexts = []

    def open_view(view: str = "", file: Path = page_file, **options):
        context = browser.new_context(**options)
        contexts.append(context)
        tab = context.new_page()
        tab.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.on("request", lambda request: request.url.startswith("file:") or said.append(f"asked for {request.url}"))
        tab.goto(f"{file.as_uri()}#{view}")
        tab.wait_for_selector("html[data-drawn]")
        return tab

    open_view.said = said
    yield open_view
    for context in contexts:
        context.close()
    assert said == []
