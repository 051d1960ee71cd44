"""Predict what a cell needs before it is submitted: memory of each process, and disk. Pure arithmetic, no torch.

Bytes a weight in mixed precision with AdamW, as DeepSpeed lays it out (ZeRO, 1910.02054, section 3): the weight and its
gradient in the model's dtype, an fp32 master copy and two fp32 moments; stage 1 deals the optimiser's part out over the
processes, stage 2 the gradients too, stage 3 the weights as well.
"""

from __future__ import annotations

from dataclasses import dataclass

from models.architecture import CHUNK_LOGITS, cache_row_bytes, read_architecture
from models.config import Architecture, LoraTuning
from sweep.config.cell import CellConfig
from sweep.plan.evaluation_share import asked_in

DTYPE_BYTES = {"float32": 4, "bfloat16": 2}
OPTIMIZER_BYTES = 12  # fp32 master copy and Adam's two moments
STEP_BYTES = {"cpu": 8, "cuda": 4}  # what AdamW holds while it steps: the denominator, on a CPU twice
GRADIENT_COPY_BYTES = 4  # the flat fp32 copy of the gradient that the step reads; in fp32 a CPU has room for it anyway
LOGIT_BYTES = 8  # logits in fp32 with their probabilities, beside the logits as they come
HEAD_BYTES = 4  # the gradient of the language-model head, summed in fp32
BUCKET_WEIGHTS = 5e8  # DeepSpeed reduces gradients in buckets of so many
TOKEN_CHARACTERS = 4  # of a token's text, about
SAMPLE_BYTES = 1000  # of a line in samples.jsonl beside its response: the question, the grades and the rest
ANSWER_BYTES = 200  # of the row of an answer beside its text
RESPONSE_BYTES = 20  # of the row of a response that is kept without its text, compressed
CUDA_BYTES = 2 * 2**30  # CUDA's and NCCL's own, beside the tensors


@dataclass(frozen=True)
class Memory:
    """Bytes on each process, by what they are for.

    Forward-and-backward, optimiser step and rollout follow one another, and each takes what the last one freed.
    """

    parameters: int
    gradients: int
    optimizer: int
    libraries: int
    optimizer_step: int
    rollout: int
    buckets: int
    activations: int
    logits: int

    @property
    def parts(self) -> dict[str, int]:
        """The bytes by the names of the parts in words."""
        return {name.replace("_", " "): size for name, size in vars(self).items()}

    @property
    def peak(self) -> int:
        """The permanent parts and the largest phase."""
        held = self.parameters + self.optimizer + self.libraries
        passes = self.gradients + self.buckets + self.activations + self.logits
        return held + max(self.optimizer_step, self.rollout, passes)


def predict_memory(config: CellConfig, on_gpu: bool) -> Memory | None:
    """Return the memory of each process of a cell's training; None if the model's shape is not known yet."""
    shape, trained = read_architecture(config.model), trained_parameters(config)
    if shape is None or trained is None:
        return None
    world, stage, width = config.processes, config.deepspeed.zero_stage, DTYPE_BYTES[config.model.dtype]
    adapted = isinstance(config.tuning, LoraTuning)
    copies = 2 if config.needs_reference and not adapted else 1  # the initial weights too, for a KL
    weights = copies * shape.parameters + (trained if adapted else 0)
    share = trained / world
    parameters = weights * width / (world if stage == 3 else 1)
    gradients = trained * width if stage == 1 else share * width
    on_host = on_gpu and config.deepspeed.offload_optimizer
    optimizer = 0 if on_host else OPTIMIZER_BYTES * share
    copy = GRADIENT_COPY_BYTES if on_gpu or width == 2 else 0
    step = 0 if on_host else (STEP_BYTES["cuda" if on_gpu else "cpu"] + copy) * share
    if stage == 3:
        gradients += GRADIENT_COPY_BYTES * share
    activations, logits = _activation_bytes(config, shape), _logit_bytes(config, shape, on_gpu)
    rollout = _rollout_bytes(config, shape)
    # A GPU has the gradients' memory again once the step has its copy. Stage 3 keeps it. The prediction for a CPU,
    # which was tested as it is, counts it in every phase.
    if stage == 3 or not on_gpu:
        step, rollout = step + gradients, rollout + gradients
    if stage == 3 and world > 1:  # sampling gathers every weight
        rollout += (shape.parameters + (trained if adapted else 0)) * width
    if samples_with_vllm(config, on_gpu):
        engine = shape.parameters * width + config.rollout.cache_gb * 2**30  # weights of its own, and all of its cache
        rollout -= _rollout_bytes(config, shape)
        if on_gpu:
            rollout += engine  # it sleeps during the update
        else:
            parameters += engine
    buckets = min(BUCKET_WEIGHTS, trained) * width
    libraries = CUDA_BYTES if on_gpu else 0
    return Memory(
        parameters=int(parameters),
        gradients=int(gradients),
        optimizer=int(optimizer),
        libraries=libraries,
        optimizer_step=int(step),
        rollout=int(rollout),
        buckets=int(buckets),
        activations=int(activations),
        logits=int(logits),
    )


def predict_sampling(config: CellConfig, on_gpu: bool) -> int | None:
    """Return the bytes of each process of a job that samples and trains nothing; None if the shape is not known yet."""
    shape, trained = read_architecture(config.model), trained_parameters(config)
    if shape is None or trained is None:
        return None
    width = DTYPE_BYTES[config.model.dtype]
    adapters = trained if isinstance(config.tuning, LoraTuning) else 0
    held = (shape.parameters + adapters) * width + (CUDA_BYTES if on_gpu else 0)
    if samples_with_vllm(config, on_gpu):
        return int(held + shape.parameters * width + config.rollout.cache_gb * 2**30)  # weights of its own, its cache
    return int(held + _rollout_bytes(config, shape))


