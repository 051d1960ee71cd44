"""Signatures of cells that are composed from overrides."""

from __future__ import annotations

from sweep.plan.compose import compose_cells
from sweep.plan.signature import training_identity
from sweep.run.identity import signature


def sign(*overrides: str) -> str:
    (cell,) = compose_cells(list(overrides))
    return signature(training_identity(cell.config))
