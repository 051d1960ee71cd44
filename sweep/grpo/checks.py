"""Check what must hold for any rollout, whatever its rewards: without it, training on the rollout is meaningless."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch
from transformers import PreTrainedModel

from models.attention import prepare
from sweep.grpo.logprobs import Policy, pack_sequences
from sweep.rollout.sample import Sampled
from sweep.run.not_finite import NotFinite

# Two honest draws of one prompt are the same response of probability p or less with a chance of p at most: over a
# thousand groups of 16 this bound stops fewer than one honest run in ten million.
IMPLAUSIBLE_LOGPROB = -28.0
ENOUGH_REPEATS = 8  # fewer may all be honest draws of a short answer


FORWARD_TOKENS = 64  # of a prompt, enough to see that two forward passes differ
FORWARD_DIFFERENCE = 0.1  # nats a token on average; bfloat16 rounds, so it is not 0


class UnsupportedModel(Exception):
    """This project computes other log-probs for the model than the model's own code does."""


class RolloutFault(Exception):
    """Sampler and trainer disagree, or responses of a group are not independent. The message names the likely cause."""


def check_diversity(groups: Sequence[Sequence[Sampled]]) -> None:
    """Refuse groups whose responses are not independent draws of the policy.

    Raises:
        RolloutFault: two responses of a group are equal though each was all but impossible; or every response of every
            group repeats the group's first one.
    """
    for place, group in enumerate(groups):
        for a, b in combinations(group, 2):
            if sum(a.logprobs) < IMPLAUSIBLE_LOGPROB and list(a.ids) == list(b.ids):
                raise RolloutFault(
                    f"two responses in group {place} are the same {len(a.ids)} tokens, of probability "
                    f"e^{sum(a.logprobs):.0f}: the draws are not independent. Look at the sampler's seed: it must "
                    "differ between the responses of a group and between processes"
                )
    repeats = sum(len(group) - 1 for group in groups)
    if repeats >= ENOUGH_REPEATS and all(list(r.ids) == list(group[0].ids) for group in groups for r in group):
        raise RolloutFault(
            "every response repeats the first one of its group, so that no advantage but 0 exists. Look at "
            "rollout.temperature, at the sampler's seed, and whether the model gives any prompt more than one answer"
        )


def check_agreement(difference: float, bound: float) -> None:
    """Refuse a sampler whose log-probs are not the trainer's.

    Args:
        difference: mean over tokens of |log π_trainer - log π_sampler| under the same weights.
    Raises:
        RolloutFault: the difference is above `bound`.
    """
    if not difference <= bound:
        raise RolloutFault(
            f"sampler and trainer disagree on log-probs by {difference:.3g} a token, more than "
            f"checks.logprob_difference={bound:g}. Look at whether the sampler has the trainer's weights (tied "
            "embeddings included), its temperature, and its precision (model.dtype); raise the bound only for a "
            "difference you can explain"
        )


@torch.no_grad()
def check_forward(model: PreTrainedModel, prompt_ids: Sequence[int]) -> None:
    """Refuse a model whose own forward pass gives other log-probs than the one that samples and trains here.

    The reference is transformers' "eager" attention, which applies everything that the architecture does to scores and
    logits (scaling, soft caps, windows).

    Raises:
        NotFinite: the reference's log-probs are not finite.
        UnsupportedModel: mean |difference| over the tokens of the prompt's beginning is above FORWARD_DIFFERENCE.
    """
    ids = list(prompt_ids[:FORWARD_TOKENS])
    if len(ids) < 2:
        return
    ours_1t, _ = Policy(model)(pack_sequences([ids[:1]], [ids[1:]], model.device), 1.0)
    model.set_attn_implementation("eager")
    ids_1s = torch.tensor([ids], device=model.device)
    logprobs_1sv = model(input_ids=ids_1s, use_cache=False).logits[:, :-1].float().log_softmax(-1)
    prepare(model)
    reference_1t = logprobs_1sv.gather(2, ids_1s[:, 1:, None])[..., 0]
    if not reference_1t.isfinite().all():
        raise NotFinite("log-probs of a prompt")
    difference = float((ours_1t - reference_1t).abs().mean())
    if not difference <= FORWARD_DIFFERENCE:
        raise UnsupportedModel(
            f"models of type {model.config.model_type} cannot be trained here: their own forward pass gives log-probs "
            f"that differ by {difference:.3g} a token from those that sampling and training use; they scale, cap or "
            "mask what other models do not"
        )
