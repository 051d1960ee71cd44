"""What this version of the code says of forty plans, six clusters and an old sweep, as text that no machine changes.

    python tests/recordings.py                  # writes tests/recorded again; `git diff` then shows what changed
    python tests/recordings.py --into DIR       # writes the same files below DIR, as tests/test_recorded.py does

A change that was meant is recorded again; every other one is a mistake. Each file shows a command with what it printed
or submitted. The commands run in this one process, with the files of this repository. What belongs to the machine is
fixed or replaced:

- The machine is pinned: two cores, 16 GiB of memory, 1 TiB of free disk, no GPU, no network, no account at W&B, and a
  Slurm of a few lines that takes every script and knows no job.
- Paths become words. OUTPUT is the output directory, HOME the home directory, REPOSITORY the code, PYTHON the
  interpreter that runs this, and CODE the copy of the code that jobs run, whose name is a hash of the code.
- The id of a submission is drawn at random; in the scripts of a launch it becomes SUBMISSION-1, SUBMISSION-2 and so on.

Nothing else is replaced: signatures, predictions in bytes and every word of a message are recorded as they are.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import gc
import io
import os
import re
import shlex
import shutil
import sys
import tempfile
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
from hydra._internal.config_loader_impl import ConfigLoaderImpl

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "recorded")]  # the latter holds a reward of one's own

RECORDED = ROOT / "tests" / "recorded"
OWN_GROUPS = "--config-dir tests/recorded/conf"
OWN_PROBLEMS = "data=jsonl data.path=tests/recorded/problems.jsonl data.question=question data.answer=result"
# By the name of its file, what is typed after `python -m sweep plan --json`.
PLANS = {
    # Model families, and where their weights come from.
    "default": "",
    "minis": "model=qwen2_mini,llama3_mini,olmo2_mini seed=0,1",
    "mini_of_another_recipe": "model.mini.steps=20 model.mini.hidden_size=32",
    "paper_grid": "model=qwen2_5_math_7b,llama3_1_8b reward=random cluster=slurm seed=0,1",
    "other_families": "model=qwen3_4b_base,olmo2_7b_sft cluster=slurm prompt=chat",
    # Rewards.
    "plain_rewards": "reward=format,python,no_repetition,constant,shuffled",
    "labels": "reward=majority_vote,incorrect,majority_vote_online labels.samples=16",
    "labels_of_several_jobs": "reward=majority_vote labels.jobs=3",
    "composed_rewards": "reward=all_of 'reward.rewards=[format,ground_truth],[random,no_python]'",
    "weighted_reward": "reward=weighted 'reward.rewards=[ground_truth,format]' 'reward.weights=[0.9,0.1]'",
    "not_reward": "reward=not 'reward.reward={name: random, probability: 0.3}'",
    "noisy_reward": "reward=noisy reward.true_positive_rate=0.7,0.9 reward.when.behaviour=code",
    "own_reward": "reward=custom reward.target=own_reward:brevity",
    # Algorithms, tuning, shapes.
    "algorithms": "algorithm=paper,dapo,dr_grpo,gspo,rloo",
    "kl": "algorithm.kl_coefficient=0.01,0.1 algorithm.kl_place=reward",
    "lora": "tuning=lora tuning.rank=8,16 deepspeed=zero1 deepspeed.processes=2",
    "optimizer": "optimizer.learning_rate=5e-5,0 seed=0,1",
    "sharded_vllm": "model=qwen2_5_math_7b rollout=vllm deepspeed=zero3 deepspeed.offload_optimizer=true cluster=slurm",
    # Problems, prompts, evaluation, grading.
    "prompts": "prompt=none,python_prefix,r1_zero",
    "own_problems": f"model=smollm2_135m {OWN_PROBLEMS} 'data.where={{level: [1, 2]}}'",
    "one_shot": "'data.only={question: 3+4-5, answer: 2}' seed=range(3)",
    "evaluations": "evaluation.samples_per_problem=1,4 evaluation.benchmarks.mini.split=validation grading=lenient",
    # Experiments, several axes, clusters of one's own.
    "demo": "experiment=demo",
    "own_experiment": f"{OWN_GROUPS} experiment=two_prompts",
    "own_cluster": f"{OWN_GROUPS} cluster=everything model.resources.gpus=4",
    "four_axes": "-m model=qwen2_mini,llama3_mini algorithm.clip_low=0.1,0.2 seed=0,1 optimizer.learning_rate=0,1",
    # Cells of which two are one run, keys that nothing reads.
    "cells_that_coincide": "reward=random,majority_vote labels.samples=8,16",
    "unread_keys": "reward=random labels.samples=8 resources.hours=3 tracking.mode=disabled tracking.project=p",
    # What a launch here would refuse, and what no machine would take.
    "too_large_for_here": "model=qwen2_5_7b seed=range(20)",
    "refused_lengths": "rollout.max_response_tokens=500 seed=0,1",
    "refused_batch": "algorithm.prompts_per_step=5,6 algorithm.updates_per_rollout=7",
    "refused_key": "rewards=random stepz=3",
    "refused_choice": "deepspeed=zero9",
    "refused_value": "algorithm.clip_low=-1 steps=zero seed=0",
    "refused_option": "reward=random,ground_truth reward.probability=0.1,0.5",
    "refused_same_run": "deepspeed.micro_batch_tokens=1024,2048",
    "refused_planned_key": "labels.shard=1 evaluation.weights=cells/x",
    "refused_cluster": "cluster=slurm 'cluster.sbatch={array: 0-3, nodes: 2, export: NONE}'",
    "refused_reward": "reward=custom reward.target=own_reward:length",
    "refused_file": "data=jsonl data.path=tests/recorded/missing.jsonl",
}
# By the name of its file, what is typed after `python launch.py -m`.
SUBMISSIONS = {
    "slurm": "cluster=slurm reward=random,majority_vote labels.jobs=2 seed=0,1",
    "accounted": "cluster=accounted seed=range(6) model.resources.gpus=2 model.resources.hours=2.5",
    "gres": "cluster=gres model=qwen2_5_7b,qwen2_5_math_1_5b",
    "pyxis": "cluster=pyxis seed=0,1 model.resources.gpus=1 model.resources.memory_gb=24",
    "cpu_nodes": "cluster=cpu_nodes deepspeed.processes=4 seed=0,1,2 model.resources.memory_gb=33",
    "everything": "cluster=everything reward=incorrect seed=0,1 model.resources.gpus=4",
}
# By the name of its file, what is typed after `python -m sweep` about the sweep that an earlier version finished.
OLD_SWEEP = {
    "status.txt": "status kept",
    "status_of_one.txt": "status kept reward=random seed=1",
    "status.json": "status kept --json",
    "compare.json": "compare kept --json",
    "compare_with_control.json": "compare kept --json --control reward=random",
}
FAKE_SLURM = {
    "sbatch": """case "$*" in *--test-only*) exit 0;; esac
