"""The page in a real browser: what each view shows, and that filters, links, keyboard, phone, print and dark work."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from helpers.browsing import changed, move
from helpers.made_up_results import cells, verdict
from sweep.compare.page.facts import page_facts
from sweep.compare.page.write import page_html

AXE = Path(__file__).parent / "axe" / "axe.min.js"
# Neighbours whose boxes lie over each other by more than a pixel.
OVERLAPPING = """() => [...document.querySelectorAll("main :is(section, figure, table, p, .bar)")].flatMap((one) => {
    const next = one.nextElementSibling;
    if (!next) return [];
    const [a, b] = [one.getBoundingClientRect(), next.getBoundingClientRect()];
    const apart = b.top >= a.bottom - 1 || b.left >= a.right - 1 || !a.height || !b.height;
    return apart ? [] : [`${one.tagName} ${one.className} over ${next.tagName} ${next.className}`];
})"""
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
        ("transitions", ["Lang→Lang", "gain", "fixed (", "of 10 problems, n = 2"]),
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


def test_all_views_are_printed_in_light_colours_without_controls(opened):
    tab = opened("view=curves&verdict=wrong", color_scheme="dark")
    assert tab.evaluate("document.documentElement.dataset.theme") == "dark"
    tab.wait_for_function("() => document.documentElement.dataset.unpacked")
    changed(tab, lambda: tab.emulate_media(media="print"))
    assert tab.evaluate("document.documentElement.dataset.theme") == "light"
    assert tab.locator("main :is(select, input, summary):visible").count() == 0 == tab.locator("nav:visible").count()
    assert tab.locator(".sheet").evaluate_all("all => all.map((one) => one.id)") == [f"sheet-{name}" for name in VIEWS]
    assert tab.locator(".chart").count() == tab.locator(".chart canvas").count() > 4  # also those out of sight
    assert "filters: verdict = wrong; page 1 of" in tab.inner_text("#count")
    assert tab.locator("#sheet-transitions table").count() > 4  # what is closed on the screen
    assert tab.evaluate("[...document.querySelectorAll('[id]')].every((one, i, all) => all.indexOf(one) === i)")
    assert tab.evaluate(OVERLAPPING) == []
    changed(tab, lambda: tab.emulate_media(media="screen"))
    assert tab.locator(".sheet").count() == 0 and tab.locator("#views").is_visible()


def test_the_print_command_prints_all_views(opened):
    """A browser tells the page before it prints, and does not wait for what the page begins then."""
    tab = opened("view=answers")
    tab.wait_for_function("() => document.documentElement.dataset.unpacked")
    tab.evaluate("addEventListener('beforeprint', () => { window.seen = document.querySelectorAll('.sheet').length; })")
    assert tab.pdf()[:4] == b"%PDF"
    assert tab.evaluate("window.seen") == len(VIEWS)
    tab.wait_for_function("() => !document.querySelector('.sheet')")


def test_colours_can_be_chosen_and_are_a_link(opened):
    tab = opened("view=summary&theme=dark")
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 26)"
    changed(tab, lambda: tab.get_by_label("Colours").select_option("light"))
    assert "theme=light" in tab.url


def test_without_scripts_there_are_sentences_and_the_map(opened, browser, page_file):
    tab = browser.new_context(java_script_enabled=False).new_page()
    tab.goto(page_file.as_uri())
    assert "ground_truth is not told apart from random" in tab.inner_text("noscript")
    assert tab.locator("noscript tbody tr").all_inner_texts() == [
        "qwen2_mini\t+21.0 (+8.3 … +33.7), n = 2\t-1.5 (-20.6 … +17.6), n = 2",
        "llama3_mini\t+21.0 (+8.3 … +33.7), n = 2\t+0.0 (no interval), n = 1 of 2",
    ]
    assert tab.locator("select:visible").count() == 0 and "Unpacking" not in tab.inner_text("main")
    tab.context.close()


def test_transitions_by_another_behaviour_and_the_texts_of_a_problem(opened):
    tab = opened("view=transitions")
    changed(tab, lambda: tab.get_by_label("Told apart by").select_option("boxed"))
    assert "shows=boxed" in tab.url and "no boxed→boxed" in tab.inner_text(".legend")
    tab.get_by_text("llama3_mini ground_truth mini: ").last.click()
    line = tab.locator("tr", has_text="fixed").first
    assert re.search(r"\d \+ 1 = \?.*gold \d+.*\+25.0.*5 2 of 2.*5 4 of 4", line.inner_text().replace("\n", " "))
    changed(tab, lambda: line.get_by_text("texts side by side").click())
    assert count(tab) > 0 and tab.locator("article h4").first.inner_text() == "untrained llama3_mini"


@pytest.fixture(scope="session")
def odd_pages(tmp_path_factory) -> dict[str, Path]:
    """Pages of comparisons that lack most of what a page shows, or of which files are damaged."""
    odd = {
        "one cell": verdict(cells("random", 0.5)),
        "nothing done": verdict([replace(cell, base=None, final=None) for cell in cells("random", 0.5)]),
    }
    root = tmp_path_factory.mktemp("odd")
    pages = {name: page_facts([one]) for name, one in odd.items()}
    found = pages["one cell"]
    lines = [f"runs/{n}: damaged; put a copy back" for n in range(7)]
    pages["damaged"] = replace(found, facts={**found.facts, "damaged": lines, "later": ["amc"]})
    for name, page in pages.items():
        (root / f"{name}.html").write_text(page_html(page))
    return {name: root / f"{name}.html" for name in pages}


@pytest.mark.parametrize("name", ["one cell", "nothing done", "damaged"])
def test_a_page_with_little_in_it_draws_every_view(opened, odd_pages, name):
    tab = opened(file=odd_pages[name])
    for view in VIEWS:
        changed(tab, lambda view=view: move(tab, f"view={view}"))
        assert len(tab.inner_text("main")) > 60, view  # says what there is, or why there is nothing
    changed(tab, lambda: move(tab, "view=summary"))
    if name == "damaged":
        tab.get_by_text("Which files, and what to do").click()
        assert "7 files could not be read" in tab.inner_text("main") and "runs/6: damaged" in tab.inner_text(".damaged")
        assert "Asked after the launch, and here from kept answers: amc" in tab.inner_text("main")
    changed(tab, lambda: tab.emulate_media(media="print"))
    assert tab.locator(".sheet").count() == len(VIEWS)


def test_an_address_with_a_typing_error_says_so(opened):
    tab = opened("view=contrast&metric=eval/acuracy&theme=dark")
    assert "asks for view=contrast, metric=eval/acuracy, which this page does not have" in tab.inner_text("#unknown")
    changed(tab, lambda: tab.get_by_role("link", name="Remove it from the address").click())
    assert tab.locator("#unknown").count() == 0 and tab.url.endswith("#theme=dark")


def test_filters_that_leave_nothing_say_so_and_can_be_removed(opened):
    tab = opened("view=answers&verdict=wrong&model=nowhere&page=nine&side=perhaps")
    assert count(tab) == 0 and "No answer passes all filters" in tab.inner_text("main")
    changed(tab, lambda: tab.get_by_role("link", name="Remove all filters").last.click())
    assert count(tab) == 244
