"""GRPO steps on one GPU: MFU of the update with and without the optimiser step, rollout tokens/s, peak memory.

    python benchmarks/gpu.py --case full_1_5b --peer trl
    python benchmarks/gpu.py --case lora_7b --steps 2 rollout=vllm

Random weights in bfloat16, 64 prompts × 16 samples × 1,024 tokens unless told otherwise, this project's own sampler and
learner under DeepSpeed; with `--peer trl` then TRL's trainer on the same weights, prompts and lengths, alone on the GPU
too. The last line is JSON.

On a machine that has torch, transformers and triton but no network, `make carried` on another one makes the rest:

    PYTHONPATH=.carried python3 benchmarks/gpu.py --case full_1_5b --peer trl --peer-python python3
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from benchmarks.step_ours import Stepper
from benchmarks.workload import END, PAD, ROOT, Side, Workload, make_tokenizer, peak_memory
from models.architecture import architecture_from, read_architecture
from models.load import DTYPES
from sweep.config.cell import CellConfig
from sweep.grpo.flops import peak_tflops, update_flops
from sweep.plan.compose import compose_cells

CASES = {
    "full_1_5b": ["model=qwen2_5_1_5b", "tuning=full"],
    "lora_7b": ["model=qwen2_5_7b", "tuning=lora"],
    "offload_7b": ["model=qwen2_5_7b", "tuning=full", "deepspeed.offload_optimizer=true"],
    "tiny": ["model=qwen2_mini", "model.dtype=bfloat16"],
}
TRL = ROOT / ".venv-trl" / "bin" / "python"


def configure(given: argparse.Namespace) -> CellConfig:
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
    return cell.config


def write_model(config: CellConfig, directory: Path) -> None:
    """The configured shape with random weights, and a tokenizer."""
    shape = read_architecture(config.model).model_dump(exclude={"parameters", "query_key_norm"})
    special = {"pad_token_id": PAD, "eos_token_id": END, "bos_token_id": END}
    settings = AutoConfig.for_model("qwen2", **shape, **special, max_position_embeddings=config.model.context)
    torch.manual_seed(0)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = AutoModelForCausalLM.from_config(settings, dtype=DTYPES[config.model.dtype])
    model.save_pretrained(directory)
    make_tokenizer(settings.vocab_size, directory)
    del model
    if torch.cuda.is_available():  # the peer has the GPU alone
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def describe(given: argparse.Namespace, config: CellConfig, model: Path) -> Workload:
    """What both sides do."""
    checkpointing = json.dumps(config.deepspeed.gradient_checkpointing)
    return Workload(
        str(model),
        config.model.dtype,
        given.prompts,
        given.samples,
        given.tokens,
        peer_micro_batch=given.peer_micro_batch,
        peer_settings=(f"gradient_checkpointing={checkpointing}", *given.peer_setting),
        prompt_tokens=given.prompt_tokens,
        lora=(config.tuning.rank, config.tuning.alpha) if config.tuning.method == "lora" else None,
    )


def measure_peer(python: Path, workload: Workload, steps: int, place: Path) -> dict:
    """Medians of TRL's steps after one that warms up."""
    side = Side(python, "step_trl.py", workload.write(place / "workload.json"), place / "trl.log")
    rows = []
    for _ in range(steps + 1):
        rows.append(side.step())
        print("trl", rounded(rows[-1]), flush=True)
    side.close()
    return {key: statistics.median(row[key] for row in rows[1:]) for key in rows[0]}


def wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def rounded(row: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in row.items()}


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


def measure_ours(config: CellConfig, workload: Workload, steps: int, place: Path) -> dict:
    """Medians of our steps after one that warms up."""
    stepper, rows = Stepper(workload, config, place / "meeting"), []
    engine, shape = stepper.learner.engine, architecture_from(stepper.learner.model_config)
    lengths = [(workload.prompt_tokens, workload.max_tokens)] * workload.responses
    tflop = update_flops(shape, lengths, config.algorithm, 1, config.tuning.method == "lora") / 1e12
    plain_step = engine.step
    for number in range(steps + 1):
        rollout, update = Stopwatch(stepper.rollout), Stopwatch(stepper.update)
        optimizer = engine.step = Stopwatch(plain_step)
        rollout(number)
        update(number)
        rows.append(
            {
                "seconds": rollout.seconds + update.seconds,
                "rollout": rollout.seconds,
                "update": update.seconds,
                "optimizer": optimizer.seconds,
                "rollout_tokens_per_second": workload.tokens / rollout.seconds,
                "update_tflops": tflop / update.seconds,
                "update_tflops_without_optimizer": tflop / (update.seconds - optimizer.seconds),
                **peak_memory(),
            }
        )
        print("ours", rounded(rows[-1]), flush=True)
    return {key: statistics.median(row[key] for row in rows[1:]) for key in rows[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=list(CASES), default="full_1_5b")
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--prompt-tokens", type=int, default=256)
    parser.add_argument("--tokens", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=3, help="of each side, after one that warms up")
    parser.add_argument("--peer", choices=["trl"])
    parser.add_argument("--peer-python", type=Path, default=TRL, help="that has TRL; `make trl` makes the default")
    parser.add_argument("--peer-micro-batch", type=int, default=16)
    parser.add_argument("--peer-setting", action="append", default=[], help="NAME=JSON of GRPOConfig")
    parser.add_argument("overrides", nargs="*", help="of the cell: rollout=vllm deepspeed.micro_batch_tokens=32768 …")
    given = parser.parse_args()
    config = configure(given)
    if given.peer and config.deepspeed.offload_optimizer:
        parser.error("TRL's side offloads nothing; leave --peer out, or take another case")
    if given.peer and given.peer_python == TRL and not TRL.exists():
        subprocess.run(["make", "-C", str(ROOT), "--silent", "trl"], check=True)
    place = Path(tempfile.mkdtemp())
    write_model(config, place / "model")
    workload = describe(given, config, place / "model")
    peer = measure_peer(given.peer_python, workload, given.steps, place) if given.peer else None
    ours = measure_ours(config, workload, given.steps, place)
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    result = {"device": name, "torch": torch.__version__, **vars(given), "ours": ours}
    if peak := config.resources.peak_tflops or peak_tflops(name, config.model.dtype):
        result["mfu"] = ours["update_tflops"] / peak
        result["mfu_without_optimizer"] = ours["update_tflops_without_optimizer"] / peak
    if peer:
        result |= {"trl": peer, "ratio": ours["seconds"] / peer["seconds"]}
    print(json.dumps(result, default=str))


if __name__ == "__main__":
    sys.exit(main())
