"""What a job runs: `baseline` (the untrained model's evaluation) and `train`."""
