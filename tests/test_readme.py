"""Every command in the documentation exists and takes what it is given, in the words that bash makes of it."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

import launch
from helpers.constants import ROOT, TINY
from helpers.documented import PAGES, PROGRAMS, bash, bash_words, commands, inline, lines_of_blocks
from helpers.real_weights import smollm2
from sweep import __version__
from sweep.__main__ import main
from sweep.plan.compose import compose_cells

SLURM = "docs/slurm.md"  # tests/slurm/test_docs.py runs its commands on a real Slurm
WANDB = "docs/wandb.md"  # tests/test_wandb_sync.py gives its commands, with a W&B server
VIEWS = "docs/wandb-views.md"  # tests/test_wandb_views.py gives its commands, with another
EVALUATE = "python -m sweep evaluate"  # tests/test_evaluate.py plans these commands on a sweep that has their steps
DOCTOR = "docs/doctor.md"  # tests/test_doctor_sweep.py and tests/slurm/test_doctoring.py give its commands
PAPER = "docs/paper.md"  # tests/test_paper.py and tests/test_paper_minis.py give its commands
ELSEWHERE = [page for page in PAGES if page not in (SLURM, WANDB, VIEWS, DOCTOR, PAPER)]
LAUNCHED = [c for c in commands("python launch.py", pages=[p for p in PAGES if p != PAPER]) if "--help" not in c]
OVERRIDES = re.compile(r"'?[\w.]+=.*[^\w.,=-].*")


def problem(question: str, answer: int) -> dict:
    """A row with every column that a command names."""
    worked = {"solution": f"So #### {answer}", "reward_model": {"ground_truth": str(answer)}}
    kind = {"level": 4 + answer % 2, "subject": "algebra"}
    return {"prompt": question, "problem": question, "answer": str(answer), **worked, **kind}


@pytest.fixture
def as_on_the_page(tmp_path, monkeypatch):
    """A directory with the files that the pages name."""
    for name, sign in (("PROBLEMS.jsonl", "+"), ("TEST.jsonl", "*")):
        (tmp_path / name).write_text("".join(f"{json.dumps(problem(f'{i} {sign} 1', i))}\n" for i in range(20)))
    own = re.search(r"# (conf/model/my_qwen.yaml\n.*?)```", (ROOT / "docs/add-a-model.md").read_text(), flags=re.S)
    (tmp_path / "DIR" / "model").mkdir(parents=True)
    (tmp_path / "DIR" / "model" / "my_qwen.yaml").write_text(f"# {own.group(1)}")
    made = [line for line in lines_of_blocks(SLURM) if line.startswith(("mkdir", "printf"))]
    assert bash("\n".join(made), tmp_path).returncode == 0 and (tmp_path / "my_groups/cluster/mine.yaml").is_file()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_TOKEN", "hf_of_a_reader")
    return tmp_path


@pytest.mark.parametrize("page", PAGES)
def test_bash_splits_nothing_that_was_meant_as_one_word(page, tmp_path):
    shown = [*commands(*PROGRAMS, pages=[page]), *(f"words {o}" for o in inline(page) if OVERRIDES.fullmatch(o))]
    for command in shown:
        meant = shlex.split(command, comments=True)
        assert bash_words(command, tmp_path) == meant[1:], command
    for line in lines_of_blocks(page):
        assert subprocess.run(["bash", "-n", "-c", line]).returncode == 0, line


@pytest.mark.parametrize("command", [c for c in LAUNCHED if "--cfg" not in c])
def test_launch_commands_plan(command, as_on_the_page, capsys):
    if ".venv/smollm2.gguf" in command:
        command = command.replace(".venv/smollm2.gguf", str(smollm2()))
    words = bash_words(command, as_on_the_page)[1:]
    code = main(["plan", *words, f"output_dir={as_on_the_page / 'runs'}"])
    shown = capsys.readouterr().out
    assert "activations" in shown
    assert code == (2 if "a launch here would be refused" in shown else 0)


def test_what_shows_a_configuration_shows_one(capsys):
    assert launch.main(shlex.split("--cfg job")) == 0
    assert "learning_rate: ${model.learning_rate}" in capsys.readouterr().out


@pytest.mark.parametrize("command", commands("make "))
def test_make_targets_exist(command, tmp_path):
    done = subprocess.run(["make", "-n", "-C", str(ROOT), *bash_words(command, tmp_path)], capture_output=True)
    assert done.returncode == 0


@pytest.mark.parametrize("page", PAGES)
def test_other_scripts_exist(page):
    scripts = [
        word for line in lines_of_blocks(page) for word in line.split() if word.startswith(("benchmarks/", "tests/"))
    ]
    assert all((ROOT / script).exists() for script in scripts if not script.startswith("benchmarks/results/"))


def test_sweep_commands_run(shell, tmp_path, cache_dir, capsys):
    said_last = shell.launch("-m", *TINY, "steps=1", "reward=random,shuffled", "name=demo").stdout.splitlines()[-1]
    assert said_last == str(tmp_path / "runs/sweeps/demo/page.html") and Path(said_last).is_file()
    for name in ("grid", "learning"):
        shutil.copytree(tmp_path / "runs" / "sweeps" / "demo", tmp_path / "runs" / "sweeps" / name)
    cell = next((tmp_path / "runs" / "cells").iterdir()).name
    runs = ["--output-dir", str(tmp_path / "runs")]
    small = [f"cache_dir={cache_dir}", *(o for o in TINY if o.startswith("model.mini."))]
    said = {
        "plan": "activations",
        "prefetch": "1916 train",
        "status": "done",
        "watch": "done",
        "labels": "demo",
        "compare": "reward",
        "transitions": "contribution",
        "export": f"the weights of step 1 of {tmp_path / 'runs' / 'cells' / cell}",
        "gc": "directories",
        "remove": "takes them out",
        "sync": "launched with tracking.mode=disabled",
        "samples": "kept answers",
        "costs": "cost so far: ",
        "doctor": "0 broken, ",
        "grade": "verdicts changed",
    }
    assert main(["evaluate", "demo", "evaluation=mini_fresh", "evaluation.problems=8", *runs]) == 0
    file = tmp_path / "found.json"
    file.write_text(json.dumps(shell.sweep("compare", "demo")))
    for command in commands("python -m sweep", pages=ELSEWHERE):
        if command.startswith(EVALUATE):
            continue
        line = command.replace("CELL", cell).replace("DIR", str(tmp_path / "exported"))
        line = line.replace("FILE.json", str(file)).replace("benchmarks/", f"{ROOT}/benchmarks/")
        line = re.sub(r"--figures \S+", f"--figures {tmp_path / 'figures'}", line)
        line = re.sub(r"--html \S+", f"--html {tmp_path / 'page.html'}", line)
        words = bash_words(line, tmp_path)[2:]
        code = main([*words, *(small if words[0] == "prefetch" else runs)])
        shown = capsys.readouterr()
        assert code == 0 or (words[0] == "plan" and "a launch here would be refused" in shown.out), shown.err
        assert said[words[0]] in shown.out


@pytest.mark.parametrize("command", [c for c in commands("python -m sweep", pages=[SLURM]) if "prefetch" not in c])
def test_commands_for_slurm_are_understood_without_one(command, tmp_path, capsys):
    words = bash_words(command, tmp_path)[2:]
    code = main([*words, "--output-dir", str(tmp_path)])
    shown = capsys.readouterr()
    if words[0] == "plan":
        assert "activations" in shown.out
    elif words[0] == "gc":
        assert code == 0 and "0 directories" in shown.out
    else:
        assert code == 2 and shown.err.startswith("first: no such sweep; no sweep was launched into")


def test_the_first_commands_are_those_of_a_laptop_of_a_machine_with_gpus_and_of_a_cluster():
    first = re.search(r"```\n(.*?)```", Path(ROOT / "README.md").read_text(), flags=re.S).group(1)
    laptop, gpus, cluster = (line.partition(" # ")[0].split() for line in first.splitlines())
    assert laptop == ["make", "demo"]
    assert gpus[:5] == ["make", "gpu", "&&", ".venv-gpu/bin/python", "launch.py"]
    assert cluster[:2] == gpus[3:5] and cluster[-1] == "cluster=slurm"
    for launch_line in (gpus[5:], cluster[2:]):
        assert all(cell.config.resources.gpus for cell in compose_cells([w for w in launch_line if w != "-m"]))


def test_the_citation_is_one():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    license = re.search(r'^license = "(.*)"$', (ROOT / "pyproject.toml").read_text(), flags=re.M).group(1)
    assert cited["cff-version"] == "1.2.0" and cited["message"] and cited["title"] and cited["authors"]
    assert (cited["version"], cited["license"]) == (__version__, license)
