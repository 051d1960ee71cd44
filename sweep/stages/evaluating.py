"""Evaluate a policy on a problem set: for the stages that do nothing else, and at intervals of a training."""

from __future__ import annotations

from transformers import PreTrainedModel

from sweep.evaluate.accuracy import Evaluation, evaluate
from sweep.grpo.learner import Learner
from sweep.job.phases import Phases
from sweep.stages.policy import JobSetup
from sweep.stages.problem_sets import ProblemSet


def evaluate_policy(setup: JobSetup, model: PreTrainedModel, problem_set: ProblemSet) -> Evaluation:
    """Evaluate `model`, the policy before or after some training, on the problems of `problem_set`.

    Raises:
        NotFinite: on all processes, if the model's logits are not finite.
    """
    settings = setup.config.evaluation
    return evaluate(setup.sampler, model, problem_set.prompts, problem_set.problems, settings, setup.grader)


class IntervalEvaluation:
    """Evaluates the policy of a learner while it is trained."""

    def __init__(self, setup: JobSetup, problem_set: ProblemSet, learner: Learner, phases: Phases) -> None:
        self.setup, self.problem_set, self.learner, self.phases = setup, problem_set, learner, phases

    def evaluate(self) -> Evaluation:
        """Evaluate the learner's policy; every process calls this. See `evaluate_policy`."""
        with self.phases("evaluation"), self.learner.sampling_model() as model:
            return evaluate_policy(self.setup, model, self.problem_set)
