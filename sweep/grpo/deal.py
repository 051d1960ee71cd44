"""Deal the responses of a rollout out: into updates, and each update over processes and micro-batches.

All are pure functions; the one shuffle is drawn from a key.
"""

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
class WithAdvantage:
    """A sampled response with its advantage. One that is not `counted` takes no part in any update."""

    sampled: Sampled
    advantage: float
    counted: bool = True


@dataclass(frozen=True)
class Weighted:
    """A response in one optimiser step.

    weight: multiplies each of its tokens in the loss.
    share: multiplies each of its tokens in the means of the statistics.
    """

    response: WithAdvantage
    weight: float
    share: float

    @property
    def sampled(self) -> Sampled:
        """The sampled response."""
        return self.response.sampled

    def without_weight(self) -> Weighted:
        """Return the same response without weight, so that it changes neither the loss nor any statistic."""
        return replace(self, weight=0.0, share=0.0)


def split_updates(
    groups: Sequence[Sequence[WithAdvantage]], algorithm: AlgorithmConfig, max_tokens: int, seed: int, step: int
) -> list[list[Weighted]]:
    """Split a rollout into optimiser steps: its counted responses in keyed order, in `updates_per_rollout` even parts.

    Groups end here: which responses share an update has nothing to do with the problem that they answer. If fewer
    responses count than there are updates, there are fewer updates; if none counts, there is no update.

    Args:
        groups: the responses to each problem of the rollout.
        max_tokens: the most tokens that a response can have.
        step: of the training; the order of the responses is keyed by it and by `seed`.
    """
    counted = [response for group in groups for response in group if response.counted]
    order = generator(seed, "update order", step).permutation(len(counted))
    chosen = [[counted[i] for i in part] for part in np.array_split(order, algorithm.updates_per_rollout)]
    return [_weighted(update, algorithm, max_tokens) for update in chosen if update]


def _weighted(update: Sequence[WithAdvantage], algorithm: AlgorithmConfig, max_tokens: int) -> list[Weighted]:
    lengths = [len(response.sampled.ids) for response in update]
    weights = response_weights(lengths, algorithm.aggregation, max_tokens, algorithm.aggregation_size)
    share = 1 / sum(lengths)
    return [Weighted(response, weight, share) for response, weight in zip(update, weights, strict=True)]


def pad(items: Sequence[T], world_size: int) -> list[tuple[T, bool]]:
    """Pad `items` to `world_size` by repeating the first one; padding is marked False, real items True.

    Every process needs a micro-batch, or the others wait for it in a collective for ever.
    """
    return [*((item, True) for item in items), *[(items[0], False)] * (world_size - len(items))]


def deal(lengths: Sequence[int], budget: int, rank: int, world_size: int) -> list[list[int]]:
    """Return the micro-batches of process `rank`, as indices into `lengths`, the longest sequence first in each.

    Every process gets as many micro-batches as the others, none of them empty, and tokens are spread evenly. No
    micro-batch has more than `budget` tokens, unless a single sequence does.

    Args:
        lengths: tokens of each sequence; at least one sequence for each process.
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
    """Put each sequence, the longest first, into the bin that has the fewest tokens so far."""
    dealt: list[list[int]] = [[] for _ in range(bins)]
    loads = [(0, place) for place in range(bins)]
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        load, place = heapq.heappop(loads)
        dealt[place].append(index)
        heapq.heappush(loads, (load + lengths[index], place))
    return dealt
