"""What both stages begin with: the model, its tokenizer, its problems and their prompts."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch.distributed as dist
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from models.family import load_family
from models.load import load_model, load_tokenizer, weights_source
from sweep.data.problems import Problem, load_problems
from sweep.evaluate.accuracy import Evaluation, evaluate
from sweep.run.config import CellConfig
from sweep.run.directory import RunDirectory
from sweep.stages.attempt import Interrupted, StopRequest

log = logging.getLogger("sweep")


@dataclass(frozen=True)
class Initial:
    """The untrained policy of a configuration."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    stop_ids: tuple[int, ...]
    config: CellConfig

    def prompts(self, split: str) -> tuple[list[Problem], list[list[int]]]:
        """The split's problems and their prompt ids; prompts over the limit are left out and counted, never cut."""
        encode, limit = load_family(self.config.model.family).prompt_ids, self.config.rollout.max_prompt_tokens
        problems = load_problems(self.config.data, split)
        prompts = [encode(self.tokenizer, p.question) for p in problems]
        fitting = [i for i, ids in enumerate(prompts) if len(ids) <= limit]
        if len(fitting) < len(problems):
            left = len(problems) - len(fitting)
            log.warning("%d of %d %s prompts are over %d tokens and left out", left, len(problems), split, limit)
        return [problems[i] for i in fitting], [prompts[i] for i in fitting]

    def evaluate(self, model: PreTrainedModel, problems: Sequence[Problem], prompts) -> Evaluation:
        """`model`, which this policy has become, on `problems`."""
        return evaluate(model, prompts, problems, self.config, stop_ids=self.stop_ids, tokenizer=self.tokenizer)

    def evaluation_set(self) -> tuple[list[Problem], list[list[int]]]:
        problems, prompts = self.prompts(self.config.evaluation.split)
        count = self.config.evaluation.problems
        return problems[:count], prompts[:count]


def load_initial(config: CellConfig, run: RunDirectory, stop: StopRequest) -> Initial:
    """Load the policy; a mini that is not there yet is pre-trained first, by rank 0.

    Raises:
        Interrupted: a stop was requested during pre-training, which starts anew the next time.
    """
    cache = Path(config.cache_dir).expanduser()
    if dist.get_rank() == 0:
        weights_source(config.model, cache, _pretraining_note(run, stop))
    dist.barrier()
    source = weights_source(config.model, cache)
    tokenizer = load_tokenizer(config.model, source)
    stops = load_family(config.model.family).stop_ids(tokenizer)
    return Initial(load_model(config.model, source), tokenizer, stops, config)


def _pretraining_note(run: RunDirectory, stop: StopRequest):
    def progress(step: int, steps: int) -> None:
        if stop:
            raise Interrupted
        if step % 20 == 0:
            run.write_state(note=f"pre-training the mini: {step}/{steps}" if step < steps else "")

    return progress
