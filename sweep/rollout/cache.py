"""The key-value cache of the sequences that are being sampled, in memory that is allocated once."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from models.architecture import Architecture


class KeyValueRows:
    """Preallocated keys and values, one row a sequence. Rows 0 … live-1 are in use; moves of rows must keep it so.

    It is also the attention layout (see models.attention) of a decoding step, which appends a token to every live row.

    keys_lrktd, values_lrktd: layers, rows, key-value heads, tokens, head dimension.
    lengths_r: tokens of each row so far.
    """

    def __init__(self, shape: Architecture, rows: int, tokens: int, dtype: torch.dtype, device: torch.device) -> None:
        size = (shape.num_hidden_layers, rows, shape.num_key_value_heads, tokens, shape.head_dim)
        self.keys_lrktd = torch.zeros(size, dtype=dtype, device=device)
        self.values_lrktd = torch.zeros(size, dtype=dtype, device=device)
        self.lengths_r = np.zeros(rows, dtype=np.int64)  # on the host: their maximum is needed without waiting
        self.positions_bs: torch.Tensor | None = None

    def begin(self, rows: slice, keys: list[torch.Tensor], values: list[torch.Tensor]) -> None:
        """Start `rows` with a prompt's keys and values: per layer (key-value heads, tokens, head dimension)."""
        length = keys[0].shape[1]
        for layer, (key_ktd, value_ktd) in enumerate(zip(keys, values, strict=True)):
            self.keys_lrktd[layer, rows, :, :length] = key_ktd
            self.values_lrktd[layer, rows, :, :length] = value_ktd
        self.lengths_r[rows] = length

    def move(self, source: int, target: int) -> None:
        """Copy the row `source` over the row `target`."""
        length = self.lengths_r[source]
        for store in (self.keys_lrktd, self.values_lrktd):
            store[:, target, :, :length] = store[:, source, :, :length]
        self.lengths_r[target] = length

    def advance(self, live: int) -> None:
        """Make room for one more token in each of the first `live` rows; the next forward pass writes it."""
        lengths_b = self.lengths_r[:live]
        self._live, self._width = live, int(lengths_b.max()) + 1
        self._uniform = bool((lengths_b == lengths_b[0]).all())
        self.positions_bs = torch.from_numpy(lengths_b.copy()).to(self.keys_lrktd.device)[:, None]
        self._rows = torch.arange(live, device=self.keys_lrktd.device)
        # A row that is shorter than the longest holds, beyond its own tokens, zeros or what another sequence left.
        seen_bt = torch.arange(self._width, device=self.keys_lrktd.device) <= self.positions_bs
        self._mask = None if self._uniform else seen_bt[:, None, None]
        lengths_b += 1

    def attend(self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float):
        """Write the key and value of each row's new token, and let its query attend to all tokens of the row."""
        keys, values = self.keys_lrktd[layer, : self._live], self.values_lrktd[layer, : self._live]
        if self._uniform:
            keys[:, :, self._width - 1], values[:, :, self._width - 1] = key[:, :, 0], value[:, :, 0]
        else:
            places = self.positions_bs[:, 0]
            keys[self._rows, :, places], values[self._rows, :, places] = key[:, :, 0], value[:, :, 0]
        # Query heads that share a key-value head attend together, so that nothing is repeated.
        grouped = query.reshape(len(query), keys.shape[1], -1, query.shape[-1])
        out = F.scaled_dot_product_attention(
            grouped, keys[:, :, : self._width], values[:, :, : self._width], attn_mask=self._mask, scale=scale
        )
        return out.reshape(len(query), 1, -1, query.shape[-1])
