"""Record a training's rows in metrics.jsonl, and mirror them to W&B. The file is complete without the mirror."""
