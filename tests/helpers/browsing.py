"""What tests do with the page in a browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def changed(tab: Any, act: Callable[[], object]) -> None:
    """Do something to the page, and wait until it was drawn again."""
    before = tab.evaluate("document.documentElement.dataset.drawn")
    act()
    tab.wait_for_function("(before) => document.documentElement.dataset.drawn !== before", arg=before)


def move(tab: Any, view: str) -> None:
    """Follow a link to a view."""
    tab.evaluate("(view) => { location.hash = view; }", view)
