"""Find the answers that trainings kept in samples.jsonl, and format them for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sweep.dispatch.select import Run
from sweep.errors import UserError
from sweep.run.series import listed, read_rows
from sweep.shown import shown, shown_lines

# Readable names of some outcomes of grading (rewards.grading.Outcome). The others are shown as they are.
NAMES = {"none": "no answer", "unparsed": "wrong, read by no parser", "exceeded": "wrong, grading took too long"}


@dataclass(frozen=True)
class Wanted:
    """The conditions that an answer must meet to be shown; None sets no condition.

    step: the step of the training; None for the last step of which a run kept answers. correct: right by the gold
    answer. rewarded: with a training reward above 0. outcome: how grading ended.
    """

    step: int | None = None
    correct: bool | None = None
    rewarded: bool | None = None
    outcome: str | None = None

    def holds(self, row: dict) -> bool:
        """Return whether a row of samples.jsonl meets all conditions except that on the step."""
        return (
            (self.correct is None or row["correct"] == self.correct)
            and (self.rewarded is None or (row["reward"] > 0) == self.rewarded)
            and (self.outcome is None or row["outcome"] == self.outcome)
        )


@dataclass(frozen=True)
class Found:
    """The answers of one run that meet the conditions.

    step: the step that they belong to; None if the run kept no answers of it. kept: all answers that the run kept of
    this step. rows: those of `kept` that meet the conditions.
    """

    run: Run
    step: int | None
    kept: list[dict]
    rows: list[dict]

    def title(self, count: int) -> str:
        """Return the heading above the first `count` answers of the run."""
        if self.step is None:
            return f"{self.run.entry.label}: kept no answers of this step"
        shown_here = f", the first {count} of them" if count < len(self.rows) else ""
        return (
            f"{self.run.entry.label}, step {self.step}: {len(self.rows)} of {len(self.kept)} kept answers{shown_here}"
        )


def find_answers(runs: Sequence[Run], wanted: Wanted) -> list[Found]:
    """Return the answers of each training among `runs`, in the order in which they were sampled.

    Raises:
        UserError: no run is a training, none kept an answer of the step, or no answer was graded with the outcome.
    """
    found = [_of_run(run, wanted) for run in runs if run.entry.steps]
    if not found:
        raise UserError("no training among these runs; only trainings keep answers")
    if all(one.step is None for one in found):
        raise UserError(_why_none(found, wanted))
    outcomes = sorted({row["outcome"] for one in found for row in one.kept})
    if wanted.outcome is not None and wanted.outcome not in outcomes:
        raise UserError(f"--outcome {wanted.outcome}: no answer was graded so; there are {', '.join(outcomes)}")
    return found


def _of_run(run: Run, wanted: Wanted) -> Found:
    step = wanted.step
    rows: list[dict] = []
    for row in read_rows(run.path / "samples.jsonl"):
        if wanted.step is None and row["step"] != step:
            step, rows = row["step"], []
        if row["step"] == step:
            rows.append(row)
    return Found(run, step if rows else None, rows, [row for row in rows if wanted.holds(row)])


def _why_none(found: Sequence[Found], wanted: Wanted) -> str:
    steps = {row["step"] for one in found for row in read_rows(one.run.path / "samples.jsonl")}
    if not steps:
        return "no answers were kept yet; tracking.sample_groups and tracking.samples_every say of which steps they are"
    return f"--step {wanted.step}: no answers of this step were kept; there are those of the steps {listed(steps)}"


def answer_lines(row: dict) -> Iterator[str]:
    """Yield the lines that show an answer in a terminal.

    The model's text is escaped, so that it can neither control the terminal nor pass for one of the other lines.
    """
    judged = NAMES.get(row["outcome"], shown(row["outcome"]))
    sample = f", sample {row['sample']}" if "sample" in row else ""  # older versions did not number them
    yield f"problem {shown(row['problem'])}{sample}: {judged}, reward {row['reward']:g}"
    for name, text in (("question", row["question"]), ("gold", row["gold"]), ("answer", row["answer"])):
        yield f"  {name:9}{_indented(text) if text is not None else '(none was found)'}"
    yield f"  response ({row['tokens']} tokens, ended by {shown(row['finish'])}):"
    yield f"    {_indented(row['response'], 4)}"


def _indented(text: str, by: int = 11) -> str:
    return shown_lines(text).replace("\n", "\n" + " " * by)
