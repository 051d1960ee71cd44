"""Deal a rollout out: into updates, and each update over the processes. Pure functions of keyed draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from sweep.grpo.loss import response_weights
from sweep.rollout.sample import Sampled
from sweep.run.algorithm import AlgorithmConfig
from sweep.run.keyed import generator

T = TypeVar("T")


@dataclass(frozen=True)
class Scored:
    """A response with its advantage; one that is not `counted` takes no part in the update."""

    sampled: Sampled
    advantage: float
    counted: bool = True


@dataclass(frozen=True)
class Part:
    """What a response does in an update: the weight of each of its tokens in the loss, and in the statistics' means."""

    sampled: Sampled
    advantage: float
    weight: float
    share: float


def split_updates(
    rollout: Sequence[Scored], algorithm: AlgorithmConfig, max_tokens: int, seed: int, step: int
) -> list[list[Part]]:
    """The optimiser steps of a rollout: its counted responses in keyed order, in `updates_per_rollout` even parts.

    Where fewer responses count than there are updates, there are fewer updates; where none does, there is none.
    """
    counted = [s for s in rollout if s.counted]
    order = generator(seed, "update order", step).permutation(len(counted))
    chosen = [[counted[i] for i in part] for part in np.array_split(order, algorithm.updates_per_rollout)]
    return [_weighted(update, algorithm, max_tokens) for update in chosen if update]


def _weighted(update: Sequence[Scored], algorithm: AlgorithmConfig, max_tokens: int) -> list[Part]:
    lengths = [len(s.sampled.ids) for s in update]
    weights = response_weights(lengths, algorithm.aggregation, max_tokens, algorithm.aggregation_size)
    share = 1 / sum(lengths)
    return [Part(s.sampled, s.advantage, weight, share) for s, weight in zip(update, weights, strict=True)]


def share_of(update: Sequence[Part], rank: int, world_size: int) -> list[Part]:
    """What one process works on: as many responses on each, some of them without weight where they do not divide."""
    return [part if real else replace(part, weight=0.0, share=0.0) for part, real in evenly(update, rank, world_size)]


def evenly(items: Sequence[T], rank: int, world_size: int) -> list[tuple[T, bool]]:
    """Every `world_size`-th item from `rank` on, filled up with the first one (marked False) to equal numbers."""
    filling = [(items[0], False)] * (-len(items) % world_size)
    return [*((item, True) for item in items), *filling][rank::world_size]
