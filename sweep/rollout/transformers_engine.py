"""Sample with the policy itself: a decoding loop over preallocated keys and values."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
import torch
from transformers import PreTrainedModel

from models.architecture import architecture_from
from models.attention import Recording, decode, prepare
from sweep.config.cell import RolloutConfig
from sweep.keyed import generator
from sweep.rollout.cache import KeyValueRows
from sweep.rollout.draw import draw_tokens
from sweep.rollout.sample import Finish, Request, Sampled
from sweep.rollout.stop import StopRules

PREFILL_TOKENS = 4096  # of prompts computed together
REFILL_SHARE = 0.25  # of the rows must be free before waiting requests are let in


class TransformersSampler:
    """Prompts are computed once however many answers they have; a row that ends makes room for a waiting request."""

    def __init__(self, config: RolloutConfig, stop: StopRules) -> None:
        self.config, self.stop = config, stop

    @torch.no_grad()
    def sample(self, model: PreTrainedModel, requests: Sequence[Request], temperature: float) -> list[Sampled]:
        """See `Sampler`. Token t is the inverse of the policy's distribution function at the key's t-th number."""
        if not requests:
            return []
        prepare(model)
        return _Decoding(model, requests, self.stop, self.config, temperature).run()


class _Decoding:
    """The state of one call: rows that decode, the first `live` of them in use, and requests that wait."""

    def __init__(self, model, requests, stop, config, temperature) -> None:
        self.model, self.requests, self.stop, self.temperature = model, requests, stop, temperature
        self.max_tokens = config.max_response_tokens
        device = self.device = model.device
        shape = architecture_from(model.config.to_dict())
        rows = min(len(requests), config.rows(shape, model.dtype.itemsize))
        longest = max(len(r.prompt_ids) for r in requests)
        self.cache = KeyValueRows(shape, rows, longest + self.max_tokens, model.dtype, device)
        self.ids_rt = torch.zeros((rows, self.max_tokens), dtype=torch.long, device=device)
        self.logprobs_rt = torch.zeros((rows, self.max_tokens), device=device)
        self.draws_rt = torch.zeros((rows, self.max_tokens), dtype=torch.float64, device=device)
        self.stop_ids = stop.ids.to(device)
        self.counts_r = np.zeros(rows, dtype=np.int64)  # response tokens so far
        self.limits_r = np.zeros(rows, dtype=np.int64)
        self.request_r = [0] * rows
        self.live, self.rows = 0, rows
        self.waiting = deque(range(len(requests)))
        self.prompts: dict[tuple[int, ...], tuple[list, list, torch.Tensor]] = {}
        self.answers: dict[int, Sampled] = {}

    def run(self) -> list[Sampled]:
        while self.waiting or self.live:
            if self.waiting and (self.live == 0 or self.rows - self.live >= self.rows * REFILL_SHARE):
                self._admit()
            if self.live:
                self._step()
        return [self.answers[i] for i in range(len(self.requests))]

    def _admit(self) -> None:
        """Let waiting requests into the free rows, and draw their first tokens."""
        chosen = [self.waiting.popleft() for _ in range(min(self.rows - self.live, len(self.waiting)))]
        prompts = [tuple(self.requests[i].prompt_ids) for i in chosen]
        self._prefill([p for p in dict.fromkeys(prompts) if p not in self.prompts])
        first, row = self.live, self.live
        while row - first < len(chosen):
            prompt = prompts[row - first]
            after = row
            while after - first < len(chosen) and prompts[after - first] == prompt:
                after += 1
            self.cache.fill(slice(row, after), *self.prompts[prompt][:2])
            row = after
        draws = np.stack([generator(*self.requests[i].key).random(self.max_tokens) for i in chosen])
        self.draws_rt[first:row] = torch.from_numpy(draws).to(self.device)
        self.counts_r[first:row] = 0
        self.limits_r[first:row] = [self.requests[i].max_tokens or self.max_tokens for i in chosen]
        self.request_r[first:row] = chosen
        self.live = row
        hidden_bd = torch.stack([self.prompts[p][2] for p in prompts])
        still = {tuple(self.requests[i].prompt_ids) for i in self.waiting}
        self.prompts = {p: kept for p, kept in self.prompts.items() if p in still}
        self._emit(first, hidden_bd)

    def _prefill(self, prompts: list[tuple[int, ...]]) -> None:
        """Compute the keys and values of `prompts`, and the hidden state that predicts what follows each."""
        while prompts:
            count, tokens = 1, len(prompts[0])
            while count < len(prompts) and tokens + len(prompts[count]) <= PREFILL_TOKENS:
                tokens += len(prompts[count])
                count += 1
            layout = Recording([len(p) for p in prompts[:count]], self.device)
            ids_1s = torch.tensor([[i for p in prompts[:count] for i in p]], device=self.device)
            hidden_sd = decode(self.model, ids_1s, layout)[0]
            end = 0
            for prompt in prompts[:count]:
                start, end = end, end + len(prompt)
                keys = [k[:, start:end] for k in layout.keys]
                self.prompts[prompt] = (keys, [v[:, start:end] for v in layout.values], hidden_sd[end - 1])
            prompts = prompts[count:]

    def _step(self) -> None:
        """One more token for every live row."""
        rows = torch.arange(self.live, device=self.device)
        last_b = self.ids_rt[rows, torch.from_numpy(self.counts_r[: self.live] - 1).to(self.device)]
        self.cache.advance(self.live)
        self._emit(0, decode(self.model, last_b[:, None], self.cache)[:, 0])

    def _emit(self, first: int, hidden_bd: torch.Tensor) -> None:
        """Draw a token for each row from `first` on, and let the rows go that end with it."""
        logits_bv = self.model.get_output_embeddings()(hidden_bd)
        rows_b = torch.arange(first, self.live, device=self.device)
        counts_b = torch.from_numpy(self.counts_r[first : self.live].copy()).to(self.device)
        token_b, logprob_b = draw_tokens(logits_bv, self.draws_rt[rows_b, counts_b], self.temperature)
        self.ids_rt[rows_b, counts_b], self.logprobs_rt[rows_b, counts_b] = token_b, logprob_b
        self.counts_r[first : self.live] += 1
        full = self.counts_r[first : self.live] >= self.limits_r[first : self.live]
        ends = {first + i: Finish.LENGTH for i in np.flatnonzero(full)}
        stopped = torch.isin(token_b, self.stop_ids).nonzero().flatten().tolist()
        ends |= {first + i: Finish.EOS for i in stopped}
        texts = self.stop.string_ends(self.ids_rt[first : self.live], self.counts_r[first : self.live])
        ends |= {first + i: Finish.STOP for i in texts}
        self._retire(ends)

    def _retire(self, ends: dict[int, Finish]) -> None:
        """Write down the answers of rows that ended, and fill each hole with the last live row."""
        for row in sorted(ends, reverse=True):
            count, index = int(self.counts_r[row]), self.request_r[row]
            ids, logprobs = self.ids_rt[row, :count].tolist(), self.logprobs_rt[row, :count].tolist()
            (text,) = self.stop.texts([ids])
            self.answers[index] = Sampled(self.requests[index].prompt_ids, ids, logprobs, ends[row], text)
            self.live -= 1
            if row < self.live:
                self._move(self.live, row)

    def _move(self, source: int, target: int) -> None:
        self.cache.move(source, target)
        for store in (self.ids_rt, self.logprobs_rt, self.draws_rt):
            store[target] = store[source]
        for values in (self.counts_r, self.limits_r, self.request_r):
            values[target] = values[source]
