"""The first part of a training step: collect a rollout, which is graded groups of responses of the policy as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch.distributed as dist

from sweep.grpo.learner import Learner
from sweep.job.phases import Phases
from sweep.job.processes import gather, together
from sweep.rollout.sample import Request, Sampled
from sweep.run.not_finite import NotFinite
from sweep.stages.grading import Graded, grade_groups
from sweep.stages.groups import Group
from sweep.stages.order import problem_in_slot
from sweep.stages.policy import JobSetup
from sweep.stages.problem_sets import ProblemSet
from sweep.stages.spending import sampled_tokens


@dataclass(frozen=True)
class Rollout:
    """The graded groups of a step, the same on every process.

    groups: the groups to train on, `prompts_per_step` of them, in the order of their places.
    sampled: every group that was sampled, those that resampling replaced included.
    """

    groups: list[Group[Graded]]
    sampled: list[Group[Graded]]

    @property
    def responses(self) -> list[Sampled]:
        """The responses of `groups`, group by group."""
        return [graded.sampled for group in self.groups for graded in group.responses]

    def sampling_metrics(self) -> dict[str, float]:
        """Return the metrics of all that was sampled: groups, tokens, and the mean reward."""
        rewards = [graded.reward for group in self.sampled for graded in group.responses]
        tokens = sampled_tokens(graded.sampled for group in self.sampled for graded in group.responses)
        return {
            "rollout/groups_sampled": len(self.sampled),
            "rollout/tokens": tokens["generated"],
            "rollout/prompt_tokens": tokens["prompts"],
            "reward/mean_sampled": sum(rewards) / len(rewards),
        }


class Collector:
    """Samples and grades the groups of a step. Every process has one and calls it for the same steps."""

    def __init__(self, setup: JobSetup, training_set: ProblemSet, learner: Learner, phases: Phases) -> None:
        self.setup, self.training_set, self.learner, self.phases = setup, training_set, learner, phases

    def collect(self, step: int) -> Rollout:
        """Sample and grade the groups of `step`.

        With dynamic sampling (DAPO, 2503.14476, section 3.2) a group whose rewards are all equal is replaced by a group
        of another problem, in at most `resampling_rounds` rounds. A group that is equal after the last round stays.

        Raises:
            NotFinite: on all processes, if a log-prob of a response is not finite on any.
        """
        algorithm = self.setup.config.algorithm
        chosen: dict[int, Group[Graded]] = {}  # by place
        unsettled, sampled = list(range(algorithm.prompts_per_step)), []
        for resampling in range(algorithm.resampling_rounds + 1):
            slots = [place + resampling * algorithm.prompts_per_step for place in unsettled]
            found = self._graded_groups(step, slots)
            sampled += found
            chosen |= dict(zip(unsettled, found, strict=True))
            unsettled = [place for place in unsettled if _all_rewards_equal(chosen[place])]
            if not unsettled:
                break
        return Rollout([chosen[place] for place in sorted(chosen)], sampled)

    def _graded_groups(self, step: int, slots: Sequence[int]) -> list[Group[Graded]]:
        """Return a graded group for each slot. Each process samples a part of the slots, and gets all groups back."""
        config, setup = self.setup.config, self.setup
        own_slots = np.array_split(np.array(slots), dist.get_world_size())[dist.get_rank()].tolist()
        with self.phases("rollout"):
            own = self._sampled_groups(step, own_slots)
        with self.phases("grading"):
            graded = grade_groups(own, setup.grader, setup.behaviours, config.reward, config.seed, step)
        # Each process has the problems of all slots, so only slots and responses are sent.
        gathered = gather([(group.slot, group.responses) for group in graded])
        problems = self.training_set.problems
        return [Group(slot, problems[self._problem_in(step, slot)], responses) for slot, responses in gathered]

    def _sampled_groups(self, step: int, slots: Sequence[int]) -> list[Group[Sampled]]:
        config, size = self.setup.config, self.setup.config.algorithm.samples_per_prompt
        places = [self._problem_in(step, slot) for slot in slots]
        requests = [
            Request(self.training_set.prompts[place], (config.seed, "rollout", step, slot, number))
            for slot, place in zip(slots, places, strict=True)
            for number in range(size)
        ]
        with self.learner.sampling_model() as model, together(NotFinite):
            answers = self.setup.sampler.sample(model, requests, config.rollout.temperature)
        return [
            Group(slot, self.training_set.problems[place], answers[k * size : (k + 1) * size])
            for k, (slot, place) in enumerate(zip(slots, places, strict=True))
        ]

    def _problem_in(self, step: int, slot: int) -> int:
        config = self.setup.config
        count = len(self.training_set.problems)
        return problem_in_slot(config.seed, step, slot, config.algorithm.prompts_per_step, count)


def _all_rewards_equal(group: Group[Graded]) -> bool:
    return len({graded.reward for graded in group.responses}) == 1
