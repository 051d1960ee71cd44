"""Qwen 2, 2.5 and 3: ChatML turns; the template writes a system turn of its own unless it is given one.

A base model's configured end is `<|endoftext|>`, its template's `<|im_end|>`: a response ends at either. There is no
beginning-of-text token.
"""

STOP_TOKENS = ("<|im_end|>", "<|endoftext|>")
TURN_TEXTS = ()


def model_classes():
    from transformers import Qwen2Config, Qwen2ForCausalLM

    return Qwen2Config, Qwen2ForCausalLM
