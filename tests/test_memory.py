"""The memory that a plan predicts, against what a step takes."""

from __future__ import annotations

import importlib.metadata
import json
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.gpu import overrides_of
from helpers.constants import ROOT
from helpers.pretend_devices import pretend_gpus
from helpers.processes import python_processes
from models.architecture import architecture_from, count_parameters
from sweep.plan.compose import compose_cells
from sweep.plan.files import CONF
from sweep.plan.fit import machine_faults, shape_faults
from sweep.plan.resources import predict_disk, predict_memory, predict_rows, predict_samples, trained_parameters
from sweep.run.directory import RunDirectory

SMOL = {"model_type": "llama", "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536}
SMOL |= {"num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3, "head_dim": 64}
WIDE = {"model_type": "qwen2", "vocab_size": 65536, "hidden_size": 1024, "intermediate_size": 4096}
WIDE |= {"num_hidden_layers": 10, "num_attention_heads": 16, "num_key_value_heads": 4, "head_dim": 64}
COMMON = [
    "model=smollm2_135m",
    "data=mini_arithmetic",
    "algorithm.prompts_per_step=1",
    "algorithm.updates_per_rollout=1",
]
COMMON += ["deepspeed.gradient_checkpointing=false", "evaluation.problems=1", "evaluation.samples_per_problem=1"]


def measure(directory: Path, shape: dict, *overrides: str):
    """(configuration, bytes measured) of a step of a model of `shape`."""
    shape = {**shape, "tie_word_embeddings": True}
    (directory / "config.json").write_text(json.dumps({**shape, "architectures": None}))
    place = ["model.architecture=null", f"model.path={directory}", *COMMON, *overrides]
    (cell,) = compose_cells(place)
    RunDirectory(directory).freeze(cell.config, "test", {}, {})
    (output,) = python_processes("tests/programs/memory_of_a_step.py", 1, directory)
    return cell.config, int(output.split()[-1])


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peak memory is read from Linux's /proc")
@pytest.mark.parametrize(
    ("shape", "overrides"),
    [
        # The optimiser decides; the logits; the activations; the rollout's cache. In bfloat16 where that is little
        # arithmetic: many processors take minutes for the rest.
        (SMOL, ["model.dtype=bfloat16", "algorithm.samples_per_prompt=2", "rollout.max_response_tokens=8"]),
        (SMOL, ["algorithm.samples_per_prompt=2", "rollout.max_response_tokens=200"]),
        (WIDE, ["algorithm.samples_per_prompt=2", "rollout.max_prompt_tokens=500", "rollout.max_response_tokens=12"]),
        (WIDE, ["algorithm.samples_per_prompt=2", "rollout.max_response_tokens=64", "tuning=lora"]),
    ],
    ids=["optimiser", "logits", "activations", "lora"],
)
def test_predicted_memory_is_within_20_percent(tmp_path, shape, overrides):
    config, measured = measure(tmp_path, shape, *overrides)
    predicted = predict_memory(config, on_gpu=False)
    assert trained_parameters(config) > 100e6 or config.tuning.method == "lora"
    assert predicted.peak == pytest.approx(measured, rel=0.2), f"{predicted} against {measured}"


MEASURED = json.loads((ROOT / "benchmarks" / "results" / "gpu.json").read_text())
WARM, COLD = ([found for found in MEASURED if bool(found["warm_up"]) == warm] for warm in (True, False))


@pytest.mark.parametrize("found", WARM, ids=lambda found: f"{found['device']} {found['case']}")
def test_predicted_memory_is_within_10_percent_of_what_gpus_took(found):
    (cell,) = compose_cells(overrides_of(Namespace(**found)))
    predicted, measured = predict_memory(cell.config, on_gpu=True), found["ours"]
    held = predicted.parameters + predicted.optimizer
    passes = predicted.gradients + predicted.buckets + predicted.activations + predicted.logits
    for phase, size in {"rollout": predicted.rollout, "passes": passes, "optimizer": predicted.optimizer_step}.items():
        assert held + size == pytest.approx(measured[f"peak_gpu_gb_{phase}"] * 2**30, rel=0.1), phase
    assert predicted.peak - predicted.libraries == pytest.approx(measured["peak_gpu_gb"] * 2**30, rel=0.1)


@pytest.mark.parametrize("found", COLD, ids=lambda found: f"{found['device']} {found['case']}")
def test_the_first_rollout_comes_before_the_moments_of_the_optimiser(found):
    (cell,) = compose_cells(overrides_of(Namespace(**found)))
    predicted = predict_memory(cell.config, on_gpu=True)
    copies_alone = predicted.optimizer / 3  # in fp32, and two moments as large follow
    first = predicted.parameters + copies_alone + predicted.rollout
    assert first == pytest.approx(found["ours"]["peak_gpu_gb_rollout"] * 2**30, rel=0.1)


PUBLISHED = sorted(f.stem for f in (CONF / "model").glob("*.yaml") if not f.stem.endswith("_mini"))


@pytest.mark.parametrize("name", PUBLISHED)
def test_architectures_in_conf_are_what_transformers_builds(name):
    import torch
    from transformers import (
        AutoModelForCausalLM,
        LlamaConfig,
        Olmo2Config,
        Olmo3Config,
        Qwen2Config,
        Qwen3Config,
        SmolLM3Config,
    )

    (cell,) = compose_cells([f"model={name}", "data=mini_arithmetic"])
    shape = cell.config.model.architecture.model_dump()
    families = {"qwen": Qwen3Config if "qwen3" in name else Qwen2Config, "olmo2": Olmo2Config, "olmo3": Olmo3Config}
    families["chatml"] = SmolLM3Config if "smollm3" in name else LlamaConfig
    settings = families.get(cell.config.model.family, LlamaConfig)(
        **{k: v for k, v in shape.items() if k not in ("parameters", "query_key_norm")}
    )
    with torch.device("meta"):
        built = AutoModelForCausalLM.from_config(settings)
    assert built.num_parameters() == shape["parameters"]
    assert architecture_from(settings.to_dict()).query_key_norm == shape["query_key_norm"]
    assert count_parameters(**{k: shape[k] for k in count_parameters.__annotations__ if k in shape}) == pytest.approx(
        shape["parameters"], rel=2e-3
    )


def seven_billion(*overrides: str):
    (cell,) = compose_cells(["model=qwen2_5_7b", "sizes=demo", *overrides])
    return cell


def test_memory_of_seven_billion_weights_by_hand():
    memory = predict_memory(seven_billion("resources.gpus=8", "deepspeed.micro_batch_tokens=4096").config, on_gpu=True)
    weights = 7_615_616_512
    assert memory.parameters == 2 * weights  # ZeRO-2: whole on each GPU
    assert memory.gradients == 2 * weights // 8
    assert memory.optimizer == 12 * weights // 8
    assert memory.logits == 10 * 2**26 + 4 * 152064 * 3584  # a chunk of them, and the gradient of the head
    # Each layer's input, and twice one layer's tensors: 16 of the hidden size, 4 of queries and keys, 8 of the MLP.
    assert memory.activations == 4096 * (28 * 2 * 3584 + 2 * (16 * 3584 + 4 * (3584 + 512) + 8 * 18944))
    # As many responses of 4,096 tokens as 14 GiB hold: keys and values of 4 heads of 128 in 28 layers, and logits.
    row = 4096 * 28 * 2 * 4 * 128 * 2 + 152064 * 16
    assert memory.rollout == 14 * 2**30 // row * row
    sharded = predict_memory(seven_billion("deepspeed=zero3").config, on_gpu=True)
    assert sharded.parameters == 2 * weights // 8
    offloaded = predict_memory(seven_billion("deepspeed.offload_optimizer=true").config, on_gpu=True)
    assert offloaded.optimizer == offloaded.optimizer_step == 0


def test_vllm_holds_weights_of_its_own_while_it_samples():
    plain = predict_memory(seven_billion().config, on_gpu=True)
    for name in ("vllm", "auto"):
        memory = predict_memory(seven_billion(f"rollout={name}", "rollout.cache_gb=14").config, on_gpu=True)
        assert memory.rollout == 2 * 7_615_616_512 + 14 * 2**30
        assert memory.parameters == plain.parameters
    on_cpu = predict_memory(seven_billion("rollout=vllm").config, on_gpu=False)
    assert on_cpu.parameters == plain.parameters + 2 * 7_615_616_512 + 14 * 2**30  # it never sleeps there
    assert predict_memory(seven_billion("rollout=auto").config, on_gpu=False).parameters == plain.parameters


def test_adapters_need_no_state_for_frozen_weights():
    config = seven_billion("tuning=lora", "tuning.rank=64").config
    hidden, queries, keys, inner = 3584, 3584, 512, 18944
    trained = 28 * 64 * (2 * (hidden + queries) + 2 * (hidden + keys) + 3 * (hidden + inner))
    assert trained_parameters(config) == trained
    assert predict_memory(config, on_gpu=True).optimizer == 12 * trained // 8
    weights = 3 * (14 * trained) + 2 * trained  # keep 2, one being written, then final
    assert predict_disk(config).peak == weights + predict_rows(config)


@pytest.mark.parametrize(
    ("overrides", "lines", "characters"),
    [
        (["rollout.max_response_tokens=100"], 300 * 16, 400),
        (["rollout.max_response_tokens=3000"], 300 * 16, 8000),
        (["rollout.max_response_tokens=3000", "tracking.sample_characters=null"], 300 * 16, 12000),
        (["tracking.sample_characters=500", "tracking.samples_every=7"], 42 * 16, 500),
        (["tracking.sample_characters=500", "tracking.sample_groups=1000"], 300 * 8 * 16, 500),
        (["tracking.sample_groups=0"], 0, 0),
    ],
)
def test_samples_of_a_run_are_bounded_and_predicted(overrides, lines, characters):
    shape = ["steps=300", "algorithm.prompts_per_step=8", "algorithm.samples_per_prompt=16"]
    config = seven_billion(*shape, *overrides).config
    assert predict_samples(config) == lines * (1000 + characters)
    assert predict_disk(config).after - predict_disk(
        config.model_copy(update={"tracking": config.tracking.model_copy(update={"sample_groups": 0})})
    ).after == predict_samples(config)


@pytest.mark.parametrize(
    ("overrides", "remedy"),
    [
        (["deepspeed.micro_batch_tokens=131072", "algorithm.updates_per_rollout=1"], "deepspeed.micro_batch_tokens="),
        (["rollout.batch_size=1024", "algorithm.samples_per_prompt=512"], "rollout.batch_size=128"),
        (["resources.gpus=1"], "deepspeed.offload_optimizer=true"),
        (["rollout=auto", "rollout.cache_gb=40"], "rollout.cache_gb=20"),  # vLLM's batches change no memory
        (["rollout=vllm", "rollout.cache_gb=0.4", "resources.gpu_memory_gb=40"], "deepspeed.offload_optimizer=true"),
        (["resources.gpu_memory_gb=24"], "deepspeed=zero3"),
        (["resources.gpu_memory_gb=4"], "no change of shape"),
    ],
)
def test_a_shape_too_small_is_refused_with_the_cheapest_change(overrides, remedy):
    (fault,) = shape_faults(seven_billion(*overrides).config)
    assert remedy in fault, fault
    if "=" in remedy:
        changes = fault.rpartition(": ")[2].split()
        assert shape_faults(seven_billion(*overrides, *changes).config) == []


def test_this_machine_is_asked_before_a_launch(monkeypatch, tmp_path):
    monkeypatch.setattr("sweep.plan.machine.gpus", lambda: pretend_gpus(4, 80))
    (fault, *_) = machine_faults([seven_billion(f"output_dir={tmp_path}")])
    assert "asks for 8 GPUs and this machine has 4; set resources.gpus=4" in fault
    monkeypatch.setattr("sweep.plan.machine.gpus", lambda: ())
    (fault, *_) = machine_faults([seven_billion(f"output_dir={tmp_path}")])
    assert "this machine has no GPU" in fault
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: object())
    (fault, *_) = machine_faults(compose_cells(["rollout=vllm", f"output_dir={tmp_path}"]))
    assert "this model's have 16; choose rollout=transformers" in fault
    assert machine_faults(compose_cells(["rollout=vllm", "model.mini.heads=2", f"output_dir={tmp_path}"])) == []
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    (fault, *_) = machine_faults(compose_cells(["rollout=vllm", f"output_dir={tmp_path}"]))
    assert "it is not installed here" in fault and "`make gpu`" in fault
    huge = compose_cells(["model.mini.hidden_size=100000000", f"output_dir={tmp_path}"])
    assert any("output_dir" in fault and "free" in fault for fault in machine_faults(huge))


def test_auto_is_counted_as_what_it_is_on_this_machine(monkeypatch, tmp_path):
    monkeypatch.setattr("sweep.plan.machine.gpus", lambda: pretend_gpus(8, 48))
    monkeypatch.setattr("sweep.plan.places.shutil.disk_usage", lambda _: SimpleNamespace(free=2**50))
    cells = [seven_billion("rollout=auto", f"output_dir={tmp_path}")]
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert machine_faults(cells) == []
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: object())
    (fault,) = machine_faults(cells)
    assert "needs 55.0 GiB a process (rollout 28.2 GiB" in fault


@pytest.mark.parametrize(
    ("version", "gpus", "refused"),
    [("0.32.0", 0, True), ("0.32.0+cpu", 0, False), (None, 0, False), ("0.32.0", 1, False)],
)
def test_a_vllm_for_gpus_is_refused_where_there_are_none(version, gpus, refused, monkeypatch, tmp_path):
    def installed(name: str) -> str:
        if version is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr("importlib.metadata.version", installed)
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: object())
    monkeypatch.setattr("sweep.plan.machine.gpus", lambda: pretend_gpus(gpus, 80))
    typed = ["rollout=vllm", "model.mini.heads=2", f"resources.gpus={gpus}", f"output_dir={tmp_path}"]
    faults = machine_faults(compose_cells(typed))
    assert any("samples on GPUs, and the cell has none; choose rollout=auto" in f for f in faults) == refused


def test_a_launch_this_machine_cannot_hold_writes_nothing(shell, tmp_path):
    done = shell.launch("model=qwen2_5_7b", check=False)
    assert done.returncode == 2 and "a process" in done.stderr
    assert list(tmp_path.iterdir()) == []
