"""Problems a second of an evaluation, and its memory, beside the engine called bare in the same run.

    python benchmarks/evaluation.py

Both sides sample the same answers of the same model, with the same draws and of the same lengths. The engine alone is
called once with all requests. The evaluation is the product's own: it samples in chunks, finds and grades answers,
counts votes, detects behaviours, writes Parquet parts, and computes the numbers at the end. The model is random, so
that its tokens mean nothing; on both sides each response has the text of a realistic one (`grading.py`). The two
alternate, and ratios are of pairs: of time, and of processor time, which other work on the machine changes less.
Memory is the most that a process of its own ever holds. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from cpuinfo import get_cpu_info

from benchmarks.grading import KINDS, STEP
from benchmarks.grpo_step import Pairs, say
from benchmarks.step_ours import UNREACHABLE, NoText, cell
from benchmarks.workload import ROOT, SHAPES, Workload, load_policy, make_model, peak_memory
from models.prompts import Stop
from rewards.behaviours import Behaviours
from rewards.grading import Grader
from sweep.data.problems import Problem
from sweep.evaluate.answering import LARGEST_CHUNK, Answerer
from sweep.evaluate.asked import AskedBenchmark, WeightsAsked
from sweep.evaluate.evaluate import evaluate
from sweep.evaluate.weights import model_hash
from sweep.job.processes import device, join, leave
from sweep.rollout.engine import open_sampler
from sweep.rollout.sample import Request, Sampled, Sampler
from sweep.rollout.stop import StopRules
from sweep.run.answer_manifest import Made

AIM_SPEED, AIM_MEMORY_MB = 0.9, 300
SIDES = ("bare", "chunks", "ours")  # chunks: the engine alone, asked for a chunk at a time, whose responses are dropped


@dataclass(frozen=True)
class Asked:
    """What is asked: `samples` answers to each of `problems`, of `mean` tokens on average and at most `longest`."""

    shape: str
    problems: int
    samples: int
    mean: float
    longest: int
    chunk: int | None
    rows: int | None


class Scripted:
    """An engine whose responses have the lengths and the texts that the request's key says."""

    def __init__(self, sampler: Sampler, asked: Asked) -> None:
        self.sampler, self.asked = sampler, asked

    def sample(self, model, requests: Sequence[Request], *how) -> list[Sampled]:
        """See `Sampler`."""
        asked = self.asked
        limits = [min(asked.longest, 1 + int(_draws(r).expovariate(1 / asked.mean))) for r in requests]
        limited = [replace(r, max_tokens=limit) for r, limit in zip(requests, limits, strict=True)]
        found = self.sampler.sample(model, limited, *how)
        return [replace(s, text=response(r)) for s, r in zip(found, requests, strict=True)]


def _draws(request: Request) -> random.Random:
    return random.Random(repr(request.key))


def problems(count: int) -> list[Problem]:
    """Problems whose gold answers are of the kinds that MATH-500 has, as often."""
    return [Problem(f"p{n}", f"What is number {n}?", (_answers(n)[0],)) for n in range(count)]


def _answers(number: int) -> tuple[str, str, str]:
    """The gold answer to a problem, the same in another form, and a wrong answer."""
    return KINDS[number % len(KINDS)](5 + number)


def response(request: Request) -> str:
    """Reasoning with an answer at its end: right in half of all responses, sometimes in another form."""
    rng, number = _draws(request), int(request.key[-2].removeprefix("p"))
    steps = []
    for _ in range(rng.randint(6, 14)):
        a, b = rng.randint(1, 90), rng.randint(1, 90)
        steps.append(STEP % (a, a, b, a + b, a * b, rng.randint(2, 40)))
    gold, rewritten, _ = _answers(number)
    wrong = _answers(number + len(KINDS) * rng.randint(1, 6))[2]
    answer = rng.choice([gold, rewritten, wrong, wrong])
    return "".join(steps) + f"Therefore the answer is $\\boxed{{{answer}}}$."


class Bench:
    """A model, its engine, and a benchmark to ask it."""

    def __init__(self, asked: Asked, place: Path) -> None:
        make_model(asked.shape, place / "model")
        workload = Workload(str(place / "model"), "float32", asked.problems, asked.samples, asked.longest)
        self.asked, self.place = asked, place
        config = cell(workload)
        rollout = config.rollout.model_copy(update={"batch_size": asked.rows})
        self.config = config.model_copy(update={"rollout": rollout})
        self.model = load_policy(workload, device()).eval()
        settings = self.config.evaluation.first.model_copy(
            update={"samples_per_problem": asked.samples, "temperature": 1.0, "max_response_tokens": asked.longest}
        )
        self.benchmark = AskedBenchmark(
            "benchmark",
            settings,
            problems(asked.problems),
            workload.prompt_ids(),
            None,
            {"evaluation": {"shape": asked.shape}},
        )
        self.sampler = Scripted(open_sampler(self.config, StopRules(NoText(), Stop((UNREACHABLE,)))), asked)

    def bare(self) -> int:
        """The engine alone, called once with all requests; returns the tokens that it sampled."""
        return self._sample([(p.id, s) for p in self.benchmark.problems for s in range(self.asked.samples)])

    def chunks(self) -> int:
        """The engine alone, a chunk at a time."""
        pairs = [(p.id, s) for p in self.benchmark.problems for s in range(self.asked.samples)]
        size = self.asked.chunk or LARGEST_CHUNK
        return sum(self._sample(pairs[start : start + size]) for start in range(0, len(pairs), size))

    def _sample(self, pairs: list[tuple[str, int]]) -> int:
        settings = self.benchmark.settings
        requests = [self.benchmark.request(*pair) for pair in pairs]
        found = self.sampler.sample(self.model, requests, settings.temperature, settings.top_p, None)
        return sum(len(sampled.ids) for sampled in found)

    def ours(self) -> int:
        """The evaluation, in a directory of its own; its workers start and end with it."""
        with ExitStack() as opened:
            place = Path(opened.enter_context(tempfile.TemporaryDirectory(dir=self.place)))
            grader, behaviours = Grader(self.config.grading, 2), Behaviours(self.config.behaviours, 2)
            opened.callback(grader.close)
            opened.callback(behaviours.close)
            made = Made(engine="transformers", dtype="float32", hardware="CPU", code="benchmark")
            answerer = Answerer(self.sampler, grader, behaviours, made, self.asked.chunk, lambda name: nullcontext())
            weights = WeightsAsked(place, "benchmark", None)
            found, spent = evaluate(answerer, self.model, self.benchmark, weights, model_hash(self.model))
            assert 0 < found.accuracy < 1 and found.problems == self.asked.problems, found
            return spent.generated


