"""GRPO steps on one GPU: MFU of the update with and without the optimiser step, rollout tokens/s, peak memory.

    python benchmarks/gpu.py --case full_1_5b
    python benchmarks/gpu.py --case lora_7b --steps 2 rollout=vllm

Random weights in bfloat16, 64 prompts × 16 samples × 1,024 tokens unless told otherwise, this project's own sampler and
learner under DeepSpeed. The last line is JSON. Nobody ran it on a GPU yet.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from models.architecture import architecture_from, read_architecture
from models.load import DTYPES, adapt
from models.prompts import Stop
from sweep.grpo.deal import Scored
from sweep.grpo.flops import peak_tflops, update_flops
from sweep.grpo.learner import Learner
from sweep.plan.compose import compose_cells
from sweep.rollout.engine import open_sampler
from sweep.rollout.sample import Request
from sweep.rollout.stop import StopRules
from sweep.run.processes import device, join

CASES = {
    "full_1_5b": ["model=qwen2_5_1_5b", "tuning=full"],
    "lora_7b": ["model=qwen2_5_7b", "tuning=lora"],
    "offload_7b": ["model=qwen2_5_7b", "tuning=full", "deepspeed.offload_optimizer=true"],
    "tiny": ["model=qwen2_mini", "model.dtype=bfloat16"],
}
UNREACHABLE = 2**40


class NoText:
    """Rewards play no part here, so no text is made."""

    def batch_decode(self, rows, **_options):
        return [""] * len(rows)


def random_model(config):
    """The configured shape with random weights, made where it is used."""
    shape = read_architecture(config.model).model_dump(exclude={"parameters", "query_key_norm"})
    settings = AutoConfig.for_model("qwen2", **shape, max_position_embeddings=config.model.context)
    with torch.device(device()):
        return AutoModelForCausalLM.from_config(settings, dtype=DTYPES[config.model.dtype])


def wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


class Stopwatch:
    """Seconds that a function takes, with the device done before and after."""

    def __init__(self, function) -> None:
        self.function, self.seconds = function, 0.0

    def __call__(self, *arguments, **options):
        wait()
        began = time.perf_counter()
        found = self.function(*arguments, **options)
        wait()
        self.seconds += time.perf_counter() - began
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=list(CASES), default="full_1_5b")
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--prompt-tokens", type=int, default=256)
    parser.add_argument("--tokens", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=3, help="after one that warms up")
    parser.add_argument("overrides", nargs="*", help="of the cell: rollout=vllm deepspeed.micro_batch_tokens=32768 …")
    given = parser.parse_args()
    (cell,) = compose_cells(
        [
            *CASES[given.case],
            "data=mini_arithmetic",
            "resources.gpus=1",
            "model.context=32768",
            f"rollout.max_prompt_tokens={given.prompt_tokens}",
            f"rollout.max_response_tokens={given.tokens}",
            f"algorithm.prompts_per_step={given.prompts}",
            f"algorithm.samples_per_prompt={given.samples}",
            "algorithm.updates_per_rollout=1",
            *given.overrides,
        ]
    )
    config = cell.config
    join(0, 1, 0, Path(tempfile.mkdtemp()) / "meeting")
    torch.manual_seed(0)
    learner = Learner(adapt(random_model(config), config.tuning, config.model), config)
    sampler = open_sampler(config.rollout, StopRules(NoText(), Stop((UNREACHABLE,))))
    shape = architecture_from(learner.model_config)
    prompts = [[(7 * i + 13 * t) % 90 + 5 for t in range(given.prompt_tokens)] for i in range(given.prompts)]
    rows = []
    for number in range(given.steps + 1):
        keys = [(i, (0, "benchmark", number, i)) for i in range(given.prompts * given.samples)]
        sample, update = Stopwatch(sampler.sample), Stopwatch(learner.update)
        step = learner.engine.step = Stopwatch(type(learner.engine).step.__get__(learner.engine))
        with learner.sampling_model() as policy:
            answers = sample(policy, [Request(prompts[i // given.samples], key) for i, key in keys], 1.0)
        update([Scored(a, (-1.0) ** i) for i, a in enumerate(answers)], number + 1)
        lengths = [(len(a.prompt_ids), len(a.ids)) for a in answers]
        tflop = update_flops(shape, lengths, config.algorithm, 1, config.tuning.method == "lora") / 1e12
        rows.append(
            {
                "rollout_tokens_per_second": sum(n for _, n in lengths) / sample.seconds,
                "rollout_seconds": sample.seconds,
                "update_seconds": update.seconds,
                "optimizer_seconds": step.seconds,
                "update_tflops": tflop / update.seconds,
                "update_tflops_without_optimizer": tflop / (update.seconds - step.seconds),
            }
        )
        print({name: round(value, 3) for name, value in rows[-1].items()}, flush=True)
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    peak = config.resources.peak_tflops or peak_tflops(name, config.model.dtype)
    middle = {key: statistics.median(row[key] for row in rows[1:]) for key in rows[0]}
    result = {"case": given.case, "device": name, "torch": torch.__version__, **vars(given), **middle}
    if torch.cuda.is_available():
        result["peak_memory_gb"] = torch.cuda.max_memory_allocated() / 2**30
    if peak:
        result["mfu"] = middle["update_tflops"] / peak
        result["mfu_without_optimizer"] = middle["update_tflops_without_optimizer"] / peak
    print(json.dumps(result))


if __name__ == "__main__":
    sys.exit(main())
