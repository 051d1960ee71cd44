"""Submitting: freeze configurations, snapshot the code, queue jobs through submitit, show what happens."""
