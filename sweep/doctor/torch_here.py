"""Look at torch, vLLM and the attention kernel in a process of its own: `python -m sweep.doctor.torch_here [vllm]`.

Importing them takes seconds, and a broken installation can end the process that imports it.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import subprocess
import sys
from typing import Any

from sweep.run.provenance import ROOT
from sweep.run.python_path import python_path

LONGEST_SECONDS = 300  # from a cold network file system, imports take minutes
KERNELS = ("vllm._C_stable_libtorch", "vllm._C")  # vLLM's for GPUs: today's name, and that of earlier versions
MARK = "facts: "  # begins the line that the process prints for us; libraries print others


def gather(vllm: bool) -> dict[str, Any]:
    """Return the facts that `facts` finds, from a new process of this Python.

    Args:
        vllm: whether to import vLLM too, if it is installed.
    """
    command = [sys.executable, "-m", "sweep.doctor.torch_here", *["vllm"] * vllm]
    environment = {**os.environ, "PYTHONPATH": python_path(ROOT)}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, cwd=ROOT, timeout=LONGEST_SECONDS
        )
    except subprocess.TimeoutExpired:
        return {"error": f"importing torch took longer than {LONGEST_SECONDS} s"}
    lines = [line for line in done.stdout.splitlines() if line.startswith(MARK)]
    if lines:
        return json.loads(lines[-1].removeprefix(MARK))
    said = next(iter(reversed(done.stderr.strip().splitlines())), "nothing")
    return {"error": f"the process that imports torch ended with {done.returncode} and said: {said}"}


def facts(vllm: bool) -> dict[str, Any]:
    """Return what is found, as values that JSON holds. A part that cannot be imported has an `error` instead.

    torch: its version. cuda: that of CUDA it was built for, None for a build without. available: whether it can use a
    GPU. devices: capability and name of each. archs: those that its kernels were compiled for. nccl: its version.
    packed_kernel: whether there is a kernel for packed sequences, None without a GPU. vllm: its version and error.
    """
    if importlib.util.find_spec("torch") is None:
        return {"error": "not installed"}
    try:
        import torch

        available = torch.cuda.is_available()
        count = torch.cuda.device_count() if available else 0
        found: dict[str, Any] = {
            "torch": torch.__version__,
            "cuda": torch.version.cuda,
            "available": available,
            "devices": [
                {"name": torch.cuda.get_device_name(i), "capability": list(torch.cuda.get_device_capability(i))}
                for i in range(count)
            ],
            "archs": torch.cuda.get_arch_list() if available else [],
            "nccl": ".".join(map(str, torch.cuda.nccl.version())) if available else None,
            "packed_kernel": _packed_kernel() if available else None,  # importing it takes as long again
        }
    except Exception as error:  # whatever a broken installation raises is what is to be reported
        return {"error": _said(error)}
    return found | {"vllm": _vllm(vllm, found["available"])}


def _packed_kernel() -> bool:
    from models.attention import takes_packed, varlen_attn

    return takes_packed(varlen_attn)


def _vllm(wanted: bool, on_gpu: bool) -> dict[str, str | None]:
    """Import what samples, and its kernels for a GPU: `import vllm` alone loads neither, and vLLM itself only warns."""
    if importlib.util.find_spec("vllm") is None:
        return {"version": None, "error": "not installed"}
    if not wanted:
        return {"version": None, "error": "not imported"}
    try:
        from vllm import LLM, __version__  # noqa: F401 (LLM is what samples)

        for kernels in [name for name in KERNELS if on_gpu and importlib.util.find_spec(name)][:1]:
            importlib.import_module(kernels)
    except Exception as error:  # as above
        return {"version": None, "error": _said(error)}
    return {"version": __version__, "error": None}


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"


if __name__ == "__main__":
    print(MARK + json.dumps(facts("vllm" in sys.argv[1:])))
