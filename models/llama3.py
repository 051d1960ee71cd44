"""Llama 3: header-delimited turns that end with `<|eot_id|>`; base models end with `<|end_of_text|>`."""

from models.family import chat_prompt_ids as prompt_ids


def stop_ids(tokenizer) -> tuple[int, ...]:
    """The end of a turn, the end of text, and whatever the tokenizer calls its end."""
    ends = tokenizer.convert_tokens_to_ids(["<|eot_id|>", "<|end_of_text|>"])
    return tuple(sorted({*ends, tokenizer.eos_token_id}))


def model_classes():
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaConfig, LlamaForCausalLM
