"""Turn a problem into the token ids of a prompt, and find what ends a response. Imports no torch.

The tokenizer's own chat template is authoritative. A problem's text stays text: strings of special tokens in it are
encoded as plain characters, so that no problem can end its turn or begin another.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from models.config import LABEL, RECORDED, ModelConfig, StopString, Strict
from models.family import load_family

PLACE = "{question}"
# DeepSeek-R1-Zero's prompt (2501.12948, table 1), as the paper's released evaluation gives it to base models without a
# chat template: turns are marked by lines, and the response begins inside <think>.
R1_ZERO = (
    "A conversation between User and Assistant. The user asks a question, and the Assistant solves it. The assistant "
    "first thinks about the reasoning process in the mind and then provides the user with the answer. The reasoning "
    "process and answer are enclosed within <think> </think> and <answer> </answer> tags, respectively, i.e., <think> "
    "reasoning process here </think> <answer> answer here </answer>.\n\n<|user|>\n{question}\n<|assistant|>\n<think>"
)
TEXTS = {"r1_zero": R1_ZERO, "none": PLACE}
STOPS = {"r1_zero": ("</answer>",)}
TEXT_MARK = re.compile(r"<\|\w+\|>")  # marks of turns in prompts that are plain text


class PromptConfig(Strict):
    """The prompt format. Interventions keep the model's own format and change the text inside it."""

    name: str = Field(pattern=LABEL, json_schema_extra=RECORDED, description="what tables call the prompt")
    format: Literal["chat", "r1_zero", "none", "text"] = Field(
        description="chat: the tokenizer's own template; r1_zero: DeepSeek-R1-Zero's prompt; none: the problem alone; "
        "text: the key `text`"
    )
    path: str | None = Field(None, json_schema_extra=RECORDED, description="file that `text` is read from; null: none")
    text: str | None = Field(None, description="with format=text: the whole prompt, {question} once in it; else null")
    question: str = Field(PLACE, description="what a problem becomes before it is formatted, {question} once in it")
    system: str | None = Field(None, description="text of a system turn, with format=chat; null: the template's own")
    prefix: str = Field("", description="words that every response is made to begin with; they are not part of it")
    stop_strings: tuple[StopString, ...] | None = Field(
        None, description="texts that end a response; null: those of the format"
    )
    keep_stop: bool = Field(True, description="whether a response's text keeps the stop string that ended it")

    @model_validator(mode="before")
    @classmethod
    def _read_text(cls, values):
        """Put the content of `path` into the configuration, so that editing the file later changes no run."""
        if isinstance(values, dict) and values.get("path") and not values.get("text"):
            path = Path(values["path"]).expanduser().absolute()
            try:
                return {**values, "path": str(path), "text": path.read_text(encoding="utf-8")}
            except (OSError, UnicodeDecodeError) as error:
                reason = getattr(error, "strerror", None) or error
                raise ValueError(f"path={path}: cannot be read: {reason}") from None
        return values

    @field_validator("question", "text")
    @classmethod
    def _has_place(cls, text: str | None) -> str | None:
        if text is not None and text.count(PLACE) != 1:
            raise ValueError(f"must contain {PLACE} once")
        return text

    @model_validator(mode="after")
    def _fits_together(self):
        if (self.format == "text") != (self.text is not None):
            raise ValueError("format=text needs text or path, and no other format takes them")
        if self.system is not None and self.format != "chat":
            raise ValueError("a system turn needs format=chat")
        return self

    @property
    def stops(self) -> tuple[str, ...]:
        """The stop strings: the configured ones, else those of the format."""
        return STOPS.get(self.format, ()) if self.stop_strings is None else self.stop_strings


@dataclass(frozen=True)
class Stop:
    """The end of a response: any token of `ids`, or any text of `strings`. `keep` leaves that text in the response."""

    ids: tuple[int, ...]
    strings: tuple[str, ...] = ()
    keep: bool = True


def stop_rules(tokenizer, model: ModelConfig, prompt: PromptConfig) -> Stop:
    """Return the stop tokens (configured, else the family's), the tokenizer's end of text, and the stop strings.

    A base model's configured end often differs from its template's end of turn; a response ends at either.

    Raises:
        ValueError: a token of `model.stop_tokens` is not in the tokenizer, or there is no token that ends a response.
    """
    named = load_family(model.family).STOP_TOKENS if model.stop_tokens is None else model.stop_tokens
    vocabulary = tokenizer.get_vocab()
    missing = [token for token in named if token not in vocabulary]
    if missing and model.stop_tokens is not None:
        raise ValueError(f"model.stop_tokens: the tokenizer of {model.name} has no {', '.join(missing)}")
    ids = {vocabulary[token] for token in named if token in vocabulary}
    if tokenizer.eos_token_id is not None:
        ids.add(tokenizer.eos_token_id)
    if not ids:
        raise ValueError(f"model.stop_tokens: {model.name} has no end of text; name the tokens that end a response")
    return Stop(tuple(sorted(ids)), tuple(dict.fromkeys([*model.stop_strings, *prompt.stops])), prompt.keep_stop)


