"""The pre-trained minis that come with the project, so that every machine begins from the same weights.

`make minis` makes them again (`python -m models.mini.make`). This module imports no torch.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from models.config import MiniRecipe

WEIGHTS = Path(__file__).parent / "weights"
RECIPE = "recipe.json"


def recipe_text(family: str, recipe: MiniRecipe) -> str:
    """Return the text that identifies a directory of weights: the family and the recipe it was made with, as JSON."""
    return json.dumps({"family": family, **recipe.model_dump()}, sort_keys=True)


@cache
def shipped_mini(family: str, recipe: MiniRecipe) -> Path | None:
    """Return the directory of the mini that was made with `recipe`; None if the project ships none."""
    file = WEIGHTS / family / RECIPE
    return file.parent if file.exists() and file.read_text() == recipe_text(family, recipe) else None
