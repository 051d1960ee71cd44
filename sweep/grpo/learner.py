"""The policy under DeepSpeed: updates on scored rollouts, checkpoints, and the module to sample from."""

from __future__ import annotations

import contextlib
import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import deepspeed
import torch
import torch.distributed as dist
from transformers import PreTrainedModel

from models.load import save_model
from sweep.grpo.logprobs import Policy, Sequences, pad_sequences
from sweep.grpo.loss import policy_loss, token_weights
from sweep.rollout.sample import Sampled
from sweep.run.config import CellConfig
from sweep.run.keyed import generator, torch_seed
from sweep.run.processes import release_free_memory

log = logging.getLogger("sweep.grpo")


@dataclass(frozen=True)
class Scored:
    """A response with its advantage."""

    sampled: Sampled
    advantage: float


class Learner:
    """Owns the DeepSpeed engine. Every process holds one and calls it with the same arguments."""

    def __init__(self, model: PreTrainedModel, config: CellConfig, pad_id: int) -> None:
        self.config, self.pad_id = config, pad_id
        self.updates_done = 0
        if config.deepspeed.gradient_checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        policy = Policy(model)
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

    def update(self, rollout: Sequence[Scored], step: int) -> dict[str, float]:
        """Train on one rollout: `updates_per_rollout` optimiser steps, one epoch over the shuffled responses.

        The shuffle is keyed, so each update sees the same responses on any number of processes.

        Returns:
            means over the updates: loss, entropy, clip fractions, ratio, policy_kl, grad_norm, learning_rate.
        """
        algorithm, rank, world = self.config.algorithm, dist.get_rank(), dist.get_world_size()
        torch.manual_seed(torch_seed(self.config.seed, "torch", step, rank))
        self.engine.train()  # what gradient checkpointing asks for; dropout is 0 in every model that is loaded
        order = generator(self.config.seed, "update order", step).permutation(len(rollout))
        size = algorithm.responses_per_update
        updates = [[rollout[i] for i in order[k : k + size]] for k in range(0, len(order), size)]
        mine = [update[rank::world] for update in updates]
        old = [self._old_logprobs(share) for share in mine]
        totals: dict[str, list[float]] = defaultdict(list)
        for update, share, old_logprobs in zip(updates, mine, old, strict=True):
            for name, value in self._optimizer_step(update, share, old_logprobs).items():
                totals[name].append(value)
        return {name: sum(values) / len(values) for name, values in totals.items()}

    def _micro_batches(self, share: Sequence[Scored]) -> Iterator[tuple[list[Scored], Sequences]]:
        size = self.config.deepspeed.micro_batch_size
        for start in range(0, len(share), size):
            chosen = list(share[start : start + size])
            yield (
                chosen,
                pad_sequences(
                    [s.sampled.prompt_ids for s in chosen],
                    [s.sampled.ids for s in chosen],
                    self.pad_id,
                    self.engine.device,
                ),
            )

    @torch.no_grad()
    def _old_logprobs(self, share: Sequence[Scored]) -> list[torch.Tensor]:
        """The trainer's own log-probs of each micro-batch before the rollout's first update."""
        temperature = self.config.rollout.temperature
        return [self.engine(batch, temperature)[0] for _, batch in self._micro_batches(share)]

    def _optimizer_step(
        self, update: Sequence[Scored], share: Sequence[Scored], old: list[torch.Tensor]
    ) -> dict[str, float]:
        algorithm, world = self.config.algorithm, dist.get_world_size()
        tokens = sum(len(s.sampled.ids) for s in update)
        rate = self._set_learning_rate()
        sums: dict[str, torch.Tensor] = defaultdict(lambda: torch.zeros((), device=self.engine.device))
        batches = list(self._micro_batches(share))
        for k, ((chosen, batch), old_logprobs_bt) in enumerate(zip(batches, old, strict=True)):
            logprobs_bt, entropy_bt = self.engine(batch, self.config.rollout.temperature)
            weights_bt = token_weights(batch.mask_bt, algorithm.aggregation, len(update), tokens)
            advantages_b = torch.tensor([s.advantage for s in chosen], device=self.engine.device)
            loss, statistics = policy_loss(
                logprobs_bt, old_logprobs_bt, advantages_b, weights_bt, algorithm.clip_low, algorithm.clip_high
            )
            self.engine.set_gradient_accumulation_boundary(k == len(batches) - 1)
            # The weights already average over the whole update; DeepSpeed's own average over ranks is undone.
            self.engine.backward(loss * world)
            sums["loss"] += loss.detach()
            sums["entropy"] += (entropy_bt * weights_bt).sum()
            for name, value in statistics.items():
                sums[name] += value
        release_free_memory()
        self.engine.step()
        self.updates_done += 1
        names, values = zip(*sums.items(), strict=True)
        values_k = torch.stack(values)
        dist.all_reduce(values_k)
        norm = float(self.engine.get_global_grad_norm())
        return {**dict(zip(names, values_k.tolist(), strict=True)), "grad_norm": norm, "learning_rate": rate}

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
        """Restore weights and optimiser from `directory`; returns the step after which it was written."""
        path, state = self.engine.load_checkpoint(
            str(directory.parent), tag=directory.name, load_module_strict=not self._adapters_only
        )
        if path is None:
            raise RuntimeError(f"{directory}: DeepSpeed found no checkpoint for {dist.get_world_size()} processes")
        self.updates_done = state["updates"]
        return state["step"]

    def export(self, directory: Path, tokenizer) -> None:
        """Write the policy as transformers loads it, tokenizer included; the directory appears whole or not at all.

        Under LoRA these are the adapters, which name the model they belong to.
        """
        with self.sampling_model() as model:
            if dist.get_rank() == 0:
                partial = directory.with_name(f".{directory.name}.partial")
                save_model(model, partial)
                tokenizer.save_pretrained(partial)
                partial.rename(directory)
        dist.barrier()


def deepspeed_settings(config: CellConfig) -> dict:
    """DeepSpeed's own configuration for a cell. Micro-batches are counted by the learner, not by DeepSpeed."""
    zero = {"stage": config.deepspeed.zero_stage}
    if config.deepspeed.offload_optimizer:
        zero["offload_optimizer"] = {"device": "cpu", "pin_memory": torch.cuda.is_available()}
    return {
        "train_micro_batch_size_per_gpu": config.deepspeed.micro_batch_size,
        "gradient_accumulation_steps": 1,
        "gradient_clipping": config.optimizer.max_grad_norm,
        "bf16": {"enabled": config.model.dtype == "bfloat16"},
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,  # DeepSpeed's own would have to be compiled
        "steps_per_print": 10**9,
        "wall_clock_breakdown": False,
    }
