"""Sample with the policy itself: a decoding loop over rows that are allocated once.

A request waits for a free row, decodes in it token by token, and leaves it when its response ends:

1. admit: once REFILL_SHARE of the rows are free, waiting requests enter the free rows.
2. prefill: the keys and values of each prompt are computed once, and copied into the rows of all its requests.
3. emit: a token is drawn for each row, for new rows from the last hidden state of their prompt.
4. step: a forward pass takes the newest token of every live row, writes its keys and values into the cache, and gives
   the hidden states for the next emit.
5. retire: after each emit the responses that ended are written down, and their rows become free.

Between any two of these the live rows are rows 0 … live-1 of every array: `Rows.free` fills a hole with the last live
row. A step therefore works on slices. Nothing that is drawn depends on the row: a request brings its random numbers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import PreTrainedModel

from models.architecture import architecture_from
from models.attention import Recording, decode, prepare
from sweep.config.cell import RolloutConfig
from sweep.keyed import generator
from sweep.rollout.cache import KeyValueRows
from sweep.rollout.draw import draw_tokens
from sweep.rollout.rows import Rows
from sweep.rollout.sample import Finish, Request, Sampled
from sweep.rollout.stop import StopRules

PREFILL_TOKENS = 4096  # of prompts computed together
# Not cuDNN's attention, which torch prefers on Hopper: it builds a plan for each shape, and each step has its own.
KERNELS = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
REFILL_SHARE = 0.25  # of the rows must be free before waiting requests are let in


class TransformersSampler:
    """Samples with the model that is trained, in the process that trains it."""

    def __init__(self, config: RolloutConfig, stop: StopRules) -> None:
        self.config, self.stop = config, stop

    @torch.no_grad()
    def sample(
        self,
        model: PreTrainedModel,
        requests: Sequence[Request],
        temperature: float,
        top_p: float = 1.0,
        stop: StopRules | None = None,
    ) -> list[Sampled]:
        """See `Sampler`. Token t is the inverse of the policy's distribution function at the key's t-th number."""
        if not requests:
            return []
        prepare(model)
        with sdpa_kernel(KERNELS):
            return _Decoding(model, requests, stop or self.stop, self.config, temperature, top_p).run()


@dataclass(frozen=True)
class _Prefilled:
    """A prompt's keys and values, (key-value heads, tokens, head dimension) per layer, and its last hidden state."""

    keys: list[torch.Tensor]
    values: list[torch.Tensor]
    hidden_d: torch.Tensor


