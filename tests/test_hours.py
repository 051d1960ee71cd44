"""Predicted time: the arithmetic by hand, GPUs that were measured, runs of the same shape, and what `plan` says."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

import pytest

from helpers.hours import config
from models.architecture import read_architecture
from models.config import Architecture
from sweep.config.devices import GPUS, gpu_kind, kind_of_memory
from sweep.errors import UserError
from sweep.plan.compose import compose_cells
from sweep.plan.hours import jobs_needed, predict_labels, predict_step, predict_training
from sweep.plan.pace import FLOPS, HOST, MEMORY, Rates, Sampling, Timed, Updating, combined, sampling, updating
from sweep.plan.rates import GPU_LAYER, VLLM_LAYER, rates

SHAPE = Architecture(
    parameters=1000, num_hidden_layers=2, hidden_size=8, intermediate_size=16, num_attention_heads=2,
    num_key_value_heads=1, head_dim=4, vocab_size=10, tie_word_embeddings=True,
)  # fmt: skip
ONE = Rates(
    device="", kind=None, cores=1, assumed=False, flops=1.0, bandwidth=1.0, sampling=1.0, updating=1.0, layer=1.0,
    update_layer=1.0, ahead=False, start=0.0, disk=1.0, link=1.0,
)  # fmt: skip
TEN = Sampling(requests=10, prompts=2, prompt_tokens=3, response_tokens=4, longest=8, rows=5)


# The arithmetic.


@pytest.mark.parametrize(
    ("requests", "rows", "steps", "live"),
    [
        (5, 5, 8, 2.5),  # all at once: until the longest ends; 5 responses of 4 tokens in 8 steps
        (5, 9, 8, 2.5),
        (10, 5, 12, 10 / 3),  # 5 wait, and 5 rows take 4 tokens each of them; then the tail
    ],
)
def test_token_steps_and_the_rows_that_decode(requests, rows, steps, live):
    asked = replace(TEN, requests=requests, rows=rows)
    assert (asked.token_steps, asked.live) == (steps, pytest.approx(live))


@pytest.mark.parametrize(
    ("host", "memory", "flops", "ahead", "found"),
    [
        (1, 2, 3, False, Timed(4, FLOPS)),
        (1, 3, 2, False, Timed(4, MEMORY)),
        (4, 3, 2, False, Timed(7, HOST)),
        (1, 2, 3, True, Timed(3, FLOPS)),
        (4, 2, 3, True, Timed(4, HOST)),
    ],
)
def test_the_slowest_cost_counts_where_the_host_is_ahead(host, memory, flops, ahead, found):
    assert combined(host, memory, flops, ahead) == found


def test_sampling_by_hand():
    # Prompts: a layer has 576 weights and 3·4/2 = 6 pairs of attention, 4·2·4 each: 2·(2·3·576 + 192) = 7,296 a prompt.
    # A token after 5: 2·576 and attention to 6 tokens, 4·2·4·6 = 192, in 2 layers, and the head 160: 2,848 FLOPs.
    # In memory 1000 weights of 4 bytes, and for 10/3 rows 5 tokens of 2·2·1·4·4 = 64 bytes. The host: (2 + 3) layers.
    found = sampling(SHAPE, 4, TEN, ONE)
    assert found.seconds == pytest.approx(2 * 7296 + 12 * (5 + 10 / 3 * 2848))
    assert found.bound == FLOPS
    slow = sampling(SHAPE, 4, TEN, replace(ONE, flops=1e12, ahead=True))
    assert (slow.seconds, slow.bound) == (pytest.approx(12 * (4000 + 10 / 3 * 5 * 64)), MEMORY)
    halved = sampling(SHAPE, 4, TEN, replace(ONE, flops=1e12, ahead=True, sampling=0.5))
    assert halved.seconds == pytest.approx(2 * slow.seconds)
    adapted = sampling(SHAPE, 4, TEN, replace(ONE, flops=1e12, bandwidth=1e12), adapters=True)
    assert (adapted.seconds, adapted.bound) == (pytest.approx(12 * 5 * 1.4, abs=1e-6), HOST)
    assert sampling(SHAPE, 4, replace(TEN, requests=0), ONE).seconds == 0


@pytest.mark.parametrize(
    ("responses", "updates", "micro_tokens", "count"),
    [
        (8, 1, 7, 8),  # 7 tokens each
        (8, 2, 14, 4),
        (8, 2, 100, 2),
        (8, 1, 3, 8),  # a sequence is never split
        (8, 1, 55, 2),
    ],
)
def test_updates_by_hand(responses, updates, micro_tokens, count):
    asked = Updating(responses, 3, 4, updates, micro_tokens, passes=3)
    assert asked.micro_batches == count
    # Forward: 2 layers of 2·7·576 and 7·8/2 = 28 pairs of 32; the head for 4 responses of 160.
    flops = 3 * responses * (2 * (8064 + 28 * 32) + 640)
    assert updating(SHAPE, asked, ONE).seconds == pytest.approx(flops + count * 3 * 5)
    assert updating(SHAPE, asked, replace(ONE, updating=0.5, ahead=True)).seconds == pytest.approx(2 * flops)


@pytest.mark.parametrize(
    ("seconds", "step", "hours", "jobs"),
    [
        (3600, 10, 1, 1),
        (3601, 10, 1, 2),  # each job has 3600 - 180 - 60 s for steps
        (60 + 2 * 3360, 10, 1, 2),
        (61 + 2 * 3360, 10, 1, 3),
        (61 * 3600, 10, 48, 2),
        (36000, 4000, 1, None),  # no step ends in an hour
        (36000, 0, 0.05, None),
    ],
)
def test_how_many_jobs_a_run_takes(seconds, step, hours, jobs):
    assert jobs_needed(seconds, step, start=60, hours=hours, grace=180) == jobs


def test_a_training_is_its_steps_its_evaluations_and_its_checkpoints():
    cell = config("steps=30", "checkpoint.every=10", "evaluation.benchmarks.mini.every=15")
    rate = replace(rates(cell, 1), disk=1e6)
    found = predict_training(cell, rate)
    parts = {name: part.seconds for name, part in found.parts().items()}
    step = predict_step(cell, read_architecture(cell.model), rate)
    assert parts["sampling"] == pytest.approx(30 * step.sampling.seconds)
    assert parts["checkpoints"] == pytest.approx((3 * 16 + 4) * read_architecture(cell.model).parameters / 1e6)
    once = predict_training(config("steps=30", "evaluation.benchmarks.mini.every=30"), rate).evaluations.seconds
    assert parts["evaluation"] == pytest.approx(2 * once)
    assert found.seconds == pytest.approx(sum(parts.values()))


@pytest.mark.parametrize(
    ("typed", "part", "factor"),
    [
        ("resources.speed.layer_seconds=0.003", "sampling", 1.5),
        ("resources.speed.update_efficiency=0.25", "update", 1.5),
        ("resources.speed.mean_response_share=1.0", "update", 1.3),
        ("resources.speed.mean_prompt_share=1.0", "update", 1.3),
        ("resources.speed.bandwidth_gbs=0.05", "optimizer", 1.5),
        ("resources.speed.start_seconds=60", "start", 5),
        ("resources.speed.disk_gbs=0.1", "checkpoints", 9),
        ("algorithm.kl_coefficient=0.1", "update", 1.1),
        ("algorithm.updates_per_rollout=16", "optimizer", 1.9),
        ("rollout.batch_size=32", "sampling", 2),
    ],
)
def test_each_assumption_and_size_changes_its_part(typed, part, factor):
    base, changed = config(), config(typed)
    before = predict_training(base, rates(base, 1)).parts()[part].seconds
    assert predict_training(changed, rates(changed, 1)).parts()[part].seconds >= factor * before


def test_processes_share_the_work_and_send_each_other_weights():
    on = ["model=qwen2_5_7b", "cluster=slurm"]
    one, four = (config(*on, f"resources.gpus={count}") for count in (1, 4))
    alone, shared = (predict_training(cell, rates(cell, 1)).step for cell in (one, four))
    assert alone.links == 0 < shared.links
    assert shared.update.seconds < alone.update.seconds
    sharded = config(*on, "resources.gpus=4", "deepspeed.zero_stage=3")
    assert predict_training(sharded, rates(sharded, 1)).step.links > shared.links


def test_labels_are_a_stage_whose_jobs_share_the_problems():
    one, two = config("reward=majority_vote"), config("reward=majority_vote", "labels.jobs=2")
    whole, half = (predict_labels(cell, rates(cell, 1)).labels.seconds for cell in (one, two))
    assert half == pytest.approx(whole / 2, rel=0.1)
    hub = config("model=qwen2_5_7b", "reward=majority_vote")
    assert predict_labels(hub, rates(hub, 1)).unknown == ("how many problems the hub has for the labels",)


# Devices.


@pytest.mark.parametrize(
    ("typed", "here", "device", "assumed"),
    [
        (["resources.gpu=A100"], None, "A100", False),
        (["resources.gpu=NVIDIA A100-SXM4-80GB"], "NVIDIA H100", "A100", False),
        (["cluster=slurm", "cluster.gpu_type=h200"], "NVIDIA H100", "H200", False),
        (["cluster=slurm"], "NVIDIA L4", "H100", True),  # the node's GPUs are not this machine's
        ([], "NVIDIA L4", "L4", False),
        (["cluster=slurm", "resources.gpu_memory_gb=48"], None, "L40S", True),
        (["cluster=slurm", "resources.gpu_memory_gb=null"], None, "H100", True),
        ([], "Tesla T4", "H100", True),  # of which nothing is known
        ([], None, None, False),  # it asks for GPUs, and takes the cores of a machine without any
    ],
)
def test_the_kind_of_gpu_is_the_one_that_is_named_or_here_or_assumed(typed, here, device, assumed):
    found = rates(config("model=qwen2_5_7b", *typed), 1, here)
    assert (found.kind, found.assumed) == (device, assumed)
    assert ("assumed" in found.device) is assumed
    assert ("nothing is known of Tesla T4" in found.device) is (here == "Tesla T4")


@pytest.mark.parametrize(
    ("typed", "found", "layer"),
    [
        (["rollout=auto", "cluster=slurm"], False, VLLM_LAYER),  # the nodes may have what this machine lacks
        (["rollout=auto"], False, GPU_LAYER),
        (["rollout=auto"], True, VLLM_LAYER),
        (["rollout=vllm"], False, VLLM_LAYER),
        (["rollout=transformers"], True, GPU_LAYER),
    ],
)
def test_auto_is_the_engine_that_samples(typed, found, layer, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if found else None)
    assert rates(config("model=qwen2_5_7b", "resources.gpu=H100", *typed), 1).layer == layer


def test_what_samples_changes_no_update():
    found = [
        predict_step(cell, read_architecture(cell.model), rates(cell, 1))
        for engine in ("transformers", "vllm")
        for cell in [config("model=qwen3_0_6b_base", "cluster=slurm", f"rollout={engine}", "resources.gpu=H100")]
    ]
    assert found[0].update == found[1].update and found[0].sampling.seconds > 2 * found[1].sampling.seconds


def test_tables_of_devices():
    assert all(gpu_kind(kind) == kind for kind in GPUS)
    assert [kind_of_memory(gib) for gib in (16, 80, 96, 180, 999)] == ["L4", "H100", "H200", "B200", "B200"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA H100 PCIe", "H100 PCIe"),
        ("NVIDIA A100-SXM4-80GB", "A100"),
        ("nvidia_a100_80gb_pcie", "A100"),  # as Slurm names a type that it finds by itself
        ("nvidia_h100_nvl", "H100 NVL"),
        ("NVIDIA GH200 480GB", "GH200"),
        ("NVIDIA GeForce RTX 4090", "RTX 4090"),
        ("Tesla V100-SXM2-32GB", None),
        ("NVIDIA L400", None),
    ],
)
def test_the_name_of_a_gpu_says_its_kind(name, kind):
    assert gpu_kind(name) == kind


def test_an_unknown_kind_of_gpu_is_refused():
    with pytest.raises(UserError, match=r"resources\.gpu.*'abacus' is no GPU .*; choose one of B200"):
        compose_cells(["resources.gpu=abacus"])
