"""Byte-level BPE tokenizers with the special tokens and chat templates of published models, made in memory.

A byte's id is its value, so that a prompt's ids can be spelled out by hand: `[im_start, *b"user\\n", …]`. After the
bytes come the few MERGES that make it matter which texts are encoded together, then the added tokens in the published
order. Names are those of conf/model.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

MERGES = ["\n\n", " a", ">\n"]
BLANK_LINE, SPACE_A, MARK_END = range(256, 256 + len(MERGES))
# How text is cut before merging; no token crosses a cut. Rule: tokenizer.json, its pre_tokenizer.
_LETTERS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
_SIGNS = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN_CUTS, LLAMA_CUTS = rf"{_LETTERS}|\p{{N}}|{_SIGNS}", rf"{_LETTERS}|\p{{N}}{{1,3}}|{_SIGNS}"


@dataclass(frozen=True)
class Published:
    """What a model's tokenizer files say, as far as it shapes prompts and ends."""

    special: tuple[str, ...]  # added tokens that decoding can leave out
    eos: str
    bos: str | None = None
    pad: str | None = None
    plain: tuple[str, ...] = ()  # added tokens that are text all the same
    template: str | None = None
    writes_bos: bool = False  # encoding puts bos before a text by itself
    cuts: str | None = LLAMA_CUTS  # None: those of GPT-2, and every digit by itself
    composes: bool = False  # characters are brought to NFC first


def _chatml(default: str | None) -> str:
    """Turns `<|im_start|>role⏎content<|im_end|>⏎`, nothing trimmed; `default` unless a system turn comes first."""
    unless_given = f"{{% if messages[0].role != 'system' %}}<|im_start|>system\n{default}<|im_end|>\n{{% endif %}}"
    return (
        f"{unless_given if default else ''}"
        "{% for turn in messages %}<|im_start|>{{ turn.role }}\n{{ turn.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )


def _llama(otherwise: str) -> str:
    """Header-delimited turns, contents trimmed; a system turn with two dates always comes first."""
    return (
        "{% set today = date_string if date_string is defined else " + otherwise + " %}"
        "{% set told = messages[0].role == 'system' %}"
        "{{ bos_token }}<|start_header_id|>system<|end_header_id|>\n\n"
        "Cutting Knowledge Date: December 2023\nToday Date: {{ today }}\n\n"
        "{{ messages[0].content | trim if told else '' }}<|eot_id|>"
        "{% for turn in (messages[1:] if told else messages) %}"
        "<|start_header_id|>{{ turn.role }}<|end_header_id|>\n\n{{ turn.content | trim }}<|eot_id|>"
        "{% endfor %}"
        "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
    )


# tokenizer_config.json of Qwen/Qwen2.5-Math-7B: a system turn of its own, in one line.
QWEN_MATH = _chatml("Please reason step by step, and put your final answer within \\boxed{}.")
# tokenizer_config.json of Qwen/Qwen2.5-7B: another default.
QWEN_2_5 = _chatml("You are a helpful assistant.")
# tokenizer_config.json of Qwen/Qwen3-8B-Base: no default; thinking is begun by the model, not by the template.
QWEN_3 = _chatml(None) + (
    "{% if add_generation_prompt and enable_thinking is defined and not enable_thinking %}"
    "<think>\n\n</think>\n\n{% endif %}"
)
# tokenizer_config.json of HuggingFaceTB/SmolLM2-135M-Instruct: a default without a full stop.
SMOLLM_2 = _chatml("You are a helpful AI assistant named SmolLM, trained by Hugging Face")
# tokenizer_config.json of meta-llama/Llama-3.1-8B-Instruct: a fixed date unless one is given.
LLAMA_3_1 = _llama("'26 Jul 2024'")
# tokenizer_config.json of meta-llama/Llama-3.2-3B-Instruct: today's date unless one is given.
LLAMA_3_2 = _llama("(strftime_now('%d %b %Y') if strftime_now is defined else '26 Jul 2024')")
# tokenizer_config.json of allenai/OLMo-2-1124-7B-SFT: bos first, roles in plain text, eos after answers alone.
OLMO_2 = (
    "{{ bos_token }}{% for turn in messages %}<|{{ turn.role }}|>\n{{ turn.content }}"
    "{{ eos_token if turn.role == 'assistant' else '' }}{{ '\n' if turn.role != 'assistant' or not loop.last else '' }}"
    "{{ '<|assistant|>\n' if loop.last and add_generation_prompt else '' }}{% endfor %}"
)

# tokenizer.json of Qwen/Qwen2.5-7B, added_tokens: the first eleven; vision's, tools' and code's follow.
_QWEN_SPECIAL = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>",
    "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>",
)  # fmt: skip
# The same file: tokens that are not special. Qwen3 adds its own to them.
_QWEN_PLAIN = ("<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>")
_QWEN_3_PLAIN = (*_QWEN_PLAIN, "<tool_response>", "</tool_response>", "<think>", "</think>")
# tokenizer.json of meta-llama/Llama-3.1-8B, added_tokens: the first twelve; reserved ones follow.
_LLAMA_SPECIAL = (
    "<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>", "<|reserved_special_token_1|>",
    "<|finetune_right_pad_id|>", "<|reserved_special_token_2|>", "<|start_header_id|>", "<|end_header_id|>",
    "<|eom_id|>", "<|eot_id|>", "<|python_tag|>", "<|reserved_special_token_3|>",
)  # fmt: skip
# tokenizer.json of allenai/OLMo-2-1124-7B, added_tokens: ChatML's marks are among them, the template's are not.
_OLMO_SPECIAL = (
    "<|extra_id_0|>", "<|endoftext|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|im_start|>",
    "<|im_end|>", "<|endofprompt|>", "<|pad|>",
)  # fmt: skip
# tokenizer.json of HuggingFaceTB/SmolLM2-135M-Instruct, added_tokens: the first seven of seventeen.
_SMOLLM_SPECIAL = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<repo_name>", "<reponame>", "<file_sep>", "<filename>",
)  # fmt: skip

