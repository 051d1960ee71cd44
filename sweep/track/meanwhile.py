"""A mirror that opens while training begins, which takes W&B seconds; rows wait for it, and training does not."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from sweep.track.wandb_mirror import WandbMirror


class OpenedMeanwhile:
    """Passes rows on, in their order, to the mirror that `opens` returns in a thread of its own; drops them if None."""

    def __init__(self, opens: Callable[[], WandbMirror | None]) -> None:
        pool = ThreadPoolExecutor(1)
        self._opening: Future[WandbMirror | None] = pool.submit(opens)
        pool.shutdown(wait=False)
        self._waiting: list[dict] = []

    def log(self, row: dict) -> None:
        """Send a row, now or once the mirror is open."""
        self._waiting.append(row)
        if self._opening.done():
            self._pass_on()

    def finish(self, exit_code: int) -> None:
        """Close the mirror once it has every row; waits for it to open."""
        mirror = self._pass_on()
        if mirror is not None:
            mirror.finish(exit_code)

    def _pass_on(self) -> WandbMirror | None:
        mirror, rows, self._waiting = self._opening.result(), self._waiting, []
        for row in rows if mirror is not None else ():
            mirror.log(row)
        return mirror
