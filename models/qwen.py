"""Qwen 2 and 2.5: ChatML turns. A base model's configured end is `<|endoftext|>`, its template's `<|im_end|>`."""

from models.family import chat_prompt_ids as prompt_ids


def stop_ids(tokenizer) -> tuple[int, ...]:
    """The template's end of turn, the end of text, and whatever the tokenizer calls its end."""
    ends = tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    return tuple(sorted({*ends, tokenizer.eos_token_id}))


def model_classes():
    from transformers import Qwen2Config, Qwen2ForCausalLM

    return Qwen2Config, Qwen2ForCausalLM
