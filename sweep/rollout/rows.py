"""The rows in which responses decode: the arrays of all of them, kept in step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from sweep.rollout.cache import KeyValueRows

Places = tuple[torch.Tensor, torch.Tensor]  # rows (b) and positions (b): an index into the (r, t) arrays


class Rows:
    """One row for each response that decodes now. The live rows are always rows 0 … live-1, here and in the cache.

    ids_rt, logprobs_rt: the tokens drawn so far and their log-probs; what lies beyond `counts_r` is left from others.
    draws_rt: the uniform numbers from which a response's tokens are drawn.
    counts_r: tokens drawn so far. limits_r: the most there may be. Both are on the host, where loops read them.
    request_r: which request a row answers.
    """

    def __init__(self, rows: int, tokens: int, cache: KeyValueRows, device: torch.device) -> None:
        self.ids_rt = torch.zeros((rows, tokens), dtype=torch.long, device=device)
        self.logprobs_rt = torch.zeros((rows, tokens), device=device)
        self.draws_rt = torch.zeros((rows, tokens), dtype=torch.float64, device=device)
        self.counts_r = np.zeros(rows, dtype=np.int64)
        self.limits_r = np.zeros(rows, dtype=np.int64)
        self.request_r = [0] * rows
        self.cache, self.device = cache, device
        self.count, self.live = rows, 0

    def begin(self, requests: Sequence[int], draws_bt: np.ndarray, limits_b: Sequence[int]) -> None:
        """Put `requests` into the first free rows, whose keys and values are in the cache already."""
        new = slice(self.live, self.live + len(requests))
        self.draws_rt[new] = torch.from_numpy(draws_bt).to(self.device)
        self.counts_r[new] = 0
        self.limits_r[new] = limits_b
        self.request_r[new] = requests
        self.live = new.stop

    def next_places(self, first: int) -> Places:
        """Return the place of the next token in each live row from `first` on."""
        counts_b = torch.from_numpy(self.counts_r[first : self.live].copy()).to(self.device)
        return torch.arange(first, self.live, device=self.device), counts_b

    def append(self, first: int, places: Places, token_b: torch.Tensor, logprob_b: torch.Tensor) -> None:
        """Write a token with its log-prob into each live row from `first` on, at its next place."""
        self.ids_rt[places], self.logprobs_rt[places] = token_b, logprob_b
        self.counts_r[first : self.live] += 1

    def last_tokens(self) -> torch.Tensor:
        """Return the newest token (b) of every live row."""
        rows_b = torch.arange(self.live, device=self.device)
        return self.ids_rt[rows_b, torch.from_numpy(self.counts_r[: self.live] - 1).to(self.device)]

    def response(self, row: int) -> tuple[list[int], list[float]]:
        """Return the tokens of a row and their log-probs."""
        count = int(self.counts_r[row])
        return self.ids_rt[row, :count].tolist(), self.logprobs_rt[row, :count].tolist()

    def free(self, row: int) -> None:
        """Free a row. The last live row moves into its place, so that live rows stay the first ones."""
        self.live -= 1
        if row < self.live:
            self._move(self.live, row)

    def _move(self, source: int, target: int) -> None:
        self.cache.move(source, target)
        for store in (self.ids_rt, self.logprobs_rt, self.draws_rt, self.counts_r, self.limits_r, self.request_r):
            store[target] = store[source]
