"""OLMo 2: `<|user|>` and `<|assistant|>` written as plain text; `<|endoftext|>` begins and ends."""

from models.family import chat_prompt_ids as prompt_ids


def stop_ids(tokenizer) -> tuple[int, ...]:
    """The end of text is the only end the family knows."""
    return (tokenizer.eos_token_id,)


def model_classes():
    from transformers import Olmo2Config, Olmo2ForCausalLM

    return Olmo2Config, Olmo2ForCausalLM
