"""The pages for readers hang together: links lead somewhere, indexes are complete, lists and drawings are current."""

from __future__ import annotations

import re
import runpy

import pytest
import yaml

from helpers.constants import ROOT
from helpers.documented import PAGES

ROOMS = runpy.run_path(str(ROOT / "docs" / "figures" / "rooms.py"))


def links(page: str) -> list[str]:
    """The targets of a page's links and pictures that lie in this repository."""
    text = re.sub(r"^```.*?^```", "", (ROOT / page).read_text(), flags=re.M | re.S)
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]


def anchors(page: str) -> set[str]:
    """The anchors that a page's headings get on GitHub."""
    headings = re.findall(r"^#+ (.*)$", (ROOT / page).read_text(), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = ((ROOT / page).parent / path).resolve() if path else ROOT / page
        assert target.exists(), f"{page}: {link}"
        if anchor:
            assert anchor in anchors(str(target.relative_to(ROOT))), f"{page}: {link}"


def test_the_index_names_every_page_once():
    named = [(ROOT / "docs" / link).resolve().relative_to(ROOT) for link in links("docs/README.md")]
    assert sorted(map(str, named)) == sorted(page for page in PAGES if page != "docs/README.md")


def test_the_figure_of_the_rooms_is_drawn_from_the_page():
    assert (ROOT / "docs" / "figures" / "rooms.svg").read_text() == ROOMS["figure"](), "run `make docs`"
    assert set(ROOMS["PLACES"]) == set(ROOMS["arrows"]())


def test_make_lists_what_can_be_made():
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, flags=re.M).group(1).split()
    assert re.findall(r"^([a-z0-9-]+):.* ## ", makefile, flags=re.M) == [
        name for name in re.findall(r"^([a-z0-9-]+):", makefile, flags=re.M) if name in phony
    ]
    assert makefile.index("help:") < makefile.index("demo:")  # what `make` does by itself


def test_ruff_before_a_commit_is_the_locked_one():
    (hooks,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    locked = re.search(r"^ruff==(.*)$", (ROOT / "requirements.lock").read_text(), flags=re.M).group(1)
    assert hooks["rev"] == f"v{locked}"
