"""Loss and gradients of a preset, by TRL's own `GRPOTrainer._compute_loss` and by ours, on the same model and tensors.

Usage: .venv-trl/bin/python tests/programs/loss_of_trl.py

Prints a JSON object: for each case, ours and TRL's loss, and the norm of the difference of all gradients relative to
the norm of TRL's.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from datasets import Dataset
from transformers import Qwen2Config, Qwen2ForCausalLM
from trl import GRPOConfig, GRPOTrainer

from models.mini.tokenizer import build_tokenizer
from sweep.config.algorithm import AlgorithmConfig
from sweep.grpo.logprobs import Policy, pack_sequences
from sweep.grpo.loss import LossInputs, policy_loss, response_weights
from sweep.plan.compose import compose_cells

MAX_TOKENS = 12
LENGTHS, PROMPT_LENGTHS = [12, 3, 7, 1, 9, 5], [4, 6, 5, 6, 3, 4]
# TRL's names for what the presets choose. Its entropy bonus and `mask_truncated` are defined otherwise than ours.
CASES = {
    "grpo": {"loss_type": "grpo", "beta": 0.0},
    "grpo with KL": {"loss_type": "grpo", "beta": 0.04, "use_bias_correction_kl": False},
    "dapo": {"loss_type": "dapo", "beta": 0.0, "epsilon_high": 0.28},
    "dr_grpo": {"loss_type": "dr_grpo", "beta": 0.0},
    "gspo": {
        "loss_type": "grpo",
        "beta": 0.0,
        "importance_sampling_level": "sequence",
        "epsilon": 3e-4,
        "epsilon_high": 4e-4,
    },
}


def small_model() -> Qwen2ForCausalLM:
    torch.manual_seed(0)
    return Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=128,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            initializer_range=0.3,  # so that log-probs differ between tokens
        )
    )


def tensors() -> dict[str, torch.Tensor]:
    """Random tokens, advantages of both signs, and log-probs that move ratios within and without every bound."""
    rng = torch.Generator().manual_seed(1)
    count = len(LENGTHS)
    tokens_bs = torch.randint(5, 128, (count, max(PROMPT_LENGTHS) + MAX_TOKENS), generator=rng)
    noise = torch.randn(2, count, MAX_TOKENS, generator=rng)
    return {
        "tokens_bs": tokens_bs,
        "advantages_b": torch.randn(count, generator=rng),
        "old_noise_bt": noise[0],
        "reference_noise_bt": 0.3 * noise[1],
    }


def main() -> None:
    given = tensors()
    prompts = [row[:n].tolist() for row, n in zip(given["tokens_bs"], PROMPT_LENGTHS, strict=True)]
    responses = [row[-MAX_TOKENS:][:n].tolist() for row, n in zip(given["tokens_bs"], LENGTHS, strict=True)]
    with tempfile.TemporaryDirectory() as directory:
        small_model().save_pretrained(directory)
        build_tokenizer("qwen").save_pretrained(directory)
        print(json.dumps({case: compare(case, directory, prompts, responses, given) for case in CASES}))


def compare(case: str, directory: str, prompts, responses, given) -> dict[str, float]:
    changes = {"kl_coefficient": CASES[case]["beta"]}
    algorithm = compose_cells([f"algorithm={case.split()[0]}"])[0].config.algorithm
    algorithm = AlgorithmConfig.model_validate(algorithm.model_dump() | changes)
    scale = 5e-4 if algorithm.ratio_level == "sequence" else 0.3
    policy = Policy(small_model())
    batch = pack_sequences(prompts, responses, torch.device("cpu"))
    logprobs_bt, entropy_bt = policy(batch, 1.0)
    mask_bt = batch.mask_bt.float()
    old_bt = (logprobs_bt.detach() + scale * given["old_noise_bt"]) * mask_bt
    reference_bt = (logprobs_bt.detach() + given["reference_noise_bt"]) * mask_bt
    weights = response_weights(LENGTHS, algorithm.aggregation, MAX_TOKENS, algorithm.aggregation_size)
    inputs = LossInputs(
        trainer_logprobs_bt=logprobs_bt * mask_bt,
        entropy_bt=entropy_bt,
        denominator_logprobs_bt=old_bt,
        sampler_logprobs_bt=old_bt,
        old_trainer_logprobs_bt=None,
        reference_logprobs_bt=reference_bt if algorithm.kl_coefficient else None,
        advantages_b=given["advantages_b"],
        mask_bt=mask_bt,
        weights_bt=torch.tensor(weights)[:, None] * mask_bt,
        shares_bt=mask_bt / mask_bt.sum(),
    )
    loss, statistics = policy_loss(inputs, algorithm)
    loss.backward()
    ours = {
        name.removeprefix(
            "model.",
        ): p.grad
        for name, p in policy.named_parameters()
    }
    their_loss, theirs = by_trl(CASES[case], directory, prompts, responses, given["advantages_b"], old_bt, reference_bt)
    difference = sum(((ours[name] - theirs[name]) ** 2).sum() for name in theirs) ** 0.5
    return {
        "ours": loss.item(),
        "trl": their_loss,
        "gradient_difference": (difference / sum((g**2).sum() for g in theirs.values()) ** 0.5).item(),
        "clipped": statistics.means["clip_fraction_region"].item(),
    }


def by_trl(settings: dict, directory: str, prompts, responses, advantages_b, old_bt, reference_bt):
    """TRL's loss, and its gradient for each parameter."""
    count = len(responses)
    trainer = GRPOTrainer(
        model=directory,
        reward_funcs=lambda completions, **_: [0.0] * len(completions),
        args=GRPOConfig(
            output_dir=f"{directory}/out",
            use_cpu=True,
            bf16=False,
            report_to=[],
            gradient_checkpointing=False,
            model_init_kwargs={"dtype": "float32"},
            per_device_train_batch_size=count,
            num_generations=count,
            gradient_accumulation_steps=1,
            max_completion_length=MAX_TOKENS,
            **settings,
        ),
        train_dataset=Dataset.from_dict({"prompt": ["1+1"] * count}),
    )
    trainer.current_gradient_accumulation_steps = 1
    width = max(map(len, prompts))
    prompt_ids = torch.tensor([[0] * (width - len(p)) + p for p in prompts])
    prompt_mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
    lengths_b1 = torch.tensor(LENGTHS)[:, None]
    completion_mask = (torch.arange(MAX_TOKENS)[None] < lengths_b1).int()
    completion_ids = torch.tensor([r + [0] * (MAX_TOKENS - len(r)) for r in responses])
    model = trainer.model.train()
    loss = trainer._compute_loss(
        model,
        {
            "prompt_ids": prompt_ids,
            "prompt_mask": prompt_mask,
            "completion_ids": completion_ids,
            "completion_mask": completion_mask,
            "advantages": advantages_b,
            "old_per_token_logps": old_bt,
            "ref_per_token_logps": reference_bt,
            "num_items_in_batch": completion_mask.sum(),
        },
    )
    loss.backward()
    return loss.item(), {name: p.grad for name, p in model.named_parameters()}


if __name__ == "__main__":
    main()
