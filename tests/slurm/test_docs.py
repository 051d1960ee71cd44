"""Every command of docs/slurm.md, in its order, on a real Slurm."""

from __future__ import annotations

import re
import shlex
import sys

from helpers.constants import ROOT, TINY
from helpers.documented import bash, lines_of_blocks

SMALL = {
    "model=qwen2_5_math_7b,olmo2_7b": "model=qwen2_mini,olmo2_mini",
    "partition=gpu": "partition=low",
    "partition: gpu": "partition: low",
    "account: my_group": "account: lab",
    "memory_gb=900": "memory_gb=1",
    "retry first 'model=olmo2*' --oom": "retry first 'model=olmo2*'",  # cancelled jobs are all there is to retry
}
SAYS = {
    "plan": "activations",
    "status": "queued",
    "logs": "no log yet",
    "cancel": "cancelled model=qwen2_mini reward=random seed=1",
    "retry": r"submitted|nothing to retry with --(failed|timeout)",
    "gc": "directories",
    "prefetch": "1916 train",
}


def test_every_command_of_the_page_runs(slurm, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_of_a_reader")
    lines = [line.partition("  #")[0].strip() for line in lines_of_blocks("docs/slurm.md")]
    assert len(lines) > 12
    place = shlex.quote(str(tmp_path / "runs"))
    for line in lines:
        command = line.replace("my_groups", str(tmp_path / "my_groups"))
        for large, small in SMALL.items():
            command = command.replace(large, small)
        if command.startswith("python launch.py"):
            command += f" {' '.join(TINY)} cluster.sbatch={{hold:true}} output_dir={place}"
        elif command.startswith("python -m sweep prefetch"):
            command += f" cache_dir={slurm.cache_dir} {' '.join(o for o in TINY if o.startswith('model.mini'))}"
        elif command.startswith("python -m sweep") and " plan " not in command:
            command += f" --output-dir {place}"
        command = re.sub(r"^python ", f"{sys.executable} ", command)
        done = bash(command, ROOT)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        expected = SAYS.get(line.split()[3], "") if line.startswith("python -m sweep") else ""
        assert re.search(expected, done.stdout), f"{command}\n{done.stdout}"
