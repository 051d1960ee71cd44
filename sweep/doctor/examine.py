"""Examine this machine, and whether the cells of a sweep would run: gather facts, and judge them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sweep.config.cell import CellConfig
from sweep.dispatch.shapes import by_shape
from sweep.dispatch.slurm import SlurmError
from sweep.dispatch.submit import check_requests
from sweep.doctor import caches, cluster, cluster_facts, devices, packages, places, torch_here
from sweep.doctor.devices import Needs
from sweep.doctor.finding import Finding, any_broken, broken, not_checked
from sweep.errors import UserError, without_secrets
from sweep.plan.compose import Composition, compose_cells
from sweep.plan.machine import VISIBLE
from sweep.plan.places import place_faults
from sweep.plan.plan import Plan, lay_out
from sweep.plan.unread import run_once
from sweep.plan.validate import check_rules
from sweep.program import program

FOR_GPUS = "make gpu, then launch with .venv-gpu/bin/python"  # torch for CUDA, and vLLM
DEMO = ["experiment=demo"]  # what is checked if nothing is typed


@dataclass(frozen=True)
class Asked:
    """The cells that one means to run.

    plan: None if this machine refuses them. refused: why.
    """

    overrides: list[str]
    cells: list[Composition]
    plan: Plan | None
    refused: list[str]

    @property
    def typed(self) -> list[str]:
        """The overrides as they may be shown: without values of `cluster.env`."""
        return list(map(without_secrets, self.overrides))

    @property
    def configs(self) -> list[CellConfig]:
        """The configuration of each cell."""
        return [cell.config for cell in self.cells]

    @property
    def runs_here(self) -> bool:
        """True if the cells run on this machine, and not on nodes of a cluster."""
        return self.configs[0].cluster.runs_here

    @property
    def output_dir(self) -> Path:
        """The output directory of the cells."""
        return Path(self.configs[0].output_dir).expanduser().absolute()


def ask(typed: Sequence[str], config_dir: str | None) -> Asked:
    """Compose and plan the cells of the overrides; those of the demo if there are none.

    Raises:
        UserError: the input is at fault, whatever machine this is.
    """
    names_a_cell = any(not one.startswith(("output_dir=", "cache_dir=")) for one in typed)
    overrides = [*(() if names_a_cell else DEMO), *typed]
    cells, notes = run_once(compose_cells(overrides, config_dir))
    check_rules(cells)
    if place_faults(cells):  # each directory is tried below, which says more
        return Asked(overrides, cells, None, [])
    try:
        return Asked(overrides, cells, lay_out(cells, notes, overrides, config_dir), [])
    except UserError as error:
        return Asked(overrides, cells, None, str(error).splitlines())


def examine(asked: Asked, on_node: bool = False) -> Iterator[Finding]:
    """Yield the findings about this machine and the cells, subject by subject.

    Args:
        on_node: whether a node is looked at as well, so that it need not be said that it was not.
    """
    yield from _software(asked)
    needs = needs_of(asked.configs)
    if asked.runs_here:
        yield from hardware(needs)
    elif not on_node:
        seen = "GPUs, torch and shared memory: jobs run on the nodes of the cluster"
        yield not_checked("node.hardware", seen, "add --on-node to look on a node")
    yield from directories(asked.configs)
    prefetch = f"{program()} prefetch {shlex.join(asked.typed)}"
    yield from caches.judge(*caches.gather(asked.configs), prefetch)
    for config in {config.tracking: config for config in asked.configs}.values():
        yield from caches.judge_tracking(config, os.environ)
    yield from _planned(asked)
    if not asked.runs_here:
        yield from _slurm(asked)


def _software(asked: Asked) -> Iterator[Finding]:
    yield packages.judge_python()
    yield from packages.judge(*packages.gather(), asked.runs_here)


def needs_of(configs: Sequence[CellConfig], given: bool = False) -> Needs:
    """Return what the cells ask of a machine that runs them; `given`: see `Needs`."""
    engines = {config.rollout.name for config in configs}
    return Needs(
        given=given,
        gpus=max(config.resources.gpus for config in configs),
        processes=max(config.processes for config in configs),
        vllm="yes" if "vllm" in engines else "auto" if "auto" in engines else "no",
        half=any(config.model.dtype == "bfloat16" for config in configs),
    )


def hardware(needs: Needs) -> Iterator[Finding]:
    """Yield the findings about GPUs, torch and shared memory of this machine, which runs what `needs` says."""
    gpus, driver = devices.gather()
    yield from devices.judge_gpus(gpus, driver, needs, os.environ.get(VISIBLE))
    wants_vllm = needs.vllm == "yes" or (needs.vllm == "auto" and bool(gpus))
    yield from devices.judge_torch(torch_here.gather(wants_vllm), gpus, driver, needs, FOR_GPUS)
    yield places.judge_shared_memory(*places.gather_shared_memory(), needs.processes)


def directories(configs: Sequence[CellConfig]) -> Iterator[Finding]:
    """Yield what the file systems of the output directory and of the cache can do."""
    tried: dict[tuple[str, str], CellConfig] = {}
    for config in configs:
        tried |= {("output_dir", config.output_dir): config, ("cache_dir", config.cache_dir): config}
        if caches.reads_hub(config):
            tried[("HF_HOME", caches.hub_cache())] = config
    for (key, wanted), config in tried.items():
        yield from places.judge(key, places.gather(Path(wanted)), on_slurm=not config.cluster.runs_here)


def _planned(asked: Asked) -> Iterator[Finding]:
    """Yield why a launch would be refused on this machine."""
    for fault in [*asked.refused, *(asked.plan.obstacles if asked.plan else [])]:
        seen, _, remedy = fault.rpartition("; ")
        yield broken("plan.obstacle", seen or fault, remedy if seen else f"{program()} plan says more")


def _slurm(asked: Asked) -> Iterator[Finding]:
    """Yield what Slurm refuses or limits."""
    try:
        facts = cluster_facts.gather()
    except SlurmError as error:
        remedy = "run this where Slurm's commands are and its controller answers, or set cluster=local"
        yield broken("slurm.controller", f"Slurm does not answer: {error}", remedy)
        return
    if asked.plan is None:
        asks = [cluster.ask_of(cell.config, cell.label, 1) for cell in asked.cells]
    else:
        asks = [cluster.ask_of(t[0].config, t[0].label, len(t)) for t in by_shape(asked.plan.tasks)]
    found = [*cluster.judge(facts, asks)]
    yield from found
    if asked.plan is not None and not any_broken(found):
        try:
            check_requests(asked.plan.tasks, asked.plan.root)
        except UserError as error:
            yield broken("slurm.request", str(error), f"{program()} plan shows what jobs ask for")
