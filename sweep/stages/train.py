"""Train one cell: rollout → rewards → advantages → updates, with evaluation and checkpoints at intervals."""

from __future__ import annotations

import logging
import resource
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.distributed as dist

from rewards.behaviour import uses_code
from rewards.signals import Response
from sweep.data.problems import Problem
from sweep.grpo.advantages import group_advantages
from sweep.grpo.checkpoint import complete_checkpoints, save_checkpoint
from sweep.grpo.learner import Learner, Scored
from sweep.rollout.sample import Finish, Request, Sampled, sample
from sweep.run.config import CellConfig
from sweep.run.directory import RunDirectory
from sweep.run.files import write_json
from sweep.run.keyed import generator
from sweep.run.processes import any_rank, gather, join, memory_in_use
from sweep.stages.attempt import Interrupted, StopRequest, attempt
from sweep.stages.policy import Initial, load_initial
from sweep.track.metrics import RowLog
from sweep.track.wandb_mirror import open_mirror

log = logging.getLogger("sweep")


def main(path: Path, rank: int, world_size: int, local_rank: int, meeting: Path) -> None:
    """The training of a cell on one process."""
    with attempt(path, rank) as (run, config, stop):
        join(rank, world_size, local_rank, meeting)
        training = Training(run, config, load_initial(config, run, stop, training=True))
        try:
            training.run_to_target(stop)
        except BaseException:
            training.close(exit_code=1)
            raise
        training.close(exit_code=0)


@dataclass(frozen=True)
class Graded:
    """A response with everything known of it, computed once."""

    slot: int
    problem: Problem
    sampled: Sampled
    reward: float
    correct: bool
    code: bool


