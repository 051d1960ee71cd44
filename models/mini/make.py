"""Make the shipped minis again: `make minis`.

The weights depend on the processor, so a mini that is made again is another model.
"""

from __future__ import annotations

import shutil

import yaml

from models.config import MiniRecipe
from models.mini.pretrain import make_mini
from models.mini.shipped import WEIGHTS

CONF = WEIGHTS.parents[2] / "conf" / "model"


def main() -> None:
    """Pre-train every mini of conf/model, one after the other, and replace the shipped ones."""
    for file in sorted(CONF.glob("*_mini.yaml")):
        config = yaml.safe_load(file.read_text())
        target = WEIGHTS / config["family"]
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        recipe = MiniRecipe.model_validate(config["mini"])
        make_mini(config["family"], recipe, target, lambda step, of, name=file.stem: _say(name, step, of))


def _say(name: str, step: int, of: int) -> None:
    if step % 100 == 0:
        print(f"{name}: {step} of {of} steps", flush=True)


if __name__ == "__main__":
    main()
