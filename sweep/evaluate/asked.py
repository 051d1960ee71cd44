"""A benchmark that is ready to be asked: its problems, their prompts, and how answers are sampled and kept."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sweep.config.evaluation import Benchmark
from sweep.data.problems import Problem
from sweep.keyed import Key
from sweep.rollout.sample import Request
from sweep.rollout.stop import StopRules
from sweep.run.answer_manifest import Question


@dataclass(frozen=True)
class AskedBenchmark:
    """A benchmark with its problems.

    name: its name in the configuration. settings: its section there.
    problems, prompts: the problems, and the token ids of the prompt of each, in the same order.
    stop: what ends an answer; None for what ends a response in training.
    identity: of the evaluation, as `sweep.plan.signature.benchmark_identity` returned it at the launch.
    """

    name: str
    settings: Benchmark
    problems: list[Problem]
    prompts: list[list[int]]
    stop: StopRules | None
    identity: dict[str, Any]

    @property
    def samples(self) -> int:
        """The number of answers to each problem."""
        return self.settings.samples_per_problem

    @cached_property
    def places(self) -> dict[str, int]:
        """The place of each problem, by its id."""
        return {problem.id: place for place, problem in enumerate(self.problems)}

    @property
    def questions(self) -> list[Question]:
        """The problems as the directory of the answers lists them."""
        return [Question(id=p.id, question=p.question, golds=p.answers) for p in self.problems]

    def request(self, problem: str, sample: int) -> Request:
        """Return the request for an answer to the problem of that id.

        The draws are keyed by problem, sample and `seed` alone. Every model, at every step, is therefore evaluated with
        the same random numbers, which takes noise out of differences.
        """
        seed = self.settings.seed
        key: Key = ("evaluation", *([seed] if seed else []), problem, sample)
        return Request(self.prompts[self.places[problem]], key, self.settings.max_response_tokens)


@dataclass(frozen=True)
class WeightsAsked:
    """The weights that are put to benchmarks. `place`: where their answers lie (`sweep.run.answer_places`).

    name: `cell@step`, or `model@commit`. step: of the training; None for a model that was not trained here.
    """

    place: Path
    name: str
    step: int | None
