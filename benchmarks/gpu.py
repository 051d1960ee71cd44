"""GRPO steps on one GPU: MFU of the update with and without the optimiser step, rollout tokens/s, peak memory.

    python benchmarks/gpu.py --case full_1_5b --peer trl
    python benchmarks/gpu.py --case lora_7b --steps 2 --out found.json rollout=vllm

Random weights in bfloat16, 64 prompts × 16 samples × 1,024 tokens unless told otherwise, this project's own sampler and
learner under DeepSpeed; with `--peer trl` also TRL's trainer on the same weights, prompts and lengths. Each side is a
process of its own and has the GPU alone. If one fails or takes longer than `--limit`, the result says so and has the
other. The last line is JSON; `--out FILE` gathers the results of several calls in a file.

On a machine that has torch, transformers and triton but no network, `make carried` on another one makes the rest:

    PYTHONPATH=.carried python3 benchmarks/gpu.py --case full_1_5b --peer trl --peer-python python3
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.workload import END, PAD, ROOT, Side, Workload, make_tokenizer
from models.architecture import read_architecture
from sweep.config.cell import CellConfig
from sweep.config.devices import peak_tflops
from sweep.config.flops import update_flops
from sweep.plan.compose import compose_cells
from sweep.plan.resources import DTYPE_BYTES, Memory, predict_memory

CASES = {
    "full_1_5b": ["model=qwen2_5_1_5b", "tuning=full"],
    "lora_7b": ["model=qwen2_5_7b", "tuning=lora"],
    "offload_7b": ["model=qwen2_5_7b", "tuning=full", "deepspeed.offload_optimizer=true"],
    "tiny": ["model=qwen2_mini", "model.dtype=bfloat16"],
}
TRL = ROOT / ".venv-trl" / "bin" / "python"
PACKAGES = ("torch", "transformers", "deepspeed", "peft", "triton")


def overrides_of(given: argparse.Namespace) -> list[str]:
    """What makes the cell of a case."""
    return [
        *CASES[given.case],
        "data=mini_arithmetic",
        "rollout=transformers",
        "resources.gpus=1",
        "model.context=32768",
        f"rollout.max_prompt_tokens={given.prompt_tokens}",
        f"rollout.max_response_tokens={given.tokens}",
        f"algorithm.prompts_per_step={given.prompts}",
        f"algorithm.samples_per_prompt={given.samples}",
        "algorithm.updates_per_rollout=1",
        *given.overrides,
    ]


def write_model(config: CellConfig, directory: Path) -> None:
    """The configured shape and a tokenizer. Each side draws the weights itself, on its device."""
    from transformers import AutoConfig

    shape = read_architecture(config.model).model_dump(exclude={"parameters", "query_key_norm"})
    special = {"pad_token_id": PAD, "eos_token_id": END, "bos_token_id": END}
    settings = AutoConfig.for_model("qwen2", **shape, **special, max_position_embeddings=config.model.context)
    settings.architectures = ["Qwen2ForCausalLM"]
    settings.save_pretrained(directory)
    make_tokenizer(settings.vocab_size, directory)


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


def measure(name: str, side: Side, warm_up: int, steps: int, limit: float | None) -> dict:
    """Medians of a side's steps after `warm_up` others; {"failed": why} if it ends early or has to be ended."""
    timer = threading.Timer(limit, side.kill) if limit else None
    if timer:
        timer.start()
    rows: list[dict] = []
    try:
        for _ in range(warm_up + steps):
            rows.append(side.step())
            print(name, {key: round(value, 3) for key, value in rows[-1].items()}, flush=True)
        side.close()
    except RuntimeError as error:
        late = f"it was ended after {limit:g} s; " if timer and not timer.is_alive() else ""
        side.kill()
        return {"failed": f"{late}{error}", "steps": rows}
    finally:
        if timer:
            timer.cancel()
    return {key: statistics.median(row[key] for row in rows[warm_up:]) for key in rows[0]}


def gpu() -> tuple[str | None, str | None]:
    """The name and the driver of the first GPU, asked for in a way that takes none of its memory."""
    asked = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        first = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.splitlines()[0]
    except (FileNotFoundError, subprocess.CalledProcessError, IndexError):
        return None, None
    name, _, driver = first.partition(", ")
    return name, driver


def versions() -> dict[str, str]:
    """Of Python and of the packages that count; TRL's is the pinned one, which may lie in an environment of its own."""
    installed = {found.name.lower(): found.version for found in metadata.distributions()}
    pinned = (ROOT / "benchmarks" / "requirements-trl.txt").read_text().splitlines()
    trl = next(line.partition("==")[2] for line in pinned if line.startswith("trl=="))
    of_packages = {name: installed[name] for name in PACKAGES if name in installed}
    return {"python": platform.python_version(), **of_packages, "trl": trl}


