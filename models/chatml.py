"""Models of any architecture with ChatML turns, such as SmolLM2. A template that writes today's date needs
`model.date`.
"""

STOP_TOKENS = ("<|im_end|>", "<|endoftext|>")
TURN_TEXTS = ()
