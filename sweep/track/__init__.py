"""metrics.jsonl, the truth, and its W&B mirror."""
