"""Reward signals, answer extraction and grading. Imports nothing of `sweep`, and no torch."""
