"""Check the version of Python, and the installed packages against what the project asks for."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata

from packaging.requirements import Requirement
from packaging.version import Version

from sweep.doctor.finding import Finding, broken, ok, warning
from sweep.program import INSTALLED
from sweep.run.provenance import ROOT

OLDEST_PYTHON = (3, 10)
# Packages that only jobs import. A login node that submits to Slurm runs without them.
OF_JOBS = {"accelerate", "datasets", "deepspeed", "gguf", "peft", "torch", "transformers", "wandb"}
LISTED = 4  # packages that one line names


@dataclass(frozen=True)
class Package:
    """A package that the project asks for. `installed`, `locked`: versions; None if it is not installed, not locked."""

    requirement: Requirement
    installed: str | None
    locked: str | None

    @property
    def name(self) -> str:
        """The name of the package."""
        return self.requirement.name

    @property
    def is_in_range(self) -> bool:
        """True if the installed version is one that the project takes."""
        return self.installed is not None and self.requirement.specifier.contains(self.installed, prereleases=True)

    @property
    def is_as_locked(self) -> bool:
        """True if nothing is locked, or that version is installed, in whatever build (`+cpu`, `+cu130`)."""
        return None in (self.installed, self.locked) or Version(self.installed or "").public == self.locked


def gather() -> tuple[str, list[Package]]:
    """Return the name of the lock that was compared with ("" if there is none), and the packages."""
    installed = {name.lower() for found in metadata.distributions() if (name := found.metadata["Name"])}
    has_cuda = any(name.startswith("nvidia-") for name in installed)
    lock = ROOT / ("requirements-gpu.lock" if has_cuda else "requirements.lock")
    pinned = locked(lock.read_text().splitlines()) if lock.is_file() else {}
    return lock.name if pinned else "", packages(_required(), version, pinned)


def packages(lines: Iterable[str], version_of: Callable[[str], str | None], pinned: dict[str, str]) -> list[Package]:
    """Return the packages that `lines` ask for on this machine, each in the notation `name>=1,<2; marker`."""
    asked = [Requirement(line) for line in lines]
    here = [one for one in asked if one.marker is None or one.marker.evaluate({"extra": ""})]
    return [Package(one, version_of(one.name), pinned.get(one.name.lower())) for one in here]


def _required() -> list[str]:
    """Return the project's requirements, from its pyproject.toml, or from its metadata where it is installed."""
    file = ROOT / "pyproject.toml"
    if file.is_file():
        # By hand, because Python 3.10 reads no TOML.
        section = re.search(r"^dependencies = \[(.*?)^\]", file.read_text(), flags=re.M | re.S)
        return re.findall(r'"([^"]+)"', section.group(1)) if section else []
    try:
        return metadata.requires(INSTALLED) or []
    except metadata.PackageNotFoundError:
        return []


def locked(lines: Iterable[str]) -> dict[str, str]:
    """Return the version of each package in the lines of a lock, by its name in lower case."""
    found = {}
    for line in lines:
        if line.strip() and not line.lstrip().startswith(("#", "-")):
            one = Requirement(line.partition(" #")[0])
            if one.marker is None or one.marker.evaluate():
                found[one.name.lower()] = str(one.specifier).lstrip("=")
    return found


def version(name: str) -> str | None:
    """Return the installed version of a package; None if it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def installed_versions(found: Sequence[Package]) -> dict[str, str | None]:
    """Return the version of each package by its name; None if it is not installed."""
    return {one.name: one.installed for one in found}


def judge_python(version: Sequence[int] = sys.version_info, executable: str = sys.executable) -> Finding:
    """Return whether the project takes this version of Python."""
    text = f"Python {'.'.join(map(str, version[:3]))}, {executable}"
    if tuple(version[:2]) < OLDEST_PYTHON:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        return broken("python.version", f"{text}: {oldest} or newer is needed", f"make PYTHON=python{oldest} env")
    return ok("python.version", text)


def judge(lock: str, found: Sequence[Package], runs_here: bool, has_makefile: bool | None = None) -> Iterator[Finding]:
    """Yield what is missing, of another version than the project takes, and of another than the lock's.

    Args:
        lock: the name of the lock; "" if there is none.
        runs_here: whether jobs run on this machine.
        has_makefile: whether the project's Makefile is at hand; None: look.
    """
    at_hand = (ROOT / "Makefile").is_file() if has_makefile is None else has_makefile
    install = ("make gpu" if lock == "requirements-gpu.lock" else "make env") if at_hand else "pip install --upgrade ."
    missing = [one for one in found if one.installed is None]
    of_jobs = [one for one in missing if not runs_here and one.name in OF_JOBS]
    needed = [one for one in missing if one not in of_jobs]
    if needed:
        yield broken("packages.missing", f"not installed: {_names(needed)}", install)
    if of_jobs:
        yield warning(
            "packages.missing",
            f"not installed here: {_names(of_jobs)}; jobs need them, and this machine only submits",
            "add --on-node to look on a node",
        )
    others = [one for one in found if one.installed is not None and not one.is_in_range]
    if others:
        said = [f"{one.name} {one.installed} (takes {one.requirement.specifier})" for one in others]
        yield broken("packages.range", f"of a version that does not suit: {', '.join(said)}", install)
    unlike = [one for one in found if one.is_in_range and not one.is_as_locked]
    if unlike:
        said = [f"{one.name} {one.installed} (locked: {one.locked})" for one in unlike[:LISTED]]
        more = f" and {len(unlike) - LISTED} more" if len(unlike) > LISTED else ""
        yield warning(
            "packages.lock", f"not the versions of {lock}, which were tested: {', '.join(said)}{more}", install
        )
    if found and not (missing or others or unlike):
        yield ok("packages.versions", f"{len(found)} packages{f', as in {lock}' if lock else ''}")


def _names(found: Iterable[Package]) -> str:
    return ", ".join(one.name for one in found)
