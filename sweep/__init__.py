"""The life of a sweep: plan → dispatch → stages (rollout, grpo, evaluate, track) → compare."""
