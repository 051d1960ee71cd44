"""Models of any architecture with ChatML turns, such as SmolLM2; templates may write today's date, which is pinned."""

STOP_TOKENS = ("<|im_end|>", "<|endoftext|>")
TURN_TEXTS = ()
