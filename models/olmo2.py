"""OLMo 2: `<|user|>` and `<|assistant|>` are plain text; `<|endoftext|>` begins a chat and ends everything."""

STOP_TOKENS = ("<|endoftext|>",)
TURN_TEXTS = ("<|system|>", "<|user|>", "<|assistant|>")


def model_classes():
    from transformers import Olmo2Config, Olmo2ForCausalLM

    return Olmo2Config, Olmo2ForCausalLM
