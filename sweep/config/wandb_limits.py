"""The limits of W&B, and its environment variables that identify a run. The launch and the jobs share them."""

from __future__ import annotations

LONGEST_PROJECT, LONGEST_NAME, LONGEST_TAG = 128, 128, 64  # characters
NOT_IN_PROJECTS = "/\\#?%:"

# A launch takes these where the configuration leaves the choice open, and freezes them into its runs.
TAKEN = ("WANDB_MODE", "WANDB_DISABLED", "WANDB_PROJECT", "WANDB_ENTITY", "WANDB_TAGS", "WANDB_BASE_URL")
# These stand for one run (or for W&B's own sweeps), and would make one run of all cells.
OF_ONE_RUN = (
    "WANDB_RUN_ID",
    "WANDB_RESUME",
    "WANDB_RESUME_FROM",
    "WANDB_FORK_FROM",
    "WANDB_NAME",
    "WANDB_RUN_NAME",
    "WANDB_RUN_GROUP",
    "WANDB_RUN_TAGS",
    "WANDB_JOB_TYPE",
    "WANDB_RUN_JOB_TYPE",
    "WANDB_SWEEP_ID",
    "WANDB_SWEEP_PARAM_PATH",
    "WANDB_CONFIG",
    "WANDB_CONFIG_PATHS",
    "WANDB_DIR",
    "WANDB_ROOT_DIR",
    "WANDB_SERVICE",
)
