"""OLMo 3: ChatML turns. A base model's texts end with `<|endoftext|>` alone."""

STOP_TOKENS = ("<|im_end|>", "<|endoftext|>")
TURN_TEXTS = ()
