"""Qwen 2, 2.5 and 3: ChatML turns. The template writes its own system turn if none is given.

A base model's configured end is `<|endoftext|>`, its template's is `<|im_end|>`: a response ends at either. There is no
beginning-of-text token.
"""

STOP_TOKENS = ("<|im_end|>", "<|endoftext|>")
TURN_TEXTS = ()


def model_classes():
    """Return the classes of transformers that a mini of this family is made with."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    return Qwen2Config, Qwen2ForCausalLM
