"""Make series small: each value as a whole number of 16 bits between the lowest and the highest of its series. Pure."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sweep.compare.page.readings import Series

LEVELS = 65534  # a value becomes 0 … LEVELS
MISSING = 65535  # stands for a step without a finite value
MOST_NUMBERS = 10_000_000  # of all series together; with more, only some of the steps are kept
COMPRESSION = 6  # of gzip: 9 takes three times as long and saves a hundredth


def packed_series(series: Sequence[Mapping[str, Series]], most: int = MOST_NUMBERS) -> tuple[dict[str, Any], bytes]:
    """Return an index of all series and the bytes with their values.

    The index has `steps`, a list of lists of steps; `every`, the number of steps of which one is kept, 1 if all are;
    and `metrics`, by name a list of [cell, place in `steps`, lowest, highest]. The bytes hold the values of the series
    in the order of the index: first the upper bytes of all numbers, then the lower bytes, which compresses better.

    Args:
        series: of each cell its values by step, by the metric's name.
        most: the number of values to keep at most.
    """
    every = -(-sum(len(values) for cell in series for values in cell.values()) // most) or 1
    places: dict[tuple[int, ...], int] = {}
    metrics: dict[str, list] = {}
    found: dict[str, list[np.ndarray]] = {}
    for cell, by_name in enumerate(series):
        for name, values in by_name.items():
            steps = _kept(sorted(values), every)
            numbers, low, high = quantised([values[step] for step in steps])
            entry = [cell, places.setdefault(steps, len(places)), low, high]
            metrics.setdefault(name, []).append(entry)
            found.setdefault(name, []).append(numbers)
    every_number = [numbers for of_metric in found.values() for numbers in of_metric]
    whole = np.concatenate(every_number) if every_number else np.zeros(0, np.uint16)
    planes = (whole >> 8).astype(np.uint8).tobytes() + (whole & 0xFF).astype(np.uint8).tobytes()
    return {"steps": [list(steps) for steps in places], "every": every, "metrics": metrics}, planes


def _kept(steps: Sequence[int], every: int) -> tuple[int, ...]:
    """Return every `every`-th step, the first and the last one always."""
    kept = steps[::every]
    return (*kept, steps[-1]) if kept[-1] != steps[-1] else tuple(kept)


def quantised(values: Sequence[float]) -> tuple[np.ndarray, float, float]:
    """Return the values as whole numbers of 16 bits, with the lowest and the highest finite value (0 if there is none).

    A value is off by at most (highest - lowest) / 131068 afterwards. What is not finite becomes MISSING.
    """
    array = np.asarray(values, dtype=float)
    finite = np.isfinite(array)
    if not finite.any():
        return np.full(len(array), MISSING, np.uint16), 0.0, 0.0
    low, high = float(array[finite].min()), float(array[finite].max())
    # Scaled before they are subtracted, because the span of the largest numbers is infinite.
    scale = max(abs(low), abs(high), 1e-300)
    span = high / scale - low / scale
    shares = (array / scale - low / scale) / span if span else np.zeros(len(array))
    numbers = np.where(finite, np.rint(np.where(finite, shares, 0.0) * LEVELS), MISSING)
    return numbers.astype(np.uint16), low, high


def as_text(content: bytes) -> str:
    """Return content compressed, in characters that mean nothing in HTML (base64)."""
    return base64.b64encode(gzip.compress(content, COMPRESSION, mtime=0)).decode("ascii")


def as_json_text(value: Any) -> str:
    """Return a value as compressed JSON, as `as_text` does.

    Raises:
        ValueError: a number in it is not finite.
    """
    return as_text(json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8"))
