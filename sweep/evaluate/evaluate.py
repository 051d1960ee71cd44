"""Put weights to a benchmark: complete the answers that are kept of them, and compute the numbers of all."""

from __future__ import annotations

import torch.distributed as dist
from transformers import PreTrainedModel

from sweep.errors import UserError
from sweep.evaluate.answering import Answerer, Spent
from sweep.evaluate.asked import AskedBenchmark, WeightsAsked
from sweep.evaluate.regrading import take_over
from sweep.job.processes import gather, together
from sweep.run.answer_manifest import Evaluated, Weights
from sweep.run.answer_places import of_benchmark
from sweep.run.answer_reading import answers_without_texts
from sweep.run.identity import answers_identity
from sweep.score.evaluation import Evaluation, evaluation_of


def evaluate(
    answerer: Answerer, model: PreTrainedModel, asked: AskedBenchmark, weights: WeightsAsked, weights_hash: str
) -> tuple[Evaluation, Spent]:
    """Return the numbers of the answers of `model` to a benchmark, and the tokens that sampling the missing ones took.

    Every process calls this.

    Args:
        model: with the weights that `weights` names and that have the hash `weights_hash`.
    Raises:
        NotFinite: on all processes, if the model's logits are not finite.
        UserError: on all processes, if answers that are kept are damaged, or of another evaluation.
    """
    identity = answers_identity(asked.identity)
    directory = of_benchmark(weights.place, asked.name, identity)
    evaluated = Evaluated(
        benchmark=directory.name.rpartition("-")[0],
        weights=Weights(name=weights.name, hash=weights_hash, step=weights.step),
        identity=identity,
        detectors=answerer.behaviours.definitions(),
    )
    with together(UserError):
        if dist.get_rank() == 0:
            take_over(directory, evaluated, answerer.grader, answerer.behaviours)
    spent = answerer.answer(model, asked, directory, evaluated)
    found: list[Evaluation] = []
    if dist.get_rank() == 0:
        answers = answers_without_texts(directory, len(asked.problems), asked.samples)
        found.append(evaluation_of(answers, asked.samples))
    return gather(found)[0], spent
