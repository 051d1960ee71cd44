"""The repository, and the overrides that make a cell small: it trains in seconds."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Every real part is small: a mini that is pre-trained in seconds, and rollouts of 4 prompts with 4 responses each.
TINY = [
    "model.mini.hidden_size=16",
    "model.mini.layers=1",
    "model.mini.corpus_size=200",
    "model.mini.steps=20",
    "steps=4",
    "algorithm.prompts_per_step=4",
    "algorithm.samples_per_prompt=4",
    "algorithm.updates_per_rollout=2",
    "rollout.max_response_tokens=8",
    "evaluation.problems=8",
    "evaluation.samples_per_problem=1",
    "evaluation.every=2",
    "checkpoint.every=1",
    "checkpoint.resumable=true",
    "tracking.mode=disabled",
]
SHORT = ["rollout.max_prompt_tokens=32", "rollout.max_response_tokens=48"]  # for problems that come with no limits
