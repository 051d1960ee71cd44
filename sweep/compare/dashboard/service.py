"""Talk to a W&B server: projects, summaries of runs, saved views, reports. Failures are raised as UserError."""

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

SECONDS = 20  # the time limit of a request
PAGE = 200  # runs in one request
AT_ONCE = 8  # summaries sent at the same time
PUBLIC = "https://api.wandb.ai"
REFUSED = {
    401: "it refuses the API key; `wandb login --relogin` asks for another",
    403: "this API key may not do that in {place}; ask for the right, or launch with another tracking.entity",
    404: "there is no {place}, or this API key may not see it; look at tracking.entity and tracking.project",
    429: "it has had too many requests; wait a minute",
}


@contextmanager
def connected(place: Place) -> Iterator[Service]:
    """Connect to the server of `place`.

    W&B's clients read the environment and create directories and processes. While the connection is open, the
    environment names the place; afterwards the environment is restored and the directories and processes are gone.

    Raises:
        UserError: the server does not answer or refuses something.
    """
    with tempfile.TemporaryDirectory() as home, _environment(place, Path(home)):
        try:
            import wandb
            import wandb_workspaces.workspaces  # noqa: F401  a missing package must show before the first request
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
    # WANDB_SERVICE is not restored, because it names the process that is ended with the connection.
    before = {name: value for name, value in os.environ.items() if name != "WANDB_SERVICE"}
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
    """Raise failures of the server or the network as UserError with a remedy; other exceptions pass unchanged."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if (said := _complaint(error, place)) is None:
            raise
        raise UserError(f"W&B at {place.base_url or os.environ.get('WANDB_BASE_URL', PUBLIC)}: {said}") from error


def _complaint(error: BaseException, place: Place) -> str | None:
    """Return the message for an error of W&B's clients; None for any other error."""
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
    """The result of writing summaries: runs that were written, runs that were up to date, and cells without a run."""

    written: int
    same: int
    missing: list[str]


class Service:
    """The requests that a sweep's pages need. `home` is a directory for the clients' files."""

    def __init__(self, api: Any, place: Place, home: Path) -> None:
        self._api, self.home = api, home
        self.project = place.project
        self.entity = place.entity or api.default_entity
        if self.entity is None:
            raise UserError("W&B names no entity for this API key; launch with tracking.entity=NAME")

    def ensure_project(self) -> None:
        """Create the project if it does not exist, because a view can be made before the first run begins."""
        try:
            known = {project.name for project in self._api.projects(self.entity)}
        except ValueError as error:  # the client raises this if the server has no such entity
            who = f"there is no entity {self.entity}, or this API key may not see it"
            raise UserError(f"W&B: {who}; look at tracking.entity") from error
        if self.project not in known:
            self._api.create_project(self.project, self.entity)

    def has_report(self, url: str) -> bool:
        """Return True if the report with this address still exists."""
        reports = self._api.reports(f"{self.entity}/{self.project}", per_page=PAGE)
        return any(url.rstrip("=").endswith(f"--{report.id.rstrip('=')}") for report in reports)

    def training_runs(self, tag: str) -> dict[str, Any]:
        """Return the training runs with the tag, by the signature of their cell."""
        wanted = {"$and": [{"tags": tag}, {"jobType": TRAINING}]}
        runs = self._api.runs(f"{self.entity}/{self.project}", wanted, per_page=PAGE, include_sweeps=False, lazy=False)
        return {signature_of(run.id): run for run in runs if SUPERSEDED not in run.tags}

    def write_summaries(self, runs: Mapping[str, Any], known: Mapping[str, Mapping[str, float | str]]) -> Sent:
        """Write the known numbers of each cell to its run's summary, by signature; skip runs that have them."""
        due = {sign: numbers for sign, numbers in known.items() if numbers}
        there = [(runs[sign], numbers) for sign, numbers in due.items() if sign in runs]
        changed = [(run, numbers) for run, numbers in there if not numbers.items() <= run.summary_metrics.items()]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda pair: pair[0].summary.update(dict(pair[1])), changed))
        return Sent(len(changed), len(there) - len(changed), [sign for sign in due if sign not in runs])

    def send_figures(self, tag: str, sweep: str, files: Mapping[str, Path]) -> None:
        """Upload figures to a run that holds only figures, each under its key. The latest ones are shown last."""
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
