"""Load the problems of a split, and identify their files in a run's identity."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache

from models.mini import arithmetic
from sweep.config.data import ArithmeticData, DataConfig, HubData, HubSplit, JsonLinesData
from sweep.data.golds import BadGold, read_golds
from sweep.data.reading import Account, Problem, read_problems
from sweep.data.rows import read_file, read_hub, stamp_of
from sweep.data.splits import hold_out, unshared
from sweep.errors import UserError


@dataclass(frozen=True)
class Loaded:
    """The problems of a split, and the numbers of those left out.

    `account` counts the rows of their source; None for generated problems, and for a single problem from the
    configuration. `shared` is the number of problems that were left out because they are trained on, or are in the
    training source; `kept_shared` the number of such problems that are asked nevertheless.
    """

    problems: list[Problem]
    account: Account | None
    shared: int = 0
    kept_shared: int = 0

    def as_json(self) -> dict:
        """Return the counts for a run's state."""
        counts = asdict(self.account) if self.account else {}
        kept = {"kept_shared": self.kept_shared} if self.kept_shared else {}
        return {**counts, "shared": self.shared, **kept, "used": len(self.problems)}

    @property
    def left_out(self) -> str:
        """The reasons why rows were left out, with counts, as text; "" if none were."""
        rows = []
        if (found := self.account) is not None:
            counts = {
                "filtered out": found.filtered,
                "without a usable gold answer": found.bad_golds,
                "with contradictory answers": found.contradictory,
                "repeated": found.repeated,
            }
            said = [f"{count} {what}" for what, count in counts.items() if count]
            rows = [f"of {found.rows} rows, left out: {', '.join(said)}"] if said else []
        shared = [f"left out: {self.shared} also in the training data"] if self.shared else []
        kept = [f"asked although also in the training data: {self.kept_shared}"] if self.kept_shared else []
        return "; ".join([*rows, *shared, *kept])


def load_problems(config: DataConfig, split: str) -> list[Problem]:
    """Return the split's problems, in an order that is the same on every machine.

    Raises:
        UserError: see `load_split`.
    """
    return load_split(config, split).problems


def load_split(config: DataConfig, split: str) -> Loaded:
    """Return the split's problems and the numbers of those left out.

    No problem is in two splits. Problems that validation or test share with the training source, or with the one
    problem that is trained on, are removed from validation and test; the training problems do not depend on the other
    splits.

    Raises:
        UserError: a file or hub data set is missing, a row is malformed, or the split is empty.
    """
    only = _only(config)
    if split == "train" and only:
        return Loaded(only, None)
    if isinstance(config, ArithmeticData):
        found = _sums(split)
        kept = unshared(found, only)
        return Loaded(kept, None, len(found) - len(kept))
    has_test = config.test is not None if isinstance(config, HubData) else config.test_path is not None
    source, account = read_source(config, "train")
    if split == "test" and has_test:
        others = [*source, *only]
        found, account = read_source(config, "test")
    else:
        others = only
        found = hold_out(source, config.held_out, has_test)[split]
    kept = unshared(found, others)
    if not kept:
        raise UserError(f"data: no problem is left for {split}: {_why_none(config, split, found, account)}")
    return Loaded(kept, account, len(found) - len(kept))


def training_source(config: DataConfig) -> list[Problem]:
    """Return every problem of the source that is trained on, held-out ones included, and the one of `data.only`.

    Raises:
        UserError: see `load_split`.
    """
    if isinstance(config, ArithmeticData):
        return [*_sums("train"), *_only(config)]
    return [*read_source(config, "train")[0], *_only(config)]


def _sums(split: str) -> list[Problem]:
    return [Problem(p.text, p.text, (str(p.answer),)) for p in arithmetic.problems(split)]


