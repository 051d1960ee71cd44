"""What both sides of a speed comparison share: a model, prompts, lengths, and how they are asked for a step.

A side is a process that stays up. For each line it reads it does one step, and answers with a line of JSON; so steps of
two sides alternate on one machine, and neither is measured on another day than the other.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHAPES = {
    "qwen2_25m": {
        "model_type": "qwen2", "vocab_size": 2048, "hidden_size": 512, "intermediate_size": 1536,
        "num_hidden_layers": 8, "num_attention_heads": 8, "num_key_value_heads": 2,
    },
    "llama_135m": {
        "model_type": "llama", "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536,
        "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3,
    },
    "qwen2_4m": {
        "model_type": "qwen2", "vocab_size": 2048, "hidden_size": 256, "intermediate_size": 768,
        "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2,
    },
    "tiny": {
        "model_type": "qwen2", "vocab_size": 512, "hidden_size": 64, "intermediate_size": 128,
        "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
    },
}  # fmt: skip
PAD, END = 0, 1
MARK = "STEP "


@dataclass(frozen=True)
class Workload:
    """One optimiser step on `prompts` × `samples` responses; `lengths`: of each, or all `max_tokens`.

    `prompt_tokens`: of each prompt, or 16 to 20. `lora`: rank and alpha of adapters on every linear layer.
    """

    model: str
    dtype: str
    prompts: int
    samples: int
    max_tokens: int
    lengths: tuple[int, ...] | None = None
    engine: str = "transformers"
    micro_batch_tokens: int = 2048
    peer_micro_batch: int = 16
    peer_settings: tuple[str, ...] = ()
    prompt_tokens: int | None = None
    lora: tuple[int, int] | None = None

    def write(self, file: Path) -> Path:
        file.write_text(json.dumps(asdict(self)))
        return file

    @staticmethod
    def read(file: str) -> Workload:
        values = json.loads(Path(file).read_text())
        return replace(Workload(**values), lengths=values["lengths"] and tuple(values["lengths"]))

    @property
    def responses(self) -> int:
        return self.prompts * self.samples

    def length_of(self, index: int) -> int:
        return self.lengths[index] if self.lengths else self.max_tokens

    @property
    def tokens(self) -> int:
        return sum(self.length_of(i) for i in range(self.responses))

    def prompt_ids(self) -> list[list[int]]:
        rng, vocabulary = random.Random(0), json.loads((Path(self.model) / "config.json").read_text())["vocab_size"]
        lengths = [self.prompt_tokens or rng.randint(16, 20) for _ in range(self.prompts)]
        return [[rng.randrange(2, vocabulary) for _ in range(length)] for length in lengths]


def geometric_lengths(count: int, mean: float, most: int) -> tuple[int, ...]:
    rng = random.Random(0)
    return tuple(min(most, 1 + int(rng.expovariate(1 / mean))) for _ in range(count))


def make_model(shape: str, directory: Path) -> None:
    """A random model, and its tokenizer."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    special = {"pad_token_id": PAD, "eos_token_id": END, "bos_token_id": END}
    values = SHAPES[shape] | special | {"max_position_embeddings": 2048, "tie_word_embeddings": True}
    AutoModelForCausalLM.from_config(AutoConfig.for_model(**values)).save_pretrained(directory)
    make_tokenizer(values["vocab_size"], directory)


def make_tokenizer(vocabulary: int, directory: Path) -> None:
    """One word a token: `t5 t17` is 5, 17. No word contains a special token, which would be found inside it."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = {PAD: "<pad>", END: "<end>"}
    names = {special.get(i, f"t{i}"): i for i in range(vocabulary)}
    words = Tokenizer(models.WordLevel(names, unk_token=special[PAD]))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=words,
        pad_token=special[PAD],
        eos_token=special[END],
        unk_token=special[PAD],
        padding_side="left",
    ).save_pretrained(directory)


def has_weights(directory: str) -> bool:
    return any(Path(directory).glob("*.safetensors"))


def load_policy(workload: Workload, device):
    """The model of a workload, on `device`. Where its directory has no weights they are random, and drawn there.

    Two processes draw the same ones on devices of one kind, and those of a large model are never written to a disk.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    dtype = getattr(torch, workload.dtype)
    if has_weights(workload.model):
        return AutoModelForCausalLM.from_pretrained(workload.model, dtype=dtype).to(device)
    torch.manual_seed(0)
    with torch.device(device):
        return AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(workload.model), dtype=dtype)


def peak_memory() -> dict[str, float]:
    """The most memory this process ever held: of the machine, and of its GPU where it has one.

    `device_gb`: what the GPU holds now in all, torch's free blocks and CUDA's own memory included.
    """
    import resource

    import torch

    peak = {"peak_rss_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}
    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        peak |= {"peak_gpu_gb": torch.cuda.max_memory_allocated() / 2**30, "device_gb": (total - free) / 2**30}
    return peak


def answer(row: dict) -> None:
    print(MARK + json.dumps(peak_memory() | row), flush=True)


def asked() -> bool:
    """Wait for the next step to be asked for; false when none is any more."""
    return bool(sys.stdin.readline().strip())


def serve(step: Callable[[int], dict]) -> None:
    """Do steps as they are asked for; `step` returns seconds by phase."""
    number = 0
    while asked():
        number += 1
        began = time.perf_counter()
        phases = step(number)
        answer({"seconds": time.perf_counter() - began, **phases})


class Side:
    """A process that serves steps."""

    def __init__(self, python: Path | str, script: str, workload: Path, log: Path, *arguments) -> None:
        self.log = log
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = os.environ | {"PYTHONPATH": path, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
        environment["WANDB_MODE"] = "disabled"
        self._process = subprocess.Popen(
            [str(python), str(ROOT / "benchmarks" / script), str(workload), *map(str, arguments)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log.open("w"),
            text=True,
        )

    def step(self) -> dict:
        self.ask()
        return self.answer()

    def ask(self) -> None:
        with suppress(BrokenPipeError):  # it has ended; `answer` reads what it still said, and why it ended
            self._process.stdin.write("go\n")
            self._process.stdin.flush()

    def answer(self) -> dict:
        for line in self._process.stdout:
            if line.startswith(MARK):
                return json.loads(line.removeprefix(MARK))
        raise RuntimeError(f"a side ended early; the end of its log:\n{self.log.read_text()[-3000:]}")

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
