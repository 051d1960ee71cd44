"""The metrics that may be compared: the unit of their numbers, and how they are written."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

ACCURACY = "eval/accuracy"
EVALUATED = "eval/"  # metrics of an evaluation, which are known for the untrained model too and kept in results
# Fractions of an evaluation's graded answers: each answer counts as 0 or 1.
_OF_ANSWERS = ("accuracy", "code", "truncated", "unparsed", "timeouts", "extracted")
_SHARES = re.compile(
    r"eval/((\w+_)?accuracy|code|truncated|unparsed|timeouts|extracted|(pass|maj)@\d+)"
    r"|behaviour/.*|grading/.*|response/finish_.*|train/clip_fraction_.*"
    r"|reward/(true_mean|agreement|true_given_rewarded|zero_variance_share|mixed_share)"
    r"|reward/(pooled_)?(true_positive_rate|false_positive_rate|informedness)"
)


@dataclass(frozen=True)
class Columns:
    """The columns of `metrics.jsonl` with a metric's values, and with the evaluation that these come from."""

    value: str
    evaluation: str


@dataclass(frozen=True)
class Metric:
    """A metric by its name in `metrics.jsonl`, and the step at which it is read; None for the end of the training.

    benchmark: the benchmark that a metric of an evaluation is of, as `--benchmark` names it; None for each cell's first
    one.
    """

    name: str = ACCURACY
    step: int | None = None
    benchmark: str | None = None

    @property
    def of_evaluation(self) -> bool:
        """True for a metric of an evaluation, False for one of the training."""
        return self.name.startswith(EVALUATED)

    @property
    def key(self) -> str:
        """Its name in the result of an evaluation."""
        return self.name.removeprefix(EVALUATED)

    def columns(self, benchmarks: Iterable[str]) -> Columns:
        """Return its columns for a training that is put to `benchmarks`, of which the first needs no name."""
        if not self.of_evaluation or self.benchmark in (None, next(iter(benchmarks), None)):
            return Columns(self.name, "evaluation")
        return Columns(f"{EVALUATED}{self.benchmark}/{self.key}", f"evaluation/{self.benchmark}")

    @property
    def shares_of_answers(self) -> bool:
        """True if a value is the fraction of an evaluation's answers that have some property."""
        return self.of_evaluation and self.key in _OF_ANSWERS

    @property
    def title(self) -> str:
        """Its name in titles, with its unit, benchmark and step."""
        name = self.key if self.of_evaluation else self.name
        at = "" if self.step is None else f" at step {self.step}"
        return f"{name}{' in %' if self.is_share else ''}{self.of_benchmark}{at}"

    @property
    def of_benchmark(self) -> str:
        """Its benchmark as words that follow a noun, if one was named."""
        return "" if self.benchmark is None else f" on {self.benchmark}"

    @property
    def is_share(self) -> bool:
        """True if it is a fraction, or a difference of two, and is shown in per cent."""
        return _SHARES.fullmatch(self.name) is not None

    @property
    def scale(self) -> float:
        """The factor from a value to the table's unit."""
        return 100.0 if self.is_share else 1.0

    @property
    def unit(self) -> str:
        """The unit of a difference in a sentence."""
        return " points" if self.is_share else ""

    def value(self, value: float | None, sign: str = "") -> str:
        """Return a value or a difference as text in the table's unit; "" for None."""
        if value is None:
            return ""
        return f"{100 * value:{sign}.1f}" if self.is_share else f"{value:{sign}.4g}"

    def interval(self, low: float | None, high: float | None, sign: str = "+") -> str:
        """Return an interval as text in the table's unit, with signs unless `sign` is ""; "" if there is none."""
        return "" if low is None or high is None else f"{self.value(low, sign)} … {self.value(high, sign)}"
