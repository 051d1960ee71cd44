"""A number that is not finite stops a run before it changes anything, on all processes, and leaves its batch."""

from __future__ import annotations

import json
import math
import re

import pytest
import torch

from helpers.constants import TINY
from helpers.processes import python_processes
from helpers.random_models import answers, tiny
from helpers.recorded_rollouts import recorded_rollouts
from models.mini.pretrain import _new_model
from models.mini.tokenizer import build_tokenizer
from sweep.grpo.checks import check_forward
from sweep.plan.compose import compose_cells
from sweep.rollout.draw import draw_tokens
from sweep.rollout.sample import Finish, Sampled
from sweep.run.not_finite import MOST_TOKENS, NotFinite, explained, write_batch

# What is wrong, how it is told, and the backward passes before it: an update has one micro-batch on each process here.
FAULTS = {
    "nothing": (None, 1),
    "loss": (r"not finite: loss of micro-batch 1 of update 1\.", 0),
    "log-prob": (r"not finite: log-probs of micro-batch 1 of update 1\.", 0),
    "ratio": (r"not finite: ratios of micro-batch 1 of update 1\.", 0),
    "gradient": (r"not finite: gradient norm of update 1\.", 1),
    "weight": (r"not finite: weights or moments of the optimiser\.", 0),
}
# Each way in which DeepSpeed holds gradients and optimiser leaves out a step by code of its own.
LAYOUTS = [
    ["deepspeed=zero1", "model.dtype=float32"],
    ["deepspeed=zero2", "model.dtype=float32"],
    ["deepspeed=zero2", "model.dtype=bfloat16", "tuning=lora", "tuning.rank=4"],
    ["deepspeed=zero2", "model.dtype=bfloat16", "deepspeed.offload_optimizer=true"],
    ["deepspeed=zero3", "model.dtype=float32", "deepspeed.offload_optimizer=true"],
    ["deepspeed=zero3", "model.dtype=bfloat16"],
]
_, ZERO2, _, _, _, ZERO3 = LAYOUTS
CASES = [(layout, "gradient") for layout in LAYOUTS]
CASES += [(ZERO2, "nothing"), (ZERO2, "log-prob"), (ZERO2, "ratio"), (ZERO3, "loss"), (ZERO3, "weight")]


def test_nothing_changes_on_any_process_where_one_meets_a_number_that_is_not_finite(tmp_path):
    # With the sampler's log-probs in the ratio, a trainer's log-prob that is infinite makes a ratio of 0.
    every = [*TINY, "algorithm.updates_per_rollout=1", "algorithm.old_logprobs=sampler"]
    model = compose_cells(TINY)[0].config.model
    torch.manual_seed(0)
    _new_model(model.family, model.mini, build_tokenizer(model.family)).save_pretrained(tmp_path / "model")
    (tmp_path / "rollouts.json").write_text(json.dumps(recorded_rollouts(1)))
    asked = [{"overrides": [*every, *overrides], "fault": fault} for overrides, fault in CASES]
    (tmp_path / "cases.json").write_text(json.dumps(asked))
    outputs = python_processes("tests/programs/faults_of_a_learner.py", 2, tmp_path)
    for rank, output in enumerate(outputs):
        for case, found in zip(CASES, json.loads(output.splitlines()[-1]), strict=True):
            message, passes = FAULTS[case[1]]
            assert re.match(message or "None$", str(found["message"])), case
            assert found["changed"] == (message is None), case
            assert found["backward"] == passes, case
            # Only the process that met it says what it worked on.
            assert (found["evidence"] is None) == (rank == 0 or passes > 0), case


def test_tokens_of_logits_that_are_not_finite_are_told_by_their_log_prob():
    logits_bv = torch.randn(4, 700)
    bad_bv = logits_bv.clone()
    bad_bv[1], bad_bv[2, 5], bad_bv[3] = math.nan, math.inf, -math.inf
    draws_b = torch.rand(4, dtype=torch.float64)
    for temperature in (1.0, 0.0):
        fine = draw_tokens(logits_bv.clone(), draws_b, temperature)
        token_b, logprob_b = draw_tokens(bad_bv.clone(), draws_b, temperature)
        assert logprob_b.isfinite().tolist() == [True, False, False, False]
        assert (token_b[0], logprob_b[0]) == (fine[0][0], fine[1][0])
        assert ((token_b >= 0) & (token_b < 700)).all()


@pytest.mark.parametrize("temperature", [1.0, 0.0])
def test_a_model_whose_logits_are_not_finite_is_not_sampled_from(temperature):
    model = tiny()
    model.get_output_embeddings().weight.data *= 1e38
    with pytest.raises(NotFinite, match=r"not finite: log-probs of a sampled response\. Look at .*model\.dtype"):
        answers(model, temperature=temperature)
    with pytest.raises(NotFinite, match=r"not finite: log-probs of a prompt\."):
        check_forward(model, range(3, 40))


def test_a_response_with_a_log_prob_that_is_not_finite_cannot_be():
    Sampled([1], [2, 3], [-0.1, -60.0], Finish.EOS)
    for bad in (math.nan, -math.inf):
        with pytest.raises(NotFinite) as raised:
            Sampled([1], [2, 3], [-0.1, bad], Finish.EOS)
        assert raised.value.evidence["responses"][0]["ids"] == [2, 3]


def test_the_last_word_says_step_file_and_what_to_try(tmp_path):
    (cell,) = compose_cells([*TINY, "model.dtype=bfloat16"])
    said = str(explained(NotFinite("loss of update 1"), 12, cell.config, tmp_path / "batch.json"))
    assert said.startswith("step 12: not finite: loss of update 1. ") and str(tmp_path / "batch.json") in said
    for key in ("optimizer.learning_rate", "optimizer.max_grad_norm", "algorithm.clip_high", "model.dtype=float32"):
        assert key in said
    assert "\n" not in said


def test_the_file_of_a_batch_is_bounded_and_valid_json(tmp_path):
    responses = [{"prompt_ids": [1] * 10, "ids": [2] * 90, "advantage": math.nan} for _ in range(5000)]
    fault = NotFinite("loss", {"loss": math.inf})
    write_batch(tmp_path / "batch.json", 3, fault, [{"rank": 1, **fault.evidence}], responses)
    found = json.loads((tmp_path / "batch.json").read_text(), parse_constant=pytest.fail)
    assert found["ranks"] == [{"rank": 1, "loss": "inf"}] and found["rollout"][0]["advantage"] == "nan"
    assert len(found["rollout"]) == MOST_TOKENS // 100 == 5000 - found["responses_left_out"]
