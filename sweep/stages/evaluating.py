"""Put a policy to benchmarks: for the stages that do nothing else, and at intervals of a training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from transformers import PreTrainedModel

from sweep.evaluate.answering import Answerer, Kept, Spent
from sweep.evaluate.asked import AskedBenchmark, WeightsAsked
from sweep.evaluate.evaluate import evaluate
from sweep.evaluate.weights import model_hash
from sweep.grpo.learner import Learner
from sweep.job.phases import Phases
from sweep.rollout.engine import engine_name
from sweep.run.answer_manifest import Made
from sweep.run.answer_places import of_model, of_training
from sweep.run.directory import RunDirectory
from sweep.run.provenance import code_hash, environment
from sweep.score.evaluation import Evaluation
from sweep.stages.policy import JobSetup


@dataclass(frozen=True)
class Evaluated:
    """What weights came to: the numbers of each benchmark by its name, and the tokens that sampling took."""

    by_benchmark: dict[str, Evaluation]
    spent: Spent


def trained_weights(run: RunDirectory, step: int) -> WeightsAsked:
    """Return the name of the weights that the training in `run` had after `step`, and where their answers lie."""
    return WeightsAsked(of_training(run.root, run.path.name, step), f"{run.path.name}@{step}", step)


def untrained_weights(setup: JobSetup) -> WeightsAsked:
    """Return the name of the weights that `setup` loaded from the model's source, and where their answers lie."""
    run, model = setup.run, setup.config.model
    identity = (run.identity or {})["model"]
    loaded = run.read_provenance().get("model") or {}
    version = loaded.get("commit") or loaded.get("content") or "unknown"
    return WeightsAsked(of_model(run.root, model.name, identity), f"{model.name}@{version}", None)


def evaluate_policy(
    setup: JobSetup,
    model: PreTrainedModel,
    weights: WeightsAsked,
    benchmarks: Sequence[AskedBenchmark],
    phase: Callable[[str], AbstractContextManager[None]],
    kept: Callable[[Kept], None] = lambda kept: None,
) -> Evaluated:
    """Put `model`, whose weights `weights` names, to `benchmarks`; every process calls this.

    Args:
        phase: returns the phase of the job for what has this name. Each benchmark has one of its own, because the
            watchdog ends a job whose phase takes many times as long as it did before.
        kept: called on rank 0 when a benchmark begins and whenever answers to it were written.
    Raises:
        NotFinite: on all processes, if the model's logits are not finite.
    """
    with phase("hash of the weights"):
        digest = model_hash(model) if dist.get_rank() == 0 else ""
    answerer = _answerer(setup, phase, kept)
    found = {asked.name: evaluate(answerer, model, asked, weights, digest) for asked in benchmarks}
    spent = sum((spent for _, spent in found.values()), Spent())
    return Evaluated({name: numbers for name, (numbers, _) in found.items()}, spent)


def _answerer(
    setup: JobSetup, phase: Callable[[str], AbstractContextManager[None]], kept: Callable[[Kept], None]
) -> Answerer:
    facts = environment()
    hardware = torch.cuda.get_device_name() if torch.cuda.is_available() else facts["processor"]
    made = Made(engine=engine_name(setup.config), dtype=setup.config.model.dtype, hardware=hardware, code=code_hash())
    return Answerer(
        sampler=setup.sampler,
        grader=setup.grader,
        behaviours=setup.behaviours,
        made=made,
        chunk=setup.config.evaluation.chunk,
        phase=phase,
        kept=kept,
    )


class IntervalEvaluation:
    """Evaluates the policy of a learner while it is trained."""

    def __init__(self, setup: JobSetup, benchmarks: Sequence[AskedBenchmark], learner: Learner, phases: Phases) -> None:
        self.setup, self.benchmarks, self.learner, self.phases = setup, benchmarks, learner, phases

    @property
    def identities(self) -> dict[str, dict]:
        """The identity of the evaluation by each benchmark, by its name."""
        return {asked.name: asked.identity for asked in self.benchmarks}

    def due(self, step: int, last: bool) -> list[AskedBenchmark]:
        """Return the benchmarks to which the policy is put after `step`: all of them after the last step."""
        return [asked for asked in self.benchmarks if last or step % asked.settings.every == 0]

    def evaluate(self, step: int, benchmarks: Sequence[AskedBenchmark]) -> Evaluated:
        """Evaluate the learner's policy after `step`; every process calls this. See `evaluate_policy`."""
        with ExitStack() as opened:
            with self._phase("weights"):
                model = opened.enter_context(self.learner.sampling_model())
            weights = trained_weights(self.setup.run, step)
            return evaluate_policy(self.setup, model, weights, benchmarks, self._phase)

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        with self.phases("evaluation"), self.phases.at(f"evaluation: {name}"):
            yield
