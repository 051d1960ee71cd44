"""The problems of a split with their prompts, as a stage samples from them."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import torch.distributed as dist

from models.prompts import PromptConfig, all_prompt_ids, stop_rules
from sweep.config.evaluation import Benchmark, DataBenchmark, FileBenchmark
from sweep.data.benchmarks import benchmark_hash, key_of, load_benchmark
from sweep.data.problems import Loaded, Problem, load_split, refuse_changed
from sweep.errors import UserError
from sweep.evaluate.asked import AskedBenchmark
from sweep.job.attempt import Refused
from sweep.rollout.stop import StopRules
from sweep.run.labels import read_labels, too_few, usable
from sweep.stages.policy import JobSetup

log = logging.getLogger("sweep")


@dataclass(frozen=True)
class ProblemSet:
    """Problems, and the token ids of the prompt of each, in the same order."""

    problems: list[Problem]
    prompts: list[list[int]]

    def first(self, count: int | None) -> ProblemSet:
        """Return the first `count` problems; all of them if it is None."""
        return ProblemSet(self.problems[:count], self.prompts[:count])


def prepare_problems(setup: JobSetup, split: str) -> ProblemSet:
    """Load the problems of a split of the cell's data and render their prompts.

    Prompts over the token limit are left out and counted, never cut; rank 0 records in the run's state what was left
    out.

    Raises:
        UserError: every prompt is over the limit, or a file was changed since the launch.
    """
    for identity in (*setup.run.evaluations.values(), setup.run.identity or {}):
        refuse_changed(setup.config.data, identity.get("data", {}))
    return _rendered(setup, split, load_split(setup.config.data, split), setup.config.prompt)


def prepare_benchmarks(setup: JobSetup) -> list[AskedBenchmark]:
    """Return the benchmarks of the cell with their problems, as `prepare_problems` does those of a split."""
    return [_prepared(setup, name, benchmark) for name, benchmark in setup.config.evaluation.benchmarks.items()]


def _prepared(setup: JobSetup, name: str, benchmark: Benchmark) -> AskedBenchmark:
    config, identity = setup.config, setup.run.evaluations[name]
    if isinstance(benchmark, DataBenchmark):
        refuse_changed(config.data, identity.get("data", {}))
    elif isinstance(benchmark, FileBenchmark) and benchmark_hash(name, benchmark) != identity["evaluation"]["path"]:
        raise UserError(
            f"{key_of(name)}.path={benchmark.path}: its problems are not those that this run was launched with; "
            "restore the file, or launch again, which makes an evaluation of its own"
        )
    loaded = load_benchmark(name, benchmark, config.data)
    called = benchmark.split if isinstance(benchmark, DataBenchmark) else name
    prompt = benchmark.prompt or config.prompt
    found = _rendered(setup, called, loaded, prompt).first(benchmark.problems)
    stop = None
    if benchmark.prompt is not None:
        stop = StopRules(setup.tokenizer, stop_rules(setup.tokenizer, config.model, prompt))
    return AskedBenchmark(name, benchmark, found.problems, found.prompts, stop, identity)


def _rendered(setup: JobSetup, called: str, loaded: Loaded, prompt: PromptConfig) -> ProblemSet:
    """Return problems with their prompts, without those over the token limit; `called`: what messages call them."""
    config, run, problems = setup.config, setup.run, loaded.problems
    limit = config.rollout.max_prompt_tokens
    log.info("%d %s problems%s", len(problems), called, f" ({loaded.left_out})" if loaded.left_out else "")
    prompts = all_prompt_ids(setup.tokenizer, config.model, prompt, [p.question for p in problems])
    fitting = [i for i, ids in enumerate(prompts) if len(ids) <= limit]
    left_out = len(problems) - len(fitting)
    if left_out:
        log.warning("%d of %d %s prompts are over %d tokens and left out", left_out, len(problems), called, limit)
    if not fitting:
        shortest = min(map(len, prompts))
        raise UserError(
            f"rollout.max_prompt_tokens={limit}: every {called} prompt is longer; the shortest has {shortest} tokens"
        )
    if dist.get_rank() == 0:
        written = run.read_state()
        run.write_state(
            data=written.data | {called: loaded.as_json()},
            prompts_left_out=written.prompts_left_out | {called: left_out},
        )
    return ProblemSet([problems[i] for i in fitting], [prompts[i] for i in fitting])


def prepare_training_set(setup: JobSetup) -> ProblemSet:
    """See `prepare_problems`: the problems to train on, with their majority labels if the reward needs labels.

    Raises:
        Refused: too few problems have a label that can be used for one step.
    """
    found = prepare_problems(setup, "train")
    return _labelled(setup, found) if setup.config.reward.needs_labels else found


def _labelled(setup: JobSetup, found: ProblemSet) -> ProblemSet:
    reward, run, problems = setup.config.reward, setup.run, found.problems
    (vote,) = reward.votes
    labels = list(read_labels([run.root / d for d in setup.config.labels.directories], vote))
    if sorted((x.place, x.id) for x in labels) != [(i, p.id) for i, p in enumerate(problems)]:
        raise RuntimeError(
            f"the labels in {run.root / 'stages'} are not those of the {len(problems)} training problems"
        )
    kept = sorted(usable(labels, reward.wrong_labels_only), key=lambda label: label.place)
    if dist.get_rank() == 0:
        run.write_state(problems={"training": len(kept), "labelled": len(labels)})
    if reason := too_few(len(kept), setup.config.algorithm.prompts_per_step, len(problems)):
        raise Refused(reason)
    return ProblemSet([replace(problems[x.place], label=x.text) for x in kept], [found.prompts[x.place] for x in kept])