def settings_of(config: CellConfig, responses: int) -> dict:
    """What a reader must know of how our side was set."""
    shape = read_architecture(config.model)
    return {
        "tuning": config.tuning.method,
        "zero_stage": config.deepspeed.zero_stage,
        "offload_optimizer": config.deepspeed.offload_optimizer,
        "gradient_checkpointing": config.deepspeed.gradient_checkpointing,
        "micro_batch_tokens": config.deepspeed.micro_batch_tokens,
        "rollout": config.rollout.name,
        "rows_at_once": min(responses, config.rollout.rows(shape, DTYPE_BYTES[config.model.dtype])),
    }


def rates(side: dict, tflop: float, tokens: int, peak: float | None) -> dict:
    """What follows from a side's seconds. `tflop`: of an update, its recomputation not counted."""
    found = {"rollout_tokens_per_second": tokens / side["rollout"], "update_tflops": tflop / side["update"]}
    if "passes" in side:
        found["update_tflops_without_optimizer"] = tflop / side["passes"]
    if peak:
        found["mfu"] = found["update_tflops"] / peak
    if peak and "passes" in side:
        found["mfu_without_optimizer"] = found["update_tflops_without_optimizer"] / peak
    return found


def beside_plan(predicted: Memory, ours: dict, warm_up: int) -> dict:
    """The predicted memory in GiB, and measured over predicted where there is a GPU.

    What CUDA takes beside the tensors is predicted too, but torch does not count it: the ratio leaves it out. The first
    rollout of a run comes before the optimiser has made its moments, so that no ratio is given without a warm-up.
    """
    parts = {name: size / 2**30 for name, size in vars(predicted).items()}
    found = {"peak_gb": predicted.peak / 2**30, "parts_gb": parts}
    if "peak_gpu_gb" in ours and warm_up:
        found["measured_over_predicted"] = ours["peak_gpu_gb"] / (found["peak_gb"] - parts["libraries"])
    return found


def write(file: Path, result: dict) -> None:
    """Put a result behind those that the file has."""
    results = json.loads(file.read_text()) if file.exists() else []
    file.write_text(json.dumps([*results, result], indent=1) + "\n")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=list(CASES), default="full_1_5b")
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--prompt-tokens", type=int, default=256)
    parser.add_argument("--tokens", type=int, default=1024)
    parser.add_argument("--warm-up", type=int, default=1, help="steps of each side that do not count")
    parser.add_argument("--steps", type=int, default=3, help="of each side that count")
    parser.add_argument("--limit", type=float, help="seconds that each side may take")
    parser.add_argument("--out", type=Path, help="a file to which the result is added")
    parser.add_argument("--peer", choices=["trl"])
    parser.add_argument("--peer-python", type=Path, default=TRL, help="that has TRL; `make trl` makes the default")
    parser.add_argument("--peer-micro-batch", type=int, default=16)
    parser.add_argument("--peer-setting", action="append", default=[], help="NAME=JSON of GRPOConfig")
    parser.add_argument("overrides", nargs="*", help="of the cell: rollout=vllm deepspeed.micro_batch_tokens=32768 …")
    given = parser.parse_args()
    if given.peer and given.peer_python == TRL and not TRL.exists():
        subprocess.run(["make", "-C", str(ROOT), "--silent", "trl"], check=True)
    return given


def main() -> int:
    given = parse()
    overrides = overrides_of(given)
    (cell,) = compose_cells(overrides)
    config = cell.config
    if given.peer and config.deepspeed.offload_optimizer:
        sys.exit("TRL's side offloads nothing; leave --peer out, or take another case")
    place = Path(tempfile.mkdtemp())
    write_model(config, place / "model")
    workload = describe(given, config, place / "model")
    file, (device, driver) = workload.write(place / "workload.json"), gpu()
    shape, lengths = read_architecture(config.model), [(given.prompt_tokens, given.tokens)] * workload.responses
    tflop = update_flops(shape, lengths, config.algorithm, 1, config.tuning.method == "lora") / 1e12
    peak = config.resources.peak_tflops or peak_tflops(device, config.model.dtype)
    result = {
        "device": device,
        "driver": driver,
        "versions": versions(),
        **{name: value for name, value in vars(given).items() if name not in ("out", "peer_python", "limit")},
        "settings": settings_of(config, workload.responses),
        "peak_tflops": peak,
    }
    sides = {"ours": (sys.executable, "gpu_step.py", *overrides)}
    if given.peer:
        sides["trl"] = (given.peer_python, "step_trl.py")
    for name, (python, script, *arguments) in sides.items():
        side = Side(python, script, file, place / f"{name}.log", *arguments)
        found = measure(name, side, given.warm_up, given.steps, given.limit)
        result[name] = found if "failed" in found else found | rates(found, tflop, workload.tokens, peak)
    result["plan"] = beside_plan(predict_memory(config, on_gpu=device is not None), result["ours"], given.warm_up)
    failed = [name for name in sides if "failed" in result[name]]
    if given.peer and not failed:
        result["ratio"] = result["ours"]["seconds"] / result["trl"]["seconds"]
    if given.out:
        write(given.out, result)
    print(json.dumps(result))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
