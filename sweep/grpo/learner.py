"""Train the policy with DeepSpeed: updates on rollouts, checkpoints, and the module to sample from."""

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
from sweep.grpo.deal import Weighted, WithAdvantage, deal, pad, split_updates
from sweep.grpo.logprobs import Policy, Sequences, pack_sequences
from sweep.grpo.loss import LossInputs, kl_estimate, policy_loss, ratio_denominator
from sweep.grpo.reference import AdapterReference, FrozenReference
from sweep.grpo.statistics import UpdateStatistics, over_updates
from sweep.job.memory import release_free_memory
from sweep.job.processes import gather
from sweep.keyed import torch_seed
from sweep.rollout.sample import Sampled
from sweep.run.checkpoints import world_size
from sweep.run.files import sync
from sweep.run.not_finite import NotFinite

log = logging.getLogger("sweep.grpo")


class OtherWorldSize(Exception):
    """A checkpoint was written by another number of processes than this attempt has, which cannot read it."""


class Learner:
    """Owns the DeepSpeed engine. Every process holds one and calls it with the same arguments."""

    def __init__(self, model: PreTrainedModel, config: CellConfig, reference: PreTrainedModel | None = None) -> None:
        """Hand the model to DeepSpeed.

        Args:
            reference: a second model with the initial weights, if one is needed and the policy has no adapters.
        """
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

    def update(self, groups: Sequence[Sequence[WithAdvantage]], step: int) -> dict[str, float]:
        """Train on one rollout: `updates_per_rollout` optimiser steps, one epoch over the shuffled responses.

        The shuffle is keyed, so each update sees the same responses on any number of processes.

        Args:
            groups: the responses of the rollout, problem by problem.
            step: of the training.
        Returns:
            over the updates, extremes of what ends in _min or _max and means of the rest: loss, grad_norm,
            learning_rate and the statistics of `policy_loss`; `updates`, how many there were.
        Raises:
            NotFinite: on all processes: a loss, ratio or log-prob, before its backward pass; or a gradient norm, whose
                optimiser step then changed nothing.
        """
        algorithm = self.config.algorithm
        torch.manual_seed(torch_seed(self.config.seed, "torch", step, dist.get_rank()))
        self.engine.train()  # gradient checkpointing needs it; dropout is 0 in every model that is loaded
        max_tokens = self.config.rollout.max_response_tokens
        updates = split_updates(groups, algorithm, max_tokens, self.config.seed, step)
        dealt = [self._micro_batches(update) for update in updates]
        # Before the first update the policy is still the one that sampled: its forward pass in the update itself gives
        # the old log-probs. For the later updates they are computed now, if the algorithm needs them at all.
        old_logprobs: list[list[torch.Tensor | None]] = [[None] * len(micro_batches) for micro_batches in dealt]
        if algorithm.old_logprobs == "trainer" and not algorithm.on_policy:
            old_logprobs[1:] = [self._logprobs(micro_batches) for micro_batches in dealt[1:]]
        rows = [
            self._optimizer_step(number, micro_batches, old)
            for number, (micro_batches, old) in enumerate(zip(dealt, old_logprobs, strict=True))
        ]
        return {**over_updates(rows), "updates": len(rows)}

    def _micro_batches(self, update: Sequence[Weighted]) -> list[list[Weighted]]:
        """Return the part of an update that this process works on. Padding has no weight; see `pad`."""
        padded = [
            weighted if real else weighted.without_weight() for weighted, real in pad(update, dist.get_world_size())
        ]
        return [[padded[i] for i in indices] for indices in self._dealt([weighted.sampled for weighted in padded])]

    def _dealt(self, responses: Sequence[Sampled]) -> list[list[int]]:
        """Return the micro-batches of this process, as indices of `responses`."""
        lengths = [len(r.prompt_ids) + len(r.ids) for r in responses]
        return deal(lengths, self.config.deepspeed.micro_batch_tokens, dist.get_rank(), dist.get_world_size())

    def _packed(self, responses: Sequence[Sampled]) -> Sequences:
        return pack_sequences([r.prompt_ids for r in responses], [r.ids for r in responses], self.engine.device)

    @torch.no_grad()
    def _logprobs(self, micro_batches: Sequence[Sequence[Weighted]]) -> list[torch.Tensor]:
        """Return the log-probs (b, t) of each micro-batch under the current policy, computed by the trainer."""
        packed = (self._packed([weighted.sampled for weighted in micro_batch]) for micro_batch in micro_batches)
        return [self.engine(batch, self.config.rollout.temperature)[0] for batch in packed]

    @torch.no_grad()
    def sequence_kl(self, groups: Sequence[Sequence[Sampled]], estimator: str) -> list[list[float]]:
        """Estimate KL(current policy ‖ initial policy), summed over each response's tokens, group by group."""
        self.engine.train()
        temperature = self.config.rollout.temperature
        responses = [response for group in groups for response in group]
        padded = [index for index, _ in pad(range(len(responses)), dist.get_world_size())]
        found = []
        for places in self._dealt([responses[i] for i in padded]):
            indices = [padded[place] for place in places]
            batch = self._packed([responses[i] for i in indices])
            trainer_bt, reference_bt = self.engine(batch, temperature)[0], self.reference.logprobs(batch, temperature)
            kl_bt = kl_estimate(trainer_bt, reference_bt, estimator)
            found += zip(indices, kl_bt.sum(1).tolist(), strict=True)
        by_index = dict(gather(found))
        in_order = (by_index[i] for i in range(len(responses)))
        return [[next(in_order) for _ in group] for group in groups]

    def _optimizer_step(
        self, number: int, micro_batches: Sequence[Sequence[Weighted]], old_logprobs: Sequence[torch.Tensor | None]
    ) -> dict[str, float]:
        """Take one optimiser step on this process's micro-batches of update `number`, which counts from 0.

        Args:
            old_logprobs: for each micro-batch the trainer's log-probs of the policy that sampled, where they are known.
        """
        rate = self._set_learning_rate()
        statistics = UpdateStatistics()
        for k, (micro_batch, old_bt) in enumerate(zip(micro_batches, old_logprobs, strict=True)):
            batch = self._packed([weighted.sampled for weighted in micro_batch])
            trainer_bt, entropy_bt = self.engine(batch, self.config.rollout.temperature)
            if number == 0:
                old_bt = trainer_bt.detach()
            inputs = self._loss_inputs(micro_batch, batch, trainer_bt, entropy_bt, old_bt)
            loss, found = policy_loss(inputs, self.config.algorithm)
            finite.refuse_loss(loss, found, inputs, micro_batch, f"micro-batch {k + 1} of update {number + 1}")
            self.engine.set_gradient_accumulation_boundary(k == len(micro_batches) - 1)
            # The weights already average over the whole update; DeepSpeed's own average over ranks is undone.
            self.engine.backward(loss * dist.get_world_size())
            statistics.add(loss, found)
        release_free_memory()
        self.engine.step()
        norm = float(self.engine.get_global_grad_norm())
        if not math.isfinite(norm):  # DeepSpeed has then skipped the step without a message
            raise NotFinite(f"gradient norm of update {number + 1}")
        self.updates_done += 1
        return {**statistics.over_processes(), "grad_norm": norm, "learning_rate": rate}

    def _loss_inputs(
        self,
        micro_batch: Sequence[Weighted],
        batch: Sequences,
        trainer_bt: torch.Tensor,
        entropy_bt: torch.Tensor,
        old_trainer_bt: torch.Tensor | None,
    ) -> LossInputs:
        algorithm, device = self.config.algorithm, self.engine.device
        reported = [logprob for weighted in micro_batch for logprob in weighted.sampled.logprobs]
        sampler_bt = torch.zeros_like(trainer_bt).masked_scatter(batch.mask_bt, torch.tensor(reported, device=device))
        reference_bt = None
        if algorithm.kl_coefficient > 0 and algorithm.kl_place == "loss":
            reference_bt = self.reference.logprobs(batch, self.config.rollout.temperature)
        weights_b = torch.tensor([weighted.weight for weighted in micro_batch], device=device)
        shares_b = torch.tensor([weighted.share for weighted in micro_batch], device=device)
        return LossInputs(
            trainer_logprobs_bt=trainer_bt,
            entropy_bt=entropy_bt,
            denominator_logprobs_bt=ratio_denominator(algorithm, trainer_bt, old_trainer_bt, sampler_bt),
            sampler_logprobs_bt=sampler_bt,
            old_trainer_logprobs_bt=old_trainer_bt,
            reference_logprobs_bt=reference_bt,
            advantages_b=torch.tensor([weighted.response.advantage for weighted in micro_batch], device=device),
            mask_bt=batch.mask_bt,
            weights_bt=weights_b[:, None] * batch.mask_bt,
            shares_bt=shares_b[:, None] * batch.mask_bt,
        )

    @property
    def model_config(self) -> dict:
        """The model's own configuration, named as in the hub's config.json."""
        return self.engine.module.model.config.to_dict()

    def _set_learning_rate(self) -> float:
        """Set and return the learning rate: constant after a linear warm-up over `warmup_updates` steps."""
        warmup = self.config.optimizer.warmup_updates
        rate = self.config.optimizer.learning_rate * min(1.0, (self.updates_done + 1) / (warmup + 1))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        return rate

    @contextlib.contextmanager
    def sampling_model(self) -> Iterator[PreTrainedModel]:
        """Yield the policy with all its weights on this process, for as long as the block runs."""
        model = self.engine.module.model.eval()
        gathered = contextlib.nullcontext()
        if self.config.deepspeed.zero_stage == 3:
            gathered = deepspeed.zero.GatheredParameters(list(model.parameters()))
        with gathered:
            yield model

    @property
    def _adapters_only(self) -> bool:
        """True if checkpoints leave frozen weights out, because the model's own files have them."""
        return self.config.tuning.method == "lora"

    def refuse_weights(self) -> None:
        """Look at every number that training changes: the weights, and what the optimiser keeps for each of them.

        Raises:
            NotFinite: on all processes, if a number on any of them is not finite.
        """
        finite.refuse_weights(self._trained_tensors(), self.engine.device)

    def _trained_tensors(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield this process's share of the weights, with names, and of the optimiser's copies and moments."""
        for name, weight in self.engine.module.named_parameters():
            if weight.requires_grad:
                yield name, getattr(weight, "ds_tensor", weight)  # under ZeRO-3 a weight is empty, and this its share
        for number, (copy, moments) in enumerate(self.engine.optimizer.state.items()):
            yield f"the optimiser's copy {number}", copy
            for name, moment in moments.items():
                if torch.is_tensor(moment):
                    yield f"{name} {number} of the optimiser", moment

    def close(self) -> None:
        """Free the memory of weights, gradients and optimiser."""
        self.engine.destroy()
        self.reference = None

    def save(self, directory: Path, step: int) -> None:
        """Write a DeepSpeed checkpoint into `directory`, which is the same on all ranks."""
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
            NotFinite: a weight is not finite; nothing was written.
        """
        self.refuse_weights()
        with self.sampling_model() as model:
            if dist.get_rank() == 0:
                directory.parent.mkdir(exist_ok=True)
                partial = directory.with_name(f".{directory.name}.partial")
                shutil.rmtree(partial, ignore_errors=True)
                save_model(model, partial)
                tokenizer.save_pretrained(partial)
                if not self._adapters_only:
                    write_stops(partial, stop)
                for written in (*partial.iterdir(), partial):
                    sync(written)
                shutil.rmtree(directory, ignore_errors=True)  # left by an attempt that had come further
                partial.rename(directory)
                sync(directory.parent)
        dist.barrier()


def deepspeed_settings(config: CellConfig) -> dict:
    """Return DeepSpeed's configuration for a cell. The learner counts micro-batches; DeepSpeed does not."""
    zero = {"stage": config.deepspeed.zero_stage}
    # One process shares gradients with no other. Stage 1 then holds the same and adds up micro-batches in place,
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