def speed(asked: Asked, pairs: int) -> dict:
    """Alternate both sides in this process; the first call of each warms up, with few problems."""
    rows: dict[str, list[dict]] = {"ours": [], "bare": []}
    with tempfile.TemporaryDirectory() as place:
        warm, bench = (Bench(one, Path(place)) for one in (replace(asked, problems=2), asked))
        assert warm.bare() == warm.ours(), "both sides sample the same"
        for number in range(pairs):
            for side in ("ours", "bare") if number % 2 else ("bare", "ours"):
                began, processor = time.perf_counter(), _processor_seconds()
                tokens = getattr(bench, side)()
                took = {"seconds": time.perf_counter() - began, "processor": _processor_seconds() - processor}
                rows[side].append({"tokens": tokens} | {f"per_{name}": asked.problems / s for name, s in took.items()})
                print(f"pair {number + 1}: {side} {say(took)}", flush=True)
    pairs_of = Pairs(rows["ours"], rows["bare"])
    each = {side: [round(row["per_seconds"], 3) for row in those] for side, those in rows.items()}
    return {
        **vars(asked),
        "tokens": rows["bare"][0]["tokens"],
        "problems_per_second": each,
        "load": os.getloadavg(),
        **pairs_of.ratio("per_seconds"),
        "by_processor_time": pairs_of.ratio("per_processor"),
    }


def _processor_seconds() -> float:
    """Seconds of processor time of this process, and of its processes that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def memory(asked: Asked) -> dict:
    """The most memory of each side, in a process of its own, in MB (2^20 bytes)."""
    peaks = {}
    for side in SIDES:
        command = [sys.executable, __file__, "--side", side, "--asked", json.dumps(vars(asked))]
        done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
        peaks[side] = json.loads(done.stdout.splitlines()[-1])
        print(f"memory: {side} {peaks[side]}", flush=True)
    held = {side: peak["mb"] for side, peak in peaks.items()}
    over = {f"over_{side}_mb": held["ours"] - held[side] for side in ("bare", "chunks")}
    return {**vars(asked), "mb": held, "seconds": {side: peak["seconds"] for side, peak in peaks.items()}, **over}


def measured(side: str, asked: Asked) -> None:
    """Do one side in this process, and say what it held."""
    with tempfile.TemporaryDirectory() as place:
        join(0, 1, 0, Path(place) / "meeting")
        bench = Bench(asked, Path(place))
        began = time.perf_counter()
        getattr(bench, side)()
        seconds = time.perf_counter() - began
        leave()
    print(json.dumps({"mb": round(peak_memory()["peak_rss_gb"] * 1024), "seconds": round(seconds, 1)}))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=list(SHAPES), default="qwen2_25m")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--problems", type=int, default=128)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--mean", type=float, default=60)
    parser.add_argument("--longest", type=int, default=256)
    parser.add_argument("--chunk", type=int, help="evaluation.chunk; if not given, as many as take ten minutes")
    parser.add_argument("--rows", type=int, default=256, help="responses that are decoded together")
    parser.add_argument("--memory-problems", type=int, default=5000)
    parser.add_argument("--only", choices=["speed", "memory"])
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--asked", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.pairs < 1:
        parser.error("--pairs: at least 1")
    return given


def main() -> None:
    given = arguments()
    if given.side:
        return measured(given.side, Asked(**json.loads(given.asked)))
    conditions = {
        "processor": get_cpu_info()["brand_raw"],
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    asked = Asked(given.shape, given.problems, given.samples, given.mean, given.longest, given.chunk, given.rows)
    result: dict = {"conditions": conditions}
    if given.only != "memory":
        with tempfile.TemporaryDirectory() as place:
            join(0, 1, 0, Path(place) / "meeting")
            result["speed"] = speed(asked, given.pairs)
            leave()
        result |= {"ratio": result["speed"]["ratio"], "reached": result["speed"]["ratio"] >= AIM_SPEED}
    if given.only != "speed":
        result["memory"] = memory(replace(asked, shape="tiny", problems=given.memory_problems, mean=8, longest=32))
        result["memory_reached"] = result["memory"]["over_bare_mb"] <= AIM_MEMORY_MB
    print(json.dumps(result))


if __name__ == "__main__":
    sys.exit(main())
