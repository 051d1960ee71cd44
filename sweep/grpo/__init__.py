"""Learn from a rollout: advantages, loss, log-probs, the DeepSpeed engine, checkpoints."""