_QWEN = {"special": _QWEN_SPECIAL, "pad": "<|endoftext|>", "cuts": QWEN_CUTS, "composes": True}
# special_tokens_map.json of meta-llama/Llama-3.1-8B names no pad token; tokenizer.json's post_processor writes bos.
_LLAMA = {"special": _LLAMA_SPECIAL, "bos": "<|begin_of_text|>", "writes_bos": True}
# special_tokens_map.json of allenai/OLMo-2-1124-7B: one token begins and ends; encoding writes neither.
_OLMO = {"special": _OLMO_SPECIAL, "bos": "<|endoftext|>", "eos": "<|endoftext|>", "pad": "<|pad|>"}

PUBLISHED = {
    "qwen2_5_math_7b": Published(**_QWEN, plain=_QWEN_PLAIN, eos="<|endoftext|>", template=QWEN_MATH),
    "qwen2_5_7b": Published(**_QWEN, plain=_QWEN_PLAIN, eos="<|endoftext|>", template=QWEN_2_5),
    "qwen3_8b_base": Published(**_QWEN, plain=_QWEN_3_PLAIN, eos="<|endoftext|>", template=QWEN_3),
    "llama3_2_3b_instruct": Published(**_LLAMA, eos="<|eot_id|>", template=LLAMA_3_2),
    "llama3_1_8b_instruct": Published(**_LLAMA, eos="<|eot_id|>", template=LLAMA_3_1),
    "llama3_1_8b": Published(**_LLAMA, eos="<|end_of_text|>"),
    "olmo2_7b_sft": Published(**_OLMO, template=OLMO_2),
    "olmo2_7b": Published(**_OLMO),
    # special_tokens_map.json of HuggingFaceTB/SmolLM2-135M-Instruct: bos is named, yet written nowhere by itself.
    "smollm2_135m": Published(
        _SMOLLM_SPECIAL, bos="<|im_start|>", eos="<|im_end|>", pad="<|im_end|>", template=SMOLLM_2, cuts=None
    ),
}


@cache
def tokenizer_of(name: str) -> PreTrainedTokenizerFast:
    """The tokenizer of the model `name`; shared between tests, so not to be changed."""
    return build(PUBLISHED[name])


def build(published: Published) -> PreTrainedTokenizerFast:
    letters = _letters_of_bytes()
    spelled = ["".join(letters[b] for b in text.encode()) for text in MERGES]
    vocabulary = {piece: i for i, piece in enumerate([*letters, *spelled])}
    core = Tokenizer(models.BPE(vocab=vocabulary, merges=[(piece[:-1], piece[-1]) for piece in spelled]))
    if published.composes:
        core.normalizer = normalizers.NFC()
    if published.cuts is None:
        cuts = [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    else:
        bytewise = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        cuts = [pre_tokenizers.Split(Regex(published.cuts), "isolated"), bytewise]
    core.pre_tokenizer = pre_tokenizers.Sequence(cuts)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in published.special])
    core.add_tokens([AddedToken(text, special=False, normalized=False) for text in published.plain])
    core.post_processor = processors.ByteLevel(trim_offsets=False)
    if published.writes_bos:
        bos = (published.bos, core.token_to_id(published.bos))
        with_bos = processors.TemplateProcessing(
            single=f"{bos[0]} $A", pair=f"{bos[0]} $A {bos[0]}:1 $B:1", special_tokens=[bos]
        )
        core.post_processor = processors.Sequence([core.post_processor, with_bos])
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token=published.bos,
        eos_token=published.eos,
        pad_token=published.pad,
        chat_template=published.template,
    )


def _letters_of_bytes() -> list[str]:
    """How byte-level BPE writes each byte: printable ones as themselves, the others as letters from U+0100 on."""
    shown = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(b if b in shown else next(others)) for b in range(256)]
