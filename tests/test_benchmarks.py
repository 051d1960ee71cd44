"""Comparisons of speed: their arithmetic, and that they run from end to end on a tiny model. No time is asserted."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from benchmarks.gpu import measure
from benchmarks.growth import slope
from benchmarks.grpo_step import CACHES, Pairs, floor_seconds, gather
from benchmarks.workload import Side, Workload, geometric_lengths
from helpers.constants import ROOT

needs_trl = pytest.mark.skipif(not (ROOT / ".venv-trl" / "installed").exists(), reason="`make trl` installs TRL")


def last_line(script: str, *arguments: str) -> dict:
    command = [sys.executable, f"benchmarks/{script}.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-5000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_a_ratio_is_the_geometric_mean_over_pairs():
    pairs = Pairs(ours=[{"seconds": 1.0}, {"seconds": 4.0}], peer=[{"seconds": 2.0}, {"seconds": 2.0}])
    found = pairs.ratio()
    assert found["ratio"] == pytest.approx(1.0) and found["pairs"] == 2
    low, high = found["interval"]
    assert low * high == pytest.approx(1.0) and low < 0.5 < 2 < high


def test_only_pairs_of_the_same_conditions_are_gathered(tmp_path):
    kept, short, long = tmp_path / "pairs", {"tokens": (1, 2)}, {"tokens": (3, 4)}
    assert gather(kept, short, ([{"seconds": 1}], [{"seconds": 2}])) == ([{"seconds": 1}], [{"seconds": 2}])
    assert gather(kept, long, ([{"seconds": 3}], [{"seconds": 4}])) == ([{"seconds": 3}], [{"seconds": 4}])
    ours, peer = gather(kept, short, ([{"seconds": 5}], [{"seconds": 6}]))
    assert ours == [{"seconds": 1}, {"seconds": 5}] and peer == [{"seconds": 2}, {"seconds": 6}]


def test_the_floor_counts_every_product_once(tmp_path):
    (tmp_path / "config.json").write_text('{"vocab_size": 512}')
    workload = Workload(str(tmp_path), "float32", prompts=1, samples=2, max_tokens=4, prompt_tokens=5)
    # Two layers of 64 × 64 (twice), 64 × 32 (twice) and 64 × 128 (three times); a head of 64 × 512.
    layers, head = 2 * (2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 128), 64 * 512
    rollout, update = floor_seconds(workload, "tiny", gflops=1e-9)
    assert rollout == pytest.approx(2 * (layers * (5 + 8) + head * 8))
    assert update == pytest.approx(6 * (layers * (2 * 5 + 8) + head * 8))


def test_lengths_are_what_the_benchmark_says():
    lengths = geometric_lengths(4096, 50, 256)
    assert 45 < sum(lengths) / len(lengths) < 55 and max(lengths) == 256 and min(lengths) == 1


def test_a_slope_has_its_interval():
    found = slope([(0, 1.0), (1, 3.1), (2, 4.9), (3, 7.0)])
    assert found["slope"] == pytest.approx(1.98) and found["interval"][0] < 1.98 < found["interval"][1]


@needs_trl
def test_a_step_beside_trls():
    small = ["--shape", "tiny", "--dtype", "float32", "--tokens", "4", "--pairs", "2"]
    found = last_line("grpo_step", *small, "--only", "lengths")
    assert found["ratio_lengths"] == found["lengths"]["ratio"] and found["lengths"]["pairs"] == 2
    assert found["lengths"]["tokens"] == sum(geometric_lengths(64, 50, 8))
    assert found["lengths"]["trl_settings"][0] in CACHES
    for side in ("ours", "trl"):
        assert 0 < found["lengths"][side]["rollout"] < found["lengths"][side]["seconds"]


TINY_CASE = ["--case", "tiny", "--samples", "4", "--prompt-tokens", "8", "--tokens", "4", "--steps", "1"]


@needs_trl
def test_the_gpu_benchmark_measures_both_sides(tmp_path):
    out = tmp_path / "found.json"
    shape = [*TINY_CASE, "--prompts", "2", "--out", str(out)]
    found = last_line("gpu", *shape, "--peer", "trl", "--peer-micro-batch", "4", "rollout.batch_size=8")
    assert found["ratio"] == found["ours"]["seconds"] / found["trl"]["seconds"]
    assert 0 < found["ours"]["update_tflops"] < found["ours"]["update_tflops_without_optimizer"]
    assert found["ours"]["update"] == pytest.approx(found["ours"]["passes"] + found["ours"]["optimizer"])
    assert found["settings"]["rows_at_once"] == 8 and found["plan"]["peak_gb"] > 0
    assert json.loads(out.read_text()) == [found]


def test_a_side_that_fails_or_takes_too_long_leaves_the_other_its_result(tmp_path):
    def side(name: str, code: str) -> Side:
        (tmp_path / name).write_text(code)
        return Side(sys.executable, str(tmp_path / name), tmp_path / "workload.json", tmp_path / f"{name}.log")

    row = "print('STEP {\"seconds\": 2.0}', flush=True)"
    assert measure("fine", side("fine.py", f"{row}; {row}"), 1, 1, None) == {"seconds": 2.0}
    broken = measure("broken", side("broken.py", f"{row}; raise SystemExit('no memory')"), 1, 1, None)
    assert "no memory" in broken["failed"] and broken["steps"] == [{"seconds": 2.0}]
    late = measure("late", side("late.py", "import time; time.sleep(60)"), 1, 1, 0.5)
    assert late["failed"].startswith("it was ended after 0.5 s")


def test_the_page_shows_what_gpus_measured():
    page = (ROOT / "benchmarks/README.md").read_text()
    for found in json.loads((ROOT / "benchmarks/results/gpu.json").read_text()):
        ours, trl = found["ours"], found.get("trl")
        cells = [f"{found['ratio']:.2f}" if trl else ""]
        for number in ("{rollout:.1f}", "{update:.1f}", "{mfu:.0%}", "{peak_gpu_gb:.1f}"):
            cells += [number.format(**side).rstrip("%") if side else "" for side in (ours, trl)]
        cells += [f"{found['plan']['peak_gb'] - found['plan']['parts_gb']['libraries']:.1f}"]
        assert f"| {' | '.join(cells)} |" in page


def test_the_phases_of_a_step_add_up():
    for phase in last_line("phases", "--shape", "tiny", "--tokens", "8")["phases"]:
        parts = [v for k, v in phase.items() if k not in ("phase", "seconds", "floor")]
        assert sum(parts) == pytest.approx(phase["seconds"]) and phase["products"] > 0
        assert (phase["optimizer step"] > 0) == (phase["phase"] == "update")


def test_a_start_is_measured_part_by_part():
    found = last_line("start", "--repeats", "1", "tracking.mode=disabled", "algorithm.samples_per_prompt=2")["warm"]
    for kind in ("launched job", "plain process"):
        parts, ends = found[kind], ("to the first rollout", "to the first step", "processor")
        assert parts["to the first step"] == pytest.approx(sum(v for k, v in parts.items() if k not in ends), abs=0.1)
        assert parts["imports"] < parts["to the first rollout"] < parts["to the first step"]
    assert found["launch"]["baseline done"] < found["launch"]["first step done"] < found["launch"]["everything done"]
    assert found["imports"]["torch"] > 0 and found["imports"]["interpreter"] >= 0


def test_an_evaluation_beside_the_engine_alone():
    asked = ["--problems", "6", "--samples", "4", "--mean", "4", "--longest", "16", "--pairs", "2", "--chunk", "8"]
    found = last_line("evaluation", "--only", "speed", "--shape", "tiny", *asked)
    low, high = found["speed"]["interval"]
    assert low < found["ratio"] == found["speed"]["ratio"] < high and found["speed"]["pairs"] == 2
    assert found["reached"] == (found["ratio"] >= 0.9) and found["speed"]["by_processor_time"]["pairs"] == 2


def test_the_share_of_a_step_that_keeping_responses_takes():
    found = last_line("responses", "--prompts", "2", "--samples", "4", "--steps", "2", "--every", "2")
    assert found["responses"] == 8 and 0 < found["share"] < 1 and found["bytes_a_response"] > 0
    assert found["rows_ms"] + found["part_ms"] / 2 == pytest.approx(1000 * found["share"] * found["step_s"])


def test_what_is_said_of_wandbs_faults_is_what_was_measured():
    assert subprocess.run([sys.executable, "benchmarks/wandb_faults.py", "--help"], cwd=ROOT).returncode == 0
    measured = json.loads((ROOT / "benchmarks/results/wandb_faults.json").read_text())["faults"]
    page = (ROOT / "benchmarks/README.md").read_text()
    for name, found in measured.items():
        lost, said = (", ".join(str(one[key]) for one in found) for key in ("lost_s", "said"))
        assert f"| {name} | {lost} | {said} |" in page
        assert all(one["lost_s"] < 10 and one["said"] == (name != "healthy") and one["mended"] for one in found)
