"""The stages that a job can run: `label`, `baseline`, `train` and `evaluation`, and the parts that they are made of."""
