"""What both stages begin with: the model, its tokenizer, its problems and their prompts."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.distributed as dist
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.integrations import HfDeepSpeedConfig

from models.hub import commit_of, content_hash, is_gguf
from models.load import adapt, load_model, load_tokenizer, load_trained, weights_source
from models.prompts import Stop, all_prompt_ids, stop_rules
from rewards.grading import Grader
from sweep.config.cell import CellConfig
from sweep.data.problems import Problem, load_split, refuse_changed
from sweep.errors import UserError
from sweep.evaluate.accuracy import Evaluation, evaluate
from sweep.grpo.learner import deepspeed_settings
from sweep.job.attempt import Interrupted, Refused, StopRequest
from sweep.job.processes import device
from sweep.keyed import torch_seed
from sweep.rollout.engine import open_sampler
from sweep.rollout.sample import Sampler
from sweep.rollout.stop import StopRules
from sweep.run.directory import RunDirectory
from sweep.run.labels import read_labels, too_few, usable

log = logging.getLogger("sweep")
_MOST_GRADERS = 8  # grading processes of a rank


@dataclass(frozen=True)
class Initial:
    """The untrained policy of a configuration."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    stop: Stop
    sampler: Sampler
    config: CellConfig
    run: RunDirectory
    grader: Grader
    source: Path

    def reference_model(self) -> PreTrainedModel | None:
        """A second copy of the untrained weights, where one is needed: adapters are simply left out instead."""
        if not self.config.needs_reference or self.config.tuning.method == "lora":
            return None
        with sharded(self.config, self.source):
            return load_model(self.config.model, self.source)

    def renewed(self) -> Initial:
        """The same with newly loaded weights, for the old ones were trained, and with a grader that is open."""
        return replace(self, model=_trainable(self.config, self.source), grader=_grader(self.config))

    def prompts(self, split: str) -> tuple[list[Problem], list[list[int]]]:
        """The split's problems and their prompt ids; prompts over the limit are left out and counted, never cut.

        Raises:
            UserError: none is left, or a file was changed since the launch.
        """
        refuse_changed(self.config.data, (self.run.evaluation or self.run.identity or {}).get("data", {}))
        limit = self.config.rollout.max_prompt_tokens
        loaded = load_split(self.config.data, split)
        problems = loaded.problems
        log.info("%d %s problems%s", len(problems), split, loaded.left_out and f" ({loaded.left_out})")
        questions = [p.question for p in problems]
        prompts = all_prompt_ids(self.tokenizer, self.config.model, self.config.prompt, questions)
        fitting = [i for i, ids in enumerate(prompts) if len(ids) <= limit]
        left_out = len(problems) - len(fitting)
        if left_out:
            log.warning("%d of %d %s prompts are over %d tokens and left out", left_out, len(problems), split, limit)
        if not fitting:
            shortest = min(map(len, prompts))
            raise UserError(
                f"rollout.max_prompt_tokens={limit}: every {split} prompt is longer; the shortest has {shortest} tokens"
            )
        if dist.get_rank() == 0:
            written = self.run.read_state()
            self.run.write_state(
                data=written.data | {split: loaded.as_json()},
                prompts_left_out=written.prompts_left_out | {split: left_out},
            )
        return [problems[i] for i in fitting], [prompts[i] for i in fitting]

    def evaluate(self, model: PreTrainedModel, problems: Sequence[Problem], prompts) -> Evaluation:
        """`model`, which this policy has become, on `problems`."""
        return evaluate(self.sampler, model, prompts, problems, self.config.evaluation, self.grader)

    def evaluation_set(self) -> tuple[list[Problem], list[list[int]]]:
        problems, prompts = self.prompts(self.config.evaluation.split)
        count = self.config.evaluation.problems
        return problems[:count], prompts[:count]


