"""The cost of runs: seconds, GPU-hours, tokens. Each attempt records its own, and sums are made of these.

Pure: this module reads no file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

from pydantic import BaseModel, ConfigDict

AMOUNTS = ("generated", "prompts", "trained", "repeated")  # the fields of Spent that grow while an attempt works


class Spent(BaseModel):
    """The cost of one attempt so far.

    began: when its first process started. until: when it ended (both in seconds since 1970); None for the latest
    attempt, of which the last record or heartbeat counts as the end.
    processes: the number of processes. gpus: the number of GPUs they held; 0 on a CPU.
    generated: tokens of the sampled responses, in rollouts, evaluations and labels. prompts: tokens of their prompts,
    counted once for each response. trained: tokens of the responses in updates, counted once for each step.
    repeated: seconds that earlier attempts spent in steps (with their evaluations) that this attempt made again.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    began: float
    until: float | None = None
    processes: int
    gpus: int = 0
    generated: int = 0
    prompts: int = 0
    trained: int = 0
    repeated: float = 0.0

    def plus(self, **amounts: float) -> Spent:
        """Return a copy with `amounts`, named as in AMOUNTS, added."""
        if unknown := amounts.keys() - set(AMOUNTS):
            raise TypeError(f"nothing that an attempt spends: {', '.join(sorted(unknown))}")
        return self.model_copy(update={name: getattr(self, name) + value for name, value in amounts.items()})


@dataclass(frozen=True)
class Cost:
    """The cost of several attempts together.

    unrecorded: the number of `attempts` made by a version of the code that recorded no cost; seconds and tokens leave
    these out. seconds: wall-clock time of each attempt from start to end, without waiting in a queue. gpu_seconds:
    seconds × GPUs. process_seconds: seconds × processes, of attempts without a GPU. repeated_seconds: the part of
    `seconds` in steps that had to be made again. generated_tokens, prompt_tokens, trained_tokens: as in Spent.
    """

    attempts: int = 0
    unrecorded: int = 0
    seconds: float = 0.0
    gpu_seconds: float = 0.0
    process_seconds: float = 0.0
    repeated_seconds: float = 0.0
    generated_tokens: int = 0
    prompt_tokens: int = 0
    trained_tokens: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(Cost)))

    @property
    def is_known(self) -> bool:
        """True if some attempt recorded its cost."""
        return self.attempts > self.unrecorded

    @property
    def hours(self) -> str:
        """GPU-hours, and process-hours of attempts without a GPU, as text."""
        held = ((self.gpu_seconds, "GPU-hours"), (self.process_seconds, "process-hours without a GPU"))
        said = [f"{seconds / 3600:{_places(seconds)}} {unit}" for seconds, unit in held if seconds]
        return " and ".join(said)

    def words(self) -> str:
        """Return the whole cost in one line."""
        if not self.attempts:
            return "nothing yet"
        if not self.is_known:
            return "unknown: an older version of the code ran it and recorded nothing of it"
        said = [f"{duration(self.seconds)} of runs", self.hours]
        said += [f"{self.generated_tokens:,} tokens generated", f"{self.trained_tokens:,} trained on"]
        parts = [", ".join(filter(None, said))]
        if self.repeated_seconds:
            parts.append(f"{duration(self.repeated_seconds)} of it in steps that were made again")
        if self.unrecorded:
            parts.append(f"{self.unrecorded} of {self.attempts} attempts are not among it, as older versions made them")
        return "; ".join(parts)


def _places(seconds: float) -> str:
    """Return the format for a time in hours: two significant digits at least."""
    return ".1f" if seconds >= 36000 else ".2f" if seconds >= 360 else ".2g"


def total(costs: Iterable[Cost]) -> Cost:
    """Return the sum of the costs; a cost of zero if there are none."""
    return sum(costs, Cost())


def cost_of(spent: Iterable[Spent], attempts: int, last_sign: float) -> Cost:
    """Return the cost of a run.

    Args:
        spent: the records of its attempts, the latest last.
        attempts: the number of attempts.
        last_sign: when the latest attempt was last seen alive, in seconds since 1970.
    """
    known = list(spent)
    made = [_cost(one, one.until or max(last_sign, one.began)) for one in known]
    return total(made) + Cost(attempts=max(0, attempts - len(known)), unrecorded=max(0, attempts - len(known)))


def _cost(spent: Spent, until: float) -> Cost:
    seconds = until - spent.began
    return Cost(
        attempts=1,
        seconds=seconds,
        gpu_seconds=seconds * spent.gpus,
        process_seconds=0.0 if spent.gpus else seconds * spent.processes,
        repeated_seconds=spent.repeated,
        generated_tokens=spent.generated,
        prompt_tokens=spent.prompts,
        trained_tokens=spent.trained,
    )


def duration(seconds: float) -> str:
    """Write seconds as minutes:seconds, or from an hour on as hours:minutes:seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
