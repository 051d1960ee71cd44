"""Learning: advantages, loss, log-probs, the DeepSpeed engine, checkpoints."""
