"""Train one cell: rollout → rewards → advantages → updates, with evaluation and checkpoints at intervals."""

from __future__ import annotations

import gc
import logging
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist

from sweep.config.cell import CellConfig
from sweep.grpo.advantages import rollout_advantages, zero_variance
from sweep.grpo.checkpoint import newest_whole, save_checkpoint
from sweep.grpo.checks import check_agreement, check_diversity
from sweep.grpo.deal import Scored
from sweep.grpo.learner import Learner
from sweep.job.attempt import Interrupted, StopRequest, attempt
from sweep.job.phases import Phases
from sweep.job.processes import any_rank, gather, join, leave, together
from sweep.job.starting import Starting
from sweep.keyed import generator
from sweep.rollout.sample import Finish, Request
from sweep.run.directory import RunDirectory
from sweep.run.files import write_json
from sweep.run.not_finite import NotFinite
from sweep.run.state import State
from sweep.stages.given_up import goes_back, reported
from sweep.stages.grading import Graded, Group, grade_groups, graded_metrics
from sweep.stages.metrics import response_metrics, reward_metrics, speed_metrics, step_line
from sweep.stages.policy import Initial, load_initial, training_set
from sweep.stages.samples import sample_rows
from sweep.stages.spending import evaluated_tokens, sampled_tokens, seconds_of_steps
from sweep.track.metrics import RowLog
from sweep.track.mirror import open_mirror

log = logging.getLogger("sweep")


def main(path: Path, rank: int, world_size: int, local_rank: int, meeting: Path) -> None:
    """The training of a cell on one process."""
    starting = Starting()
    starting.reached("imports")
    with attempt(path, rank, world_size, meeting) as (run, config, stop, phases):
        with stop.ending_at_once(), phases.at("joining"):
            join(rank, world_size, local_rank, meeting)
        starting.reached("processes")
        train(run, config, stop, phases, starting)
        with phases.at("leaving"):
            leave()


def train(run: RunDirectory, config: CellConfig, stop: StopRequest, phases: Phases, starting: Starting) -> None:
    """Train from the newest whole checkpoint to the end.

    Raises:
        Interrupted: a stop was requested.
        NotFinite: a number of a step was not.
        NoWholeCheckpoint, OtherWorldSize: it cannot go on from the checkpoints that are there.
    """
    with stop.ending_at_once(), phases.at("loading"):
        initial = load_initial(config, run, stop, training=True)
        dist.barrier()
    starting.reached("model")
    if not _train(run, config, initial, stop, phases, starting):
        with phases.at("loading"):
            initial = initial.renewed()
        _train(run, config, initial, stop, phases, starting)


def _train(
    run: RunDirectory, config: CellConfig, initial: Initial, stop: StopRequest, phases: Phases, starting: Starting
) -> bool:
    """Train to the end; False where training went back one checkpoint and is to begin again from there."""
    with phases.at("preparing"):
        training = Training(run, config, initial, phases, starting)
    try:
        training.run_to_target(stop)
    except NotFinite:
        training.close(State.FAILED)
        if not goes_back(run, training.resumed_from, training.first_step, training.step):
            raise
        training.learner.close()
    except BaseException as error:
        training.close(State.INTERRUPTED if isinstance(error, Interrupted) else State.FAILED)
        raise
    else:
        training.close(State.DONE)
        return True
    del training  # with all its memory, before a new policy is loaded
    gc.collect()
    return False


