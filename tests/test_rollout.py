"""Sampling: what ends a response, and that nothing but the policy and a request's key decides what it says."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn
from transformers import (
    GenerationConfig,
    LlamaConfig,
)

from helpers.family_tokenizers import MARK_END, tokenizer_of
from helpers.random_models import answers, tiny
from models.prompts import PromptConfig, Stop, stop_rules
from sweep.config.cell import CellConfig
from sweep.keyed import generator
from sweep.plan.compose import compose_cells
from sweep.rollout.draw import nucleus
from sweep.rollout.engine import open_sampler
from sweep.rollout.sample import Finish, Request
from sweep.rollout.stop import StopRules


def cell(*overrides: str) -> CellConfig:
    (found,) = compose_cells(overrides)
    return found.config


@pytest.mark.parametrize("family", ["llama", "qwen2", "olmo2"])
def test_a_response_is_its_keys_draws_from_the_models_own_distribution(family):
    model = tiny(family)
    plain = tiny(family)  # called the ordinary way, without any store of keys and values
    for index, got in enumerate(answers(model)):
        draws = generator(0, "rollout", 0, index).random(16)
        for t, (token, logprob) in enumerate(zip(got.ids, got.logprobs, strict=True)):
            ids = torch.tensor([[*got.prompt_ids, *got.ids[:t]]])
            logprobs_v = plain(ids).logits[0, -1].double().log_softmax(-1)
            upto_v = logprobs_v.exp().cumsum(0)
            assert upto_v[token] > draws[t] - 1e-5 and upto_v[token] - logprobs_v[token].exp() < draws[t] + 1e-5
            assert logprob == pytest.approx(logprobs_v[token].item(), abs=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_no_batch_changes_what_is_sampled(dtype):
    model = tiny().to(dtype)
    whole = answers(model)
    assert len({len(a.ids) for a in whole}) > 2
    for batch_size in (1, 3, 5):  # refilled as rows fall free
        again = answers(model, batch_size=batch_size)
        if dtype == torch.float32:
            assert [a.ids for a in again] == [a.ids for a in whole]
        # In bfloat16 a product of another shape may round otherwise and so draw another token, but rarely.
        same = [a.ids == b.ids for a, b in zip(again, whole, strict=True)]
        assert sum(same) >= len(same) - 2


def test_no_step_waits_for_a_plan_of_cudnn(monkeypatch):
    seen = []

    def recorded(*arguments, **options):
        seen.append(torch.backends.cuda.cudnn_sdp_enabled())
        return attend(*arguments, **options)

    attend = nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(nn.functional, "scaled_dot_product_attention", recorded)
    before = torch.backends.cuda.cudnn_sdp_enabled()
    answers(tiny())
    assert seen and not any(seen) and torch.backends.cuda.cudnn_sdp_enabled() == before


def test_nothing_that_a_model_brings_changes_how_it_is_sampled():
    model = tiny()
    plain = [a.ids for a in answers(model)]
    model.generation_config = GenerationConfig(do_sample=True, top_k=1, top_p=0.1, repetition_penalty=5.0, min_p=0.9)
    assert [a.ids for a in answers(model)] == plain
    assert [a.ids for a in answers(model, temperature=0)] != plain


def test_temperature_0_takes_the_likeliest_token_with_its_log_prob_at_temperature_1():
    model, plain = tiny(), tiny()
    for got in answers(model, temperature=0, samples=1):
        ids = torch.tensor([[*got.prompt_ids, *got.ids]])
        logprobs_tv = plain(ids).logits[0, len(got.prompt_ids) - 1 : -1].log_softmax(-1)
        assert got.ids == logprobs_tv.argmax(-1).tolist()
        torch.testing.assert_close(torch.tensor(got.logprobs), logprobs_tv.amax(-1), atol=1e-4, rtol=0)


LIKELY = [0.45, 0.05, 0.3, 0.2]


@pytest.mark.parametrize(
    ("top_p", "left"),
    [
        (0.4, [1, 0, 0, 0]),  # the first one alone reaches it
        (0.5, [0.6, 0, 0.4, 0]),  # 0.45 + 0.3, and then divided by their sum
        (0.9, [0.45 / 0.95, 0, 0.3 / 0.95, 0.2 / 0.95]),
        (0.99, LIKELY),
    ],
)
def test_a_nucleus_is_the_fewest_likeliest_tokens_that_reach_top_p(top_p, left):
    rows = torch.tensor([LIKELY, LIKELY[::-1]]).log()
    expected = torch.tensor([left, left[::-1]])
    torch.testing.assert_close(nucleus(rows, top_p).exp(), expected.float())


def test_of_equally_likely_tokens_a_nucleus_has_the_first():
    assert (nucleus(torch.zeros(1, 8).log_softmax(-1), 0.3) > -torch.inf).tolist() == [[True] * 3 + [False] * 5]


def test_with_top_p_tokens_are_drawn_from_the_nucleus_alone():
    """With the log-probs that they have within it, as one whole distribution."""
    model, plain = tiny(), tiny()
    for got in answers(model, top_p=0.3):
        ids = torch.tensor([[*got.prompt_ids, *got.ids]])
        logprobs_tv = nucleus(plain(ids).logits[0, len(got.prompt_ids) - 1 : -1].log_softmax(-1), 0.3)
        drawn_t = logprobs_tv.gather(1, torch.tensor(got.ids)[:, None]).squeeze(1)
        assert drawn_t.isfinite().all()
        torch.testing.assert_close(torch.tensor(got.logprobs), drawn_t, atol=1e-4, rtol=0)
    assert [a.ids for a in answers(model, top_p=0.3)] != [a.ids for a in answers(model)]


def test_a_models_own_ways_are_untouched_by_sampling():
    model, plain = tiny("qwen2"), tiny("qwen2")
    answers(model)
    ids, mask = torch.tensor([[0, 0, 5, 6], [3, 4, 5, 6]]), torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1]])
    got, expected = (m(ids, attention_mask=mask).logits[:, 2:] for m in (model, plain))
    torch.testing.assert_close(got, expected)


class Script(nn.Module):
    """A decoder and head that answer the prompt of n tokens with script n - 1, whatever is asked in one batch."""

    device, dtype = torch.device("cpu"), torch.float32
    config = LlamaConfig(num_hidden_layers=1, num_attention_heads=1, num_key_value_heads=1, head_dim=1)

    def __init__(self, scripts: list[list[int]], vocabulary: int) -> None:
        super().__init__()
        self.scripts, self.vocabulary = scripts, vocabulary
        self.after: dict[tuple, int] = {}

    def set_attn_implementation(self, _name: str) -> None:
        pass

    def get_decoder(self):
        return self._decode

    def _decode(self, *, input_ids, position_ids, layout, **_options) -> SimpleNamespace:
        # Keys carry the prompt's length along, as they carry its meaning in a real model.
        b, s = input_ids.shape
        if s > 1 or not hasattr(layout, "lengths_r"):
            ends = torch.tensor(layout.lengths).repeat_interleave(torch.tensor(layout.lengths))
            told = ends.float().view(1, 1, s, 1)
            layout.attend(0, told, told, told, 1.0)
            lengths, steps = ends, torch.zeros(s, dtype=torch.long)
        else:
            zero = torch.zeros(b, 1, 1, 1)
            layout.attend(0, zero, zero, zero, 1.0)
            lengths = layout.keys_lrktd[0, :b, 0, 0, 0].long()
            steps = position_ids[:, 0] - lengths + 1
        return SimpleNamespace(last_hidden_state=torch.stack([lengths, steps], -1).view(b, s, 2))

    def get_output_embeddings(self):
        return self._logits

    def _logits(self, hidden_bd: torch.Tensor) -> torch.Tensor:
        logits_bv = torch.full((len(hidden_bd), self.vocabulary), -1e4)
        for row, (length, step) in enumerate(hidden_bd.tolist()):
            logits_bv[row, self.scripts[length - 1][step]] = 0
        return logits_bv


@pytest.mark.parametrize("batch_size", [1, 2, 5])
@pytest.mark.parametrize("keep", [True, False])
def test_a_sampled_response_ends_by_token_string_or_length(batch_size, keep):
    name = "qwen2_5_math_7b"
    model, tokenizer = cell(f"model={name}").model, tokenizer_of(name)
    turn, end = tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    rules = StopRules(
        tokenizer, stop_rules(tokenizer, model, PromptConfig(name="mine", format="r1_zero", keep_stop=keep))
    )
    responses = [[turn], [*b"six", end], [*b"6</answer", MARK_END], [*b"one two thre"], [*b"a</answer>"]]
    scripts = [[*response, *b" never sampled"] for response in responses]
    requests = [Request([*b"?" * (i + 1)], (0, "rollout", 0, i)) for i in range(5)]
    config = cell("rollout.max_response_tokens=12", f"rollout.batch_size={batch_size}")
    sampled = open_sampler(config, rules).sample(Script(scripts, len(tokenizer)), requests, 1.0)
    stop = "</answer>" if keep else ""
    assert [s.ids for s in sampled] == responses
    assert [s.finish for s in sampled] == [Finish.EOS, Finish.EOS, Finish.STOP, Finish.LENGTH, Finish.STOP]
    assert [s.text for s in sampled] == ["", "six", f"6{stop}", "one two thre", f"a{stop}"]
    assert [len(s.logprobs) for s in sampled] == [len(r) for r in responses]
    assert [s.prompt_ids for s in sampled] == [r.prompt_ids for r in requests]


def test_a_request_may_ask_for_fewer_tokens():
    config = cell("rollout.max_response_tokens=9")
    stop = StopRules(tokenizer_of("olmo2_7b"), Stop((599,)))
    requests = [Request([5, 6], (0, i), max_tokens=limit) for i, limit in enumerate([None, 1, 4])]
    sampled = open_sampler(config, stop).sample(tiny(), requests, 1.0)
    assert [len(s.ids) for s in sampled] == [9, 1, 4]


def test_rows_come_from_the_memory_they_are_given():
    config = cell("model=qwen2_5_7b", "rollout.cache_gb=2")
    row = 4096 * 28 * 2 * 4 * 128 * 2 + 152064 * 16  # keys and values of 4 heads of 128 in 28 layers, and logits
    assert config.rollout.rows(config.model.architecture, 2) == 2 * 2**30 // row
    few = cell("model=qwen2_5_7b", "rollout.cache_gb=0.1", "rollout.batch_size=null")
    assert few.rollout.rows(few.model.architecture, 2) == 1