def training_set(initial: Initial) -> tuple[list[Problem], list[list[int]]]:
    """The problems to train on with their prompts; with their majority labels where the reward needs them.

    Raises:
        Refused: labels leave less than one batch.
    """
    problems, prompts = initial.prompts("train")
    reward, run = initial.config.reward, initial.run
    if not reward.needs_labels:
        return problems, prompts
    (vote,) = reward.votes
    root = run.root
    labels = list(read_labels([root / d for d in initial.config.labels.directories], vote))
    if sorted((x.place, x.id) for x in labels) != [(i, p.id) for i, p in enumerate(problems)]:
        raise RuntimeError(f"the labels in {root / 'stages'} are not those of the {len(problems)} training problems")
    kept = sorted(usable(labels, reward.wrong_labels_only), key=lambda label: label.place)
    if dist.get_rank() == 0:
        run.write_state(problems={"training": len(kept), "labelled": len(labels)})
    if reason := too_few(len(kept), initial.config.algorithm.prompts_per_step, len(problems)):
        raise Refused(reason)
    return [replace(problems[x.place], label=x.text) for x in kept], [prompts[x.place] for x in kept]


def load_initial(
    config: CellConfig, run: RunDirectory, stop: StopRequest, *, training: bool, weights: Path | None = None
) -> Initial:
    """Load the policy, to be trained or as it is; files that are not there yet are fetched or made first.

    A run whose branch on the hub has moved goes on from the commit that its first attempt loaded.

    Args:
        weights: the final weights of a finished run, which take the place of the untrained ones.
    Raises:
        Interrupted: a stop was requested while a mini was pre-trained, which starts anew the next time.
    """
    # Every process asks; one of them, on each machine, fills the cache while the others wait for its lock.
    model_config = config.model.model_copy(update={"revision": run.model_commit or config.model.revision})
    source = weights_source(model_config, Path(config.cache_dir).expanduser(), _pretraining_note(run, stop))
    dist.barrier()
    if dist.get_rank() == 0:
        run.add_provenance(
            model={
                "path": str(source),
                "revision": config.model.revision,
                "commit": commit_of(source),
                "content": content_hash(source),
            }
        )
    tokenizer = load_tokenizer(source)
    if training:
        model = _trainable(config, source)
    else:
        model = load_model(config.model, source, config.rollout.max_tokens)
        if weights is not None:
            model = load_trained(config.model, model, weights, config.rollout.max_tokens)
        model = model.to(device()).eval()
    stop_at = stop_rules(tokenizer, config.model, config.prompt)
    sampler = open_sampler(config.rollout, StopRules(tokenizer, stop_at))
    return Initial(model, tokenizer, stop_at, sampler, config, run, _grader(config), source)


def _trainable(config: CellConfig, source: Path) -> PreTrainedModel:
    with sharded(config, source):
        model = load_model(config.model, source, config.rollout.max_tokens)
    torch.manual_seed(torch_seed(config.seed, "adapters"))  # LoRA begins from a random projection
    return adapt(model, config.tuning, config.model)


def _grader(config: CellConfig) -> Grader:
    return Grader(config.grading, max(1, min(_MOST_GRADERS, len(os.sched_getaffinity(0)) // dist.get_world_size())))


@contextlib.contextmanager
def sharded(config: CellConfig, source: Path):
    """Under ZeRO-3 transformers deals the weights out while it reads them: no process ever holds all of them."""
    # A GGUF file is unpacked as a whole.
    keep = (
        HfDeepSpeedConfig(deepspeed_settings(config))
        if config.deepspeed.zero_stage == 3 and not is_gguf(str(source))
        else None
    )
    yield
    del keep


def _pretraining_note(run: RunDirectory, stop: StopRequest):
    def progress(step: int, steps: int) -> None:
        if stop:
            raise Interrupted
        if step % 20 == 0 and dist.get_rank() == 0:
            run.write_state(note=f"pre-training the mini: {step}/{steps}" if step < steps else "")

    return progress
