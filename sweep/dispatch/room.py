"""Decide at one look of a queue which jobs may start beside those that run, by their numbers of processes."""

from __future__ import annotations

import math


class Room:
    """The processes for which there is room, of jobs with GPUs and of jobs without.

    `most` bounds all of them together. Where it is None, the cores bound the jobs without GPUs, and jobs with GPUs are
    bounded by the GPUs alone, which `sweep.dispatch.devices` gives out.

    The first job that does not fit is the next to start, however wide it is: later ones of its kind wait for it.
    Otherwise narrow jobs would take every place that becomes free, and a wide one would wait for all of them.
    """

    def __init__(self, most: int | None, cores: int) -> None:
        without_gpus = _Places(most or cores)
        self._places = {False: without_gpus, True: without_gpus if most else _Places(math.inf)}

    def occupy(self, processes: int, with_gpus: bool) -> None:
        """Count a job that runs."""
        self._places[with_gpus].taken += processes

    def take(self, processes: int, with_gpus: bool) -> bool:
        """Return whether there is room for a job, and count it if there is. A job wider than all room runs alone."""
        places = self._places[with_gpus]
        fits = places.are_open and (places.taken == 0 or places.taken + processes <= places.most)
        if fits:
            places.taken += processes
        places.are_open = fits
        return fits

    def give_back(self, processes: int, with_gpus: bool) -> None:
        """Count a job that `take` counted, and that does not start yet, no longer: others run meanwhile."""
        self._places[with_gpus].taken -= processes


class _Places:
    def __init__(self, most: float) -> None:
        self.most, self.taken, self.are_open = most, 0, True
