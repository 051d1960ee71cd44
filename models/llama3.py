"""Llama 3: header-delimited turns that end with `<|eot_id|>`; base models end with `<|end_of_text|>`.

The Instruct template writes a date into every prompt, from 3.2 on today's: `model.date` pins it. The base tokenizers
name no pad token; `<|finetune_right_pad_id|>` is reserved for it. Tokenizer and template both write
`<|begin_of_text|>`; a prompt has it once.
"""

STOP_TOKENS = ("<|eot_id|>", "<|eom_id|>", "<|end_of_text|>")
TURN_TEXTS = ()


def model_classes():
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaConfig, LlamaForCausalLM
