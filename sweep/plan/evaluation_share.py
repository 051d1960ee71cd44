"""Predict how much of a run its evaluations take, before it is launched.

Tokens are counted, not seconds: every answer and every response is taken to be of the greatest length, and a token to
take as long to sample as to train on. What an evaluation really took is in `timing_s/evaluation`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sweep.config.cell import CellConfig
from sweep.config.evaluation import Benchmark, DataBenchmark
from sweep.data.problems import load_split

WARNED = 0.10  # a larger share is warned of


@dataclass(frozen=True)
class Asked:
    """What a benchmark asks in one run. `times`: how many evaluations; `problems`: None if unknown before the job."""

    name: str
    benchmark: Benchmark
    times: int
    problems: int | None
    tokens: int | None

    @property
    def answers(self) -> int | None:
        """The number of answers that all evaluations of the run sample."""
        return None if self.problems is None else self.times * self.problems * self.benchmark.samples_per_problem

    @property
    def words(self) -> str:
        """What is asked, in words."""
        problems = "all" if self.problems is None else self.problems
        return (
            f"{self.name}: {problems} × {self.benchmark.samples_per_problem} answers every {self.benchmark.every} steps"
        )


def asked_in(config: CellConfig) -> list[Asked]:
    """Return what each benchmark of a cell asks while it is trained; the untrained model is a stage of its own."""
    return [_asked(config, name, benchmark) for name, benchmark in config.evaluation.benchmarks.items()]


def _asked(config: CellConfig, name: str, benchmark: Benchmark) -> Asked:
    times = -(-config.steps // benchmark.every)
    problems = _problems(config, benchmark)
    limit = benchmark.max_response_tokens or config.rollout.max_response_tokens
    tokens = None if problems is None else times * problems * benchmark.samples_per_problem * limit
    return Asked(name, benchmark, times, problems, tokens)


def _problems(config: CellConfig, benchmark: Benchmark) -> int | None:
    """Return how many problems a benchmark asks; None if only the hub says how many there are."""
    known = benchmark.size
    if known is None and isinstance(benchmark, DataBenchmark) and config.data.source != "hub":
        known = len(load_split(config.data, benchmark.split).problems)
    return min([size for size in (benchmark.problems, known) if size is not None], default=None)


def evaluation_share(config: CellConfig) -> float | None:
    """Return the share of a cell's tokens that its evaluations sample, in [0, 1]; None if it is unknown.

    A response counts twice, because it is sampled and trained on.
    """
    tokens = [asked.tokens for asked in asked_in(config)]
    if any(count is None for count in tokens):
        return None
    evaluated = sum(count for count in tokens if count is not None)
    responses = config.steps * config.algorithm.responses_per_step * config.rollout.max_response_tokens
    return evaluated / (evaluated + 2 * responses)


def share_lines(configs: Iterable[CellConfig]) -> list[str]:
    """Return a line for each way in which the cells are evaluated: what is asked, and its share of a run."""
    lines = []
    for config in configs:
        share = evaluation_share(config)
        asked = "; ".join(one.words for one in asked_in(config))
        said = "of unknown size" if share is None else f"{100 * share:.1f} % of a run"
        lines.append(f"evaluation {said} ({asked}), if a token takes as long to sample as to train on")
    return list(dict.fromkeys(lines))


def share_warnings(configs: Iterable[CellConfig]) -> list[str]:
    """Return a note for each way of evaluation that takes more than WARNED of a run, with what would lower it."""
    notes = []
    for config in configs:
        share = evaluation_share(config)
        if share is None or share <= WARNED:
            continue
        most = max(asked_in(config), key=lambda asked: asked.tokens or 0)
        key = f"evaluation.benchmarks.{most.name}"
        notes.append(
            f"evaluation takes some {100 * share:.0f} % of a run, most of it {most.name}: {key}.every="
            f"{2 * most.benchmark.every} would halve that, and so would half of {key}.problems or samples_per_problem"
        )
    return list(dict.fromkeys(notes))
