"""Talk to a W&B server: its projects, the summaries of runs, saved views, reports. Errors are for people."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweep.config.wandb_limits import LONGEST_NAME, LONGEST_TAG
from sweep.errors import UserError
from sweep.run.names import short_name
from sweep.run.wandb_names import FIGURES, SUPERSEDED, TRAINING, signature_of
from sweep.run.wandb_places import Place
from sweep.run.wandb_process import end_service, settle

SECONDS = 20  # that a request may take before the server counts as gone
PAGE = 200  # runs that are asked for at once
AT_ONCE = 8  # summaries on their way
PUBLIC = "https://api.wandb.ai"
REFUSED = {
    401: "it refuses the API key; `wandb login --relogin` asks for another",
    403: "this API key may not do that in {place}; ask for the right, or launch with another tracking.entity",
    404: "there is no {place}, or this API key may not see it; look at tracking.entity and tracking.project",
    429: "it has had too many requests; wait a minute",
}


@contextmanager
def connected(place: Place) -> Iterator[Service]:
    """A connection to the server of `place`.

    W&B's clients look at the environment, and begin directories and processes of their own: while the connection is
    open the environment says what the place says, and nothing is left of the others afterwards.

    Raises:
        UserError: the server does not answer or refuses something.
    """
    with tempfile.TemporaryDirectory() as home, _environment(place, Path(home)):
        try:
            import wandb
            import wandb_workspaces.workspaces  # noqa: F401  before anything is asked of the server
        except ImportError as error:
            needs = "`pip install wandb wandb-workspaces` in this environment"
            raise UserError(f"W&B cannot be talked to ({error}); {needs}") from None
        try:
            with _errors_for_people(place):
                yield Service(wandb.Api(timeout=SECONDS), place, Path(home))
        except BaseException:
            end_service(failed=True)
            raise
        end_service(failed=False)


@contextmanager
def _environment(place: Place, home: Path) -> Iterator[None]:
    before = {name: value for name, value in os.environ.items() if name != "WANDB_SERVICE"}  # which is ended
    settle(os.environ)
    os.environ["WANDB_DIR"] = str(home)
    if place.base_url is not None:
        os.environ["WANDB_BASE_URL"] = place.base_url
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _errors_for_people(place: Place) -> Iterator[None]:
    """What the server or the network does wrong as an error that says what to do; any other error stays itself."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if (said := _complaint(error, place)) is None:
            raise
        raise UserError(f"W&B at {place.base_url or os.environ.get('WANDB_BASE_URL', PUBLIC)}: {said}") from error


def _complaint(error: BaseException, place: Place) -> str | None:
    """What to say of an error of the clients; None of any other."""
    from wandb.errors import CommError, UsageError
    from wandb.sdk.lib.service.service_connection import WandbApiFailedError

    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(cause)
    if any(isinstance(one, UsageError) and "API key" in str(one) for one in chain):
        return "there is no API key; `wandb login` or WANDB_API_KEY gives one"
    failures = [one for one in chain if isinstance(one, WandbApiFailedError | CommError | TimeoutError)]
    if not failures:
        return None
    responses = [one.response for one in failures if isinstance(one, WandbApiFailedError) and one.response]
    status = responses[-1].http_status if responses else 0
    why = str(failures[-1]).splitlines()[0]
    if status in REFUSED:
        return f"{REFUSED[status].format(place=place.title)} ({why})"
    if responses and status < 500:  # 0 where the answer itself is an error, or none came
        return (
            f"it did not do what was asked ({why}); this API key may not do it in {place.title}, or W&B is not reached"
        )
    return f"it does not answer as it should ({why}); look whether this machine reaches it, and try again"


@dataclass(frozen=True)
class Sent:
    """What became of summaries: runs whose numbers were written, those that had them, and cells without a run."""

    written: int
    same: int
    missing: list[str]


class Service:
    """The server, as far as a sweep's pages need it. `home`: a directory for what the clients write meanwhile."""

    def __init__(self, api: Any, place: Place, home: Path) -> None:
        self._api, self.home = api, home
        self.project = place.project
        self.entity = place.entity or api.default_entity
        if self.entity is None:
            raise UserError("W&B names no entity for this API key; launch with tracking.entity=NAME")

    def ensure_project(self) -> None:
        """Make the project where there is none; a view can be made before the first run begins."""
        try:
            known = {project.name for project in self._api.projects(self.entity)}
        except ValueError as error:  # the client cannot read that the server has nothing under the name
            who = f"there is no entity {self.entity}, or this API key may not see it"
            raise UserError(f"W&B: {who}; look at tracking.entity") from error
        if self.project not in known:
            self._api.create_project(self.project, self.entity)

    def has_report(self, url: str) -> bool:
        """Whether the report of an address is still there."""
        reports = self._api.reports(f"{self.entity}/{self.project}", per_page=PAGE)
        return any(url.rstrip("=").endswith(f"--{report.id.rstrip('=')}") for report in reports)

    def training_runs(self, tag: str) -> dict[str, Any]:
        """The training runs with the tag, by the signature of their cell."""
        wanted = {"$and": [{"tags": tag}, {"jobType": TRAINING}]}
        runs = self._api.runs(f"{self.entity}/{self.project}", wanted, per_page=PAGE, include_sweeps=False, lazy=False)
        return {signature_of(run.id): run for run in runs if SUPERSEDED not in run.tags}

    def write_summaries(self, runs: Mapping[str, Any], known: Mapping[str, Mapping[str, float | str]]) -> Sent:
        """Give each run the numbers that are known of its cell, by signature; a run that has them is left alone."""
        due = {sign: numbers for sign, numbers in known.items() if numbers}
        there = [(runs[sign], numbers) for sign, numbers in due.items() if sign in runs]
        changed = [(run, numbers) for run, numbers in there if not numbers.items() <= run.summary_metrics.items()]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda pair: pair[0].summary.update(dict(pair[1])), changed))
        return Sent(len(changed), len(there) - len(changed), [sign for sign in due if sign not in runs])

    def send_figures(self, tag: str, sweep: str, files: Mapping[str, Path]) -> None:
        """Show figures in a run of their own, each under its key; the latest stand last in it."""
        import wandb

        settings = {
            "silent": True,
            "console": "off",
            "init_timeout": SECONDS,
            "finish_timeout": SECONDS,
            "finish_timeout_raises": True,
            "x_save_requirements": False,
            "x_disable_stats": True,
        }
        run = wandb.init(
            entity=self.entity,
            project=self.project,
            id=short_name(f"{FIGURES}-{sweep}", LONGEST_TAG),
            name=short_name(f"{FIGURES} of {sweep}", LONGEST_NAME),
            job_type=FIGURES,
            tags=[tag],
            resume="allow",
            dir=str(self.home),
            settings=settings,
        )
        run.log({key: wandb.Image(str(file)) for key, file in files.items()})
        run.finish()
