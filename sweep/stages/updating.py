"""The second part of a training step: give the responses of a rollout their advantages, and update the policy."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import chain

import torch

from sweep.config.algorithm import AlgorithmConfig
from sweep.config.cell import CellConfig
from sweep.grpo.advantages import rollout_advantages, zero_variance
from sweep.grpo.checks import check_agreement
from sweep.grpo.deal import WithAdvantage
from sweep.grpo.learner import Learner
from sweep.job.phases import Phases
from sweep.rollout.sample import Finish
from sweep.stages.grading import Graded
from sweep.stages.groups import Group
from sweep.stages.metrics import one_row, reward_metrics

log = logging.getLogger("sweep")


class Updater:
    """Trains the policy on rollouts. Every process has one and calls it with the same arguments."""

    def __init__(self, config: CellConfig, learner: Learner, phases: Phases) -> None:
        self.config, self.learner, self.phases = config, learner, phases

    def with_advantages(
        self, groups: Sequence[Group[Graded]], step: int
    ) -> tuple[list[list[WithAdvantage]], dict[str, float]]:
        """Return the responses of each group with their advantages, and the metrics of rewards and advantages."""
        algorithm = self.config.algorithm
        rewards_pg = torch.tensor([[g.reward for g in group.responses] for group in groups])
        lengths_pg = torch.tensor([[float(len(g.sampled.ids)) for g in group.responses] for group in groups])
        kl_pg, kl_metrics = self._measured_kl(groups, step)
        max_tokens = self.config.rollout.max_response_tokens
        advantages_pg = rollout_advantages(rewards_pg, lengths_pg, kl_pg, algorithm, max_tokens)
        equal_p = zero_variance(rewards_pg)
        found = [
            [
                WithAdvantage(graded.sampled, advantage, counted=takes_part(graded, equal, algorithm))
                for graded, advantage in zip(group.responses, advantages, strict=True)
            ]
            for group, advantages, equal in zip(groups, advantages_pg.tolist(), equal_p.tolist(), strict=True)
        ]
        counted = {"train/responses": sum(response.counted for response in chain.from_iterable(found))}
        return found, one_row(reward_metrics(rewards_pg, equal_p, advantages_pg), kl_metrics, counted)

    def _measured_kl(self, groups: Sequence[Group[Graded]], step: int) -> tuple[torch.Tensor | None, dict[str, float]]:
        """Return the KL estimates (p, g) that reduce rewards, None without such a penalty; and the logged mean.

        With the penalty in the loss, the updates measure the same number on their way, so nothing is measured here.
        """
        algorithm, every = self.config.algorithm, self.config.tracking.reference_kl_every
        penalised = algorithm.kl_place if algorithm.kl_coefficient > 0 else None
        logged = every is not None and step % every == 0
        if penalised == "loss" or not (penalised == "reward" or logged):
            return None, {}
        estimator = algorithm.kl_estimator if penalised == "reward" else "k3"
        with self.phases("reference"):
            measured = self.learner.sequence_kl([[g.sampled for g in group.responses] for group in groups], estimator)
        tokens = sum(len(g.sampled.ids) for group in groups for g in group.responses)
        mean = {"train/reference_kl": sum(chain.from_iterable(measured)) / float(tokens)}
        return torch.tensor(measured) if penalised == "reward" else None, mean

    def update(self, groups: Sequence[Sequence[WithAdvantage]], step: int) -> dict[str, float]:
        """Train on the responses; returns what `Learner.update` found.

        Raises:
            NotFinite: on all processes; see `Learner.update`.
        """
        with self.phases("update"):
            return self.learner.update(groups, step)

    def compare_samplers(self, difference: float | None, step: int, checked: bool) -> None:
        """Compare the log-probs of sampler and trainer. Where a step is not `checked`, a difference only warns.

        Args:
            difference: mean |log π_trainer - log π_sampler| a token; None where no response took part in an update.
        Raises:
            RolloutFault: the step is checked, and they differ by more than `checks.logprob_difference`.
        """
        if difference is None:
            return
        bound = self.config.checks.logprob_difference
        if checked:
            check_agreement(difference, bound)
        elif difference > bound:
            log.warning("step %d: sampler and trainer disagree on log-probs by %.3g a token", step, difference)


def takes_part(graded: Graded, group_is_equal: bool, algorithm: AlgorithmConfig) -> bool:
    """Return whether a response is trained on. `group_is_equal`: all training rewards of its group are equal."""
    if algorithm.filter_zero_variance and group_is_equal:
        return False
    return not (algorithm.mask_truncated and graded.sampled.finish is Finish.LENGTH)
