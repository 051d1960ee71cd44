"""The policy under DeepSpeed: updates on scored rollouts, checkpoints, and the module to sample from."""

from __future__ import annotations

import contextlib
import logging
import math
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import deepspeed
import torch
import torch.distributed as dist
from transformers import PreTrainedModel

from models.export import write_stops
from models.load import save_model
from models.prompts import Stop
from sweep.config.cell import CellConfig
from sweep.grpo import finite
from sweep.grpo.deal import Part, Scored, deal, fill, split_updates
from sweep.grpo.logprobs import Policy, Sequences, pack_sequences
from sweep.grpo.loss import LossInputs, kl_estimate, policy_loss
from sweep.grpo.reference import AdapterReference, FrozenReference
from sweep.grpo.statistics import UpdateStatistics, over_updates
from sweep.job.memory import release_free_memory
from sweep.job.processes import gather
from sweep.keyed import torch_seed
from sweep.rollout.sample import Sampled
from sweep.run.checkpoints import sync, world_size
from sweep.run.not_finite import NotFinite

log = logging.getLogger("sweep.grpo")


class OtherWorldSize(Exception):
    """A checkpoint cannot be read by another number of processes than wrote it."""


class Learner:
    """Owns the DeepSpeed engine. Every process holds one and calls it with the same arguments."""

    def __init__(self, model: PreTrainedModel, config: CellConfig, reference: PreTrainedModel | None = None) -> None:
        """`reference`: a second model with the initial weights, where one is needed and the policy has no adapters."""
        self.config = config
        self.updates_done = 0
        if config.deepspeed.gradient_checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        policy = Policy(model, entropy_gradient=config.algorithm.entropy_coefficient > 0)
        optimizer = torch.optim.AdamW(
            [p for p in policy.parameters() if p.requires_grad],
            lr=config.optimizer.learning_rate,
            betas=(config.optimizer.beta1, config.optimizer.beta2),
            eps=config.optimizer.epsilon,
            weight_decay=config.optimizer.weight_decay,
        )
        self.engine, self.optimizer, _, _ = deepspeed.initialize(
            model=policy, optimizer=optimizer, config=deepspeed_settings(config), dist_init_required=False
        )
        self.reference = self._reference(reference)

    def _reference(self, model: PreTrainedModel | None) -> AdapterReference | FrozenReference | None:
        if not self.config.needs_reference:
            return None
        if model is None:
            return AdapterReference(self.engine)
        sharded = self.config.deepspeed.zero_stage == 3
        return FrozenReference(model, deepspeed_settings(self.config) if sharded else None, self.engine.device)

    def update(self, rollout: Sequence[Scored], step: int) -> dict[str, float]:
        """Train on one rollout: `updates_per_rollout` optimiser steps, one epoch over the shuffled responses.

        The shuffle is keyed, so each update sees the same responses on any number of processes.

        Returns:
            over the updates, extremes of what ends in _min or _max and means of the rest: loss, grad_norm,
            learning_rate and the statistics of `policy_loss`; `updates`, how many there were.
        Raises:
            NotFinite: on all processes: a loss, ratio or log-prob, before its backward pass; or a gradient norm, whose
                optimiser step then changed nothing.
        """
        algorithm, rank = self.config.algorithm, dist.get_rank()
        torch.manual_seed(torch_seed(self.config.seed, "torch", step, rank))
        self.engine.train()  # what gradient checkpointing asks for; dropout is 0 in every model that is loaded
        max_tokens = self.config.rollout.max_response_tokens
        updates = split_updates(rollout, algorithm, max_tokens, self.config.seed, step)
        shares = [self._micro_batches(update) for update in updates]
        # In the first update the policy is still the one that sampled: its own forward pass gives the old log-probs.
        known = [None, *(self._logprobs(share) if self._needs_old_pass else None for share in shares[1:])]
        rows = [self._optimizer_step(share, known[k], k) for k, share in enumerate(shares)]
        return {**over_updates(rows), "updates": len(rows)}

    @property
    def _needs_old_pass(self) -> bool:
        algorithm = self.config.algorithm
        return algorithm.old_logprobs == "trainer" and not algorithm.on_policy

    def _micro_batches(self, update: Sequence[Part]) -> list[list[Part]]:
        """What this process works on; some parts are without weight where there are fewer than processes."""
        filled = [part if real else part.without_weight() for part, real in fill(update, dist.get_world_size())]
        return [[filled[i] for i in indices] for indices in self._dealt([part.sampled for part in filled])]

    def _dealt(self, responses: Sequence[Sampled]) -> list[list[int]]:
        """The micro-batches of this process, as indices of `responses`."""
        lengths = [len(r.prompt_ids) + len(r.ids) for r in responses]
        return deal(lengths, self.config.deepspeed.micro_batch_tokens, dist.get_rank(), dist.get_world_size())

    def _packed(self, responses: Sequence[Sampled]) -> Sequences:
        return pack_sequences([r.prompt_ids for r in responses], [r.ids for r in responses], self.engine.device)

    def _forward(self, batch: Sequences) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-probs and entropy (b, t), 0 where there is no token."""
        return self.engine(batch, self.config.rollout.temperature)

    @torch.no_grad()
    def _logprobs(self, share: Sequence[Sequence[Part]]) -> list[torch.Tensor]:
        """The trainer's own log-probs of each micro-batch, of the policy as it is."""
        return [self._forward(self._packed([p.sampled for p in chosen]))[0] for chosen in share]

    def _reference_logprobs(self, batch: Sequences) -> torch.Tensor:
        return self.reference.logprobs(batch, self.config.rollout.temperature)

    @torch.no_grad()
    def sequence_kl(self, responses: Sequence[Sampled], estimator: str) -> list[float]:
        """Estimates of KL(policy as it is ‖ initial policy), summed over each response's tokens."""
        self.engine.train()
        filled = [index for index, _ in fill(range(len(responses)), dist.get_world_size())]
        found = []
        for places in self._dealt([responses[i] for i in filled]):
            indices = [filled[place] for place in places]
            batch = self._packed([responses[i] for i in indices])
            kl_bt = kl_estimate(self._forward(batch)[0], self._reference_logprobs(batch), estimator)
            found += zip(indices, kl_bt.sum(1).tolist(), strict=True)
        by_index = dict(gather(found))
        return [by_index[i] for i in range(len(responses))]

    def _optimizer_step(
        self, share: Sequence[Sequence[Part]], known: list[torch.Tensor] | None, number: int
    ) -> dict[str, float]:
        """One step on this process's share of an update; `known`: the rollout policy's log-probs, where computed."""
        rate = self._set_learning_rate()
        statistics = UpdateStatistics()
        for k, chosen in enumerate(share):
            batch = self._packed([part.sampled for part in chosen])
            logprobs_bt, entropy_bt = self._forward(batch)
            rollout_bt = logprobs_bt.detach() if number == 0 else known and known[k]
            inputs = self._loss_inputs(chosen, batch, logprobs_bt, entropy_bt, rollout_bt)
            loss, found = policy_loss(inputs, self.config.algorithm)
            finite.refuse_loss(loss, found, inputs, chosen, f"micro-batch {k + 1} of update {number + 1}")
            self.engine.set_gradient_accumulation_boundary(k == len(share) - 1)
            # The weights already average over the whole update; DeepSpeed's own average over ranks is undone.
            self.engine.backward(loss * dist.get_world_size())
            statistics.add(loss, found)
        release_free_memory()
        self.engine.step()
        norm = float(self.engine.get_global_grad_norm())
        if not math.isfinite(norm):  # DeepSpeed has then left out the step, and says so nowhere
            raise NotFinite(f"gradient norm of update {number + 1}")
        self.updates_done += 1
        return {**statistics.over_processes(), "grad_norm": norm, "learning_rate": rate}

    def _loss_inputs(
        self,
        chosen: Sequence[Part],
        batch: Sequences,
        logprobs_bt: torch.Tensor,
        entropy_bt: torch.Tensor,
        rollout_bt: torch.Tensor | None,
    ) -> LossInputs:
        algorithm, device = self.config.algorithm, self.engine.device
        sampler = torch.tensor([x for part in chosen for x in part.sampled.logprobs], device=device)
        sampler_bt = torch.zeros_like(logprobs_bt).masked_scatter(batch.mask_bt, sampler)
        weights_b, shares_b = (
            torch.tensor([getattr(p, x) for p in chosen], device=device) for x in ("weight", "share")
        )
        if algorithm.on_policy:
            old_bt = logprobs_bt.detach()
        else:
            old_bt = sampler_bt if algorithm.old_logprobs == "sampler" else rollout_bt
        in_loss = algorithm.kl_coefficient > 0 and algorithm.kl_place == "loss"
        return LossInputs(
            logprobs_bt=logprobs_bt,
            entropy_bt=entropy_bt,
            old_logprobs_bt=old_bt,
            sampler_logprobs_bt=sampler_bt,
            rollout_logprobs_bt=rollout_bt,
            reference_logprobs_bt=self._reference_logprobs(batch) if in_loss else None,
            advantages_b=torch.tensor([part.advantage for part in chosen], device=device),
            mask_bt=batch.mask_bt,
            weights_bt=weights_b[:, None] * batch.mask_bt,
            shares_bt=shares_b[:, None] * batch.mask_bt,
        )

    @property
    def model_config(self) -> dict:
        """The model's own configuration, named as in the hub's config.json."""
        return self.engine.module.model.config.to_dict()

    def _set_learning_rate(self) -> float:
        """Constant after a linear warm-up over `warmup_updates` optimiser steps."""
        warmup = self.config.optimizer.warmup_updates
        rate = self.config.optimizer.learning_rate * min(1.0, (self.updates_done + 1) / (warmup + 1))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        return rate

    @contextlib.contextmanager
    def sampling_model(self) -> Iterator[PreTrainedModel]:
        """The policy with all its weights on this process."""
        model = self.engine.module.model.eval()
        gathered = contextlib.nullcontext()
        if self.config.deepspeed.zero_stage == 3:
            gathered = deepspeed.zero.GatheredParameters(list(model.parameters()))
        with gathered:
            yield model

    @property
    def _adapters_only(self) -> bool:
        """Whether frozen weights are left out of checkpoints, as they are the model's own."""
        return self.config.tuning.method == "lora"

    def refuse_weights(self) -> None:
        """Look at every number that training changes: the weights, and what the optimiser keeps of them.

        Raises:
            NotFinite: on all processes, where one is not on any.
        """
        finite.refuse_weights(self._trained_tensors(), self.engine.device)

    def _trained_tensors(self) -> Iterator[tuple[str, torch.Tensor]]:
        """This process's share of the weights, under their names, and of the optimiser's copies and moments."""
        for name, weight in self.engine.module.named_parameters():
            if weight.requires_grad:
                yield name, getattr(weight, "ds_tensor", weight)  # under ZeRO-3 a weight is empty, and this its share
        for number, (copy, moments) in enumerate(self.engine.optimizer.state.items()):
            yield f"the optimiser's copy {number}", copy
            for name, moment in moments.items():
                if torch.is_tensor(moment):
                    yield f"{name} {number} of the optimiser", moment

    def close(self) -> None:
        """Let go of the memory of weights, gradients and optimiser."""
        self.engine.destroy()
        self.reference = None

    def save(self, directory: Path, step: int) -> None:
        """Write a DeepSpeed checkpoint into `directory` (which all ranks name alike)."""
        self.engine.save_checkpoint(
            str(directory.parent),
            tag=directory.name,
            client_state={"step": step, "updates": self.updates_done},
            save_latest=False,
            exclude_frozen_parameters=self._adapters_only,
        )

    def load(self, directory: Path) -> int:
        """Restore weights and optimiser from `directory`; returns the step after which it was written.

        Raises:
            OtherWorldSize: another number of processes wrote it.
        """
        wrote, here = world_size(directory), dist.get_world_size()
        if wrote != here:
            raise OtherWorldSize(
                f"{directory} was written by {wrote} processes and this attempt has {here}, each of which needs a part "
                f"of its own; go on with deepspeed.processes={wrote}, which leaves the signature as it is, or remove "
                f"{directory.parent} to start again from step 0"
            )
        path, state = self.engine.load_checkpoint(
            str(directory.parent), tag=directory.name, load_module_strict=not self._adapters_only
        )
        if path is None:
            raise RuntimeError(f"{directory}: DeepSpeed found no checkpoint here")
        self.updates_done = state["updates"]
        return state["step"]

    def export(self, directory: Path, tokenizer, stop: Stop) -> None:
        """Write the policy as transformers loads it, tokenizer included; the directory appears whole or not at all.

        Under LoRA these are the adapters, which name the model they belong to. `stop`: what ended a response.

        Raises:
            NotFinite: a weight is not; nothing was written.
        """
        self.refuse_weights()
        with self.sampling_model() as model:
            if dist.get_rank() == 0:
                partial = directory.with_name(f".{directory.name}.partial")
                shutil.rmtree(partial, ignore_errors=True)
                save_model(model, partial)
                tokenizer.save_pretrained(partial)
                if not self._adapters_only:
                    write_stops(partial, stop)
                for written in (*partial.iterdir(), partial):
                    sync(written)
                partial.rename(directory)
                sync(directory.parent)
        dist.barrier()


def deepspeed_settings(config: CellConfig) -> dict:
    """DeepSpeed's own configuration for a cell. Micro-batches are counted by the learner, not by DeepSpeed."""
    zero = {"stage": config.deepspeed.zero_stage}
    # One process has nobody to share gradients with. Stage 1 then holds the same and adds up micro-batches in place,
    # where stage 2 copies every gradient twice: a tenth of an update on a CPU.
    if zero["stage"] == 2 and config.processes == 1 and not config.deepspeed.offload_optimizer:
        zero["stage"] = 1
    if config.deepspeed.offload_optimizer:
        zero["offload_optimizer"] = {"device": "cpu", "pin_memory": torch.cuda.is_available()}
    return {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        "gradient_clipping": config.optimizer.max_grad_norm,
        "bf16": {"enabled": config.model.dtype == "bfloat16"},
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,  # DeepSpeed's own would have to be compiled
        "steps_per_print": 10**9,
        "wall_clock_breakdown": False,
    }
