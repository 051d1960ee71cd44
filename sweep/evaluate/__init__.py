"""Evaluate a policy by the gold answers, whatever the training reward is."""
