"""A tokenizer over characters and a few whole words, with a real family's special tokens and chat template."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

# Tokens for whole words keep a worked solution under 30 tokens; all other text is one token a character.
WORDS = ("system", "user", "assistant", "```", "python", "\\boxed", "First", " then", "I", " guess")
CHARACTERS = "\n" + "".join(chr(c) for c in range(32, 127))
# Qwen's own rule for splitting text before merging. Its tokenizer class sets it, whatever a saved file says.
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

_QWEN_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_LLAMA3_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n"
    "{{ m['content'] }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
_OLMO2_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|{{ m['role'] }}|>\n{{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)

# Special tokens as the families' published tokenizers name them.
FAMILIES: dict[str, dict] = {
    "qwen": {
        "special": ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "chat_template": _QWEN_TEMPLATE,
    },
    "llama3": {
        "special": [
            "<|begin_of_text|>",
            "<|end_of_text|>",
            "<|start_header_id|>",
            "<|end_header_id|>",
            "<|eot_id|>",
            "<|finetune_right_pad_id|>",
        ],
        "bos_token": "<|begin_of_text|>",
        "eos_token": "<|eot_id|>",
        "pad_token": "<|finetune_right_pad_id|>",
        "chat_template": _LLAMA3_TEMPLATE,
    },
    "olmo2": {
        "special": ["<|endoftext|>", "<|pad|>"],
        "bos_token": "<|endoftext|>",
        "eos_token": "<|endoftext|>",
        "pad_token": "<|pad|>",
        "chat_template": _OLMO2_TEMPLATE,
    },
}


def build_tokenizer(family: str) -> PreTrainedTokenizerFast:
    """Return the family's mini tokenizer: special tokens, then printable ASCII and a few words, as byte-level BPE.

    It has the class that transformers chooses for the family's architecture, so that a saved mini loads unchanged: for
    the type `qwen2` that is always Qwen2Tokenizer, with its own splitting rule.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen2Tokenizer

    settings = dict(FAMILIES[family])
    special = settings.pop("special")
    vocabulary, merges = _vocabulary(special)
    extra = [t for t in special if t not in settings.values()]
    common = {"padding_side": "left", "extra_special_tokens": extra, **settings}
    if family == "qwen":
        return Qwen2Tokenizer(vocab=vocabulary, merges=merges, **common)
    core = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    core.normalizer = normalizers.NFC()
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(SPLIT), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)]
    )
    core.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=core, clean_up_tokenization_spaces=False, **common)


@cache
def vocabulary_size(family: str) -> int:
    """Return the number of tokens of the family's mini tokenizer."""
    return len(_vocabulary(FAMILIES[family]["special"])[0])


def _vocabulary(special: list[str]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Return the id of every piece, and the merges that build each word from its characters, left to right."""
    pieces, merges = [*special, *map(_byte_level, CHARACTERS)], []
    for word in map(_byte_level, WORDS):
        for end in range(1, len(word)):
            merge = (word[:end], word[end])
            if merge not in merges:
                merges.append(merge)
                pieces.append(word[: end + 1])
    return {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}, merges


def _byte_level(text: str) -> str:
    """Write a space as Ġ and a newline as Ċ, as byte-level BPE does."""
    return text.replace(" ", "Ġ").replace("\n", "Ċ")
