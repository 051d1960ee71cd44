"""A side of benchmarks/grpo_step.py: TRL's GRPOTrainer under DeepSpeed ZeRO-2 with its fastest settings here.

Usage: .venv-trl/bin/python benchmarks/step_trl.py WORKLOAD
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time

import torch

os.environ.update(RANK="0", LOCAL_RANK="0", WORLD_SIZE="1", MASTER_ADDR="127.0.0.1", MASTER_PORT="0")
if not torch.cuda.is_available():
    os.environ.setdefault("DS_ACCELERATOR", "cpu")

import deepspeed
from datasets import Dataset
from peft import LoraConfig
from transformers import LogitsProcessor, LogitsProcessorList, PreTrainedTokenizerFast, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from benchmarks.workload import END, Workload, answer, asked, has_weights, load_policy

deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False  # as on our side: gloo, nothing to compile
STEPS = 10_000


class Lengths(LogitsProcessor):
    """Every response ends at its recorded length and not before."""

    def __init__(self, lengths: list[int]) -> None:
        self.lengths, self.step = torch.tensor(lengths), 0

    def __call__(self, input_ids, scores):
        self.step += 1
        self.lengths = self.lengths.to(scores.device)
        ends_b = self.lengths <= self.step
        scores[:, END].masked_fill_(~ends_b, -float("inf"))
        forced_v = torch.full_like(scores[0], -float("inf"))
        forced_v[END] = 0.0
        return torch.where(ends_b[:, None], forced_v, scores)  # no value is asked for: a GPU goes on without waiting


def wait() -> None:
    """For the GPU's work so far, which would count in what comes next."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


class Asked(TrainerCallback):
    """A step at a time, when asked for; tells what the last one took."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self.seconds = seconds
        self.began = time.perf_counter()

    def on_step_end(self, _arguments, _state, control, **_):
        wait()
        taken = time.perf_counter() - self.began
        rollout = self.seconds.pop("rollout", 0.0)
        answer({"seconds": taken, "rollout": rollout, "update": taken - rollout})
        control.should_training_stop = not asked()
        self.began = time.perf_counter()
        return control


def settings_of(workload: Workload) -> dict:
    """Of TRL's GRPOConfig."""
    bf16 = workload.dtype == "bfloat16"
    # What ZeRO-2 is on one process, without the copies it makes there; our learner does the same.
    zero = {"zero_optimization": {"stage": 1}, "bf16": {"enabled": bf16}, "zero_allow_untested_optimizer": True}
    zero |= {name: "auto" for name in ("train_micro_batch_size_per_gpu", "gradient_accumulation_steps")}
    zero |= {"train_batch_size": "auto", "gradient_clipping": "auto"}
    settings = {
        "output_dir": tempfile.mkdtemp(),
        "use_cpu": not torch.cuda.is_available(),
        "per_device_train_batch_size": workload.peer_micro_batch,
        "gradient_accumulation_steps": workload.responses // workload.peer_micro_batch,
        "num_generations": workload.samples,
        "max_completion_length": workload.max_tokens,
        "max_steps": STEPS,
        "logging_steps": STEPS,
        "report_to": [],
        "save_strategy": "no",
        "bf16": bf16,
        "beta": 0.0,
        "gradient_checkpointing": False,
        "cache_implementation": "static",
        "model_init_kwargs": {"dtype": workload.dtype} if has_weights(workload.model) else None,
        "disable_tqdm": True,
        "deepspeed": zero,
        "shuffle_dataset": False,
    }
    return settings | {
        name: json.loads(value) for name, _, value in (line.partition("=") for line in workload.peer_settings)
    }


def main(file: str) -> None:
    workload = Workload.read(file)
    prompts = [" ".join(f"t{i}" for i in ids) for ids in workload.prompt_ids()]
    # AutoTokenizer would take the class that belongs to the model's type, which splits these words otherwise.
    tokenizer = PreTrainedTokenizerFast.from_pretrained(workload.model, truncation_side="left", padding_side="left")
    assert tokenizer(prompts)["input_ids"] == workload.prompt_ids(), "TRL's side would train on other prompts"
    adapters = None
    if workload.lora:
        rank, alpha = workload.lora
        adapters = LoraConfig(task_type="CAUSAL_LM", r=rank, lora_alpha=alpha, target_modules="all-linear")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    trainer = GRPOTrainer(
        model=workload.model if has_weights(workload.model) else load_policy(workload, device),
        processing_class=tokenizer,
        # Every completion of a group gets a reward of its own, so that no advantage is 0.
        reward_funcs=lambda completions, **_: [float(i % workload.samples) for i in range(len(completions))],
        args=GRPOConfig(**settings_of(workload)),
        train_dataset=Dataset.from_list([{"prompt": p} for p in prompts] * 1000),
        peft_config=adapters,
    )
    seconds: dict[str, float] = {}
    plain, generate = trainer._generate_single_turn, trainer.model.generate

    def with_lengths(*arguments, **options):
        lengths = [workload.length_of(i) for i in range(workload.responses)]
        return generate(*arguments, logits_processor=LogitsProcessorList([Lengths(lengths)]), **options)

    def timed(*arguments, **options):
        wait()
        began = time.perf_counter()
        found = plain(*arguments, **options)
        wait()
        seconds["rollout"] = seconds.get("rollout", 0.0) + time.perf_counter() - began
        return found

    trainer.model.generate, trainer._generate_single_turn = with_lengths, timed
    if asked():
        trainer.add_callback(Asked(seconds))
        trainer.train()


if __name__ == "__main__":
    main(sys.argv[1])
