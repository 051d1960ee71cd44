"""What ends an answer: each family's stop tokens, and stop strings, found in ids."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from omegaconf import OmegaConf

from helpers.family_tokenizers import MARK_END, PUBLISHED, build, tokenizer_of
from helpers.published import model_of, prompt_of, spell
from models.family import load_family
from models.prompts import PromptConfig, Stop, stop_rules
from sweep.plan.files import CONF
from sweep.rollout.stop import StopRules

# Stop tokens


@pytest.mark.parametrize(
    ("name", "tokens"),
    [
        ("qwen2_5_math_7b", ["<|im_end|>", "<|endoftext|>"]),
        ("qwen3_8b_base", ["<|im_end|>", "<|endoftext|>"]),
        ("llama3_2_3b_instruct", ["<|eot_id|>", "<|eom_id|>", "<|end_of_text|>"]),
        ("llama3_1_8b", ["<|eot_id|>", "<|eom_id|>", "<|end_of_text|>"]),
        ("olmo2_7b_sft", ["<|endoftext|>"]),
        ("smollm2_135m", ["<|im_end|>", "<|endoftext|>"]),
    ],
)
def test_a_response_ends_at_every_end_of_the_family(name, tokens):
    for configured in (model_of(name), model_of(name, stop_tokens=None)):
        stop = stop_rules(tokenizer_of(name), configured, prompt_of(name))
        assert sorted(stop.ids) == sorted(spell(name, tokens))


def test_the_tokenizers_own_end_is_always_one():
    stop = stop_rules(tokenizer_of("qwen3_8b_base"), model_of("qwen3_8b_base", stop_tokens=[]), prompt_of("olmo2_7b"))
    assert list(stop.ids) == spell("qwen3_8b_base", ["<|endoftext|>"])
    assert (stop.strings, stop.keep) == (("</answer>",), True)


def test_an_unknown_stop_token_is_refused_by_name():
    model = model_of("qwen3_8b_base", stop_tokens=["<|im_end|>", "<|eot_id|>", "</s>"])
    with pytest.raises(ValueError, match=r"model\.stop_tokens: .*qwen3_8b_base has no <\|eot_id\|>, </s>$"):
        stop_rules(tokenizer_of("qwen3_8b_base"), model, prompt_of("qwen3_8b_base"))


def test_a_model_without_an_end_is_refused():
    endless = build(replace(PUBLISHED["olmo2_7b"], special=("<|pad|>",), bos=None, eos=None))
    with pytest.raises(ValueError, match=r"model\.stop_tokens: olmo2_7b has no end of text"):
        stop_rules(endless, model_of("olmo2_7b", stop_tokens=None), prompt_of("olmo2_7b"))


def test_stop_strings_of_model_and_prompt_add_up():
    model = model_of("olmo2_7b", stop_strings=["<|user|>", "</answer>"])
    assert stop_rules(tokenizer_of("olmo2_7b"), model, prompt_of("olmo2_7b")).strings == ("<|user|>", "</answer>")
    mine = PromptConfig(name="mine", format="r1_zero", stop_strings=["\n\n"], keep_stop=False)
    stop = stop_rules(tokenizer_of("olmo2_7b"), model_of("olmo2_7b"), mine)
    assert (stop.strings, stop.keep) == (("\n\n",), False)
    assert stop_rules(tokenizer_of("olmo2_7b_sft"), model_of("olmo2_7b_sft"), prompt_of("olmo2_7b_sft")).strings == ()


@pytest.mark.parametrize("file", sorted((CONF / "model").glob("*.yaml")), ids=lambda f: f.stem)
def test_every_model_that_chats_and_names_stop_tokens_names_its_familys(file):
    model = OmegaConf.load(file)
    named = model.get("stop_tokens")
    assert named or model.get("mini") is not None
    if named and model.prompt == "chat":  # a base model without a template ends its texts with its own token alone
        assert set(load_family(model.family).STOP_TOKENS) <= set(named)


# Stop strings


def rules_of(name: str, *strings: str, keep: bool = True) -> StopRules:
    return StopRules(tokenizer_of(name), Stop((tokenizer_of(name).eos_token_id,), strings, keep))


def ends(rules: StopRules, ids) -> bool:
    return rules.string_ends(torch.tensor([list(ids)]), [len(ids)]) == [0]


@pytest.mark.parametrize("last", [ord(">"), MARK_END])
def test_a_stop_string_ends_with_the_token_that_completes_it(last):
    rules = rules_of("qwen2_5_math_7b", "</answer>")
    for filler in (b"", b"6 > 5 ", b"<b>x</b> and so on, " * 20, "答案是六 ".encode()):
        response = [*filler, *b"</answer", last]
        assert [n for n in range(1, len(response) + 1) if ends(rules, response[:n])] == [len(response)]


def test_a_stop_string_may_be_a_part_of_one_token():
    tokenizer = build(replace(PUBLISHED["llama3_1_8b"], plain=("6</answer>. So", "</ans", "wer> or")))
    rules = StopRules(tokenizer, Stop((tokenizer.eos_token_id,), ("</answer>",)))
    whole, first, second = (tokenizer.get_added_vocab()[t] for t in ("6</answer>. So", "</ans", "wer> or"))
    assert ends(rules, [whole])
    assert ends(rules, [*b"It is ", whole])
    assert [ends(rules, ids) for ids in ([first], [second], [first, second])] == [False, False, True]
    assert rules.texts([[*b"= ", whole], [*b"6", first, second]]) == ["= 6</answer>", "6</answer>"]


def test_rows_are_told_apart():
    rules = rules_of("olmo2_7b", "</answer>", "\n\n")
    rows = [b"xxxx</answer>", b"xxxxx</answer", b"xxxxxxxxxxxxx", b"xxxxxxxxxxx\n\n", b"</answer>\n\n>>"]
    assert rules.string_ends(torch.tensor([list(row) for row in rows]), [13] * 5) == [0, 3, 4]
    shorter = [13, 13, 13, 12, 9]  # what lies beyond a row's own tokens is none of its text
    assert rules.string_ends(torch.tensor([list(row) for row in rows]), shorter) == [0, 4]
    assert rules_of("olmo2_7b").string_ends(torch.tensor([list(b"</answer>")]), [9]) == []


def test_a_stop_string_of_many_bytes_ends_with_its_last():
    rules = rules_of("qwen3_8b_base", "答案。")
    response = [*"这是答案。".encode()]
    assert [n for n in range(1, len(response) + 1) if ends(rules, response[:n])] == [len(response)]
    assert not ends(rules, "这是答案！".encode())


def test_ids_beyond_the_tokenizer_end_nothing():
    # Published models have more rows than their tokenizers have tokens.
    rules = rules_of("qwen3_8b_base", "</answer>")
    beyond = len(tokenizer_of("qwen3_8b_base")) + 5
    assert not ends(rules, [*b"6", beyond])
    assert rules.texts([[*b"6", beyond]]) == ["6"]


def test_a_special_token_inside_a_stop_string_hides_it_from_neither_sampler_nor_text():
    rules = rules_of("qwen3_8b_base", "</answer>")
    response = [*b"6</ans", *spell("qwen3_8b_base", ["<|im_start|>"]), *b"wer>"]
    assert ends(rules, response)
    assert rules.texts([response]) == ["6</answer>"]


def test_texts_keep_or_lose_the_stop_string():
    end = spell("qwen3_8b_base", ["<|im_end|>"])
    responses = [[*b"6</answer", MARK_END], [*b"so 6", *end], [*b"\n\n6</answer>"], []]
    kept = rules_of("qwen3_8b_base", "</answer>", "\n\n").texts(responses)
    assert kept == ["6</answer>", "so 6", "\n\n", ""]
    assert rules_of("qwen3_8b_base", "</answer>", "\n\n", keep=False).texts(responses) == ["6", "so 6", "", ""]
    assert rules_of("qwen3_8b_base").texts(responses) == ["6</answer>\n", "so 6", "\n\n6</answer>", ""]
