"""Take answers that were sampled before and graded by other rules, instead of sampling them again."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path

from rewards.behaviours import Behaviours
from rewards.grading import Grader
from sweep.data.verdicts import verdicts
from sweep.run.answer_manifest import Evaluated
from sweep.run.answer_places import graded_otherwise
from sweep.run.recomputed_answers import regrade, replace_behaviours

log = logging.getLogger("sweep")


def take_over(directory: Path, evaluated: Evaluated, grader: Grader, behaviours: Behaviours) -> None:
    """Grade answers of the same weights to the same benchmark that lie beside `directory`, and put them there.

    Nothing is done if there are none.

    Raises:
        UserError: they are damaged, or another process writes there.
    """
    for one in graded_otherwise(directory, evaluated.weights.hash, evaluated.identity):
        log.info("answers in %s are graded again, so that they need not be sampled", one.directory)
        replace_behaviours(one.directory, behaviours.definitions(), behaviours.detect)
        regrade(one.directory, directory, evaluated.identity, partial(verdicts, grader), behaviours.detect)
