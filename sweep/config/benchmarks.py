"""The schemas of what a benchmark asks: fresh problems from a seed, a hub split, a file, or a split of the cell's data.

How answers are sampled is the same for all of them and stands beside these keys (docs/benchmarks.md).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from models.config import RECORDED, Strict

MADE = "problems that are made; a larger number adds problems and changes none"


class Fresh(Strict):
    """Problems that are drawn from a seed, so that no model has seen them before."""

    problem_seed: int = Field(0, ge=0, description="another seed draws other problems")
    size: int = Field(ge=1, le=100_000, json_schema_extra=RECORDED, description=MADE)

    @model_validator(mode="after")
    def _in_order(self) -> Fresh:
        """Refuse a smallest number that is above the largest one: `min_depth` above `max_depth`."""
        for low in (name for name in type(self).model_fields if name.startswith("min_")):
            high = low.replace("min_", "max_", 1)
            smallest, largest = getattr(self, low), getattr(self, high)
            if smallest > largest:
                raise ValueError(f"{low}={smallest} is above {high}={largest}; raise {high} or lower {low}")
        return self


class DecimalSums(Fresh):
    """Sums of decimals, such as 332.419 - 993.538 + 740.756."""

    source: Literal["decimal_sums"] = Field(description="decimal_sums: fresh sums of decimals")
    min_terms: int = Field(3, ge=2, le=50, description="fewest numbers of a sum")
    max_terms: int = Field(6, ge=2, le=50, description="most numbers of a sum")
    min_digits: int = Field(3, ge=2, le=8, description="fewest digits of a number, those after the point included")
    max_digits: int = Field(6, ge=2, le=8, description="most digits of a number, those after the point included")


class RandomCalculation(Fresh):
    """Nested calculations in LaTeX with exact values, of a chosen number of operations."""

    source: Literal["random_calculation"] = Field(description="random_calculation: fresh nested calculations")
    min_depth: int = Field(1, ge=1, le=20, description="fewest operations of a calculation")
    max_depth: int = Field(20, ge=1, le=20, description="most operations of a calculation; all depths are equally many")


class MiniFresh(Fresh):
    """Sums in the minis' vocabulary with more operations than the sums that the minis are made and trained with."""

    source: Literal["mini_fresh"] = Field(description="mini_fresh: fresh sums for the minis")
    min_operations: int = Field(3, ge=3, le=8, description="fewest operations of a sum; the minis' own have 2")
    max_operations: int = Field(3, ge=3, le=8, description="most operations; a prompt of every mini holds 8")
