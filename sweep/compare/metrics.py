"""The metrics that a comparison may be of: what their numbers are, and how they are written."""

from __future__ import annotations

import re
from dataclasses import dataclass

ACCURACY = "eval/accuracy"
EVALUATED = "eval/"  # of an evaluation: known of the untrained model too, and kept in results
# Shares of the graded answers of an evaluation, each of which is a yes or a no.
_OF_ANSWERS = ("accuracy", "code", "truncated", "unparsed", "timeouts")
_SHARES = re.compile(
    r"eval/(accuracy|code|code_accuracy|prose_accuracy|truncated|unparsed|timeouts)"
    r"|behaviour/.*|grading/.*|response/finish_.*|train/clip_fraction_.*"
    r"|reward/(true_mean|agreement|true_given_rewarded|zero_variance_share|mixed_share)"
    r"|reward/(pooled_)?(true_positive_rate|false_positive_rate|informedness)"
)


@dataclass(frozen=True)
class Metric:
    """A metric by its name in `metrics.jsonl`, and the step of which it is taken; None: the end of the training."""

    name: str = ACCURACY
    step: int | None = None

    @property
    def of_evaluation(self) -> bool:
        return self.name.startswith(EVALUATED)

    @property
    def key(self) -> str:
        """Its name in the result of an evaluation."""
        return self.name.removeprefix(EVALUATED)

    @property
    def shares_of_answers(self) -> bool:
        """Whether a value is the share of an evaluation's answers for which something holds."""
        return self.of_evaluation and self.key in _OF_ANSWERS

    @property
    def title(self) -> str:
        name = self.key if self.of_evaluation else self.name
        return f"{name}{' in %' if self.is_share else ''}{'' if self.step is None else f' at step {self.step}'}"

    @property
    def is_share(self) -> bool:
        """Whether it is a share, or a difference of two, and is shown in per cent."""
        return _SHARES.fullmatch(self.name) is not None

    @property
    def scale(self) -> float:
        """What a value is multiplied with to be in the table's unit."""
        return 100.0 if self.is_share else 1.0

    @property
    def unit(self) -> str:
        """Of a difference, in a sentence."""
        return " points" if self.is_share else ""

    def value(self, value: float | None, sign: str = "") -> str:
        """A value or a difference in the table's unit; "" where there is none."""
        if value is None:
            return ""
        return f"{100 * value:{sign}.1f}" if self.is_share else f"{value:{sign}.4g}"

    def interval(self, low: float | None, high: float | None, sign: str = "+") -> str:
        """An interval in the table's unit, of a difference unless another `sign` is given; "" where there is none."""
        return "" if low is None or high is None else f"{self.value(low, sign)} … {self.value(high, sign)}"
