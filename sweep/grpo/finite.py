"""Look for numbers that are not finite, on all processes together: one small all-reduce, one look from the host."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
import torch.distributed as dist

from sweep.grpo.deal import Part
from sweep.grpo.loss import LossInputs, Statistics
from sweep.run.not_finite import MOST_TOKENS, NotFinite, first_tokens


def refuse(bad: dict[str, torch.Tensor], where: str, evidence: Callable[[], dict]) -> None:
    """Raise on every process where anything is bad on any: a process that went on alone would wait for the others.

    Args:
        bad: by the name of a number, a boolean scalar: whether it is not finite here.
        where: what the numbers are of.
        evidence: what this process worked on; asked where something is bad here.
    Raises:
        NotFinite: something is.
    """
    own_n = torch.stack(list(bad.values())).int()
    any_n = own_n.clone()
    if dist.get_world_size() > 1:
        dist.all_reduce(any_n, dist.ReduceOp.MAX)
    if not any_n.any():
        return
    names = [name for name, flag in zip(bad, any_n.tolist(), strict=True) if flag]
    raise NotFinite(f"{', '.join(names)} of {where}", evidence() if own_n.any() else None)


def refuse_loss(loss: torch.Tensor, found: Statistics, inputs: LossInputs, chosen: Sequence[Part], where: str) -> None:
    """See `refuse`; to be called before the backward pass of a micro-batch.

    The mean of the ratios stands for each of them: one that is infinite or NaN makes it so, whatever its weight.
    """
    bad = {
        "loss": ~loss.detach().isfinite(),
        "ratios": ~found.means["ratio"].isfinite(),
        "log-probs": ~inputs.logprobs_bt.detach().isfinite().all(),
    }
    refuse(bad, where, lambda: _micro_batch(loss, inputs, chosen))


def refuse_weights(named: Iterable[tuple[str, torch.Tensor]], device: torch.device) -> None:
    """See `refuse`; of weights and of the optimiser's moments, of which each process has its own."""
    # The extremes of a tensor are NaN where anything in it is, and they need no memory of its size.
    bad = {
        name: ~torch.stack(tensor.detach().aminmax()).isfinite().all().to(device)
        for name, tensor in named
        if tensor.numel()
    }
    any_bad = torch.stack(list(bad.values())).any()
    refuse(
        {"weights or moments": any_bad},
        "the optimiser",
        lambda: {"tensors": [name for name, flag in bad.items() if flag]},
    )


def _micro_batch(loss: torch.Tensor, inputs: LossInputs, chosen: Sequence[Part]) -> dict:
    """A micro-batch as it met the loss: log-probs of the trainer, of the rollout policy, and of the reference."""
    rows = {
        "logprobs": inputs.logprobs_bt,
        "old_logprobs": inputs.old_logprobs_bt,
        "sampler_logprobs": inputs.sampler_logprobs_bt,
        "reference_logprobs": inputs.reference_logprobs_bt,
    }
    lists = {name: value_bt.detach().tolist() for name, value_bt in rows.items() if value_bt is not None}
    responses = [
        {
            "prompt_ids": list(part.sampled.prompt_ids),
            "ids": part.sampled.ids,
            "advantage": part.advantage,
            "weight": part.weight,
            **{name: values[k][: len(part.sampled.ids)] for name, values in lists.items()},
        }
        for k, part in enumerate(chosen)
    ]
    return {"loss": float(loss.detach()), "responses": first_tokens(responses, MOST_TOKENS // dist.get_world_size())}