def prompt_ids(tokenizer, model: ModelConfig, prompt: PromptConfig, question: str) -> list[int]:
    """Return the token ids of a problem's prompt. It has one beginning-of-text token if the model uses one.

    Raises:
        ValueError: the tokenizer has no chat template, or one that writes today's date and `model.date` is null.
    """
    (ids,) = all_prompt_ids(tokenizer, model, prompt, [question])
    return ids


def all_prompt_ids(tokenizer, model: ModelConfig, prompt: PromptConfig, questions: Sequence[str]) -> list[list[int]]:
    """Return the `prompt_ids` of many problems. The text around the questions is encoded once."""
    text = prompt.text or TEXTS.get(prompt.format, "")
    marks = (*load_family(model.family).TURN_TEXTS, *TEXT_MARK.findall(text))
    contents = [prompt.question.replace(PLACE, _harmless(question, marks)) for question in questions]
    beginning: list[int] = []
    if prompt.format == "chat":
        before, contents, after = _render(tokenizer, model, prompt.system, contents)
    else:
        before, after = text.split(PLACE)
        beginning = _beginning(tokenizer)
    head, before = _split_last(tokenizer, before)
    after, tail = _split_first(tokenizer, after + prompt.prefix)
    head_ids, tail_ids = _encode(tokenizer, [head, tail])
    inner = _encode(tokenizer, [before + content + after for content in contents], split_special_tokens=True)
    whole = [head_ids + ids + tail_ids for ids in inner]
    return [ids if beginning == ids[:1] else beginning + ids for ids in whole]


def _harmless(question: str, marks: tuple[str, ...]) -> str:
    """Break marks of turns in a question by a space, because a tokenizer cannot tell a quoted plain-text mark from a
    real one.
    """
    for mark in marks:
        question = question.replace(mark, f"{mark[0]} {mark[1:]}")
    return question


def _render(tokenizer, model: ModelConfig, system: str | None, questions: Sequence[str]) -> tuple[str, list[str], str]:
    """Apply the chat template to `questions`: return the text before, each question as the template writes it, and the
    text after.
    """
    template = tokenizer.get_chat_template() if tokenizer.chat_template else ""
    if not template:
        raise ValueError(f"the tokenizer of {model.name} has no chat template; choose prompt=r1_zero or prompt=none")
    arguments = {} if model.date is None else {"date_string": model.date}
    if "strftime_now" in template and model.date is None:
        raise ValueError(
            f"the chat template of {model.name} writes today's date, so the same run would differ tomorrow; "
            'pin it, for example model.date="26 Jul 2024"'
        )
    turns = [] if system is None else [{"role": "system", "content": system}]

    def rendered(content: str) -> str:
        messages = [*turns, {"role": "user", "content": content}]
        return tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False, **arguments)

    mark = "\ue000question\ue000"
    before, _, after = rendered(mark).partition(mark)
    left = []
    for question in questions:
        whole = rendered(question)
        if not (whole.startswith(before) and whole.endswith(after) and len(whole) >= len(before) + len(after)):
            raise ValueError(f"the chat template of {model.name} depends on the question's text: {question[:80]!r}…")
        left.append(whole[len(before) : len(whole) - len(after)])
    return before, left, after


def _beginning(tokenizer) -> list[int]:
    """Return the beginning-of-text id in a list, if the tokenizer puts one before every text; else an empty list."""
    ids = tokenizer("a")["input_ids"]
    return ids[:1] if tokenizer.bos_token_id is not None and ids[:1] == [tokenizer.bos_token_id] else []


def _encode(tokenizer, texts: Sequence[str], **options) -> list[list[int]]:
    """Return the ids of each text, none for an empty one.

    With `split_special_tokens` the strings of special tokens are encoded as plain text.
    """
    filled = [text for text in texts if text]
    found = iter(tokenizer(filled, add_special_tokens=False, **options)["input_ids"] if filled else ())
    return [list(next(found)) if text else [] for text in texts]


def _split_last(tokenizer, text: str) -> tuple[str, str]:
    """Split `text` after its last special token."""
    ends = [m.end() for m in _special(tokenizer).finditer(text)]
    return (text[: ends[-1]], text[ends[-1] :]) if ends else ("", text)


def _split_first(tokenizer, text: str) -> tuple[str, str]:
    """Split `text` before its first special token."""
    match = _special(tokenizer).search(text)
    return (text[: match.start()], text[match.start() :]) if match else (text, "")


def _special(tokenizer) -> re.Pattern:
    tokens = sorted(map(str, tokenizer.added_tokens_decoder.values()), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, tokens)) or r"(?!)")