class Training:
    """The loop's state on one process."""

    def __init__(self, run: RunDirectory, config: CellConfig, initial: Initial) -> None:
        self.run, self.config, self.initial = run, config, initial
        self.rank, self.world = dist.get_rank(), dist.get_world_size()
        self.learner = Learner(initial.model, config, initial.pad_id)
        self.problems, self.prompts = initial.prompts("train")
        self.evaluation_set = initial.evaluation_set()
        self.step = self._resume()
        self.evaluation: dict | None = None
        self.mirror = open_mirror(run, config) if self.rank == 0 else None
        self.metrics = RowLog(run.metrics, self.step) if self.rank == 0 else None
        self.samples = RowLog(run.samples, self.step) if self.rank == 0 else None

    def _resume(self) -> int:
        """Load the newest checkpoint, if any; returns the step after which it was written."""
        found = complete_checkpoints(self.run.checkpoints)
        if not found:
            return 0
        step = self.learner.load(found[-1])
        log.info("resumed after step %d", step)
        return step

    def run_to_target(self, stop: StopRequest) -> None:
        """Train to `steps`, then write the result."""
        while self.step < self.config.steps:
            self.step += 1
            row = self.train_step()
            last = self.step == self.config.steps
            if last or self.step % self.config.evaluation.every == 0:
                row |= self.evaluate()
            self._record(row)
            stopping = any_rank(stop)
            if last or stopping or self.step % self.config.checkpoint.every == 0:
                save_checkpoint(self.learner, self.run.checkpoints, self.step, self.config.checkpoint.keep)
            if stopping and not last:
                raise Interrupted
        self._finish()

    def train_step(self) -> dict:
        """One rollout and its updates; returns the step's metrics."""
        began = time.perf_counter()
        batch = self.rollout()
        sampled_at = time.perf_counter()
        rollout, advantage_metrics = self.with_advantages(batch)
        updates = self.learner.update(rollout, self.step)
        ended = time.perf_counter()
        tokens = sum(len(g.sampled.ids) for g in batch)
        if self.rank == 0:
            for graded in batch[: self.config.tracking.samples_per_step]:
                self.samples.write(_sample_row(self.step, graded))
        return {
            **_rollout_metrics(batch),
            **advantage_metrics,
            **{f"train/{name}": value for name, value in updates.items()},
            "timing_s/rollout": sampled_at - began,
            "timing_s/update": ended - sampled_at,
            "timing_s/step": ended - began,
            "perf/tokens_per_second": tokens / (ended - began),
            "perf/memory_gb": memory_in_use() / 2**30,
            "perf/peak_memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        }

    def rollout(self) -> list[Graded]:
        """Sample and grade the step's groups: slot by slot, the same on every process."""
        algorithm, seed, step = self.config.algorithm, self.config.seed, self.step
        share = algorithm.prompts_per_step // self.world
        slots = range(self.rank * share, (self.rank + 1) * share)
        chosen = {slot: self._problem_at((step - 1) * algorithm.prompts_per_step + slot) for slot in slots}
        places = [(slot, s) for slot in slots for s in range(algorithm.samples_per_prompt)]
        with self.learner.sampling_model() as model:
            answers = sample(
                model,
                [Request(self.prompts[chosen[slot]], (seed, "rollout", step, slot, s)) for slot, s in places],
                stop=self.initial.stop,
                pad_id=self.initial.pad_id,
                max_tokens=self.config.rollout.max_response_tokens,
                temperature=self.config.rollout.temperature,
                batch_size=self.config.rollout.batch_size,
            )
        size = algorithm.samples_per_prompt
        graded = []
        for start in range(0, len(places), size):
            slot = places[start][0]
            graded += self._grade(slot, self.problems[chosen[slot]], answers[start : start + size])
        return gather(graded)

    def _problem_at(self, position: int) -> int:
        """The problem at a position of the endless shuffled stream; each epoch is shuffled by its own key."""
        epoch, place = divmod(position, len(self.problems))
        return int(generator(self.config.seed, "data order", epoch).permutation(len(self.problems))[place])

    def _grade(self, slot: int, problem: Problem, answers: Sequence[Sampled]) -> list[Graded]:
        def draw(sample_index: int):
            place = (self.config.seed, self.step, slot, sample_index)
            return lambda purpose: float(generator(purpose, *place).random())

        group = [Response(a.text, problem.answer, draw(s)) for s, a in enumerate(answers)]
        rewards = self.config.reward.score(group)
        return [
            Graded(slot, problem, answer, reward, r.correct, uses_code(r.text))
            for r, answer, reward in zip(group, answers, rewards, strict=True)
        ]

    def with_advantages(self, batch: Sequence[Graded]) -> tuple[list[Scored], dict]:
        algorithm = self.config.algorithm
        rewards_pg = torch.tensor([g.reward for g in batch]).view(-1, algorithm.samples_per_prompt)
        advantages_pg = group_advantages(rewards_pg, algorithm.baseline, algorithm.normalisation)
        equal_p = (rewards_pg == rewards_pg[:, :1]).all(dim=1)
        scored = [Scored(g.sampled, a) for g, a in zip(batch, advantages_pg.flatten().tolist(), strict=True)]
        return scored, {
            "reward/std": float(rewards_pg.std()),
            "reward/zero_variance_share": float(equal_p.float().mean()),
            "advantage/abs_mean": float(advantages_pg.abs().mean()),
        }

    def evaluate(self) -> dict:
        """Metrics of the policy on the evaluation set."""
        began = time.perf_counter()
        with self.learner.sampling_model() as model:
            self.evaluation = asdict(self.initial.evaluate(model, *self.evaluation_set))
        named = {f"eval/{name}": value for name, value in self.evaluation.items()}
        return {**named, "timing_s/evaluation": time.perf_counter() - began}

    def _record(self, row: dict) -> None:
        if self.rank > 0:
            return
        row = {"step": self.step, **row}
        self.metrics.write(row)
        if self.mirror:
            self.mirror.log(row)
        steps_s = row["timing_s/step"]
        accuracy = {"accuracy": row["eval/accuracy"]} if "eval/accuracy" in row else {}
        self.run.write_state(
            step=self.step, steps=self.config.steps, reward=row["reward/mean"], seconds_per_step=steps_s, **accuracy
        )
        log.info(
            "step %d/%d reward %.3f correct %.3f code %.3f entropy %.3f %.2f s",
            self.step,
            self.config.steps,
            row["reward/mean"],
            row["reward/true_mean"],
            row["behaviour/code"],
            row["train/entropy"],
            steps_s,
        )

    def _finish(self) -> None:
        """Write the final weights, then the result, whose presence means that all is there."""
        if self.evaluation is None:  # resumed at the target: the last attempt died between its last row and here
            self.evaluate()
        if self.rank == 0:
            shutil.rmtree(self.run.final, ignore_errors=True)
        dist.barrier()
        self.learner.export(self.run.final, self.initial.tokenizer)
        if self.rank == 0:
            write_json(self.run.result, {"step": self.step, **self.evaluation})

    def close(self, exit_code: int) -> None:
        """Flush what is open; a mirror that cannot finish in time is left to `wandb sync`."""
        if self.rank == 0:
            self.metrics.close()
            self.samples.close()
            if self.mirror:
                self.mirror.finish(exit_code)


def _rollout_metrics(batch: Sequence[Graded]) -> dict:
    count = len(batch)
    rewarded = [g for g in batch if g.reward > 0]
    lengths = [len(g.sampled.ids) for g in batch]
    return {
        "reward/mean": sum(g.reward for g in batch) / count,
        "reward/true_mean": sum(g.correct for g in batch) / count,
        "reward/true_given_rewarded": sum(g.correct for g in rewarded) / len(rewarded) if rewarded else None,
        "behaviour/code": sum(g.code for g in batch) / count,
        "response/tokens_mean": sum(lengths) / count,
        "response/tokens_max": max(lengths),
        "response/finish_eos": sum(g.sampled.finish is Finish.EOS for g in batch) / count,
        "response/finish_stop": sum(g.sampled.finish is Finish.STOP for g in batch) / count,
        "response/finish_length": sum(g.sampled.finish is Finish.LENGTH for g in batch) / count,
    }


def _sample_row(step: int, graded: Graded) -> dict:
    return {
        "step": step,
        "problem": graded.problem.id,
        "question": graded.problem.question,
        "gold": graded.problem.answer,
        "response": graded.sampled.text,
        "reward": graded.reward,
        "correct": graded.correct,
        "code": graded.code,
        "finish": graded.sampled.finish.value,
        "tokens": len(graded.sampled.ids),
    }