def samples_with_vllm(config: CellConfig, on_gpu: bool) -> bool:
    """Return whether memory is counted for vLLM; `auto` may become vLLM wherever there is a GPU."""
    return config.rollout.name == "vllm" or (config.rollout.name == "auto" and on_gpu)


def trained_parameters(config: CellConfig) -> int | None:
    """Return how many weights have gradients; None if the model's shape is not known yet."""
    shape = read_architecture(config.model)
    if shape is None:
        return None
    if not isinstance(config.tuning, LoraTuning):
        return shape.parameters
    hidden, inner = shape.hidden_size, shape.intermediate_size
    queries, keys = shape.num_attention_heads * shape.head_dim, shape.num_key_value_heads * shape.head_dim
    in_and_out = 2 * (hidden + queries) + 2 * (hidden + keys) + 3 * (hidden + inner)
    return shape.num_hidden_layers * config.tuning.rank * in_and_out


def _activation_bytes(config: CellConfig, shape: Architecture) -> float:
    """Return the bytes that the forward pass of a micro-batch saves for the backward pass.

    The coefficients count tensors that autograd saves in transformers' decoder layers: residuals and norms (partly in
    fp32), queries and attention output, keys and values, and the gated MLP's four. Checkpointing saves each layer's
    input instead. On top of either come the gradients of one layer, about as large as what it saved.
    """
    width = DTYPE_BYTES[config.model.dtype]
    tokens = _micro_batch_tokens(config)
    queries, keys = shape.num_attention_heads * shape.head_dim, shape.num_key_value_heads * shape.head_dim
    normed = 8 if shape.query_key_norm else 0
    residual = (8 + 4 * width) * shape.hidden_size
    layer = residual + (2 * width + normed) * (queries + keys) + 4 * width * shape.intermediate_size
    if not config.deepspeed.gradient_checkpointing:
        return tokens * (shape.num_hidden_layers + 1) * layer
    return tokens * (shape.num_hidden_layers * width * shape.hidden_size + 2 * layer)


def _micro_batch_tokens(config: CellConfig) -> int:
    """Return the tokens of a micro-batch: at least the longest sequence, at most what an update gives a process."""
    longest = config.rollout.max_tokens
    most = longest * config.algorithm.responses_per_update // config.processes
    return min(max(config.deepspeed.micro_batch_tokens, longest), most)


def _logit_bytes(config: CellConfig, shape: Architecture, on_gpu: bool) -> float:
    """Return the bytes of a chunk of logits, and of the head's gradient over all chunks."""
    held = min(_micro_batch_tokens(config) * shape.vocab_size, CHUNK_LOGITS["cuda" if on_gpu else "cpu"])
    trained = not isinstance(config.tuning, LoraTuning)
    return (
        held * (LOGIT_BYTES + DTYPE_BYTES[config.model.dtype])
        + trained * shape.vocab_size * shape.hidden_size * HEAD_BYTES
    )


def _rollout_bytes(config: CellConfig, shape: Architecture) -> float:
    """Return the bytes of keys, values and logits for as many sequences as fit, or as there are."""
    width, rollout = DTYPE_BYTES[config.model.dtype], config.rollout
    asked = config.evaluation.benchmarks.values()
    evaluated = [(b.problems or rollout.rows(shape, width)) * b.samples_per_problem for b in asked]
    requests = -(-max(config.algorithm.responses_per_step, *evaluated) // config.processes)
    return min(rollout.rows(shape, width), requests) * cache_row_bytes(shape, rollout.max_tokens, width)


@dataclass(frozen=True)
class Disk:
    """Bytes of a cell on disk, its rows of samples, answers and responses included.

    peak: the checkpoints kept, one being written, the final weights and those of chosen steps. after: what stays once
    it is done. weights: those of chosen steps.
    """

    peak: int
    after: int
    weights: int


def predict_disk(config: CellConfig) -> Disk | None:
    """Return the disk space of a cell; None if the model's shape is not known yet.

    Under LoRA no checkpoint holds the frozen weights.
    """
    trained, keep = trained_parameters(config), config.checkpoint.keep
    if trained is None:
        return None
    weights = trained * DTYPE_BYTES[config.model.dtype]
    checkpoint = weights + trained * OPTIMIZER_BYTES
    every = config.checkpoint.weights_every
    chosen = weights * ((config.steps - 1) // every if every else 0)
    always = weights + chosen + predict_rows(config)
    kept = keep * checkpoint if config.checkpoint.resumable else 0
    return Disk(peak=(keep + 1) * checkpoint + always, after=always + kept, weights=chosen)


def predict_rows(config: CellConfig) -> int:
    """Return the bytes of the rows that a run keeps, at most: samples, answers to benchmarks, and responses.

    Answers are counted as long as they may be. Their files are compressed, so that they take less.
    """
    answers = 0
    for asked in asked_in(config):
        longest = asked.benchmark.max_response_tokens or config.rollout.max_response_tokens
        answers += (asked.answers or 0) * (ANSWER_BYTES + TOKEN_CHARACTERS * longest)
    responses = config.steps * config.algorithm.responses_per_step * RESPONSE_BYTES
    return predict_samples(config) + answers + responses


def predict_samples(config: CellConfig) -> int:
    """Return the bytes of samples.jsonl after `steps` steps, if every response has the greatest length."""
    tracking, algorithm = config.tracking, config.algorithm
    longest = TOKEN_CHARACTERS * config.rollout.max_response_tokens
    line = SAMPLE_BYTES + min(longest, tracking.sample_characters or longest)
    groups = min(tracking.sample_groups, algorithm.prompts_per_step) * (config.steps // tracking.samples_every)
    return groups * algorithm.samples_per_prompt * line
