"""Pre-train a mini model on its family's synthetic corpus, once per recipe and machine."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from filelock import FileLock
from safetensors.torch import save_model
from torch.nn import functional as F

from models.config import MINI_POSITIONS, MiniRecipe
from models.family import load_family
from models.mini.arithmetic import problems
from models.mini.corpus import sample_solution
from models.mini.shipped import RECIPE, recipe_text, shipped_mini
from models.mini.tokenizer import build_tokenizer
from models.permissions import follow_umask

Progress = Callable[[int, int], None]


def cached_mini(family: str, recipe: MiniRecipe, cache_dir: Path, progress: Progress = lambda step, of: None) -> Path:
    """Return the directory of the pre-trained mini: a shipped one, or one that is made on this machine at first use.

    Jobs that start together wait for the first to finish. The directory appears complete or not at all.
    """
    if shipped := shipped_mini(family, recipe):
        return shipped
    spec = recipe_text(family, recipe)
    home = cache_dir / "minis"
    target = home / f"{family}-{hashlib.sha256(spec.encode()).hexdigest()[:12]}"
    if target.exists():
        return target
    home.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{target}.lock"):
        if not target.exists():
            partial = Path(tempfile.mkdtemp(dir=home, prefix="partial-"))
            try:
                make_mini(family, recipe, partial, progress)
                follow_umask(partial)
                os.rename(partial, target)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    return target


def make_mini(family: str, recipe: MiniRecipe, directory: Path, progress: Progress = lambda step, of: None) -> None:
    """Pre-train a mini and write it to `directory` in the format of transformers, together with its recipe."""
    tokenizer = build_tokenizer(family)
    model = pretrain(family, recipe, tokenizer, progress)
    _save(model, directory)
    tokenizer.save_pretrained(directory)
    (directory / RECIPE).write_text(recipe_text(family, recipe))


def pretrain(family: str, recipe: MiniRecipe, tokenizer, progress: Progress = lambda step, of: None):
    """Return a model trained in fp32 to predict the next token of `recipe.corpus_size` sampled solutions."""
    tokens_nt, targets_nt = _encode_corpus(family, recipe, tokenizer)
    torch.manual_seed(recipe.seed)
    model = _new_model(family, recipe, tokenizer)
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, total_steps=recipe.steps, pct_start=0.1
    )
    draws = torch.Generator().manual_seed(recipe.seed)
    for step in range(recipe.steps):
        rows = torch.randint(len(tokens_nt), (recipe.batch_size,), generator=draws)
        hidden_btd = model.model(tokens_nt[rows]).last_hidden_state[:, :-1]
        targets_bt = targets_nt[rows][:, 1:]
        counted_bt = targets_bt >= 0
        loss = F.cross_entropy(model.lm_head(hidden_btd[counted_bt]), targets_bt[counted_bt])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        progress(step + 1, recipe.steps)
    return model


def _save(model, directory: Path) -> None:
    """Write the files that `save_pretrained` writes. That method writes on rank 0 alone; this works on any rank."""
    model.config.architectures, model.config.dtype = [type(model).__name__], "float32"
    model.config.save_pretrained(directory)
    model.generation_config.save_pretrained(directory)
    weights = directory / "model.safetensors"
    save_model(model, str(weights), metadata={"format": "pt"})


def _new_model(family: str, recipe: MiniRecipe, tokenizer):
    config_class, model_class = load_family(family).model_classes()
    return model_class(
        config_class(
            vocab_size=len(tokenizer),
            hidden_size=recipe.hidden_size,
            intermediate_size=2 * recipe.hidden_size,
            num_hidden_layers=recipe.layers,
            num_attention_heads=recipe.heads,
            num_key_value_heads=recipe.key_value_heads,
            max_position_embeddings=MINI_POSITIONS,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def _encode_corpus(family: str, recipe: MiniRecipe, tokenizer) -> tuple[torch.Tensor, torch.Tensor]:
    """Return padded token ids (n, t) and targets of the same shape, -1 where nothing is to be learned."""
    rng = random.Random(recipe.seed)
    train = problems("train")
    turns = [[{"role": "user", "content": p.text}] for p in train]
    encoded = tokenizer.apply_chat_template(turns, add_generation_prompt=True)["input_ids"]
    prompts = dict(zip(train, encoded, strict=True))
    drawn = [rng.choice(train) for _ in range(recipe.corpus_size)]
    texts = [sample_solution(p, family, rng) for p in drawn]
    responses = tokenizer(texts, add_special_tokens=False)["input_ids"]
    rows = [(prompts[p], [*ids, tokenizer.eos_token_id]) for p, ids in zip(drawn, responses, strict=True)]
    width = max(len(p) + len(r) for p, r in rows)
    tokens_nt = torch.full((len(rows), width), tokenizer.pad_token_id)
    targets_nt = torch.full((len(rows), width), -1)
    for n, (prompt, response) in enumerate(rows):
        end = len(prompt) + len(response)
        tokens_nt[n, :end] = torch.tensor(prompt + response)
        targets_nt[n, len(prompt) : end] = torch.tensor(response)
    return tokens_nt, targets_nt
