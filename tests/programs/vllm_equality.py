"""One process that trains a random policy and samples it with vLLM; prints what the two disagree on, as JSON.

Usage: python tests/programs/vllm_equality.py RANK WORLD_SIZE DIRECTORY

DIRECTORY is a run directory with a frozen configuration, and with a model's type and other settings in kind.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from helpers.family_tokenizers import tokenizer_of
from models.load import DTYPES, adapt
from models.prompts import Stop
from sweep.grpo.deal import WithAdvantage
from sweep.grpo.learner import Learner
from sweep.job.processes import join
from sweep.rollout.engine import open_sampler
from sweep.rollout.sample import Request, Sampled
from sweep.rollout.stop import StopRules
from sweep.run.directory import RunDirectory

ENDS = tuple(range(300, 308))
SHAPE = {"vocab_size": 320, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
SHAPE |= {"num_attention_heads": 2, "num_key_value_heads": 1, "pad_token_id": 0, "eos_token_id": 2, "bos_token_id": 3}
PROMPTS = [[*b"What is 12 + 30?"[: 4 + 3 * (i % 3)]] for i in range(24)]


def trainer_logprobs(learner: Learner, answers: list[Sampled]) -> list[float]:
    batch = learner._packed(answers)
    with torch.no_grad():
        return learner.engine(batch, learner.config.rollout.temperature)[0][batch.mask_bt].tolist()


def largest(a: list[float], b: list[float]) -> float:
    return max(abs(x - y) for x, y in zip(a, b, strict=True))


def main(rank: int, world_size: int, directory: Path) -> None:
    config = RunDirectory(directory).read_config()
    join(rank, world_size, rank, directory / "meeting.json")
    torch.manual_seed(0)
    kind = json.loads((directory / "kind.json").read_text())
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**SHAPE | kind))
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    learner = Learner(adapt(model.to(DTYPES[config.model.dtype]), config.tuning, config.model), config)
    sampler = open_sampler(config, StopRules(tokenizer_of("olmo2_7b"), Stop(ENDS, ("a", "!!"), True)))
    found = []
    for step in (1, 2, 3):
        requests = [Request(prompt, ("vllm", step, rank, i)) for i, prompt in enumerate(PROMPTS)]
        with learner.sampling_model() as policy:
            answers = sampler.sample(policy, requests, config.rollout.temperature)
            again = sampler.sample(policy, requests, config.rollout.temperature)
        sampled = [x for a in answers for x in a.logprobs]
        before = trainer_logprobs(learner, answers)
        learner.update([[WithAdvantage(a, (-1.0) ** i) for i, a in enumerate(answers)]], step)
        found.append(
            {
                "difference": largest(sampled, before),
                "moved": largest(before, trainer_logprobs(learner, answers)),
                "repeated": [a.ids for a in again] == [a.ids for a in answers],
                "distinct": len({tuple(a.ids) for a in answers}),
                "ends": sorted({a.finish.value for a in answers}),
                "texts": [a.text for a in answers if a.finish.value == "stop"],
            }
        )
    print(json.dumps(found))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
