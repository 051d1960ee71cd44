"""Take answers that were sampled before and graded by other rules, instead of sampling them again."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path

from rewards.behaviours import Behaviours
from rewards.grading import Grader
from sweep.data.verdicts import verdicts
from sweep.evaluate.waiting import waiting
from sweep.run.answer_manifest import Evaluated
from sweep.run.answer_places import graded_otherwise
from sweep.run.recomputed_answers import regrade, replace_behaviours

log = logging.getLogger("sweep")


def take_over(directory: Path, evaluated: Evaluated, grader: Grader, behaviours: Behaviours) -> None:
    """Grade answers of the same weights to the same benchmark that lie beside `directory`, and put them there.

    Nothing is done if there are none. While another job writes to either directory, this one waits. An evaluation
    beside `directory` whose manifest cannot be read is left as it is, and the log says so: it may be of another
    benchmark.

    Raises:
        UserError: they are damaged.
    """
    unreadable: list[str] = []
    alike = graded_otherwise(directory, evaluated.weights.hash, evaluated.identity, unreadable)
    for said in unreadable:
        log.warning("not looked at for answers to grade again: %s", said)
    for one in alike:
        log.info("answers in %s are graded again, so that they need not be sampled", one.directory)
        waiting(partial(replace_behaviours, one.directory, behaviours.definitions(), behaviours.detect))
        grade = partial(verdicts, grader)
        waiting(partial(regrade, one.directory, directory, evaluated.identity, grade, behaviours.detect))
