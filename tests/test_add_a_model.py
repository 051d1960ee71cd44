"""docs/add-a-model.md is all it takes: its files, copied into a checkout, train."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, GemmaConfig, PreTrainedTokenizerFast, Qwen2Config

from helpers.constants import ROOT, TINY
from models.mini.tokenizer import build_tokenizer

BLOCK = re.compile(r"```(?:yaml|python)\n# (\S+)\n(.*?)```", re.S)


def gemma_tokenizer() -> PreTrainedTokenizerFast:
    """Bytes and Gemma's special tokens, with a chat template that follows its rules."""
    special = ["<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>"]
    pieces = [*special, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    core = Tokenizer(models.BPE(vocab={piece: i for i, piece in enumerate(pieces)}, merges=[]))
    core.pre_tokenizer, core.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    turn = "<start_of_turn>{{ m.role }}\n{{ m.content | trim }}<end_of_turn>\n"
    template = (
        "{{ bos_token }}{% for m in messages %}" + turn + "{% endfor %}"
        "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
    )
    named = {"pad_token": "<pad>", "eos_token": "<eos>", "bos_token": "<bos>"}
    extra = ["<start_of_turn>", "<end_of_turn>"]
    return PreTrainedTokenizerFast(tokenizer_object=core, chat_template=template, extra_special_tokens=extra, **named)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A copy of this project with the page's files added, each where its first line says."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in ("conf", "models", "rewards", "sweep"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "launch.py", copy)
    blocks = BLOCK.findall((ROOT / "docs/add-a-model.md").read_text())
    assert [place for place, _ in blocks] == ["conf/model/my_qwen.yaml", "models/gemma.py", "conf/model/gemma_2b.yaml"]
    for place, content in blocks:
        assert not (copy / place).exists()
        (copy / place).write_text(content)
    return copy


@pytest.mark.parametrize(
    ("model", "architecture", "tokenizer"),
    [("my_qwen", Qwen2Config, build_tokenizer("qwen")), ("gemma_2b", GemmaConfig, gemma_tokenizer())],
)
def test_the_pages_files_are_enough(checkout, tmp_path, model, architecture, tokenizer):
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    shape |= {"num_key_value_heads": 1, "head_dim": 8, "vocab_size": len(tokenizer)}
    AutoModelForCausalLM.from_config(architecture(**shape)).save_pretrained(tmp_path / "weights")
    tokenizer.save_pretrained(tmp_path / "weights")
    kept = [o for o in TINY if not o.startswith("model.mini.")]
    place = [f"model={model}", f"model.path={tmp_path / 'weights'}", "data=mini_arithmetic", "evaluation=mini"]
    sizes = ["steps=1", "rollout.max_prompt_tokens=64", f"output_dir={tmp_path / 'runs'}"]
    command = [sys.executable, "launch.py", *kept, *place, *sizes]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True)
    logs = "\n".join(p.read_text()[-3000:] for p in tmp_path.rglob("*_log.err"))
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{logs}"
    (run,) = (tmp_path / "runs" / "cells").iterdir()
    assert json.loads((run / "state.json").read_text())["state"] == "done"
    ((sample, *_),) = [(run / "samples.jsonl").read_text().splitlines()]
    assert json.loads(sample)["finish"] in ("eos", "length")
