"""The minis' problem space: `a±b±c` with digits 1–9, split once into train, validation and test."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass

SPLITS = ("train", "validation", "test")
HELD_OUT = 500  # problems in each of validation and test


@dataclass(frozen=True)
class Sum:
    """The problem `a op1 b op2 c`, worked from left to right."""

    a: int
    op1: str
    b: int
    op2: str
    c: int

    @property
    def text(self) -> str:
        return f"{self.a}{self.op1}{self.b}{self.op2}{self.c}"

    @property
    def partial(self) -> int:
        """The value after the first operation."""
        return apply(self.op1, self.a, self.b)

    @property
    def answer(self) -> int:
        return apply(self.op2, self.partial, self.c)


def apply(op: str, left: int, right: int) -> int:
    return left + right if op == "+" else left - right


def problems(split: str) -> list[Sum]:
    """The 2,916 problems' share of `split`: 500 validation, 500 test, the rest train; the same on every machine.

    Pre-training draws from `train` alone, so validation and test are unseen by every mini model.
    """
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}; the generated arithmetic has {', '.join(SPLITS)}")
    digits, ops = range(1, 10), "+-"
    space = [Sum(*p) for p in itertools.product(digits, ops, digits, ops, digits)]
    random.Random("arithmetic-splits-1").shuffle(space)
    bounds = {"validation": (0, HELD_OUT), "test": (HELD_OUT, 2 * HELD_OUT), "train": (2 * HELD_OUT, len(space))}
    return space[slice(*bounds[split])]
