"""Load what every stage of a job works with: the model, its tokenizer, the sampler and the grader."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.distributed as dist
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.integrations import HfDeepSpeedConfig

from models.hub import commit_of, content_hash, is_gguf
from models.load import adapt, load_model, load_tokenizer, load_trained, weights_source
from models.prompts import Stop, stop_rules
from rewards.behaviours import Behaviours
from rewards.grading import Grader
from sweep.config.cell import CellConfig
from sweep.grpo.learner import deepspeed_settings
from sweep.job.attempt import Interrupted, StopRequest
from sweep.job.processes import device
from sweep.keyed import torch_seed
from sweep.rollout.engine import engine_name, open_sampler
from sweep.rollout.sample import Sampler
from sweep.rollout.stop import StopRules
from sweep.run.directory import RunDirectory

_MOST_GRADERS = 8  # grading processes of a rank


@dataclass(frozen=True)
class JobSetup:
    """The model, sampler and grader of a stage on one process.

    model: the untrained policy of the configuration, or the final weights of a finished run. Training changes it.
    stop: what ends a response.
    sampler, grader, behaviours: open; whoever loaded the setup closes it.
    source: the directory or file that the weights were read from.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    stop: Stop
    sampler: Sampler
    config: CellConfig
    run: RunDirectory
    grader: Grader
    behaviours: Behaviours
    source: Path

    def close(self) -> None:
        """Stop the processes that grade and that detect behaviours."""
        self.grader.close()
        self.behaviours.close()

    def reference_model(self) -> PreTrainedModel | None:
        """Return a second copy of the untrained weights, if KL is measured against it. LoRA needs none.

        Under LoRA the policy without its adapters is the reference (AdapterReference).
        """
        if not self.config.needs_reference or self.config.tuning.method == "lora":
            return None
        with sharded(self.config, self.source):
            return load_model(self.config.model, self.source)

    def renewed(self) -> JobSetup:
        """Return the setup with the weights loaded again, because training changed them, and with new open workers."""
        workers = {"grader": _grader(self.config), "behaviours": _behaviours(self.config)}
        return replace(self, model=_trainable(self.config, self.source), **workers)


def load_setup(
    config: CellConfig, run: RunDirectory, stop: StopRequest, *, training: bool, weights: Path | None = None
) -> JobSetup:
    """Load the model, and open its sampler and its grader. Files that are missing are downloaded or made first.

    If the model's branch on the hub has moved since the run's first attempt, the commit of that attempt is loaded.

    Args:
        training: whether the model will be trained; if not, it is put on this process's device in evaluation mode.
        weights: the final weights of a finished run, to be loaded in place of the untrained ones.
    Raises:
        Interrupted: a stop was requested while a mini was pre-trained. Its pre-training starts again next time.
    """
    # Every process does this. On each machine one of them fills the cache while the others wait for its lock.
    model_config = config.model.model_copy(update={"revision": run.model_commit or config.model.revision})
    source = weights_source(model_config, Path(config.cache_dir).expanduser(), _pretraining_note(run, stop))
    dist.barrier()
    if dist.get_rank() == 0:
        run.add_provenance(
            engine=engine_name(config),
            model={
                "path": str(source),
                "revision": config.model.revision,
                "commit": commit_of(source),
                "content": content_hash(source),
            },
        )
    tokenizer = load_tokenizer(source)
    if training:
        model = _trainable(config, source)
    else:
        tokens = config.rollout.max_tokens
        if weights is None:
            model = load_model(config.model, source, tokens)
        else:
            model = load_trained(config.model, source, weights, tokens)
        model = model.to(device()).eval()
    stop_at = stop_rules(tokenizer, config.model, config.prompt)
    sampler = open_sampler(config, StopRules(tokenizer, stop_at))
    return JobSetup(model, tokenizer, stop_at, sampler, config, run, _grader(config), _behaviours(config), source)


def _trainable(config: CellConfig, source: Path) -> PreTrainedModel:
    """Return the untrained model, with new adapters under LoRA, ready for DeepSpeed to take over."""
    with sharded(config, source):
        model = load_model(config.model, source, config.rollout.max_tokens)
    torch.manual_seed(torch_seed(config.seed, "adapters"))  # LoRA begins from a random projection
    return adapt(model, config.tuning, config.model)


def _grader(config: CellConfig) -> Grader:
    return Grader(config.grading, _workers())


def _behaviours(config: CellConfig) -> Behaviours:
    return Behaviours(config.behaviours, _workers())


def _workers() -> int:
    return max(1, min(_MOST_GRADERS, len(os.sched_getaffinity(0)) // dist.get_world_size()))


@contextlib.contextmanager
def sharded(config: CellConfig, source: Path) -> Iterator[None]:
    """Load a model in this block: under ZeRO-3 its weights are split over the processes while they are read.

    No process then ever holds all of them. A GGUF file is the exception, because it can only be unpacked as a whole.
    """
    registered = None
    if config.deepspeed.zero_stage == 3 and not is_gguf(str(source)):
        # transformers splits weights for as long as an object of this class is alive: it keeps a weak reference to it.
        registered = HfDeepSpeedConfig(deepspeed_settings(config))
    yield
    del registered


def _pretraining_note(run: RunDirectory, stop: StopRequest) -> Callable[[int, int], None]:
    """Return a function for pre-training to call after each step: it shows the progress, and ends it on a stop."""

    def progress(step: int, steps: int) -> None:
        """Raise Interrupted if a stop is requested; else show the progress now and then."""
        if stop:
            raise Interrupted
        if step % 20 == 0 and dist.get_rank() == 0:
            run.write_state(note=f"pre-training the mini: {step}/{steps}" if step < steps else "")

    return progress