class Training:
    """The loop's state on one process."""

    def __init__(
        self, run: RunDirectory, config: CellConfig, initial: Initial, phases: Phases, starting: Starting
    ) -> None:
        self.run, self.config, self.initial, self.phases = run, config, initial, phases
        self.rank, self.world = dist.get_rank(), dist.get_world_size()
        self.problems, self.prompts = training_set(initial)
        self.evaluation_set = initial.evaluation_set()
        starting.reached("problems")
        self.learner = Learner(initial.model, config, initial.reference_model())
        starting.reached("deepspeed")
        self.resumed_from = newest_whole(run.checkpoints)
        self.first_step = self.step = self._resume()
        starting.reached("checkpoint")
        self.batch: list[Graded] = []  # of the step at hand, and what the updates make of it
        self.scored: list[Scored] = []
        self.evaluation: dict | None = None
        self.save_seconds = run.read_state().save_seconds or 0.0  # of the slowest checkpoint so far
        self.unchecked = True  # until the first step of this attempt
        self.spent = Counter()  # since the state was last told
        if self.rank == 0:
            self.spent["repeated"] = seconds_of_steps(run.read_metrics(), after=self.step)
        self.metrics = RowLog(run.metrics, self.step) if self.rank == 0 else None
        self.samples = RowLog(run.samples, self.step) if self.rank == 0 else None
        self.mirror = open_mirror(run, config) if self.rank == 0 else None  # reads both
        starting.reached("tracking")
        self.starting = starting

    def _resume(self) -> int:
        """Load the newest whole checkpoint, if any; returns the step after which it was written."""
        if self.resumed_from is None:
            return 0
        step = self.learner.load(self.resumed_from)
        log.info("resumed after step %d", step)
        return step

    def run_to_target(self, stop: StopRequest) -> None:
        """Train to `steps`, then write the result.

        Raises:
            NotFinite: a number of a step was not; with the step, and where its batch was left.
        """
        try:
            self._run_to_target(stop)
        except NotFinite as fault:
            raise reported(fault, self.run, self.config, self.step, self.batch, self.scored) from fault

    def _run_to_target(self, stop: StopRequest) -> None:
        if any_rank(stop):  # before the first step there is nothing to save
            raise Interrupted
        while self.step < self.config.steps:
            self.step += 1
            row = self.train_step()
            self._say_how_it_started()
            last = self.step == self.config.steps
            if last or self.step % self.config.evaluation.every == 0:
                row |= self.evaluate()
            self._record(row | self.phases.metrics())
            stopping = any_rank(stop)
            late = stopping and any_rank(not stop.leaves(self.save_seconds))
            if last or (stopping and not late) or self.step % self.config.checkpoint.every == 0:
                self._save()
            if stopping and not last:
                raise Interrupted
        self._finish()

    def _say_how_it_started(self) -> None:
        self.starting.reached("first update")
        if self.rank == 0 and not self.starting.ended:
            log.info(self.starting.end())
            self.run.add_provenance(start=self.starting.parts)

    def _save(self) -> None:
        began = time.monotonic()
        with self.phases.at("checkpoint"):
            save_checkpoint(self.learner, self.run.checkpoints, self.step, self.config.checkpoint.keep)
        self.save_seconds = max(self.save_seconds, time.monotonic() - began)
        if self.rank == 0:
            self.run.write_state(save_seconds=self.save_seconds)

    def train_step(self) -> dict:
        """One rollout and its updates; returns the step's metrics."""
        self.batch, self.scored = [], []
        with self.phases("step"):
            batch, sampling = self.rollout()
            self.batch = batch
            self.starting.reached("first rollout")
            if self.rank == 0:  # before anything can stop the run for what they are
                for row in sample_rows(self.config, self.step, batch):
                    self.samples.write(row)
            checked = self._is_checked()
            if checked:
                size = self.config.algorithm.samples_per_prompt
                check_diversity([[g.sampled for g in batch[k : k + size]] for k in range(0, len(batch), size)])
            rollout, advantage_metrics = self.with_advantages(batch)
            self.scored = rollout
            with self.phases("update"):
                updates = self.learner.update(rollout, self.step)
        self._compare_samplers(updates.get("sampler_difference"), checked)
        trained = [s.sampled for s in rollout if s.counted]
        return {
            **graded_metrics(batch, self.config.grading.extraction),
            **response_metrics([g.sampled for g in batch]),
            **sampling,
            **advantage_metrics,
            "train/tokens": sum(len(response.ids) for response in trained),
            **{f"train/{name}": value for name, value in updates.items()},
            **speed_metrics(self.learner, self.config, trained, updates["updates"], self.phases.seconds("update")),
            "perf/tokens_per_second": sum(len(g.sampled.ids) for g in batch) / self.phases.seconds("step"),
        }

    def _is_checked(self) -> bool:
        """The first step of an attempt is, and every `checks.every`-th."""
        every, first = self.config.checks.every, self.unchecked
        self.unchecked = False
        return first or (every is not None and self.step % every == 0)

    def _compare_samplers(self, difference: float | None, checked: bool) -> None:
        if difference is None:  # no response took part in an update
            return
        bound = self.config.checks.logprob_difference
        if checked:
            check_agreement(difference, bound)
        elif difference > bound:
            log.warning("step %d: sampler and trainer disagree on log-probs by %.3g a token", self.step, difference)

    def rollout(self) -> tuple[list[Graded], dict]:
        """Sample and grade the step's groups, the same on every process; returns them slot by slot, and metrics.

        Dynamic sampling (DAPO, 2503.14476, section 3.2): where all rewards of a group are equal, another problem takes
        its place, in at most `resampling_rounds` rounds; what is still equal after the last one stays.
        """
        algorithm = self.config.algorithm
        groups: dict[int, list[Graded]] = {}
        places, sampled = list(range(algorithm.prompts_per_step)), []
        for resampling in range(algorithm.resampling_rounds + 1):
            slots = [place + resampling * algorithm.prompts_per_step for place in places]
            sampled += self._sample_groups(slots)
            groups.update(zip(places, sampled[-len(slots) :], strict=True))
            places = [p for p in places if len({graded.reward for graded in groups[p]}) == 1]
            if not places:
                break
        rewards = [graded.reward for group in sampled for graded in group]
        tokens = sampled_tokens(graded.sampled for group in sampled for graded in group)
        sampling = {
            "rollout/groups_sampled": len(sampled),
            "rollout/tokens": tokens["generated"],
            "rollout/prompt_tokens": tokens["prompts"],
            "reward/mean_sampled": sum(rewards) / len(rewards),
        }
        return [graded for place in sorted(groups) for graded in groups[place]], sampling

    def _sample_groups(self, slots: Sequence[int]) -> list[list[Graded]]:
        """A graded group for each slot, dealt out over the processes."""
        size, seed, step = self.config.algorithm.samples_per_prompt, self.config.seed, self.step
        mine = np.array_split(np.array(slots), self.world)[self.rank].tolist()
        chosen = {slot: self._problem_of(slot) for slot in mine}
        with self.phases("rollout"), self.learner.sampling_model() as model:
            requests = [
                Request(self.prompts[chosen[slot]], (seed, "rollout", step, slot, s))
                for slot in mine
                for s in range(size)
            ]
            with together(NotFinite):
                answers = self.initial.sampler.sample(model, requests, self.config.rollout.temperature)
        groups = [
            Group(slot, self.problems[chosen[slot]], answers[k * size : (k + 1) * size]) for k, slot in enumerate(mine)
        ]
        with self.phases("grading"):
            flat = grade_groups(self.config, self.initial.grader, step, groups)
        graded = [flat[k * size : (k + 1) * size] for k in range(len(mine))]
        return gather(graded)

    def _problem_of(self, slot: int) -> int:
        """The problem in a slot of this step; slots from `prompts_per_step` on are later rounds of resampling."""
        count = self.config.algorithm.prompts_per_step
        if slot < count:
            return self._problem_at((self.step - 1) * count + slot)
        return int(generator(self.config.seed, "resampled problem", self.step, slot).integers(len(self.problems)))

    def _problem_at(self, position: int) -> int:
        """The problem at a position of the endless shuffled stream; each epoch is shuffled by its own key."""
        epoch, place = divmod(position, len(self.problems))
        return int(generator(self.config.seed, "data order", epoch).permutation(len(self.problems))[place])

    def with_advantages(self, batch: Sequence[Graded]) -> tuple[list[Scored], dict]:
        """The responses with their advantages, and which of them take part in the update."""
        algorithm, shape = self.config.algorithm, (-1, self.config.algorithm.samples_per_prompt)
        rewards_pg = torch.tensor([g.reward for g in batch]).view(shape)
        lengths_pg = torch.tensor([float(len(g.sampled.ids)) for g in batch]).view(shape)
        kl_pg, row = None, {}
        every = self.config.tracking.reference_kl_every
        in_reward, in_loss = (
            algorithm.kl_coefficient > 0 and algorithm.kl_place == place for place in ("reward", "loss")
        )
        # In the loss the updates measure it themselves, under the same name.
        if in_reward or (every and not in_loss and self.step % every == 0):
            estimator = algorithm.kl_estimator if in_reward else "k3"
            with self.phases("reference"):
                measured = self.learner.sequence_kl([g.sampled for g in batch], estimator)
            row["train/reference_kl"] = sum(measured) / float(lengths_pg.sum())
            kl_pg = torch.tensor(measured).view(shape) if in_reward else None
        max_tokens = self.config.rollout.max_response_tokens
        advantages_pg = rollout_advantages(rewards_pg, lengths_pg, kl_pg, algorithm, max_tokens)
        equal_p = zero_variance(rewards_pg)
        equal = equal_p.repeat_interleave(rewards_pg.shape[1]).tolist()
        scored = [
            Scored(
                g.sampled,
                advantage,
                counted=not (algorithm.filter_zero_variance and alike)
                and not (algorithm.mask_truncated and g.sampled.finish is Finish.LENGTH),
            )
            for g, advantage, alike in zip(batch, advantages_pg.flatten().tolist(), equal, strict=True)
        ]
        row["train/responses"] = sum(s.counted for s in scored)
        return scored, reward_metrics(rewards_pg, equal_p, advantages_pg) | row

    def evaluate(self) -> dict:
        """Metrics of the policy on the evaluation set."""
        with self.phases("evaluation"), self.learner.sampling_model() as model:
            found = self.initial.evaluate(model, *self.evaluation_set)
        self.evaluation = asdict(found)
        self.spent += evaluated_tokens(found, self.evaluation_set[1])
        named = {f"eval/{name}": value for name, value in self.evaluation.items()}
        return named | {"evaluation": self.run.evaluation_signature}

    def _record(self, row: dict) -> None:
        if self.rank > 0:
            return
        row = {"step": self.step, **row}
        self.metrics.write(row)
        if self.mirror:
            self.mirror.row_written()
        self.spent += Counter(
            generated=row["rollout/tokens"], prompts=row["rollout/prompt_tokens"], trained=row["train/tokens"]
        )
        accuracy = {"accuracy": row["eval/accuracy"]} if "eval/accuracy" in row else {}
        self.run.write_state(
            add=self._account(),
            step=self.step,
            steps=self.config.steps,
            reward=row["reward/mean"],
            seconds_per_step=row["timing_s/step"],
            tokens_per_second=row["perf/tokens_per_second"],
            **accuracy,
        )
        log.info(step_line(row, self.config.steps))

    def _account(self) -> Counter:
        """What was spent since the last call."""
        spent, self.spent = self.spent, Counter()
        return spent

    def _finish(self) -> None:
        """Write the final weights, then the result, whose presence means that all is there."""
        if self.evaluation is None:  # resumed at the target: the last attempt died between its last row and here
            self.evaluate()
        if self.rank == 0:
            self.run.write_state(add=self._account())
            shutil.rmtree(self.run.final, ignore_errors=True)
        dist.barrier()
        with self.phases.at("export"):
            self.learner.export(self.run.final, self.initial.tokenizer, self.initial.stop)
        if self.rank == 0:
            result = {"step": self.step, "evaluation": self.run.evaluation_signature, **self.evaluation}
            write_json(self.run.result, result)
            if not self.config.checkpoint.resumable:
                shutil.rmtree(self.run.checkpoints)

    def close(self, state: State) -> None:
        """Flush what is open; a mirror that cannot finish in time says so and is left. `state`: as training ended."""
        with ExitStack() as all_of_them:  # whatever one raises, as rows do that a full disk does not take
            all_of_them.callback(self.initial.grader.close)
            if self.rank == 0:
                if self.mirror:
                    all_of_them.callback(self.mirror.close, state)
                all_of_them.callback(self.samples.close)
                all_of_them.callback(self.metrics.close)
