"""Sample the answers of some weights to a benchmark that are not there yet, grade them, and write them down."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch.distributed as dist
from transformers import PreTrainedModel

from rewards.behaviours import Behaviours
from rewards.grading import Grader, Outcome
from rewards.vote import first_equals
from sweep.errors import UserError
from sweep.evaluate.answers import GradedAnswer, grade_texts
from sweep.evaluate.asked import AskedBenchmark
from sweep.job.processes import gather, together
from sweep.rollout.sample import Sampled, Sampler
from sweep.run.answer_files import AnswerWriter, HeldByAnother, Pair, open_answers
from sweep.run.answer_manifest import Evaluated, Made
from sweep.run.answers import Answer
from sweep.run.not_finite import NotFinite

log = logging.getLogger("sweep")
WAIT_SECONDS = 2.0
_DO_NOT_VOTE = (Outcome.NONE, Outcome.UNPARSED, Outcome.TIMEOUT)


@dataclass(frozen=True)
class Answerer:
    """What answers are made with, on one process.

    made: what answers are made with.
    phase: the phase of the job in which a chunk is sampled; entered anew for each, so that the watchdog sees that an
    evaluation of many hours goes on.
    """

    sampler: Sampler
    grader: Grader
    behaviours: Behaviours
    made: Made
    chunk: int
    phase: Callable[[], AbstractContextManager[None]]

    def answer(self, model: PreTrainedModel, asked: AskedBenchmark, directory: Path, evaluated: Evaluated) -> Spent:
        """Complete the answers of `model` in `directory`; every process calls this, and rank 0 writes.

        The problems of a chunk are dealt out over the processes.

        Returns:
            the tokens that were sampled and read, of all processes.
        Raises:
            NotFinite: on all processes, if the model's logits are not finite.
            UserError: on all processes, if the directory holds another evaluation.
        """
        with ExitStack() as opened:
            writer = None
            with together(UserError):
                if dist.get_rank() == 0:
                    writer = opened.enter_context(self._opened(asked, directory, evaluated))
            missing, heads = _shared([(writer.missing, _heads(writer))] if writer else [])
            spent = Spent()
            for pairs in chunks(missing, self.chunk):
                with self.phase():
                    answers, of_chunk = self._chunk(model, asked, pairs, heads)
                spent += of_chunk
                if writer is not None:
                    writer.write(answers, self.made)
            if writer is not None:
                writer.finish()
            return spent

    @contextmanager
    def _opened(self, asked: AskedBenchmark, directory: Path, evaluated: Evaluated) -> Iterator[AnswerWriter]:
        """Open the directory. While another job answers the same, wait: what it writes is not sampled twice."""
        with ExitStack() as opened:
            writer, said = None, False
            while writer is None:
                opening = open_answers(directory, evaluated, asked.questions, asked.samples, self.behaviours.detect)
                try:
                    writer = opened.enter_context(opening)
                except HeldByAnother as held:
                    if not said:
                        log.info("waiting: %s", held)
                    said = True
                    time.sleep(WAIT_SECONDS)
            yield writer

    def _chunk(
        self, model: PreTrainedModel, asked: AskedBenchmark, pairs: Sequence[Pair], heads: dict[str, list[str]]
    ) -> tuple[list[Answer], Spent]:
        """Return the answers of all processes to `pairs`; the votes of their problems are added to `heads`."""
        rank, world = dist.get_rank(), dist.get_world_size()
        mine = dict.fromkeys([*dict.fromkeys(problem for problem, _ in pairs)][rank::world])
        own = [pair for pair in pairs if pair[0] in mine]
        requests = [asked.request(*pair) for pair in own]
        settings = asked.settings
        with together(NotFinite):
            sampled = self.sampler.sample(model, requests, settings.temperature, settings.top_p, asked.stop)
        golds = [asked.problems[asked.places[problem]].answers for problem, _ in own]
        graded = grade_texts(self.grader, [s.text for s in sampled], golds)
        shown = [found.shown for found in self.behaviours.detect_all([s.text for s in sampled])]
        votes = self._votes([*mine], own, graded, heads)
        rows = [as_answer(*parts) for parts in zip(own, sampled, graded, votes, shown, strict=True)]
        spent = Spent(generated=sum(answer.tokens for answer in rows), prompts=sum(len(r.prompt_ids) for r in requests))
        return gather(rows), sum(gather([spent]), Spent())

    def _votes(
        self,
        problems: Sequence[str],
        pairs: Sequence[Pair],
        graded: Sequence[GradedAnswer],
        heads: dict[str, list[str]],
    ) -> list[str | None]:
        """Return what each answer votes for; all answers to a problem are graded by one process."""
        readable = [None if g.grade.outcome in _DO_NOT_VOTE else g.text for g in graded]
        groups: dict[str, list[str | None]] = {problem: [] for problem in problems}
        for (problem, _), answer in zip(pairs, readable, strict=True):
            groups[problem].append(answer)
        earlier = [heads.get(problem, []) for problem in problems]
        found = first_equals(
            list(groups.values()), earlier, lambda asked: [grade.correct for grade in self.grader.grade(asked)]
        )
        of_problem = {problem: iter(votes) for problem, votes in zip(problems, found, strict=True)}
        return [next(of_problem[problem]) for problem, _ in pairs]


@dataclass(frozen=True)
class Spent:
    """Tokens that were sampled (`generated`), and tokens of the prompts that they answer (`prompts`)."""

    generated: int = 0
    prompts: int = 0

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.generated + other.generated, self.prompts + other.prompts)


def as_answer(
    pair: Pair, sampled: Sampled, graded: GradedAnswer, vote: str | None, behaviours: tuple[str, ...]
) -> Answer:
    """Return the row of one answer; `pair`: its problem's id and its number among the answers to that problem."""
    return Answer(
        problem=pair[0],
        sample=pair[1],
        text=sampled.text,
        answer=graded.text,
        correct=graded.grade.correct,
        outcome=graded.grade.outcome.value,
        strategy=graded.extracted and graded.extracted.strategy,
        vote=vote,
        behaviours=behaviours,
        tokens=len(sampled.ids),
        finish=sampled.finish.value,
    )


def chunks(pairs: Sequence[Pair], size: int) -> Iterator[list[Pair]]:
    """Yield the pairs in chunks of at least `size`, so that all missing answers to a problem are in one chunk."""
    chunk: list[Pair] = []
    for pair in pairs:
        if len(chunk) >= size and pair[0] != chunk[-1][0]:
            yield chunk
            chunk = []
        chunk.append(pair)
    if chunk:
        yield chunk


def _heads(writer: AnswerWriter) -> dict[str, list[str]]:
    """Return the different answers that were given to each problem before, in the order of samples."""
    found: dict[str, list[str]] = {}
    incomplete = {problem for problem, _ in writer.missing}
    held = writer.held(["problem", "sample", "vote"]).sort_by("sample")
    for problem, vote in zip(held["problem"].to_pylist(), held["vote"].to_pylist(), strict=True):
        if problem in incomplete and vote is not None and vote not in found.setdefault(problem, []):
            found[problem].append(vote)
    return found


def _shared(values: list):
    """Return the value that rank 0 has, on all ranks."""
    return gather(values)[0]
