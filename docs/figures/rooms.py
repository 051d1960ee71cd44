"""Draw rooms.svg, the rooms of the code and who imports whom, from the table in docs/architecture.md.

    python docs/figures/rooms.py

An arrow that follows from others is left out: `sweep.plan` may import `sweep.config` because it may import `sweep.run`.
"""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE, FIGURE = HERE.parent / "architecture.md", HERE / "rooms.svg"
WIDTH, HEIGHT, BOX = 920, 590, (118, 36)
PLACES = {  # centres of the boxes
    "sweep.__main__": (130, 66), "sweep.commands": (130, 146), "sweep.dispatch": (130, 226), "sweep.plan": (88, 316),
    "sweep.doctor": (243, 190),
    "sweep.compare": (233, 316), "sweep.track": (380, 166), "sweep.stages": (700, 106), "sweep.grpo": (805, 196),
    "sweep.evaluate": (610, 196), "sweep.job": (825, 316), "sweep.rollout": (650, 316), "sweep.score": (465, 338),
    "sweep.data": (245, 406), "sweep.run": (400, 406), "sweep.config": (338, 476), "models": (260, 546),
    "rewards": (416, 546),
}  # fmt: skip
LANES = ((16, 16, 300, 334, "where you type: no torch"), (526, 16, 378, 334, "inside a job: torch"))
STYLE = """
  .page { fill: #ffffff } .lane { fill: #f2f4f7 } .box { fill: #ffffff; stroke: #57606a }
  .room { fill: #1f2328; font: 14px sans-serif; text-anchor: middle } .title { fill: #57606a; font: 13px sans-serif }
  .arrow { stroke: #57606a; fill: none } .head { fill: #57606a }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 } .lane { fill: #161b22 } .box { fill: #0d1117; stroke: #9198a1 }
    .room { fill: #f0f6fc } .title { fill: #9198a1 } .arrow { stroke: #9198a1 } .head { fill: #9198a1 }
  }
"""


def arrows() -> dict[str, set[str]]:
    """Return the table of the page: for each room, the rooms that it may import."""
    rows = re.findall(r"^\| `([\w.]+)` \| (.*?) \|", PAGE.read_text(encoding="utf-8"), flags=re.M)
    return {room: set(re.findall(r"`([\w.]+)`", imported)) for room, imported in rows}


def reduced(graph: dict[str, set[str]]) -> list[tuple[str, str]]:
    """Return the arrows that follow from no others."""
    return [
        (room, other)
        for room, others in graph.items()
        for other in sorted(others)
        if not any(other in graph[between] for between in others - {other})
    ]


def figure() -> str:
    """Return the drawing."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        "<title>The rooms of the code: an arrow points at a room that is imported</title>",
        f"<style>{STYLE}</style>",
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path class="head" d="M0,0 L8,4 L0,8 z"/></marker></defs>',
        f'<rect class="page" width="{WIDTH}" height="{HEIGHT}" rx="8"/>',
    ]
    for x, y, width, height, title in LANES:
        parts.append(f'<rect class="lane" x="{x}" y="{y}" width="{width}" height="{height}" rx="8"/>')
        parts.append(f'<text class="title" x="{x + 12}" y="{y + 20}">{title}</text>')
    parts += [_arrow(*PLACES[a], *PLACES[b]) for a, b in reduced(arrows())]
    parts += [_box(room, x, y) for room, (x, y) in PLACES.items()]
    return "\n".join([*parts, "</svg>", ""])


def _box(room: str, x: float, y: float) -> str:
    width, height = BOX
    return (
        f'<rect class="box" x="{x - width / 2:g}" y="{y - height / 2:g}" width="{width}" height="{height}" rx="5"/>'
        f'<text class="room" x="{x}" y="{y + 5}">{room.removeprefix("sweep.")}</text>'
    )


def _arrow(x0: float, y0: float, x1: float, y1: float) -> str:
    """Draw from the edge of the box at (x0, y0) to the edge of that at (x1, y1)."""
    across, down = x1 - x0, y1 - y0
    inside = min(BOX[0] / 2 / abs(across) if across else 1.0, BOX[1] / 2 / abs(down) if down else 1.0)
    ends = (x0 + across * inside, y0 + down * inside, x1 - across * inside, y1 - down * inside)
    a, b, c, d = (f"{number:.1f}" for number in ends)
    return f'<line class="arrow" x1="{a}" y1="{b}" x2="{c}" y2="{d}" marker-end="url(#head)"/>'


if __name__ == "__main__":
    FIGURE.write_text(figure(), encoding="utf-8")
