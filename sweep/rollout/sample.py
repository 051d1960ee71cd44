"""Sample responses with a transformers model: token ids, the sampler's log-probs, why each ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
import torch
from transformers import DynamicCache, PreTrainedModel

from sweep.rollout.stop import StopRules
from sweep.run.keyed import Key, generator


class Finish(str, Enum):
    """Why a response ended: an end-of-text or end-of-turn token, a stop string, or no room for more."""

    EOS = "eos"
    STOP = "stop"
    LENGTH = "length"


@dataclass(frozen=True)
class Request:
    """A prompt to answer and the key of the answer's random draws."""

    prompt_ids: Sequence[int]
    key: Key


@dataclass(frozen=True)
class Sampled:
    """A response; `ids` includes the token that ended it, `logprobs` (same length) are at the sampling temperature.

    `text` is what rewards read: without special tokens, and without the stop string where that is configured to go.
    """

    prompt_ids: Sequence[int]
    ids: list[int]
    logprobs: list[float]
    finish: Finish
    text: str = ""


@torch.no_grad()
def sample(
    model: PreTrainedModel,
    requests: Sequence[Request],
    *,
    stop: StopRules,
    pad_id: int,
    max_tokens: int,
    temperature: float,
    batch_size: int,
) -> list[Sampled]:
    """One response for each request, in order.

    Token t of a response is the inverse of the policy's distribution function at the t-th number of the request's
    own stream: the draws are the same in any batch, on any process. Temperature 0 takes the likeliest token.
    No top-p, top-k or repetition penalty, whatever the model's generation_config.json says: the policy is sampled as
    it is.
    """
    # Prompts of equal length share a batch, so that little is padded; the order of answers is restored below.
    order = sorted(range(len(requests)), key=lambda i: len(requests[i].prompt_ids))
    answers: dict[int, Sampled] = {}
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        batch = _Batch(model, [requests[i] for i in chosen], stop, pad_id, max_tokens, temperature)
        answers.update(zip(chosen, batch.run(), strict=True))
    return [answers[i] for i in range(len(requests))]


class _Batch:
    """Decoding of one batch; finished sequences leave it."""

    def __init__(self, model, requests, stop, pad_id, max_tokens, temperature) -> None:
        self.model, self.requests, self.stop = model, requests, stop
        self.max_tokens, self.temperature = max_tokens, temperature
        device = model.device
        width = max(len(r.prompt_ids) for r in requests)
        rows = [[pad_id] * (width - len(r.prompt_ids)) + list(r.prompt_ids) for r in requests]
        masks = [[0] * (width - len(r.prompt_ids)) + [1] * len(r.prompt_ids) for r in requests]
        self.tokens_bt = torch.tensor(rows, device=device)
        self.mask_bt = torch.tensor(masks, device=device)
        draws = np.stack([generator(*r.key).random(max_tokens) for r in requests])
        self.draws_bt = torch.from_numpy(draws).to(device)

    def run(self) -> list[Sampled]:
        count, device = len(self.requests), self.tokens_bt.device
        ids_bt = torch.zeros((count, self.max_tokens), dtype=torch.long, device=device)
        logprobs_bt = torch.zeros((count, self.max_tokens), device=device)
        lengths_b = torch.full((count,), self.max_tokens, device=device)
        finish = [Finish.LENGTH] * count
        live = torch.arange(count, device=device)  # rows of the batch that still decode
        cache = DynamicCache(config=self.model.config)
        inputs, mask = self.tokens_bt, self.mask_bt
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        for t in range(self.max_tokens):
            logits_bv = self._forward(inputs, mask, positions, cache)
            token_b, logprob_b = draw_tokens(logits_bv, self.draws_bt[live, t], self.temperature)
            ids_bt[live, t], logprobs_bt[live, t] = token_b, logprob_b
            stopped_b = self._stopped(ids_bt[live, : t + 1], live, finish)
            lengths_b[live[stopped_b]] = t + 1
            kept = (~stopped_b).nonzero().squeeze(1)
            if len(kept) == 0:
                break
            if len(kept) < len(live):
                cache.batch_select_indices(kept)
                live, mask, positions, token_b = live[kept], mask[kept], positions[kept], token_b[kept]
            inputs, positions = token_b[:, None], positions[:, -1:] + 1
            mask = torch.cat([mask, mask.new_ones(len(live), 1)], dim=1)
        lengths = lengths_b.tolist()
        responses = [ids[:n] for ids, n in zip(ids_bt.tolist(), lengths, strict=True)]
        logprobs = [values[:n] for values, n in zip(logprobs_bt.tolist(), lengths, strict=True)]
        texts = self.stop.texts(responses)
        prompts = [r.prompt_ids for r in self.requests]
        return [Sampled(*parts) for parts in zip(prompts, responses, logprobs, finish, texts, strict=True)]

    def _stopped(self, ids_bt: torch.Tensor, live: torch.Tensor, finish: list[Finish]) -> torch.Tensor:
        """Which of the live rows end with their last token; notes why in `finish`."""
        stopped_b = torch.isin(ids_bt[:, -1], self.stop.ids.to(ids_bt.device))
        for row in stopped_b.nonzero().flatten().tolist():
            finish[live[row]] = Finish.EOS
        for row in self.stop.string_ends(ids_bt):
            stopped_b[row] = True
            finish[live[row]] = Finish.STOP
        return stopped_b

    def _forward(self, inputs, mask, positions, cache) -> torch.Tensor:
        output = self.model(
            input_ids=inputs,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return output.logits[:, -1].float()


def draw_tokens(
    logits_bv: torch.Tensor, draws_b: torch.Tensor, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens (b) and their log-probs (b): the inverse distribution function at `draws_b`, or the mode at temperature 0.

    At temperature 0 the log-probs are those of temperature 1.
    """
    logprobs_bv = (logits_bv / (temperature or 1.0)).log_softmax(-1)
    if temperature == 0:
        token_b = logits_bv.argmax(-1)
    else:
        cumulative_bv = logprobs_bv.double().exp().cumsum(-1)
        # Scaled to the sum, so that rounding can never push a draw past the last token of positive probability.
        target_b1 = draws_b[:, None] * cumulative_bv[:, -1:]
        token_b = torch.searchsorted(cumulative_bv, target_b1, right=True).squeeze(1).clamp(max=logits_bv.shape[-1] - 1)
    return token_b, logprobs_bv.gather(-1, token_b[:, None]).squeeze(1)
