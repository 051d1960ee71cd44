"""Llama 3: turns with headers that end with `<|eot_id|>`; base models end with `<|end_of_text|>`.

The Instruct template writes a date into every prompt, from version 3.2 on today's date: `model.date` fixes it. The base
tokenizers name no pad token; `<|finetune_right_pad_id|>` is reserved for it. Tokenizer and template both write
`<|begin_of_text|>`; a prompt contains it once.
"""

STOP_TOKENS = ("<|eot_id|>", "<|eom_id|>", "<|end_of_text|>")
TURN_TEXTS = ()


def model_classes():
    """Return the classes of transformers that a mini of this family is made with."""
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaConfig, LlamaForCausalLM
