"""Decide when a response ends while it is sampled, and cut its text at a stop string."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from models.prompts import Stop


class StopRules:
    """Looks for the stop ids and stop strings of a model and a prompt in a batch of responses."""

    def __init__(self, tokenizer, stop: Stop) -> None:
        self.ids = torch.tensor(stop.ids)
        self.tokenizer, self.strings, self._keep = tokenizer, stop.strings, stop.keep
        # To find a stop string that ends at the newest token, it is enough to decode the last `_window` tokens.
        self._window = 8 + max((len(s.encode()) for s in stop.strings), default=0)
        self._may_end_v = self._tokens_that_may_end() if stop.strings else None

    def _tokens_that_may_end(self) -> torch.Tensor:
        """Return for each token whether it can end a stop string; only after such a token is text decoded."""
        endings = {s[-1] for s in self.strings}
        pieces = self.tokenizer.batch_decode([[i] for i in range(len(self.tokenizer))])
        return torch.tensor([not endings.isdisjoint(piece) or "\ufffd" in piece for piece in pieces])

    def string_ends(self, ids_bt: torch.Tensor, counts_b: Sequence[int]) -> list[int]:
        """Return the rows whose newest token completes a stop string.

        Args:
            ids_bt: the tokens of responses so far.
            counts_b: how many tokens each has.
        """
        if self._may_end_v is None:
            return []
        last_b = ids_bt[torch.arange(len(ids_bt)), torch.as_tensor(counts_b) - 1].cpu()
        rows = self._may_end_v[last_b.clamp(max=len(self._may_end_v) - 1)].nonzero().flatten().tolist()
        if not rows:
            return []
        tails = [ids_bt[row, max(0, counts_b[row] - self._window) : counts_b[row]].tolist() for row in rows]
        texts = self.tokenizer.batch_decode(tails, skip_special_tokens=True)
        return [row for row, text in zip(rows, texts, strict=True) if any(s in text for s in self.strings)]

    def texts(self, responses: Sequence[Sequence[int]]) -> list[str]:
        """Return responses as text without special tokens, cut after or before the first stop string, as configured."""
        return [self._cut(text) for text in self.tokenizer.batch_decode(responses, skip_special_tokens=True)]

    def _cut(self, text: str) -> str:
        found = [(text.find(s), s) for s in self.strings if s in text]
        if not found:
            return text
        start, string = min(found)
        return text[: start + len(string) if self._keep else start]
