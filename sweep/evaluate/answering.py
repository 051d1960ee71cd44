"""Sample the answers of some weights to a benchmark that are not there yet, grade them, and write them down."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch.distributed as dist
from transformers import PreTrainedModel

from rewards.behaviours import Behaviours
from rewards.grading import Grader
from sweep.data.verdicts import GradedAnswer, grade_texts, votes
from sweep.errors import UserError
from sweep.evaluate.asked import AskedBenchmark
from sweep.evaluate.waiting import waiting
from sweep.job.processes import gather, together
from sweep.rollout.sample import Sampled, Sampler
from sweep.run.answer_files import AnswerWriter, Pair, open_answers
from sweep.run.answer_manifest import Evaluated, Made
from sweep.run.answer_reading import made_within
from sweep.run.answers import Answer
from sweep.run.not_finite import NotFinite

log = logging.getLogger("sweep")
FIRST_CHUNK, LARGEST_CHUNK = 256, 8192  # answers, where evaluation.chunk leaves it open
CHUNK_SECONDS = 600.0
GROWTH = 8  # a chunk is at most so many times the one before, which keeps it within the watchdog's patience


@dataclass(frozen=True)
class Answerer:
    """What answers are made with, on one process.

    made: what answers are made with.
    chunk: the answers between two writes; None for as many as take about CHUNK_SECONDS.
    phase: returns the phase of the job in which a chunk of the benchmark of that name is sampled. It is entered anew
    for each, so that the watchdog sees that an evaluation of many hours goes on.
    kept: called on rank 0 at the beginning and after each chunk.
    """

    sampler: Sampler
    grader: Grader
    behaviours: Behaviours
    made: Made
    chunk: int | None
    phase: Callable[[str], AbstractContextManager[None]]
    kept: Callable[[Kept], None] = lambda kept: None

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
                    find = self.behaviours.detect
                    opening = partial(open_answers, directory, evaluated, asked.questions, asked.samples, find)
                    writer = waiting(lambda: opened.enter_context(opening()))
            missing, heads = _shared([(writer.missing, _heads(writer))] if writer else [])
            spent, size = Spent(), self.chunk or FIRST_CHUNK
            self._tell(asked, missing, spent)
            while missing:
                began, end = time.monotonic(), chunk_end(missing, size)
                with self.phase(asked.name):
                    answers, of_chunk = self._chunk(model, asked, missing[:end], heads)
                spent += of_chunk
                if writer is not None:
                    writer.write(answers, self.made)
                (size,) = gather([next_size(end, time.monotonic() - began)] if writer is not None else [])
                size, missing = self.chunk or size, missing[end:]
                self._tell(asked, missing, of_chunk)
            if writer is not None:
                for said in made_within(writer.finish()):
                    log.warning("%s: %s", directory, said)
            return spent

    def _tell(self, asked: AskedBenchmark, missing: Sequence[Pair], spent: Spent) -> None:
        if dist.get_rank() == 0:
            answers = len(asked.problems) * asked.samples
            self.kept(Kept(asked.name, answers - len(missing), answers, spent))

    def _chunk(
        self, model: PreTrainedModel, asked: AskedBenchmark, pairs: Sequence[Pair], heads: dict[str, list[str]]
    ) -> tuple[list[Answer], Spent]:
        """Return the answers of all processes to `pairs`, in this order; their votes are added to `heads`."""
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
        voted = self._votes([*mine], own, graded, heads)
        rows = [as_answer(*parts) for parts in zip(own, sampled, graded, voted, shown, strict=True)]
        spent = Spent(generated=sum(answer.tokens for answer in rows), prompts=sum(len(r.prompt_ids) for r in requests))
        places = {pair: place for place, pair in enumerate(pairs)}
        in_order = sorted(gather(rows), key=lambda answer: places[answer.problem, answer.sample])
        return in_order, sum(gather([spent]), Spent())

    def _votes(
        self,
        problems: Sequence[str],
        pairs: Sequence[Pair],
        graded: Sequence[GradedAnswer],
        heads: dict[str, list[str]],
    ) -> list[str | None]:
        """Return what each answer votes for; all answers to a problem are graded by one process."""
        groups: dict[str, list[GradedAnswer]] = {problem: [] for problem in problems}
        for (problem, _), answer in zip(pairs, graded, strict=True):
            groups[problem].append(answer)
        found = votes(self.grader, list(groups.values()), [heads.get(problem, []) for problem in problems])
        of_problem = {problem: iter(those) for problem, those in zip(problems, found, strict=True)}
        return [next(of_problem[problem]) for problem, _ in pairs]


@dataclass(frozen=True)
class Spent:
    """Tokens that were sampled (`generated`), and tokens of the prompts that they answer (`prompts`)."""

    generated: int = 0
    prompts: int = 0

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.generated + other.generated, self.prompts + other.prompts)


@dataclass(frozen=True)
class Kept:
    """How far an evaluation is: `held` of the `answers` to `benchmark` are on the disk.

    spent: what sampling them took since this was last told.
    """

    benchmark: str
    held: int
    answers: int
    spent: Spent


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


def chunk_end(pairs: Sequence[Pair], size: int) -> int:
    """Return how many of the first pairs make a chunk of at least `size`, if there are so many.

    All missing answers to a problem are in one chunk.
    """
    end = min(size, len(pairs))
    while end < len(pairs) and pairs[end][0] == pairs[end - 1][0]:
        end += 1
    return end


def next_size(answers: int, seconds: float) -> int:
    """Return the size of the chunk that follows one of `answers`, which took `seconds`.

    Towards the end of a chunk the engine waits for its longest answers, so that many small chunks are slow: on a GPU
    that decodes a thousand answers together, chunks of a thousand take twice as long as one call for all. What a chunk
    samples is lost if the evaluation is killed before it ends, so that chunks are not large either where that is slow.
    """
    aimed = round(answers * CHUNK_SECONDS / max(seconds, 1e-3))
    return max(1, min(aimed, GROWTH * answers, LARGEST_CHUNK))


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
