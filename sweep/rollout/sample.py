"""The interface of sampling engines: requests go in, sampled responses come out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from transformers import PreTrainedModel

from sweep.keyed import Key
from sweep.rollout.stop import StopRules
from sweep.run.not_finite import NotFinite


class Finish(str, Enum):
    """The reason why a response ended: an end-of-text or end-of-turn token, a stop string, or no room for more."""

    EOS = "eos"
    STOP = "stop"
    LENGTH = "length"


@dataclass(frozen=True)
class Request:
    """A prompt to answer, and the key of the answer's random draws.

    max_tokens: the most tokens of this answer; None for `rollout.max_response_tokens`.
    """

    prompt_ids: Sequence[int]
    key: Key
    max_tokens: int | None = None


@dataclass(frozen=True)
class Sampled:
    """A sampled response.

    ids: its tokens, including the one that ended it.
    logprobs: of each token, at the sampling temperature, as the engine reports them.
    text: what rewards read: without special tokens, and without the stop string if the prompt's settings remove it.

    Raises:
        NotFinite: a log-prob is not finite. The logits were not finite either, so the tokens are no draws of a policy.
    """

    prompt_ids: Sequence[int]
    ids: list[int]
    logprobs: list[float]
    finish: Finish
    text: str = ""

    def __post_init__(self) -> None:
        if not math.isfinite(sum(self.logprobs)):
            drawn = {"prompt_ids": list(self.prompt_ids), "ids": self.ids, "sampler_logprobs": self.logprobs}
            raise NotFinite("log-probs of a sampled response", {"responses": [drawn]})


class Sampler(Protocol):
    """An engine that samples responses."""

    def sample(
        self,
        model: PreTrainedModel,
        requests: Sequence[Request],
        temperature: float,
        top_p: float = 1.0,
        stop: StopRules | None = None,
    ) -> list[Sampled]:
        """Return one response of `model` as it is now for each request, in order.

        The draws come from the requests' keys: they are the same in any batch, on any process. Temperature 0 takes the
        likeliest token, with log-probs at temperature 1. No top-k or repetition penalty, whatever the model's
        generation_config.json says: the policy is sampled as it is.

        Args:
            top_p: tokens are drawn from the likeliest ones that together have this probability; their log-probs are
                those of the distribution that is left.
            stop: what ends a response; None for what the engine was opened with.
        """
