"""A sweep on a real Slurm whose jobs are given a token: they have it, and no file, log or record of Slurm's does."""

from __future__ import annotations

import stat

from helpers.constants import TINY
from helpers.slurm_queue import ask_slurm

SECRET = "hf_Planted0Secret0of0a0job"


def test_a_token_reaches_the_jobs_and_nothing_else(slurm, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "shell" * 8)
    quiet = ["steps=1", "tracking.mode=offline", "name=secret", "reward=random"]
    # The last line that the shell of a job writes: how long the token is that it was given.
    counted = "cluster.setup=['trap \"printenv HF_TOKEN | wc -c >&2\" EXIT']"
    done = slurm.launch(*TINY, *quiet, f"cluster.env={{HF_TOKEN:{SECRET}}}", counted)
    jobs = [status["job"] for status in slurm.statuses("secret").values()]
    shown = [*ask_slurm("scontrol", "show", "job", "-dd"), *ask_slurm("sacct", "-P", "-j", ",".join(jobs), "-o", "ALL")]
    assert {s["state"] for s in slurm.wait_for_the_end("secret").values()} == {"done"}
    shown += ask_slurm("sacct", "-P", "-j", ",".join(jobs), "-o", "ALL")
    said = [slurm.command(command, "secret").stdout for command in ("status", "compare")]
    logs = [file.read_text() for file in tmp_path.rglob("*_log.err")]
    assert sum(f"{len(SECRET) + 1}\n" in log for log in logs) == len(jobs) == 2
    assert SECRET not in "".join([done.stdout, done.stderr, *shown, *said])
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    having = [file for file in files if SECRET.encode() in file.read_bytes()]
    assert sorted(file.name for file in having) == ["environment.sh"] * 2
    assert {stat.S_IMODE(file.stat().st_mode) for file in having} == {0o600}
    assert not [file for file in files if b"shell" * 8 in file.read_bytes()]
