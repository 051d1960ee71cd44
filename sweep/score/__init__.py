"""Scores of evaluations: pure functions of their answers. Needs neither texts nor torch."""
