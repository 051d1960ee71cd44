"""What a job runs: `label` (majority labels), `baseline` (the untrained model's evaluation), `train`, `evaluation`."""
