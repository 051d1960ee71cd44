"""Values of `cluster.env` may be tokens: one file of mode 600 for each submission has them, and nothing else."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

import launch
from helpers.constants import TINY
from helpers.wandb_server import wandb_server
from sweep.__main__ import main
from sweep.errors import UserError, without_secrets
from sweep.plan.compose import compose_cells
from sweep.plan.overrides import parse
from sweep.plan.plan import plan_sweep
from sweep.plan.show import first_configuration
from sweep.run.directory import RunDirectory
from sweep.run.environment import environment_file, read_environment, write_environment
from sweep.run.files import write_text
from sweep.run.state import State
from sweep.track import mirror
from sweep.track.metrics import RowLog

SECRET = "hf_Planted0Secret"
KEY = "0123456789" * 4  # of W&B
ODD = f'it\'s "{SECRET}" $HOME `ls`\nand more'
FAKE = {  # no Slurm: what is asked of one is answered, and nothing runs
    "sbatch": 'case "$*" in --test-only*) cat >/dev/null;; *) echo Submitted batch job $$;; esac',
    "squeue": "",
    "sacct": "",
    "scontrol": "echo MaxArraySize = 100",
    "srun": "printenv HF_TOKEN",
}


@pytest.fixture
def fake_slurm(tmp_path, monkeypatch, cache_dir):
    """Overrides of a sweep of two cells on a Slurm that takes every job and forgets it."""
    (tmp_path / "bin").mkdir()
    for name, script in FAKE.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/bash\n{script}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    places = [f"output_dir={tmp_path / 'runs'}", f"cache_dir={cache_dir}"]
    return [*TINY, *places, "cluster=slurm", "reward=random,format", "name=secret"]


def files_with(secret: str, root: Path) -> set[Path]:
    return {file for file in root.rglob("*") if file.is_file() and secret.encode() in file.read_bytes()}


def environments(root: Path) -> set[Path]:
    return set(root.glob("runs/submissions/*/environment.sh"))


def test_a_value_stands_in_one_file_of_each_submission_and_a_retry_takes_it_from_there(
    fake_slurm, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("HF_TOKEN", SECRET)  # referred to, so that it stands in no shell's history either
    typed = [*fake_slurm, "cluster.env={HF_TOKEN:${oc.env:HF_TOKEN},NCCL_DEBUG:WARN}"]
    previous = os.umask(0)
    try:
        assert launch.main(typed) == 0
    finally:
        os.umask(previous)
    found = environments(tmp_path)
    assert len(found) == 2  # the baseline's and the cells'
    assert files_with(SECRET, tmp_path) == found
    assert {stat.S_IMODE(file.stat().st_mode) for file in found} == {0o600}
    (cell, _) = (RunDirectory(path) for path in (tmp_path / "runs" / "cells").iterdir())
    assert cell.read_config().cluster.env == {"HF_TOKEN": None, "NCCL_DEBUG": None}
    assert stat.S_IMODE(cell.config.stat().st_mode) == 0o666  # another user of the output directory may read it
    monkeypatch.delenv("HF_TOKEN")
    for script in tmp_path.glob("runs/submissions/*/*_submission.sh"):
        assert subprocess.run(["bash", script], capture_output=True, text=True).stdout == f"{SECRET}\n"

    retry = ["retry", "secret", "--output-dir", str(tmp_path / "runs")]
    assert main(retry) == 0
    again = environments(tmp_path)
    assert len(again) == 4 and files_with(SECRET, tmp_path) == again
    for file in again:
        file.unlink()
    assert main(retry) == 2
    assert "give it again: --set cluster.env.HF_TOKEN=… --set cluster.env.NCCL_DEBUG=…" in capsys.readouterr().err
    monkeypatch.setenv("HF_TOKEN", SECRET)
    assert main([*retry, "--set", "cluster.env={HF_TOKEN:${oc.env:HF_TOKEN},NCCL_DEBUG:INFO}"]) == 0
    given = environments(tmp_path)
    assert len(given) == 2 and files_with(SECRET, tmp_path) == given
    for command in (
        ["cluster.env.HF_TOKEN=a,b"],
        [f"cluster.env=[{SECRET}]"],
        ["cluster.env.A=${oc.env:NOT_SET}"],
        ["seed=3", f"cluster.env.A={SECRET}"],
    ):
        assert main([*retry, *(word for line in command for word in ("--set", line))]) == 2
    shown = capsys.readouterr()
    assert SECRET not in shown.out + shown.err and "that would be another run" in shown.err


def test_plans_and_shown_configurations_have_the_names_alone(fake_slurm, monkeypatch, capsys):
    monkeypatch.setenv("HF_TOKEN", SECRET)
    typed = [*fake_slurm, "reward=random", f"cluster.env={{HF_TOKEN:{SECRET},B:${{oc.env:HF_TOKEN}}}}"]
    for resolve, shown in ((False, ["HF_TOKEN: …", "B: ${oc.env:HF_TOKEN}"]), (True, ["HF_TOKEN: …", "B: …"])):
        assert first_configuration(typed, None, "cluster.env", resolve).splitlines() == shown
    for more in ([], ["--json"]):
        main(["plan", *typed, *more])
        printed = capsys.readouterr()
        assert "random" in printed.out and SECRET not in printed.out + printed.err


@pytest.mark.parametrize(
    "line",
    [
        f"cluster.env={SECRET}",
        f"cluster.env=[{SECRET}]",
        f"cluster.env=[T={SECRET}]",
        f"cluster.env={{T:[{SECRET}]}}",
        f"cluster.env={{T:{{a:{SECRET}}}}}",
        f"+cluster.env.T.x={SECRET}",
        f"cluster.env.T={SECRET},b",
        f"cluster.env={{T:{SECRET}}},{{T:b}}",
        f"cluster.env={{T:range(0,2),B:{SECRET}}}",
        f'cluster.env={{T:"{SECRET}${{"}}',
        f"cluster.env={{T:{SECRET}",
        f'cluster.env={{"T:{SECRET}}}',
        f"--cluster.env={{T:{SECRET}}}",
        f"cluster.env.T={SECRET},\\",
        f'cluster.env.T={SECRET}"\nb"{SECRET}',
        f"cluster={{kind:slurm,name:x,env:{{T:{SECRET}}}}}",
        f"+cluster={{env:{{T:[{SECRET}]}}}}",
        f"cluster.env={{1T:{SECRET}}}",
        f"cluster.env={{T:{SECRET}}} seed=0",
    ],
)
def test_no_error_shows_a_value(line):
    with pytest.raises(UserError) as caught:
        parse(line)  # where most of these end, in a moment
        plan_sweep(["cluster=slurm", line])
    assert SECRET not in str(caught.value), caught.value


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see cluster.env={A:1}; or", "see cluster.env=…"),
        ("+cluster.env.A_B=x", "+cluster.env.A_B=…"),
        ('write cluster.env={A:"…",B:"…"} or cluster.env.A="…" now', None),
        ("cluster.env.A: has no value", None),
        ("cluster.environment=x", None),
        ("cluster=slurm", None),
        ("+cluster={env:{A:x}}", "+cluster=…"),
    ],
)
def test_what_follows_a_value_is_left_out_and_placeholders_stay(text, shown):
    assert without_secrets(text) == (shown or text)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("cluster.env={T:null}", "cluster.env.T: has no value; give it one, or leave it out"),
        ('cluster.env={"A B":"x"}', "'A B' is no name of a variable"),
    ],
)
def test_an_environment_that_no_shell_can_export_is_refused(line, words):
    with pytest.raises(UserError, match=words):
        compose_cells(["cluster=slurm", line])


def test_environments_that_differ_in_a_value_are_two(tmp_path):
    (tmp_path / "cluster").mkdir()
    for name in ("one", "two"):
        (tmp_path / "cluster" / f"{name}.yaml").write_text(f"defaults: [slurm]\nname: x\nenv: {{T: {SECRET}{name}}}\n")
    cells = [compose_cells([f"cluster={name}"], str(tmp_path))[0].config for name in ("one", "two")]
    assert cells[0].cluster != cells[1].cluster
    assert SECRET not in f"{cells[0]!r} {cells[0]} {cells[0].model_dump()} {cells[0].model_dump_json()}"


def test_what_a_job_sources_is_what_was_typed_whatever_its_characters(tmp_path):
    env = {"HF_TOKEN": ODD, "B": ""}
    write_environment(tmp_path, env)
    file = environment_file(tmp_path)
    assert read_environment(tmp_path) == env
    sourced = subprocess.run(["bash", "-c", f'. {file}; printf %s "$HF_TOKEN"'], capture_output=True, text=True)
    assert sourced.stdout == ODD
    write_environment(tmp_path / "none", {})
    assert not (tmp_path / "none").exists() and read_environment(tmp_path / "none") == {}


def test_a_file_has_its_mode_before_it_has_content(tmp_path, monkeypatch):
    seen = []
    sync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda number: (seen.append(stat.S_IMODE(os.fstat(number).st_mode)), sync(number)))
    write_text(tmp_path / "file", "text", mode=0o600)
    assert seen == [0o600] and stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600


def test_wandb_learns_no_value(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", SECRET)  # as in a job, whose environment has it
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setattr(mirror, "CLOSE_SECONDS", 60.0)  # other tests may hold the cores
    with wandb_server() as server:
        tracked = ["tracking.mode=online", f"tracking.base_url={server.url}", "tracking.tags=[mine]"]
        (cell,) = compose_cells(["cluster=slurm", f"cluster.env={{HF_TOKEN:{SECRET}}}", *tracked])
        run = RunDirectory(tmp_path / "cells" / "cell-s0-abc123def456")
        run.freeze(cell.config, "abc123def456", {}, {})
        RowLog(run.metrics, 0).write({"step": 1, "loss": 0.5})
        mirror.open_mirror(run, cell.config).close(State.DONE)
    assert not files_with(SECRET, tmp_path) and not files_with(KEY, tmp_path)
    assert files_with("HF_TOKEN", tmp_path)
    sent = b"".join(server.bodies)
    assert SECRET.encode() not in sent and KEY.encode() not in sent and b"HF_TOKEN" in sent
    received = server.runs["abc123def456"]
    assert received.config["frozen"]["cluster"]["env"] == {"HF_TOKEN": None}
    assert [row["loss"] for row in received.rows] == [0.5] and {"mine", "seed=0"} < set(received.fields["tags"])
