"""OLMo 2: `<|user|>` and `<|assistant|>` are plain text; `<|endoftext|>` begins a chat and ends every text."""

STOP_TOKENS = ("<|endoftext|>",)
TURN_TEXTS = ("<|system|>", "<|user|>", "<|assistant|>")


def model_classes():
    """Return the classes of transformers that a mini of this family is made with."""
    from transformers import Olmo2Config, Olmo2ForCausalLM

    return Olmo2Config, Olmo2ForCausalLM