def describe(config: DataConfig, splits: Sequence[str]) -> str:
    """Return the sizes of the splits with what was left out: "24 train (of 40 rows, left out: 8 repeated), 8 test".

    Raises:
        UserError: see `load_split`.
    """
    parts, described = [], None
    for split in dict.fromkeys(splits):
        loaded = load_split(config, split)
        if loaded.account is not None and loaded.account == described:  # the same source: describe its rows once
            loaded = replace(loaded, account=None)
        described = loaded.account or described
        parts.append(f"{len(loaded.problems)} {split}" + (f" ({loaded.left_out})" if loaded.left_out else ""))
    return ", ".join(parts)


def _why_none(config: HubData | JsonLinesData, split: str, found: Sequence[Problem], account: Account) -> str:
    if found:
        return f"all {len(found)} of {account.source} are trained on or stand in the training source too"
    if not account.rows:
        return f"{account.source} has no rows"
    different = f"{account.problems} different problem{'' if account.problems == 1 else 's'}"
    rows = f"the {account.rows} rows of {account.source} hold {different}"
    return f"{rows}, too few for data.held_out={config.held_out}"


def _only(config: DataConfig) -> list[Problem]:
    """Return the one problem to train on in a list, or an empty list if the configuration names none.

    Raises:
        UserError: its answer is not usable.
    """
    if config.only is None:
        return []
    try:
        return [Problem("only", config.only.question, read_golds(config.only.answer, "text"))]
    except BadGold as fault:
        raise UserError(f"data.only: {fault}") from None


def rows_hash(problems: Sequence[Problem]) -> str:
    """Return the hash that stands for a file in a run's identity: of its problems in order, not of how they are
    written.
    """
    digest = hashlib.sha256()
    for problem in problems:
        digest.update(json.dumps([problem.id, problem.question, problem.answers]).encode() + b"\n")
    return f"sha256:{digest.hexdigest()}"


def file_hash(config: JsonLinesData, field: str) -> str:
    """Return the `rows_hash` of the file that `config` names as `field`: "path" or "test_path".

    Raises:
        UserError: the file is missing or malformed.
    """
    path = getattr(config, field)
    return _file_hash(path, stamp_of(path, "data", field), config)


def refuse_changed(config: DataConfig, recorded: dict) -> None:
    """Check that files still hold the problems that the run was launched with.

    Args:
        recorded: the section `data` of the run's identity.
    Raises:
        UserError: a file does not; the message names it.
    """
    if not isinstance(config, JsonLinesData):
        return
    for field in ("path", "test_path"):
        if recorded.get(field) and file_hash(config, field) != recorded[field]:
            raise UserError(
                f"data.{field}={getattr(config, field)}: its problems are not those that this run was launched with; "
                "restore the file, or launch again, which makes a run of its own"
            )


def read_source(config: HubData | JsonLinesData, side: str) -> tuple[list[Problem], Account]:
    """Return all different problems of the training or the test source, and the counts of its rows."""
    if isinstance(config, HubData):
        return _read_hub(getattr(config, side), f"data.{side}", config.on_bad_gold)
    field = "path" if side == "train" else "test_path"
    path = getattr(config, field)
    return _read_file(path, stamp_of(path, "data", field), config)


@lru_cache(maxsize=16)
def _read_hub(place: HubSplit, key: str, on_bad_gold: str) -> tuple[list[Problem], Account]:
    return read_problems(read_hub(place, key, place.names), place, on_bad_gold)


@lru_cache(maxsize=16)
def _read_file(path: str, stamp: tuple[int, ...], config: JsonLinesData) -> tuple[list[Problem], Account]:
    """Read a file of problems. `stamp` changes with the file, so that the cache is valid for all cells of a sweep."""
    return read_problems(read_file(path, config.names), config, config.on_bad_gold)


@lru_cache(maxsize=16)
def _file_hash(path: str, stamp: tuple[int, ...], config: JsonLinesData) -> str:
    return rows_hash(_read_file(path, stamp, config)[0])
