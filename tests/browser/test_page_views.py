"""The page in a real browser: what each view shows, and that filters, links, keyboard, phone, print and dark work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from helpers.browsing import changed, move

AXE = Path(__file__).parent / "axe" / "axe.min.js"
VIEWS = ("summary", "curves", "contrasts", "health", "code", "passes", "transitions", "answers", "settings")


def count(tab) -> int:
    """The number of answers that the filters leave."""
    return int(re.match(r"[\d,]+", tab.inner_text("#count")).group().replace(",", ""))


@pytest.mark.parametrize(
    ("view", "words"),
    [
        ("summary", ["ground_truth ended", "n = 2", "n = 1 of 2", "8 cells: 7 done, 1 failed"]),
        ("curves", ["Bands: from the lowest to the highest seed", "qwen2_mini", "llama3_mini"]),
        ("contrasts", ["ground_truth − random", "95 % interval", "adjusted p"]),
        ("health", ["train/entropy"]),
        ("code", ["answers with code, %", "untrained model (open circle)"]),
        ("passes", ["at least one of k answers", "intervals over problems", "adjusted p, Wilcoxon"]),
        ("transitions", ["Lang→Lang", "contribution", "problems of"]),
        ("answers", ["of them right", "gold: 1"]),
        ("settings", ["Configurations of the two", "seed", "Environment, versions, code"]),
    ],
)
def test_a_view_shows_what_it_is_for(opened, view, words):
    text = opened(f"view={view}").inner_text("body")
    assert [word for word in words if word not in text] == []


@pytest.mark.parametrize("options", [{"color_scheme": "dark"}, {"viewport": {"width": 390, "height": 844}}])
@pytest.mark.parametrize("view", VIEWS)
def test_nothing_leaves_its_place_and_axe_finds_nothing_serious(opened, view, options):
    """Contrast, names, order of headings, focus; nothing is wider than the window. In light colours three views do."""
    tab = opened(f"view={view}&side=yes", **options)
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if "color_scheme" not in options and view not in ("summary", "transitions", "answers"):
        return
    tab.evaluate(AXE.read_text())
    found = tab.evaluate("axe.run(document, {resultTypes: ['violations']}).then((found) => found.violations)")
    serious = [v for v in found if v["impact"] in ("serious", "critical")]
    assert [(v["id"], [node["target"] for node in v["nodes"]][:3]) for v in serious] == []


def test_a_link_is_a_filter(opened):
    tab = opened()
    for view, left in (
        ("view=answers", 244),
        ("view=answers&model=qwen2_mini&reward=random", 56),
        ("view=answers&on=training", 64),
        ("view=answers&on=training&rewarded=yes", 32),
        ("view=answers&step=4&on=mini", 80),
        ("view=answers&behaviour=code", 18),
        ("view=answers&behaviour=-code&on=mini", 162),
        ("view=answers&problem=p9&reward=untrained", 2),
        ("view=answers&text=PRINT(5)", 18),
        ("view=answers&text=nowhere", 0),
    ):
        changed(tab, lambda view=view: move(tab, view))
        assert count(tab) == left, view


def test_filters_are_put_into_the_address_and_the_focus_stays(opened):
    tab = opened("view=answers")
    changed(tab, lambda: tab.get_by_label("Verdict").select_option("wrong"))
    assert "verdict=wrong" in tab.url and "✓ right" not in tab.inner_text(".answers")
    changed(tab, lambda: tab.locator("#search").press_sequentially("python", delay=5))
    assert "text=python" in tab.url and count(tab) < 18
    assert tab.evaluate("document.activeElement.id") == "search"
    changed(tab, lambda: tab.get_by_text("Remove all filters").click())
    assert count(tab) == 244 and "verdict" not in tab.url
    changed(tab, lambda: tab.go_back())
    assert "verdict=wrong" in tab.url


def test_a_problem_is_shown_across_cells_and_beside_the_answer_before(opened):
    tab = opened("view=answers&reward=random&step=4&on=mini")
    changed(tab, lambda: tab.locator("article a", has_text="p8").first.click())
    assert "problem=p8" in tab.url and count(tab) == 18
    changed(tab, lambda: tab.get_by_label("beside the answer before training").check())
    both = tab.locator("article", has_text="step 4").first
    assert both.locator("h4").all_inner_texts()[0].startswith("untrained ")
    assert both.locator("mark").all_inner_texts() == ["0", "4"]  # the words that differ, and no others


def test_curves_are_zoomed_hidden_and_read_out(opened):
    tab = opened("view=curves&metric=train/entropy")
    tab.wait_for_selector(".chart canvas")
    first = tab.locator(".chart .u-over").first
    box = first.bounding_box()
    first.hover(position={"x": box["width"] - 2, "y": 20})
    assert re.search(r"Step 4: .*ground_truth .* \(.* to .*, n = 2\)", tab.locator(".readout").first.inner_text())
    tab.mouse.down()
    changed(tab, lambda: (tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20, steps=4), tab.mouse.up()))
    assert {"from", "to"} <= {part.partition("=")[0] for part in tab.url.partition("#")[2].split("&")}
    changed(tab, lambda: tab.get_by_role("button", name="random").click())
    assert "hide=random" in tab.url
    assert tab.get_by_role("button", name="random").get_attribute("aria-pressed") == "false"
    assert "random" not in tab.locator(".chart").first.get_attribute("aria-label")
    tab.get_by_text("The numbers").click()
    tab.locator("details table").wait_for()
    rows = tab.locator("details table tbody tr").all_inner_texts()
    assert "qwen2_mini\tground_truth\t4\t0.605\t0.6 to 0.61\t2" in rows  # mean, lowest and highest of two seeds


def test_it_is_used_with_the_keyboard_alone(opened):
    tab = opened()
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    assert tab.evaluate("document.activeElement.id") == "content"  # past the navigation
    tab = opened()
    for _ in range(3):
        tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.textContent") == "Curves"
    changed(tab, lambda: tab.keyboard.press("Enter"))
    assert tab.locator("#views [aria-current=page]").inner_text() == "Curves"
    assert tab.evaluate("[...document.querySelectorAll('.scrolling')].every((one) => one.tabIndex === 0)")


def test_in_print_it_is_light_and_without_controls(opened):
    tab = opened("view=curves", color_scheme="dark")
    assert tab.evaluate("document.documentElement.dataset.theme") == "dark"
    changed(tab, lambda: tab.emulate_media(media="print"))
    assert tab.evaluate("document.documentElement.dataset.theme") == "light"
    assert not tab.locator("#views").is_visible() and not tab.locator(".filters").first.is_visible()
    tab.wait_for_function("() => document.querySelectorAll('.chart canvas').length === 2")  # also those out of sight


def test_colours_can_be_chosen_and_are_a_link(opened):
    tab = opened("view=summary&theme=dark")
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 26)"
    changed(tab, lambda: tab.get_by_label("Colours").select_option("light"))
    assert "theme=light" in tab.url
