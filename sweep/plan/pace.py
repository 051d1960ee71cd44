"""How long sampling and updating take, from FLOPs, memory traffic and the rates of a device. Pure arithmetic.

A pass over the layers has three costs: the host prepares every layer (it launches the kernels), the device reads the
weights and the cached keys and values from its memory, and it multiplies. A GPU reads while it multiplies, and the host
prepares ahead of it, so that the slowest of the three counts. On a CPU the preparation is done by the same core and
comes on top.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from models.architecture import cache_row_bytes
from models.config import Architecture
from sweep.config.flops import forward_flops

HEAD_LAYERS = 3  # the embedding, the head and the draw of a token cost the host about as much as so many layers
ADAPTER_HOST = 1.4  # times the launches of a layer where each of its matrices has adapters
HOST, MEMORY, FLOPS = "host", "memory", "flops"


@dataclass(frozen=True)
class Rates:
    """What one process can do.

    device: in words. kind: of its GPU; None where it has none, and then `cores` count. assumed: whether nothing says
    which kind it is. flops: peak FLOP/s. bandwidth: of its memory, in bytes/s. sampling, updating: the shares of these
    that the two reach. layer, update_layer: seconds in which the host prepares a layer, to sample and to update. ahead:
    whether it does so while the device computes. start: seconds of a job before its first step. disk, link: bytes/s to
    the disk and between processes.
    """

    device: str
    kind: str | None
    cores: int
    assumed: bool
    flops: float
    bandwidth: float
    sampling: float
    updating: float
    layer: float
    update_layer: float
    ahead: bool
    start: float
    disk: float
    link: float


@dataclass(frozen=True)
class Timed:
    """Seconds, and which cost most of them are: HOST, MEMORY or FLOPS."""

    seconds: float = 0.0
    bound: str = HOST

    def __add__(self, other: Timed) -> Timed:
        """Add the seconds; the bound is that of the longer part."""
        longer = self if self.seconds >= other.seconds else other
        return Timed(self.seconds + other.seconds, longer.bound)

    def __mul__(self, times: float) -> Timed:
        return Timed(self.seconds * times, self.bound)


@dataclass(frozen=True)
class Sampling:
    """What one process samples at once.

    requests: responses. prompts: distinct ones. prompt_tokens, response_tokens: mean lengths. longest: tokens of the
    longest response. rows: responses that are decoded together.
    """

    requests: float
    prompts: float
    prompt_tokens: float
    response_tokens: float
    longest: float
    rows: int

    @property
    def token_steps(self) -> float:
        """How often a token is drawn for all rows: until the longest response of the last wave ends.

        A row that is free takes the next request, so that all rows stay full until no request waits.
        """
        waiting = max(0.0, self.requests - self.rows)
        return waiting * self.response_tokens / self.rows + self.longest

    @property
    def live(self) -> float:
        """The mean number of rows that decode in a token step."""
        return self.requests * self.response_tokens / self.token_steps


def combined(host: float, memory: float, flops: float, ahead: bool) -> Timed:
    """Return the time of three costs in seconds; see the module for what `ahead` changes."""
    device = max(memory, flops)
    seconds = max(host, device) if ahead else host + device
    bound = HOST if host >= device else MEMORY if memory > flops else FLOPS
    return Timed(seconds, bound)


def sampling(shape: Architecture, width: int, asked: Sampling, rates: Rates, adapters: bool = False) -> Timed:
    """Return the time of sampling: the passes over the prompts, and one pass for each token step.

    Args:
        width: bytes of a stored number.
        adapters: whether the model has adapters, which the host prepares too.
    """
    if asked.requests <= 0:
        return Timed()
    flops, bandwidth = rates.flops * rates.sampling, rates.bandwidth * rates.sampling
    prefill = asked.prompts * forward_flops(shape, round(asked.prompt_tokens), 0) / flops
    context = round(asked.prompt_tokens + asked.response_tokens / 2)
    a_token = forward_flops(shape, context, 1) - forward_flops(shape, context, 0)
    cached = cache_row_bytes(shape, context, width) - cache_row_bytes(shape, 0, width)
    host = (shape.num_hidden_layers + HEAD_LAYERS) * rates.layer * (ADAPTER_HOST if adapters else 1)
    step = combined(
        host,
        (shape.parameters * width + asked.live * cached) / bandwidth,
        asked.live * a_token / flops,
        rates.ahead,
    )
    return step * asked.token_steps + Timed(prefill, FLOPS)


@dataclass(frozen=True)
class Updating:
    """What one process trains on in a rollout.

    responses: of the rollout. prompt_tokens, response_tokens: mean lengths. updates: optimiser steps. micro_tokens: the
    most tokens of a micro-batch. passes: what forward, backward and recomputation are worth in forward passes.
    """

    responses: float
    prompt_tokens: float
    response_tokens: float
    updates: int
    micro_tokens: int
    passes: float

    @property
    def micro_batches(self) -> int:
        """The number of micro-batches of all updates; a sequence is never split."""
        tokens = self.prompt_tokens + self.response_tokens
        each = self.responses / self.updates
        return self.updates * math.ceil(min(each, max(1.0, each * tokens / self.micro_tokens)))


def updating(shape: Architecture, asked: Updating, rates: Rates, adapters: bool = False) -> Timed:
    """Return the time of the forward and backward passes of all updates; see `sampling` for the arguments."""
    lengths = round(asked.prompt_tokens), round(asked.response_tokens)
    flops = asked.passes * asked.responses * forward_flops(shape, *lengths)
    layers = (shape.num_hidden_layers + HEAD_LAYERS) * rates.update_layer * (ADAPTER_HOST if adapters else 1)
    return combined(asked.micro_batches * asked.passes * layers, 0.0, flops / rates.flops / rates.updating, rates.ahead)
