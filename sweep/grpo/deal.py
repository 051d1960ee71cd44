"""Deal a rollout out: into updates, and each update over processes and micro-batches. Pure functions of keyed draws."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from sweep.config.algorithm import AlgorithmConfig
from sweep.grpo.loss import response_weights
from sweep.keyed import generator
from sweep.rollout.sample import Sampled

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

    def without_weight(self) -> Part:
        return replace(self, weight=0.0, share=0.0)


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


def fill(items: Sequence[T], world_size: int) -> list[tuple[T, bool]]:
    """The items, filled up with the first one (marked False) where there are fewer than processes."""
    return [*((item, True) for item in items), *[(items[0], False)] * (world_size - len(items))]


def deal(lengths: Sequence[int], budget: int, rank: int, world_size: int) -> list[list[int]]:
    """The micro-batches of process `rank`, as indices of `lengths` (tokens of each sequence), longest first in each.

    Every process gets as many micro-batches as the others, none of them empty; tokens are spread evenly, and no
    micro-batch has more than `budget` of them but for a sequence that alone is longer.

    Args:
        lengths: at least one for each process.
    """
    count = max(1, -(-sum(lengths) // (budget * world_size)))
    while True:
        count = min(count, len(lengths) // world_size)
        dealt = _spread(lengths, count * world_size)
        loads = [sum(lengths[i] for i in indices) for indices in dealt]
        if count == len(lengths) // world_size or max(loads) <= budget:
            return dealt[rank::world_size]
        count += 1


def _spread(lengths: Sequence[int], bins: int) -> list[list[int]]:
    """Longest first, each into the bin that has the fewest tokens."""
    dealt: list[list[int]] = [[] for _ in range(bins)]
    loads = [(0, place) for place in range(bins)]
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        load, place = heapq.heappop(loads)
        dealt[place].append(index)
        heapq.heappush(loads, (load + lengths[index], place))
    return dealt
