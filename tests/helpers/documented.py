"""The commands of the documentation, and the words that bash makes of them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from helpers.constants import ROOT

PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "benchmarks/README.md",
    *sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")),
]
PROGRAMS = ("python launch.py", "python -m sweep", "rlvr-sweep", "make")
# A glob that matches nothing is an error here, so that brackets and stars that lack their quotes are found.
AS_TYPED = "python() { [ $# = 0 ] || printf '%s\\0' \"$@\"; }; " + "".join(
    f'{name}() {{ python "$@"; }}; ' for name in ("make", "rlvr-sweep", "words")
)


def _parts(page: str) -> tuple[list[str], str]:
    """The lines of the fenced blocks that have no language, and the text around all blocks."""
    inside, language, shell, text = False, "", [], []
    for line in (ROOT / page).read_text().splitlines():
        if line.startswith("```"):
            inside, language = not inside, line.removeprefix("```")
        elif inside and not language:
            shell.append(line.strip())
        elif not inside:
            text.append(line)
    return [line for line in shell if line], "\n".join(text)


def lines_of_blocks(page: str) -> list[str]:
    """The lines of the page's shell blocks, comments included."""
    return _parts(page)[0]


def inline(page: str) -> list[str]:
    """The code within sentences and tables, as it is shown; what has an ellipsis or lists choices is no code."""
    found = re.findall(r"`([^`\n]+)`", _parts(page)[1])
    return [code for code in found if "…" not in code and r"\|" not in code]


def commands(*programs: str, pages: list[str] = PAGES) -> list[str]:
    """Every command of the pages that begins with one of `programs`, without what it redirects its output to.

    One that names the environment of `make gpu` is given without it, and each side of `&&` is a command.
    """
    lines = [line for page in pages for line in [*lines_of_blocks(page), *inline(page)]]
    shown = [command for line in lines for command in line.replace(".venv-gpu/bin/", "").split(" && ")]
    typed = {line.partition(" > ")[0].strip() for line in shown if line.startswith(programs)}
    return sorted(typed - {*programs})  # a program without a command is only named


def bash(script: str, cwd: Path) -> subprocess.CompletedProcess:
    """Run `script` in a bash whose globs must match."""
    return subprocess.run(["bash", "-O", "failglob", "-c", script], cwd=cwd, capture_output=True, text=True)


def bash_words(command: str, cwd: Path) -> list[str]:
    """The arguments that bash gives to the program of `command`, which is not run."""
    done = bash(AS_TYPED + command, cwd)
    assert done.returncode == 0 and not done.stderr, f"{command}\n{done.stderr}"
    return done.stdout.split("\0")[:-1]
