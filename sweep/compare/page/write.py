"""Write the page: template, style, scripts and data in one file that asks nothing of any network.

The page's content policy allows the scripts and styles whose hashes it names, and nothing else: no request, no image,
no form, no script that a text might bring. The data are in base64, in which no text can close an element.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from sweep.compare.page.facts import PageFacts, page_facts
from sweep.compare.page.packing import as_json_text, as_text
from sweep.compare.verdict import Verdict
from sweep.errors import UserError
from sweep.run.files import write_text
from sweep.run.unwritable import complaint
from sweep.shown import shown

HERE = Path(__file__).resolve().parent
STYLES = ("vendor/uPlot.min.css", "assets/page.css", "assets/parts.css")
LIBRARY = "vendor/uPlot.iife.min.js"
# One module in this order; each file uses what those before it define.
SCRIPTS = (
    "dom", "data", "address", "tables", "charts", "summary", "curves", "contrasts", "code", "passes", "settings",
    "transitions", "diff", "filters", "answers", "main",
)  # fmt: skip
TEMPLATE = "assets/page.html.jinja"
LICENCE = "vendor/LICENSE-uPlot"


def check_file(file: Path) -> None:
    """Check that a page can be written to `file`. Nothing is created.

    Raises:
        UserError: it is a directory, its directory is missing, or it may not be written there.
    """
    if file.is_dir():
        raise UserError(f"--html {file}: is a directory; name a file in it")
    there = next(place for place in file.absolute().parents if place.exists())
    if not there.is_dir():
        raise UserError(f"--html {file}: {there} is a file; name another place")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"--html {file}: {there} may not be written; name another place")


def write_page(verdicts: Sequence[Verdict], file: Path, all_metrics: bool = False) -> list[str]:
    """Write the page of a comparison to `file`, and replace an older one.

    Args:
        verdicts: one for each benchmark that was named.
        all_metrics: also show times, speeds and memory.
    Returns:
        A line for each damaged file, which says what the page lacks and what to do; the page says the same.
    Raises:
        UserError: the page cannot be written.
    """
    found = page_facts(verdicts, all_metrics)
    text = page_html(found)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, text)
    except OSError as error:
        raise UserError(f"--html {file}: {complaint(error, file.parent) or error}") from error
    return [f"left out of the page: {line}" for line in found.damaged]


def page_html(found: PageFacts) -> str:
    """Return the page as HTML."""
    from jinja2 import Environment  # takes a tenth of a second, and only pages need it

    styles = [_asset(name) for name in STYLES]
    scripts = [_asset(LIBRARY), "\n".join(_asset(f"assets/{name}.js") for name in SCRIPTS)]
    environment = Environment(autoescape=True, keep_trailing_newline=True)
    return environment.from_string((HERE / TEMPLATE).read_text(encoding="utf-8")).render(
        title=found.title,
        sentences=list(map(shown, found.sentences)),
        tables=found.plain,
        licence=_asset(LICENCE),
        styles=styles,
        scripts=scripts,
        style_hashes=" ".join(map(_hash, styles)),
        script_hashes=" ".join(map(_hash, scripts)),
        facts=as_json_text(found.facts),
        series=as_text(found.series),
        answers=as_json_text(found.answers),
        texts=[as_json_text(block) for block in found.texts],
    )


def _asset(name: str) -> str:
    """Return a file of the page.

    Raises:
        ValueError: it would end its element in the page early.
    """
    text = (HERE / name).read_text(encoding="utf-8")
    if any(end in text.lower() for end in ("</script", "</style")):
        raise ValueError(f"{name}: would end its element in the page")
    return text


def _hash(text: str) -> str:
    """Return the source expression of a content policy for an inline script or style."""
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
