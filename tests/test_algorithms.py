"""The choices of an algorithm: what composes, what is refused, what is part of a run's identity."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from helpers.presets import PRESETS, algorithm
from sweep.config.algorithm_rules import algorithm_faults
from sweep.grpo.deal import WithAdvantage, split_updates
from sweep.plan.compose import compose_cells
from sweep.plan.signature import fields, training_identity
from sweep.rollout.sample import Finish, Sampled
from sweep.run.identity import signature


@pytest.mark.parametrize("name", PRESETS)
def test_a_frozen_preset_states_every_choice(name):
    chosen = algorithm(name)
    assert algorithm_faults(chosen) == []
    assert set(chosen.model_dump()) == set(type(chosen).model_fields)
    assert not any(field.is_required() is False for field in type(chosen).model_fields.values())


def test_presets_differ_in_what_their_sources_differ():
    assert algorithm("paper").model_dump() == algorithm(
        "grpo", name="paper", prompts_per_step=64, epsilon=1e-9, whitening=True, aggregation="micro_batch_mean",
        aggregation_size=4,
    ).model_dump()  # fmt: skip
    assert (algorithm("dapo").clip_low, algorithm("dapo").clip_high) == (0.2, 0.28)
    assert algorithm("rloo").on_policy and algorithm("rloo").baseline == "leave_one_out"


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"baseline": "none"}, ["normalisation=group_std", "normalisation=none"]),
        ({"samples_per_prompt": 1}, ["samples_per_prompt=1", "every advantage would be 0"]),
        (
            {"samples_per_prompt": 1, "baseline": "none", "normalisation": "none", "filter_zero_variance": True},
            ["none would be left", "algorithm.filter_zero_variance=false"],
        ),
        ({"ratio": "probability"}, ["algorithm.clip_low=null algorithm.clip_high=null", "ratio=importance"]),
        (
            {"ratio": "probability", "on_policy": True, "clip_low": None, "clip_high": None, "tis_cap": 2.0},
            ["set algorithm.on_policy=false algorithm.tis_cap=null"],
        ),
        ({"tis_cap": 2.0, "old_logprobs": "sampler"}, ["algorithm.tis_cap=2", "old_logprobs=trainer"]),
        ({"aggregation": "micro_batch_mean"}, ["aggregation_size", "4"]),
    ],
)
def test_contradictions_are_refused_with_the_remedy(overrides, words):
    (fault,) = algorithm_faults(algorithm("grpo", **overrides))
    for word in words:
        assert word in fault


def test_what_nothing_reads_is_no_part_of_the_identity():
    same = [
        ({"on_policy": True}, {"on_policy": True, "clip_low": None, "old_logprobs": "sampler"}),
        ({}, {"kl_estimator": "k1", "kl_place": "reward"}),
        ({}, {"overlong_penalty": 3.0, "aggregation_size": 2, "name": "mine"}),
        ({"normalisation": "none"}, {"normalisation": "none", "epsilon": 1e-3}),
    ]
    for first, second in same:
        assert fields(algorithm(**first)) == fields(algorithm(**second))
    different = [{"kl_coefficient": 0.1, "kl_estimator": k} for k in ("k1", "k2", "k3")]
    different += [{}, {"epsilon": 1e-3}, {"on_policy": True}, {"tis_cap": 2.0}, {"entropy_coefficient": 0.1}]
    different += [{"aggregation": "micro_batch_mean", "aggregation_size": n} for n in (2, 4)]
    assert len({str(fields(algorithm(**changes))) for changes in different}) == len(different)


def test_the_papers_groups_of_four_are_identity_and_micro_batches_are_not():
    def sign(*overrides: str) -> str:
        (cell,) = compose_cells(["algorithm=paper", *overrides])
        return signature(training_identity(cell.config))

    assert sign("deepspeed.micro_batch_tokens=2") == sign()
    assert sign("algorithm.aggregation_size=8") != sign()


def responses(count: int) -> list[WithAdvantage]:
    rng = random.Random(0)
    lengths = [rng.randint(1, 9) for _ in range(count)]
    return [WithAdvantage(Sampled([1], [i] * n, [0.0] * n, Finish.EOS, ""), float(i)) for i, n in enumerate(lengths)]


def test_updates_hold_every_response_once_in_keyed_order():
    chosen = algorithm(updates_per_rollout=4)
    updates = split_updates([responses(32)], chosen, 16, seed=0, step=1)
    assert [len(u) for u in updates] == [8] * 4
    assert sorted(weighted.response.advantage for u in updates for weighted in u) == list(range(32))
    assert split_updates([responses(32)], chosen, 16, seed=0, step=1) == updates
    assert split_updates([responses(32)], chosen, 16, seed=0, step=2) != updates


def test_responses_that_do_not_count_leave_the_means():
    rollout = [replace(s, counted=i < 10) for i, s in enumerate(responses(32))]
    updates = split_updates([rollout], algorithm(updates_per_rollout=4), 16, seed=0, step=1)
    assert [len(u) for u in updates] == [3, 3, 2, 2]
    for update in updates:
        assert sum(p.weight * len(p.sampled.ids) for p in update) == pytest.approx(1.0)
        assert sum(p.share * len(p.sampled.ids) for p in update) == pytest.approx(1.0)
    few = [replace(s, counted=i < 2) for i, s in enumerate(responses(32))]
    assert [len(u) for u in split_updates([few], algorithm(updates_per_rollout=4), 16, seed=0, step=1)] == [1, 1]
    none = [replace(s, counted=False) for s in responses(32)]
    assert split_updates([none], algorithm(), 16, seed=0, step=1) == []
