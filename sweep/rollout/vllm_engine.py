"""Sample with vLLM inside the training process: one engine a process, which gets the policy's weights at every call."""

from __future__ import annotations

import contextlib
import copy
import os
import tempfile
from collections.abc import Iterator, Sequence

import torch
import torch.distributed as dist
from transformers import PreTrainedModel

from models.architecture import architecture_from
from sweep.config.cell import RolloutConfig
from sweep.keyed import torch_seed
from sweep.rollout.sample import Finish, Request, Sampled
from sweep.rollout.stop import StopRules

QUIET = {"VLLM_LOGGING_LEVEL": "WARNING", "VLLM_NO_USAGE_STATS": "1", "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}


class VllmSampler:
    """Samples with vLLM, which starts at the first call. Every call copies the weights of the given model into it."""

    def __init__(self, config: RolloutConfig, stop: StopRules, longest: int, with_text: bool) -> None:
        """Note what the engine is for.

        Args:
            stop: what ends a response unless a call says otherwise.
            longest: tokens of the longest sequence that any call samples, prompt and response.
            with_text: whether any call looks for stop strings, which vLLM finds in text.
        """
        self.config, self.stop, self.longest, self.with_text = config, stop, longest, with_text
        self._engine, self._vocabulary = None, 0

    def sample(
        self,
        model: PreTrainedModel,
        requests: Sequence[Request],
        temperature: float,
        top_p: float = 1.0,
        stop: StopRules | None = None,
    ) -> list[Sampled]:
        """See `Sampler`. A request's key seeds a generator of its own in vLLM."""
        if not requests:
            return []
        on_gpu = model.device.type == "cuda"
        if self._engine is None:
            self._engine = self._start(model, on_gpu)
        elif on_gpu:
            self._engine.wake_up(tags=["weights"])
        self._engine.collective_rpc("reload_weights", kwargs={"weights_iterator": list(named_weights(model))})
        if on_gpu:
            self._engine.wake_up(tags=["kv_cache"])
        self._engine.reset_prefix_cache()  # it holds keys and values that the old weights made from the prompts
        prompts = [{"prompt_token_ids": list(r.prompt_ids)} for r in requests]
        rules = stop or self.stop
        parameters = [self._parameters(r, temperature, top_p, rules) for r in requests]
        # Even without compiled layers vLLM compiles a small function, for which a CPU would need a compiler.
        with contextlib.nullcontext() if on_gpu else torch.compiler.set_stance("force_eager"):
            outputs = self._engine.generate(prompts, parameters, use_tqdm=False)
        if on_gpu:
            self._engine.sleep(level=2)  # gives up weights and cache: the update gets the memory
        return [_sampled(r, output.outputs[0], rules) for r, output in zip(requests, outputs, strict=True)]

    def _start(self, model: PreTrainedModel, on_gpu: bool):
        os.environ.update({name: value for name, value in QUIET.items() if name not in os.environ})
        from vllm import LLM

        base = model.get_base_model() if hasattr(model, "peft_config") else model
        shape = architecture_from(base.config.to_dict())
        self._vocabulary = shape.vocab_size
        keep_its_call(base.get_decoder())
        with tempfile.TemporaryDirectory() as directory:
            config = copy.deepcopy(base.config)
            config.architectures = [type(base).__name__]  # a model that was not loaded from files names none
            config.save_pretrained(directory)
            if self.with_text:
                self.stop.tokenizer.save_pretrained(directory)
            return LLM(
                model=directory,
                load_format="dummy",  # the weights come from the policy
                skip_tokenizer_init=not self.with_text,
                generation_config="vllm",  # no sampling defaults of the model's own
                dtype=model.dtype,
                seed=0,
                max_model_len=self.longest,
                max_num_seqs=min(1024, self.config.rows(shape, model.dtype.itemsize)),
                kv_cache_memory_bytes=int(self.config.cache_gb * 2**30),
                logprobs_mode="processed_logprobs",  # at the sampling temperature
                enforce_eager=not on_gpu,  # compiling takes a CPU most of a minute
                enable_sleep_mode=on_gpu,
                distributed_executor_backend="external_launcher" if dist.is_initialized() else None,
            )

    def _parameters(self, request: Request, temperature: float, top_p: float, stop: StopRules):
        from vllm import SamplingParams

        return SamplingParams(
            temperature=temperature,
            top_p=top_p if temperature else 1.0,
            seed=torch_seed(*request.key),
            max_tokens=request.max_tokens or self.config.max_response_tokens,
            stop_token_ids=[i for i in stop.ids.tolist() if i < self._vocabulary],  # vLLM refuses others
            ignore_eos=True,  # the stop ids already hold every token that ends a response
            stop=list(stop.strings) or None,
            include_stop_str_in_output=True,
            detokenize=bool(stop.strings),
            logprobs=0,  # the drawn token's
        )


def keep_its_call(decoder: torch.nn.Module) -> None:
    """Give the policy's decoder a class of its own, which is called as any module is.

    vLLM has no code of its own for some architectures (OLMo, SmolLM3). It makes those models of transformers' classes,
    and replaces `__call__` of the decoder's class by one that only its own instances know how to answer.
    """
    kind = type(decoder)
    decoder.__class__ = type(kind.__name__, (kind,), {"__call__": torch.nn.Module.__call__})


def _sampled(request: Request, output, stop: StopRules) -> Sampled:
    ids = list(output.token_ids)
    logprobs = [at[token].logprob for at, token in zip(output.logprobs, ids, strict=True)]
    if output.finish_reason == "length":
        finish = Finish.LENGTH
    else:
        finish = Finish.STOP if isinstance(output.stop_reason, str) else Finish.EOS
    (text,) = stop.texts([ids])
    return Sampled(request.prompt_ids, ids, logprobs, finish, text)


def named_weights(model: PreTrainedModel) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the policy's weights under the names that they have in a checkpoint. Adapters are merged into copies.

    The head is listed even if it is tied to the embeddings: without it, vLLM would keep the head that it started with.
    """
    adapted = hasattr(model, "peft_config")
    base = model.get_base_model() if adapted else model
    for name, module in base.named_modules():
        plain = getattr(module, "base_layer", module)
        if ".lora_" in name or name.endswith(".base_layer"):
            continue
        for kind, weight in plain.named_parameters(recurse=False):
            if adapted and kind == "weight" and plain is not module:
                weight = weight + module.get_delta_weight("default").to(weight.dtype)
            yield f"{name}.{kind}", weight.detach()
    if base.config.tie_word_embeddings:
        yield "lm_head.weight", base.get_output_embeddings().weight.detach()
