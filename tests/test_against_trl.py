"""Our losses and gradients are TRL's, computed by TRL's own code in its own environment."""

from __future__ import annotations

import json
import subprocess
from functools import cache

import pytest

from helpers.constants import ROOT

PYTHON = ROOT / ".venv-trl" / "bin" / "python"


@cache
def compared() -> dict[str, dict[str, float]]:
    command = [PYTHON, "tests/programs/loss_of_trl.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.skipif(not (ROOT / ".venv-trl" / "installed").exists(), reason="`make trl` installs TRL")
@pytest.mark.parametrize("case", ["grpo", "grpo with KL", "dapo", "dr_grpo", "gspo"])
def test_loss_and_gradient_equal_trls(case):
    found = compared()[case]
    assert found["ours"] == pytest.approx(found["trl"], abs=1e-5, rel=1e-5)
    assert found["gradient_difference"] < 1e-5
    assert found["clipped"] > 0  # the bounds were put to the test
