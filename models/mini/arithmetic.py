"""The problems of the minis: `a±b±c` with digits 1–9, split once into train, validation and test."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass

SPLITS = ("train", "validation", "test")
HELD_OUT = 500  # problems in each of validation and test


@dataclass(frozen=True)
class Sum:
    """The problem `a op1 b op2 c`, computed from left to right."""

    a: int
    op1: str
    b: int
    op2: str
    c: int

    @property
    def text(self) -> str:
        """The problem as text, such as "3+4-2"."""
        return f"{self.a}{self.op1}{self.b}{self.op2}{self.c}"

    @property
    def partial(self) -> int:
        """The value after the first operation."""
        return apply(self.op1, self.a, self.b)

    @property
    def answer(self) -> int:
        """The value of the whole expression."""
        return apply(self.op2, self.partial, self.c)


def apply(op: str, left: int, right: int) -> int:
    """Return left + right if `op` is "+", else left - right."""
    return left + right if op == "+" else left - right


def problems(split: str) -> list[Sum]:
    """Return the problems of `split`, out of 2,916: 500 validation, 500 test, the rest train; the same on every
    machine.

    Pre-training draws from `train` alone, so no mini model has seen validation and test problems.

    Raises:
        ValueError: there is no such split.
    """
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}; the generated arithmetic has {', '.join(SPLITS)}")
    digits, ops = range(1, 10), "+-"
    space = [Sum(*p) for p in itertools.product(digits, ops, digits, ops, digits)]
    random.Random("arithmetic-splits-1").shuffle(space)
    bounds = {"validation": (0, HELD_OUT), "test": (HELD_OUT, 2 * HELD_OUT), "train": (2 * HELD_OUT, len(space))}
    return space[slice(*bounds[split])]
