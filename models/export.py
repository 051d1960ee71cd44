"""Write a trained model as a directory that `AutoModelForCausalLM` and `AutoTokenizer` load."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from models.config import ADAPTER, ModelConfig
from models.hub import is_gguf
from models.permissions import follow_umask
from models.prompts import PromptConfig, Stop, stop_rules

GENERATION = "generation_config.json"


def export_model(
    model: ModelConfig, prompt: PromptConfig, cache_dir: Path, final: Path, target: Path, merge: bool = True
) -> None:
    """Copy the weights, tokenizer and template of `final` to `target`, with adapters merged unless `merge` is false.

    The exported model ends its responses where training did. Unmerged adapters only name their base model, which is
    loaded with them and keeps its own stop tokens. The directory appears complete or not at all.

    Args:
        model: the model that the run began from, with the revision it loaded.
        prompt: the prompt format of the run.
        final: the directory that training left, with all weights or with adapters.
    Raises:
        FileExistsError: `target` exists.
        ValueError: the adapters belong to a model that `AutoModelForCausalLM` cannot load by itself.
    """
    if target.exists():
        raise FileExistsError(f"{target} exists; choose another directory, or remove it")
    adapters = (final / ADAPTER).exists()
    if adapters and not merge and model.path and is_gguf(model.path):
        raise ValueError(f"adapters cannot name {model.path}, a GGUF file, as their model; leave out --no-merge")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}-"))
    try:
        if adapters and merge:
            _merge(model, cache_dir, final, partial)
        else:
            shutil.copytree(final, partial, dirs_exist_ok=True)
        if not adapters or merge:
            write_stops(partial, stop_rules(_tokenizer(partial), model, prompt))
        follow_umask(partial)
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_stops(directory: Path, stop: Stop) -> None:
    """Make `generate` end a response of the model in `directory` where training did.

    Without this, a base model trained in a chat format would go on after the end of its turn, up to its old end of
    text. Stop strings need `model.generate(…, tokenizer=tokenizer)`; transformers raises an error if it is missing.
    """
    file = directory / GENERATION
    settings = json.loads(file.read_text()) if file.exists() else {}
    settings["eos_token_id"] = list(stop.ids)
    if stop.strings:
        settings["stop_strings"] = list(stop.strings)
    file.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n")


def _tokenizer(directory: Path):
    from models.load import load_tokenizer

    return load_tokenizer(directory)


def _merge(model: ModelConfig, cache_dir: Path, final: Path, target: Path) -> None:
    from peft import PeftModel

    from models.load import load_model, load_tokenizer, save_model, weights_source

    base = load_model(model, weights_source(model, cache_dir))
    save_model(PeftModel.from_pretrained(base, final).merge_and_unload(), target)
    load_tokenizer(final).save_pretrained(target)
