"""Try each function of a user's own once, on made-up responses, before a baseline is computed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from rewards.base import Signal
from rewards.behaviours import OwnDetector
from rewards.controls import Noisy, not_binary
from rewards.simple import Custom
from sweep.config.cell import CellConfig
from sweep.config.faults import Labelled, say_once
from sweep.data.problems import load_problems
from sweep.plan.trials import ANYWHERE, HERE, MADE_UP, Tried, try_function

MADE_UP_TEXTS = 4  # one of each kind


def function_faults(cells: Iterable[Labelled]) -> tuple[list[str], list[str]]:
    """Return the faults of the cells' own functions that a job here would also have, and those that it may not have.

    A problem from the hub is made up for a reward, because planning fetches none, and the nodes of a cluster may have
    packages that this machine lacks: a fault for either reason is no obstacle. Detectors read no problem.
    """
    obstacles, notes = [], []
    for cell in cells:
        for tried, is_certain in _tries(cell.config) if cell.config.checks.try_rewards else ():
            stands = tried.where == ANYWHERE or (tried.where == HERE and cell.config.cluster.runs_here)
            if tried.fault and stands and is_certain:
                obstacles.append((cell.label, f"{tried.fault}; checks.try_rewards=false launches it untried"))
            elif tried.fault:
                notes.append((cell.label, tried.fault))
    return say_once(obstacles), say_once(notes)


def _tries(config: CellConfig) -> Iterator[tuple[Tried, bool]]:
    """Yield what each trial of a cell's functions showed, and whether the job would call the function with the same."""
    for signal, is_noisy in _own(config.reward):
        size = config.algorithm.samples_per_prompt
        yield _tried(signal, is_noisy, _problem(config), size), config.data.source != "hub"
    for name, detector in config.behaviours.own.items():
        if detector.target is not None:
            yield _tried_detector(name, detector), True


def _own(reward: Signal, is_noisy: bool = False) -> Iterator[tuple[Custom, bool]]:
    """Yield the user's functions in a reward, each with whether it is the base of a `noisy`."""
    if isinstance(reward, Custom):
        yield reward, is_noisy
    for part in reward.parts:
        yield from _own(part, isinstance(reward, Noisy))


def _problem(config: CellConfig) -> tuple[str, str]:
    """Return a problem that the cell trains on, if it can be read without a network, and its gold answer."""
    if config.data.source == "hub":
        return MADE_UP
    first = load_problems(config.data, "train")[0]
    return first.question, first.answers[0]


@lru_cache
def _tried(signal: Custom, is_noisy: bool, problem: tuple[str, str], samples: int) -> Tried:
    """Return what a trial of the reward shows.

    Args:
        is_noisy: whether it is the base of a `noisy`, which takes rewards of 0 and 1 alone.
    """
    tried = try_function("reward.target", signal.target, signal.function, problem, samples, detector=False)
    unfit = not_binary(signal.title, tried.rewards) if is_noisy and not tried.fault else ""
    return Tried(f"tried on made-up responses: {unfit}", ANYWHERE) if unfit else tried


@lru_cache
def _tried_detector(name: str, detector: OwnDetector) -> Tried:
    key = f"behaviours.own.{name}.target"
    return try_function(key, detector.target or "", detector.function, MADE_UP, MADE_UP_TEXTS, detector=True)
