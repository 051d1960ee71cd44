"""Rollouts that no model sampled."""

from __future__ import annotations

import random


def recorded_rollouts(count: int, seed: int = 0) -> list[list[dict]]:
    """`count` rollouts of 16 responses of mixed lengths, with advantages of both signs."""
    rng = random.Random(seed)

    def response() -> dict:
        ids = [rng.randrange(5, 100) for _ in range(rng.randint(2, 8))]
        prompt, advantage = [rng.randrange(5, 100) for _ in range(6)], rng.gauss(0, 1)
        return {"prompt": prompt, "ids": ids, "advantage": advantage, "logprobs": [-4.5 + rng.random() for _ in ids]}

    return [[response() for _ in range(16)] for _ in range(count)]
