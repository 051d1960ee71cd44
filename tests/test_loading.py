"""Ways to load and to train a model: sharded, GGUF, LoRA, checkpointed, dealt out over processes; and its export."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from helpers.constants import ROOT, TINY
from helpers.processes import python_processes
from helpers.real_weights import smollm2
from helpers.shells import Shell
from models.config import LoraTuning
from models.export import write_stops
from models.hub import content_hash
from models.load import adapt, load_model, load_tokenizer, save_model
from models.mini.pretrain import _new_model
from models.mini.tokenizer import build_tokenizer
from models.prompts import Stop
from sweep.plan.compose import compose_cells
from sweep.run.directory import RunDirectory

QUESTION = torch.tensor([[5, 6, 7, 8, 9, 10]])


def the_cell(root: Path) -> RunDirectory:
    (path,) = (root / "runs" / "cells").iterdir()
    return RunDirectory(path)


def tiny_config(*overrides: str):
    (cell,) = compose_cells(list(overrides) or TINY)
    return cell.config


@pytest.fixture(scope="module")
def kept_model(tmp_path_factory) -> Path:
    """A randomly initialised mini on disk, its weights in several shards; tests write nothing into it."""
    config = tiny_config().model
    tokenizer = build_tokenizer(config.family)
    torch.manual_seed(0)
    directory = tmp_path_factory.mktemp("kept") / "tiny model"
    _new_model(config.family, config.mini, tokenizer).save_pretrained(directory, max_shard_size="10KB")
    tokenizer.save_pretrained(directory)
    assert len(list(directory.glob("*.safetensors"))) > 1
    return directory


@pytest.fixture
def tiny_model(tmp_path, kept_model) -> Path:
    """A copy of the mini, for tests that change it."""
    return Path(shutil.copytree(kept_model, tmp_path / "tiny model"))


def local(model: Path) -> list[str]:
    """Overrides that train the model in a directory."""
    kept = [o for o in TINY if not o.startswith("model.mini.")]
    return [*kept, "model.mini=null", f"model.path={model}"]


def logits(model) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=QUESTION).logits.float()


PLAIN = ["steps=2", "reward=random"]
LORA = ["tuning=lora", "tuning.rank=4", "reward=random", "optimizer.learning_rate=1e-2"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, cache_dir, kept_model) -> Path:
    """Where the mini was trained for two steps; tests write nothing into it."""
    root = tmp_path_factory.mktemp("trained")
    Shell(root, cache_dir).launch(*local(kept_model), *PLAIN)
    return root


@pytest.fixture(scope="module")
def adapted(tmp_path_factory, cache_dir, kept_model) -> tuple[Path, Path]:
    """Where adapters were trained for three steps, once at a stretch and once with an end after the first."""
    stretch, resumed = tmp_path_factory.mktemp("stretch"), tmp_path_factory.mktemp("resumed")
    for root, steps in ((stretch, 3), (resumed, 1), (resumed, 3)):
        Shell(root, cache_dir).launch(*local(kept_model), *LORA, f"steps={steps}")
    return stretch, resumed


def export(root: Path, target: Path, *options: str, cell: str = "") -> subprocess.CompletedProcess:
    cell = cell or the_cell(root).signature[:6]
    command = [sys.executable, "-m", "sweep", "export", cell, str(target), *options]
    place = ["--output-dir", str(root / "runs")]
    return subprocess.run([*command, *place], cwd=ROOT, capture_output=True, text=True)


def test_a_local_sharded_model_trains_and_exports(trained, tmp_path, kept_model):
    run = the_cell(trained)
    assert json.loads(run.provenance.read_text())["model"] == {
        "path": str(kept_model), "revision": None, "commit": None, "content": content_hash(kept_model),
    }  # fmt: skip
    target = tmp_path / "exported"
    assert export(trained, target).returncode == 0
    exported, initial = AutoModelForCausalLM.from_pretrained(target), AutoModelForCausalLM.from_pretrained(kept_model)
    assert not torch.equal(logits(exported), logits(initial))
    assert torch.equal(logits(exported), logits(AutoModelForCausalLM.from_pretrained(run.final)))
    tokenizer = AutoTokenizer.from_pretrained(target)
    assert tokenizer.chat_template == AutoTokenizer.from_pretrained(kept_model).chat_template
    assert tokenizer("1+2")["input_ids"] == AutoTokenizer.from_pretrained(kept_model)("1+2")["input_ids"]
    ends = [tokenizer.convert_tokens_to_ids(token) for token in ("<|endoftext|>", "<|im_end|>")]
    for directory in (run.final, target):
        assert sorted(GenerationConfig.from_pretrained(directory).eos_token_id) == sorted(ends)
    again = export(trained, target)
    assert again.returncode == 2 and "exists" in again.stderr
    unknown = export(trained, tmp_path / "other", cell="nowhere")
    assert unknown.returncode == 2 and run.path.name in unknown.stderr


def test_lora_trains_resumes_and_exports_merged_or_not(adapted, tmp_path, kept_model):
    _, resumed = adapted
    run = the_cell(resumed)
    assert [row["step"] for row in run.read_metrics()] == [1, 2, 3]
    assert not (run.final / "model.safetensors").exists()
    _, checkpoint = sorted(run.checkpoints.glob("step_*"))
    saved = torch.load(next(checkpoint.glob("mp_rank_*")), weights_only=False)["module"]
    frozen = [name for name in saved if "lora" not in name]
    assert len(frozen) < len(saved) and frozen == [
        "model.base_model.model.lm_head.weight"
    ]  # DeepSpeed keeps a tied head

    merged, adapters = tmp_path / "merged", tmp_path / "adapters"
    assert export(resumed, merged).returncode == 0
    assert export(resumed, adapters, "--no-merge").returncode == 0
    assert not (merged / "adapter_config.json").exists()
    one, two = AutoModelForCausalLM.from_pretrained(merged), AutoModelForCausalLM.from_pretrained(adapters)
    assert len(one.generation_config.eos_token_id) == 2  # where training stopped
    initial = AutoModelForCausalLM.from_pretrained(kept_model)
    torch.testing.assert_close(logits(one), logits(two), atol=1e-5, rtol=1e-5)
    assert (logits(one) - logits(initial)).abs().max() > 1e-3
    assert AutoTokenizer.from_pretrained(merged).chat_template == AutoTokenizer.from_pretrained(adapters).chat_template


def test_an_exported_model_ends_its_answers_where_training_did(tiny_model):
    def generated(**options) -> list[int]:
        model = AutoModelForCausalLM.from_pretrained(tiny_model)
        return model.generate(QUESTION, do_sample=False, max_new_tokens=6, **options)[0, QUESTION.shape[1] :].tolist()

    tokenizer, plain = AutoTokenizer.from_pretrained(tiny_model), generated()
    assert len(plain) == 6
    write_stops(tiny_model, Stop((plain[0], 0)))
    assert generated() == plain[:1]
    write_stops(tiny_model, Stop((len(tokenizer) - 1,), strings=(tokenizer.decode(plain[:1]),)))
    assert generated(tokenizer=tokenizer) == plain[:1]
    with pytest.raises(ValueError, match="tokenizer"):
        generated()


def test_lora_resumes_bit_for_bit(adapted):
    once, resumed = (load_file(the_cell(root).final / "adapter_model.safetensors") for root in adapted)
    assert resumed.keys() == once.keys() and all(torch.equal(resumed[k], once[k]) for k in once)


def test_sequences_beyond_the_models_positions_are_refused(tiny_model):
    config = tiny_config(*local(tiny_model)).model
    positions = json.loads((tiny_model / "config.json").read_text())["max_position_embeddings"]
    with pytest.raises(ValueError, match=f"the positions of .* end at {positions}, and sequences may have"):
        load_model(config, tiny_model, positions + 1)


def test_adapters_begin_as_no_change(tiny_model):
    config = tiny_config(*local(tiny_model)).model
    plain = load_model(config, tiny_model)
    expected = logits(plain)
    adapted = adapt(plain, LoraTuning(method="lora", rank=4, alpha=8), config)
    assert torch.equal(logits(adapted), expected)
    assert {n.split(".")[-3] for n, p in adapted.named_parameters() if p.requires_grad} == {"lora_A", "lora_B"}


@pytest.mark.parametrize("options", [["deepspeed.gradient_checkpointing=true"], ["deepspeed.offload_optimizer=true"]])
def test_saving_memory_changes_no_number(shell, tmp_path, trained, kept_model, options):
    plain = the_cell(trained)
    expected, weights = plain.read_metrics(), load_file(plain.final / "model.safetensors")
    shell.launch(*local(kept_model), *PLAIN, *options)
    saving = the_cell(tmp_path)
    for row, other in zip(saving.read_metrics(), expected, strict=True):
        assert row["train/loss"] == pytest.approx(other["train/loss"], abs=1e-6)
        assert row["train/grad_norm"] == pytest.approx(other["train/grad_norm"], rel=1e-4)
    found = load_file(saving.final / "model.safetensors")
    for name, value in weights.items():
        torch.testing.assert_close(found[name], value, atol=1e-6, rtol=1e-4)


def test_gradient_checkpointing_recomputes_layers(tiny_model):
    config = tiny_config(*local(tiny_model)).model
    counts = []
    for checkpointing in (False, True):
        model = load_model(config, tiny_model).train()
        if checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        calls = []
        model.model.layers[0].self_attn.register_forward_hook(lambda *_, calls=calls: calls.append(1))
        model(input_ids=QUESTION, use_cache=False).logits.sum().backward()
        counts.append(len(calls))
    assert counts == [1, 2]


def test_published_dropout_is_off(tiny_model):
    settings = json.loads((tiny_model / "config.json").read_text())
    (tiny_model / "config.json").write_text(json.dumps({**settings, "attention_dropout": 0.5}))
    model = load_model(tiny_config(*local(tiny_model)).model, tiny_model).train()
    assert torch.equal(logits(model), logits(model))


def test_zero3_deals_the_weights_out_while_loading(tmp_path, tiny_model):
    config = tiny_config(*local(tiny_model), "deepspeed=zero3", "deepspeed.processes=2")
    RunDirectory(tmp_path).freeze(config, "test", {}, {})
    outputs = python_processes("tests/programs/zero3_load.py", 2, tmp_path)
    shares = [json.loads(out.splitlines()[-1]) for out in outputs]
    whole = sum(p.numel() for p in load_model(config.model, tiny_model).parameters())
    assert all(s["largest_held"] <= 1.05 * whole / 2 for s in shares), shares
    assert all(s["gathered_equal"] for s in shares)


def test_generation_defaults_that_cannot_be_saved_are_mended(tmp_path, tiny_model):
    defaults = {"do_sample": False, "top_p": 0.8, "top_k": 20, "temperature": 0.7, "repetition_penalty": 1.05}
    (tiny_model / "generation_config.json").write_text(json.dumps(defaults))
    model = load_model(tiny_config(*local(tiny_model)).model, tiny_model)
    save_model(model, tmp_path / "saved")
    assert torch.equal(logits(AutoModelForCausalLM.from_pretrained(tmp_path / "saved")), logits(model))


def test_a_gguf_file_loads_trainable_and_saves(tmp_path):
    gguf = smollm2()
    config = tiny_config("model=smollm2_135m", f"data.path={gguf}", f"model.path={gguf}").model
    tokenizer, model = load_tokenizer(gguf), load_model(config, gguf)
    assert sum(p.numel() for p in model.parameters()) == config.architecture.parameters
    assert all(p.requires_grad for p in model.parameters())
    prompt = tokenizer("The capital of France is", return_tensors="pt")
    assert tokenizer.decode(model(**prompt).logits[0, -1].argmax()) == " Paris"
    save_model(model, tmp_path / "saved")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "saved", dtype=model.dtype)
    assert torch.equal(again(**prompt).logits, model(**prompt).logits)
