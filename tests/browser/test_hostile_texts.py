"""Texts of models are shown as text, and run nothing. The fixture fails where the page asks for anything else."""

from __future__ import annotations

import pytest

from helpers.shown_sweep import HOSTILE


@pytest.mark.parametrize("number", range(len(HOSTILE)))
@pytest.mark.parametrize("side", ["", "&side=yes"])
def test_a_hostile_answer_is_a_text(opened, number, side):
    tab = opened(f"view=answers&problem=p{number}{side}")
    shown = tab.locator("pre.answer").first.text_content()
    told = HOSTILE[number]
    for unseen in "\u202e\u202c\u200b\x00\x1b":
        told = told.replace(unseen, f"\\u{ord(unseen):04x}")
    if len(told) > 8000:
        assert len(shown) < 8200 and "characters are cut here" in shown
        assert "992,0" in tab.locator("article .facts").first.inner_text()
    else:
        assert told in shown
    assert tab.evaluate("window.ran") is None
    assert tab.locator("main script, main img, main style, main svg[onload]").count() == 0
    assert tab.locator("#views").is_visible()


def test_a_script_that_gets_in_all_the_same_does_not_run(opened):
    tab = opened()
    refused = tab.evaluate("""() => new Promise((done) => {
        addEventListener("securitypolicyviolation", (event) => done(event.effectiveDirective), { once: true });
        const script = document.createElement("script");
        script.textContent = "window.ran = 1";
        document.body.append(script);
    })""")
    assert refused == "script-src-elem" and tab.evaluate("window.ran") is None
    assert all("Content Security Policy" in line for line in opened.said)
    opened.said.clear()


@pytest.mark.parametrize(
    "part", ["model", "reward", "cell", "step", "text", "metric", "view", "page", "from", "hide", "a"]
)
def test_an_address_that_someone_made_up_is_harmless(opened, part):
    view = "" if part == "view" else f"view={'answers' if part != 'hide' else 'curves'}&"
    tab = opened(f"{view}{part}=%3Cimg%20src%3Dx%20onerror%3D%22window.ran%3D1%22%3E")
    assert tab.evaluate("window.ran") is None and tab.locator("main img").count() == 0