for script; do :; done
number=$(($(ls "$SUBMITTED" | wc -l) + 1))
cp "$script" "$SUBMITTED/$number"
echo "Submitted batch job $number"
""",
    "scontrol": 'echo "MaxArraySize = 1001"\n',
    "squeue": "",
    "sacct": "",
    "scancel": "",
}
FORGOTTEN = re.compile(
    r"OMP_NUM_THREADS|WANDB_|HF_|HUGGING|SLURM|SBATCH|SQUEUE|HYDRA|RLVR_|CUDA_|COLUMNS|FORCE_COLOR|TTY_"
)


def pin_the_machine(home: Path) -> None:
    """Make this process see the machine that the module's first lines describe, for the rest of its life.

    Args:
        home: an empty directory; it becomes the home directory, and holds the commands of Slurm.
    """
    for name in [name for name in os.environ if FORGOTTEN.match(name)]:
        del os.environ[name]
    commands = home / "bin"
    commands.mkdir(parents=True)
    for name, lines in FAKE_SLURM.items():
        (commands / name).write_text(f"#!/bin/sh\n{lines}")
        (commands / name).chmod(0o755)
    os.environ |= {
        "HOME": str(home),
        "NETRC": str(home / "netrc"),
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
        "HF_HUB_OFFLINE": "1",
        "RLVR_SWEEP_LOCAL": "null",
        "XDG_CONFIG_HOME": str(home),
        "HF_HOME": str(home / "huggingface"),
        "CUDA_VISIBLE_DEVICES": "",
        "COLUMNS": "120",
        "TZ": "UTC",
    }
    memory = SimpleNamespace(total=16 * 2**30, available=12 * 2**30)
    disk = namedtuple("Disk", "total used free")(2 * 2**40, 2**40, 2**40)
    psutil.virtual_memory = lambda: memory
    shutil.disk_usage = lambda path: disk
    os.sched_getaffinity = lambda process: {0, 1}
    os.cpu_count = lambda: 2
    os.chdir(ROOT)


def compose_each_choice_once() -> None:
    """Let Hydra compose a choice of groups once in the life of this process.

    It takes a tenth of a second, most of the commands choose the same groups, and no file changes meanwhile.
    """
    compose, made = ConfigLoaderImpl._load_configuration_impl, {}

    def composed(self, **asked):
        key = str(self.config_search_path), repr(asked)
        if key not in made:
            made[key] = compose(self, **asked)
        return copy.deepcopy(made[key])

    ConfigLoaderImpl._load_configuration_impl = composed


def recordings(home: Path) -> Iterator[tuple[str, str]]:
    """The path below tests/recorded, and the text, of every recording; made one after the other.

    Args:
        home: the home directory of the pinned machine.
    """
    import launch
    from sweep.__main__ import main

    for name, typed in PLANS.items():
        runs = home / "runs"
        words = ["plan", "--json", *shlex.split(typed)]
        yield f"plans/{name}.txt", plain(transcript("python -m sweep", main, words, [f"output_dir={runs}"]), home, runs)
    for name, typed in SUBMISSIONS.items():
        runs = home / f"launch-{name}"
        words = ["-m", *shlex.split(OWN_GROUPS), *shlex.split(typed), "tracking.mode=disabled"]
        yield f"sbatch/{name}.txt", submitted(launch.main, words, home, runs)
    runs = shutil.copytree(ROOT / "tests" / "sweeps" / "schema2", home / "old")
    for name, typed in OLD_SWEEP.items():
        said = transcript("python -m sweep", main, shlex.split(typed), ["--output-dir", str(runs)])
        yield f"schema2/{name}", plain(said, home, runs)


def transcript(program: str, main: Callable[[list[str]], int], typed: list[str], place: list[str]) -> str:
    """The command as it is typed, its exit code, and what it printed.

    Args:
        place: further words that name the output directory.
    """
    printed, complained = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(complained):
        code = main([*typed, *place])
    said = [f"$ {program} {shlex.join([*typed, *place])}\n", printed.getvalue()]
    said += ["--- errors\n", complained.getvalue()] if complained.getvalue() else []
    return "".join([*said, f"--- exit code {code}\n"])


def submitted(main: Callable[[list[str]], int], typed: list[str], home: Path, runs: Path) -> str:
    """What a launch printed, and the scripts that it handed to sbatch, in their order."""
    scripts = home / f"scripts-{runs.name}"
    scripts.mkdir()
    os.environ["SUBMITTED"] = str(scripts)
    text = transcript("python launch.py", main, typed, [f"output_dir={runs}"])
    for script in sorted(scripts.iterdir(), key=lambda path: int(path.name)):
        text += f"--- sbatch, job {script.name}\n{script.read_text()}"
    for number, found in enumerate(dict.fromkeys(re.findall(r"/submissions/(\w+)/", text)), start=1):
        text = text.replace(found, f"SUBMISSION-{number}")
    return plain(text, home, runs)


def plain(text: str, home: Path, runs: Path) -> str:
    """`text` with words in the place of this machine's paths."""
    text = re.sub(rf"{re.escape(str(runs))}/code/\w+", "CODE", text)
    words = {str(runs): "OUTPUT", str(home): "HOME", sys.executable: "PYTHON", str(ROOT): "REPOSITORY"}
    for path, word in words.items():
        text = text.replace(path, word)
    return text


def main(arguments: list[str]) -> int:
    """Write every recording; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--into", type=Path, default=RECORDED, metavar="DIR", help="by default tests/recorded")
    into = parser.parse_args(arguments).into.absolute()
    with tempfile.TemporaryDirectory(prefix="recordings-") as directory:
        home = Path(directory).resolve() / "home"
        pin_the_machine(home)
        compose_each_choice_once()
        gc.disable()  # saves a fifth of the time; this process ends long before the garbage matters
        for name, text in recordings(home):
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            (into / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
