"""Which worker of pytest-xdist takes which tests, and in which order."""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

SLURM = "slurm"
# What takes longest, in falling order: workers begin with these, so that none is left with a long one at the end.
LONGEST = (
    SLURM,
    "test_memory.py",
    "test_training.py",
    "test_loading.py",
    "test_real_weights.py",
    "test_benchmarks.py",
    "test_vllm.py",
    "test_processes.py",
    "test_tracking.py",
    "test_updates.py",
    "test_hub.py",
    "test_faults.py",
    "test_labels.py",
    "test_evaluation.py",
    "test_paper_minis.py",
    "test_paper.py",
    "test_first_hour.py",
    "test_rollouts_in_training.py",
    "test_prepared.py",
    "test_recorded.py",
    "test_wandb_sync.py",
)


def unit_of(nodeid: str) -> str:
    """What one worker takes as a whole: a file, as its fixtures are then made once, or all tests on Slurm.

    There is one Slurm, some tests stop its nodes, and workers would wait for each other.
    """
    *folders, file = nodeid.partition("::")[0].split("/")
    return SLURM if SLURM in folders else file


def place_of(nodeid: str) -> int:
    """Where a test's unit stands in the order; units of the same place keep the order in which they were found."""
    unit = unit_of(nodeid)
    return LONGEST.index(unit) if unit in LONGEST else len(LONGEST)


class WholeUnits(LoadScopeScheduling):
    """Gives a worker that is about to be idle the next unit, in the order of the collected tests.

    pytest-xdist 3.8's own groups (`--dist loadgroup`) have no effect under pytest 9.2, and nothing says so.
    """

    def __init__(self, config, log) -> None:
        config.option.loadscopereorder = False  # it would begin with the files that have most tests
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)
