"""Label the training problems: sample many responses of the untrained model to each, and let them vote.

The problems are dealt out over jobs in chunks, and a chunk over the processes of a job. The rows of a chunk are on disk
before the next chunk begins. Memory therefore does not grow with the number of problems, and an interrupted stage goes
on after its last whole chunk. Every draw is keyed by problem and sample, so that an interruption changes no row.
"""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import torch.distributed as dist

from rewards.grading import MOST_CHARACTERS, Grader
from rewards.vote import Ballot, count_votes
from sweep.data.golds import grade_any
from sweep.data.problems import Problem
from sweep.job.attempt import Interrupted, StopRequest, attempt
from sweep.job.phases import Phases
from sweep.job.processes import any_rank, gather, join, leave, together
from sweep.rollout.sample import Request
from sweep.run.directory import RunDirectory
from sweep.run.files import write_json
from sweep.run.labels import read_rows
from sweep.run.not_finite import NotFinite
from sweep.stages.policy import JobSetup, load_setup
from sweep.stages.problem_sets import ProblemSet, prepare_problems
from sweep.stages.spending import sampled_tokens

log = logging.getLogger("sweep")
VOTES = ("equivalence", "string")


def main(path: Path, rank: int, world_size: int, local_rank: int, meeting: Path) -> None:
    """Run the stage on one process; rank 0 writes `labels.jsonl`, then `result.json`."""
    with attempt(path, rank, world_size, meeting) as (run, config, stop, phases):
        with stop.ending_at_once(), phases.at("joining"):
            join(rank, world_size, local_rank, meeting)
        with stop.ending_at_once(), phases.at("loading"):
            setup = load_setup(config, run, stop, training=False)
            dist.barrier()
        with closing(setup):
            _label(setup, run, stop, phases)
        with phases.at("leaving"):
            leave()


def _label(setup: JobSetup, run: RunDirectory, stop: StopRequest, phases: Phases) -> None:
    settings, rank = setup.config.labels, dist.get_rank()
    training_set = prepare_problems(setup, "train")
    count = len(training_set.problems)
    begins = range(settings.shard * settings.chunk, count, settings.jobs * settings.chunk)
    chunks = [range(begin, min(begin + settings.chunk, count)) for begin in begins]
    (done,) = gather([_whole_chunks(run, chunks)] if rank == 0 else [])
    total = sum(map(len, chunks))
    for number, chunk in enumerate(chunks):
        if number < done:
            continue
        if any_rank(bool(stop)):
            raise Interrupted
        with phases.at("labelling"):
            own, tokens = _rows(setup, chunk[rank :: dist.get_world_size()], training_set)
            rows, spent = gather(own), sum(gather([tokens]), Counter())
        if rank == 0:
            _append(run.labels, sorted(rows, key=lambda row: row["place"]))
            labelled = sum(map(len, chunks[: number + 1]))
            run.write_state(add=spent, progress=labelled, note=f"labelled {labelled} of {total} problems")
    if rank == 0:
        write_json(run.result, {"problems": total, "samples": settings.samples})


def _whole_chunks(run: RunDirectory, chunks: Sequence[range]) -> int:
    """Return the number of chunks that earlier attempts finished, and remove the rows of an unfinished one."""
    places = [row["place"] for row in read_rows(run.path)]
    done, count = 0, 0
    while done < len(chunks) and places[count : count + len(chunks[done])] == list(chunks[done]):
        count += len(chunks[done])
        done += 1
    file = run.labels
    if file.exists():
        with open(file, "rb") as lines:
            kept = sum(len(next(lines)) for _ in range(count))
        os.truncate(file, kept)
    if done:
        log.info("goes on after %d labelled problems", count)
    return done


def _rows(setup: JobSetup, places: Sequence[int], training_set: ProblemSet) -> tuple[list[dict], Counter]:
    """Return the rows of the problems at `places`, and the tokens that were sampled for them."""
    settings, grader = setup.config.labels, setup.grader
    problems, prompts = training_set.problems, training_set.prompts
    requests = [Request(prompts[i], ("labels", problems[i].id, s)) for i in places for s in range(settings.samples)]
    with together(NotFinite):
        answers = setup.sampler.sample(setup.model, requests, settings.temperature)
    found = [grader.extract(a.text) for a in answers]
    texts = [f.text if f and len(f.text) <= MOST_CHARACTERS else None for f in found]
    groups = [texts[k : k + settings.samples] for k in range(0, len(texts), settings.samples)]
    rows = label_rows(places, [problems[i] for i in places], groups, grader)
    return rows, sampled_tokens(answers)


def label_rows(
    places: Sequence[int], problems: Sequence[Problem], groups: Sequence[Sequence[str | None]], grader: Grader
) -> list[dict]:
    """Return a row of labels.jsonl for each problem.

    Args:
        places: of the problems among all training problems.
        groups: for each problem the answers of its responses; None where a response has none, or one that is too long.
    """

    def judge(pairs):
        """Return for each pair of answers whether they are equivalent."""
        return [grade.correct for grade in grader.grade(pairs)]

    elected = {vote: [_winner(b) for b in count_votes(groups, vote, judge)] for vote in VOTES}

    def correct(pairs):
        """Return for each answer whether any of its problem's gold answers is equivalent to it."""
        return [grade.correct for grade in grade_any(grader, pairs)]

    right = {
        vote: correct([(w.answer if w else None, p.answers) for w, p in zip(elected[vote], problems, strict=True)])
        for vote in VOTES
    }
    spellings = [Counter(a.strip() for a in group if a is not None and a.strip()) for group in groups]
    of = zip(problems, spellings, strict=True)
    true = iter(correct([(answer, p.answers) for p, counts in of for answer in counts]))
    rows = []
    for k, (place, problem) in enumerate(zip(places, problems, strict=True)):
        samples = len(groups[k])
        row = {"place": place, "id": problem.id, "gold": problem.gold, "answers": dict(spellings[k].most_common())}
        row["no_answer"] = samples - spellings[k].total()
        row["true_share"] = sum(n for n in spellings[k].values() if next(true)) / samples
        for vote in VOTES:
            winner = elected[vote][k]
            share = len(winner.voters) / samples if winner else 0.0
            row[vote] = {"label": winner.answer if winner else None, "share": share, "correct": right[vote][k]}
        rows.append(row)
    return rows


def _winner(ballots: Sequence[Ballot]) -> Ballot | None:
    return ballots[0] if ballots else None


def _append(path: Path, rows: Sequence[dict]) -> None:
    with open(path, "a", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
        file.flush()
        os.fsync(file.fileno())