class _Decoding:
    """One call of the sampler: the rows that decode, the requests that wait, and the responses that ended."""

    def __init__(
        self,
        model: PreTrainedModel,
        requests: Sequence[Request],
        stop: StopRules,
        config: RolloutConfig,
        temperature: float,
        top_p: float,
    ) -> None:
        self.model, self.requests, self.stop = model, requests, stop
        self.temperature, self.top_p, self.limit = temperature, top_p, config.max_response_tokens
        self.max_tokens = max(r.max_tokens or self.limit for r in requests)
        shape = architecture_from(model.config.to_dict())
        rows = min(len(requests), config.rows(shape, model.dtype.itemsize, self.max_tokens))
        longest = max(len(r.prompt_ids) for r in requests)
        cache = KeyValueRows(shape, rows, longest + self.max_tokens, model.dtype, model.device)
        self.rows = Rows(rows, self.max_tokens, cache, model.device)
        self.stop_ids = stop.ids.to(model.device)
        self.waiting = deque(range(len(requests)))
        self.prefilled: dict[tuple[int, ...], _Prefilled] = {}  # by the ids of the prompt
        self.responses: dict[int, Sampled] = {}  # by the number of the request

    def run(self) -> list[Sampled]:
        """Decode until every request has its response; return the responses in order."""
        rows = self.rows
        while self.waiting or rows.live:
            if self.waiting and (rows.live == 0 or rows.count - rows.live >= rows.count * REFILL_SHARE):
                self._admit()
            if rows.live:
                self._step()
        return [self.responses[i] for i in range(len(self.requests))]

    def _admit(self) -> None:
        """Let waiting requests into the free rows, and draw their first tokens."""
        first = self.rows.live
        chosen = [self.waiting.popleft() for _ in range(min(self.rows.count - first, len(self.waiting)))]
        prompts = [tuple(self.requests[i].prompt_ids) for i in chosen]
        self._prefill([prompt for prompt in dict.fromkeys(prompts) if prompt not in self.prefilled])
        begin = first
        for prompt, same in groupby(prompts):  # neighbours that share a prompt are written at once
            end = begin + len(list(same))
            self.rows.cache.begin(slice(begin, end), self.prefilled[prompt].keys, self.prefilled[prompt].values)
            begin = end
        draws_bt = np.stack([generator(*self.requests[i].key).random(self.max_tokens) for i in chosen])
        self.rows.begin(chosen, draws_bt, [self.requests[i].max_tokens or self.limit for i in chosen])
        hidden_bd = torch.stack([self.prefilled[prompt].hidden_d for prompt in prompts])
        still_needed = {tuple(self.requests[i].prompt_ids) for i in self.waiting}
        self.prefilled = {prompt: kept for prompt, kept in self.prefilled.items() if prompt in still_needed}
        self._emit(first, hidden_bd)

    def _prefill(self, prompts: list[tuple[int, ...]]) -> None:
        """Compute the keys and values of `prompts`, and the hidden state that predicts what follows each."""
        while prompts:
            count, tokens = 1, len(prompts[0])
            while count < len(prompts) and tokens + len(prompts[count]) <= PREFILL_TOKENS:
                tokens += len(prompts[count])
                count += 1
            layout = Recording([len(p) for p in prompts[:count]], self.model.device)
            ids_1s = torch.tensor([[i for p in prompts[:count] for i in p]], device=self.model.device)
            hidden_sd = decode(self.model, ids_1s, layout)[0]
            end = 0
            for prompt in prompts[:count]:
                start, end = end, end + len(prompt)
                keys = [key_ksd[:, start:end] for key_ksd in layout.keys]
                values = [value_ksd[:, start:end] for value_ksd in layout.values]
                self.prefilled[prompt] = _Prefilled(keys, values, hidden_sd[end - 1])
            prompts = prompts[count:]

    def _step(self) -> None:
        """Add one more token to every live row."""
        last_b = self.rows.last_tokens()
        self.rows.cache.advance(self.rows.live)
        self._emit(0, decode(self.model, last_b[:, None], self.rows.cache)[:, 0])

    def _emit(self, first: int, hidden_bd: torch.Tensor) -> None:
        """Draw a token for each live row from `first` on, given its hidden state, and retire the rows that end."""
        logits_bv = self.model.get_output_embeddings()(hidden_bd)
        places = self.rows.next_places(first)
        token_b, logprob_b = draw_tokens(logits_bv, self.rows.draws_rt[places], self.temperature, self.top_p)
        self.rows.append(first, places, token_b, logprob_b)
        self._retire(self._ends(first, token_b))

    def _ends(self, first: int, token_b: torch.Tensor) -> dict[int, Finish]:
        """Return the rows from `first` on that end now. A stop string goes before a stop id, and that before length."""
        rows = self.rows
        counts_b = rows.counts_r[first : rows.live]
        full = np.flatnonzero(counts_b >= rows.limits_r[first : rows.live])
        stopped = torch.isin(token_b, self.stop_ids).nonzero().flatten().tolist()
        with_string = self.stop.string_ends(rows.ids_rt[first : rows.live], counts_b)
        return {
            **{first + i: Finish.LENGTH for i in full.tolist()},
            **{first + i: Finish.EOS for i in stopped},
            **{first + i: Finish.STOP for i in with_string},
        }

    def _retire(self, ends: dict[int, Finish]) -> None:
        """Record the responses of rows that ended, and free the rows."""
        for row in sorted(ends, reverse=True):  # from the last, so that freeing one moves none that is still to come
            request = self.rows.request_r[row]
            ids, logprobs = self.rows.response(row)
            (text,) = self.stop.texts([ids])
            self.responses[request] = Sampled(self.requests[request].prompt_ids, ids, logprobs, ends[row], text)
            self.rows.free(row)
