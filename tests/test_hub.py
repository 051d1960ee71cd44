"""Models and data sets from the hub, with the real clients against a hub on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from helpers.constants import ROOT, TINY
from helpers.fake_hub import FakeHub, Repository
from models.mini.pretrain import _new_model
from models.mini.tokenizer import build_tokenizer
from sweep.plan.compose import compose_cells

COMMIT = "0123456789abcdef0123456789abcdef01234567"
MODEL = ["model.mini=null", "model.path=org/tiny", "model.revision=main"]
# A commit rather than `main`: for that, `datasets` also asks the hub's viewer, which has a host of its own.
DATA = ["data=deepscaler", "data.train.path=org/problems", f"data.train.revision={COMMIT}", "data.held_out=0.2"]
DATA += ["data.test=null", "evaluation=[own]", "rollout.max_prompt_tokens=32", "rollout.max_response_tokens=8"]
SETTINGS = [o for o in TINY if not o.startswith("model.mini.")]
LEFT_THERE = {"original/consolidated.pth", "onnx/model.onnx", "pytorch_model.bin", "README.md"}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    """A model as repositories hold it: weights in shards, and the same in other formats beside them."""
    directory = tmp_path_factory.mktemp("tiny")
    (cell,) = compose_cells([o for o in TINY if o.startswith("model.mini.")])
    tokenizer = build_tokenizer(cell.config.model.family)
    model = _new_model(cell.config.model.family, cell.config.model.mini, tokenizer)
    model.save_pretrained(directory, max_shard_size="4KB")
    tokenizer.save_pretrained(directory)
    for name in LEFT_THERE:
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_text("not for us")
    return directory


@pytest.fixture(scope="module")
def problems(tmp_path_factory) -> Path:
    """A data set with a file for each split."""
    directory = tmp_path_factory.mktemp("problems")
    for split, count, more in (("train", 40, 1), ("test", 10, 2)):
        rows = [{"problem": f"{i} + {more}", "answer": str(i + more), "source": split} for i in range(count)]
        (directory / f"{split}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return directory


@pytest.fixture(scope="module")
def levels(tmp_path_factory) -> Path:
    """A data set of two configurations with worked solutions, as MATH is published."""
    directory = tmp_path_factory.mktemp("levels")
    about = "".join(
        f"- config_name: {n}\n  data_files: [{{split: train, path: {n}.jsonl}}]\n" for n in ("sums", "products")
    )
    (directory / "README.md").write_text(f"---\nconfigs:\n{about}---\n")
    for name, sign in (("sums", "+"), ("products", "*")):
        asked = [(f"{i} {sign} 2", i, f"Level {i % 3}") for i in range(12)]
        rows = [{"problem": q, "solution": f"So $\\boxed{{{i}}}$.", "of": {"level": level}} for q, i, level in asked]
        (directory / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return directory


@pytest.fixture
def hub(tiny, problems, levels, tmp_path, monkeypatch):
    """A hub that clients started from here use, with an empty cache and nobody's account."""
    for name in [n for n in os.environ if n.startswith(("HF_", "HUGGING", "TRANSFORMERS_"))]:
        monkeypatch.delenv(name)
    with FakeHub() as hub:
        hub.repositories["models", "org/tiny"] = Repository(tiny, COMMIT)
        hub.repositories["models", "org/gated"] = Repository(tiny, COMMIT, gated=True)
        hub.repositories["datasets", "org/problems"] = Repository(problems, COMMIT)
        hub.repositories["datasets", "org/levels"] = Repository(levels, COMMIT)
        settings = {"ENDPOINT": hub.endpoint, "HOME": str(tmp_path / "hf")}
        for name, value in {**settings, "HUB_DISABLE_TELEMETRY": "1", "HUB_DISABLE_XET": "1"}.items():
            monkeypatch.setenv(f"HF_{name}", value)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield hub


def start_prefetch(*overrides: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "sweep", "prefetch", *SETTINGS, *MODEL, *overrides]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def prefetch(*overrides: str) -> list[str]:
    """The lines it prints."""
    started = start_prefetch(*overrides)
    printed, complaints = started.communicate(timeout=120)
    assert started.returncode == 0, complaints
    return printed.splitlines()


def refused(*overrides: str) -> str:
    """What it complains of."""
    started = start_prefetch(*overrides)
    _, complaints = started.communicate(timeout=120)
    assert started.returncode == 2 and "Traceback" not in complaints, complaints
    return complaints


def needed(repository: Path) -> set[str]:
    files = {str(p.relative_to(repository)) for p in repository.rglob("*") if p.is_file()}
    assert len([f for f in files if f.endswith(".safetensors")]) > 1 and files > LEFT_THERE
    return files - LEFT_THERE


def test_a_model_is_fetched_once_without_its_other_formats(hub, tiny, tmp_path):
    line, _ = prefetch()
    snapshot = tmp_path / "hf" / "hub" / "models--org--tiny" / "snapshots" / COMMIT
    assert line == f"model qwen2_mini: {snapshot} (commit {COMMIT})"
    assert {p.name for p in snapshot.iterdir()} == needed(tiny)
    assert hub.asked("GET") == Counter(needed(tiny))
    assert prefetch()[0] == line
    assert hub.asked("GET") == Counter(needed(tiny))


def test_prefetches_at_once_download_each_file_once(hub, tiny):
    hub.may_send.clear()
    started = [start_prefetch(), start_prefetch()]
    deadline = time.monotonic() + 60
    while hub.asked("HEAD")["config.json"] < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert hub.asked("HEAD")["config.json"] == 2  # both know of a file that neither has
    hub.may_send.set()
    for process in started:
        printed, complaints = process.communicate(timeout=120)
        assert process.returncode == 0, complaints
        assert f"(commit {COMMIT})" in printed
    assert hub.asked("GET") == Counter(needed(tiny))


def test_after_a_prefetch_jobs_need_no_network(hub, shell, tmp_path, monkeypatch):
    assert prefetch(*DATA)[1] == "data deepscaler: 32 train, 4 test"
    hub.stop()
    launch = [*SETTINGS, *MODEL, *DATA, "steps=1"]
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    shell.launch(*launch)
    monkeypatch.delenv("HF_HUB_OFFLINE")  # and where nothing says that there is no network
    shell.launch(*launch, "seed=1")
    records = [json.loads(p.read_text()) for p in (tmp_path / "runs").glob("*/*/provenance.json")]
    assert [(r["model"]["revision"], r["model"]["commit"]) for r in records] == [("main", COMMIT)] * 3
    assert len(list((tmp_path / "runs" / "cells").glob("*/result.json"))) == 2


@pytest.mark.parametrize(
    ("overrides", "environment", "said"),
    [
        (["model.path=org/gated"], {}, ["org/gated: is gated", "licence", "HF_TOKEN"]),
        (["model.path=org/gated"], {"HF_TOKEN": "hf_stranger"}, ["org/gated: is gated", "licence", "HF_TOKEN"]),
        (["model.path=org/nothing"], {}, ["org/nothing: is not on the hub", "spelling", "HF_TOKEN"]),
        (["model.revision=v9"], {}, ["org/tiny: has no revision 'v9'", "set model.revision"]),
        ([], {"HF_HUB_OFFLINE": "1"}, ["not in the cache", "HF_HUB_OFFLINE is set", "`python -m sweep prefetch`"]),
        ([], {"HF_ENDPOINT": "http://127.0.0.1:9"}, ["not in the cache", "did not answer", "sweep prefetch`"]),
    ],
)
def test_what_cannot_be_fetched_is_refused_with_the_remedy(hub, monkeypatch, overrides, environment, said):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    complaint = refused(*overrides)
    assert all(words in complaint for words in said), complaint


def test_a_download_that_breaks_off_is_refused_with_the_remedy(hub):
    hub.breaks_off = {"config.json"}
    assert "cannot be fetched" in refused()


def test_a_benchmark_is_fetched_and_its_problems_are_checked(hub):
    """Of another set than the data's: after a prefetch, a plan reads it without a network."""
    changed = {"path": "org/problems", "revision": COMMIT, "split": "test", "id": "null"}
    there = ["evaluation=aime24", *(f"evaluation.benchmarks.aime24.{key}={value}" for key, value in changed.items())]
    assert "org/problems has 10 problems, and evaluation.benchmarks.aime24.size=30 was expected" in refused(*there)
    assert prefetch(*there, "evaluation.benchmarks.aime24.size=10")[-1] == "benchmark aime24: 10 problems"
    assert hub.asked("GET")["test.jsonl"] == 1
    hub.stop()
    planned = subprocess.run([sys.executable, "-m", "sweep", "plan", *there], cwd=ROOT, capture_output=True, text=True)
    assert planned.returncode == 2 and "has 10 problems" in planned.stderr


def test_a_data_set_is_fetched_once_and_used_split_by_split(hub):
    test = f"data.test={{path: org/problems, revision: {COMMIT}, split: test, question: problem, answer: answer}}"
    assert prefetch(*DATA, test)[1] == "data deepscaler: 32 train, 10 test"
    asked = hub.asked("GET")
    assert asked["train.jsonl"] == asked["test.jsonl"] == 1


LEVELS = [*DATA, "data.train.path=org/levels", "data.train.subset=[sums,products]", "data.train.answer=solution"]


def test_configurations_are_joined_filtered_and_read_as_their_golds_stand(hub):
    assert "has no usable gold answer in 24 of 24 rows" in (said := refused(*LEVELS, "data.on_bad_gold=error"))
    assert "set data.train.gold=boxed" in said
    kept = ["data.train.gold=boxed", "data.train.where={of.level: [Level 1, Level 2]}"]
    assert prefetch(*LEVELS, *kept)[1] == "data deepscaler: 13 train (of 24 rows, left out: 8 filtered out), 2 test"


@pytest.mark.parametrize(
    ("override", "said"),
    [
        (
            "data.train.answer=gold",
            "data.train: org/problems has no column gold; it has problem, answer, source; set data.train.answer=answer",
        ),
        ("data.train.path=org/nothing", "data.train.path=org/nothing: is not on the hub"),
        ("data.train.revision=v9", "data.train.path=org/problems: has no revision 'v9'; set data.train.revision"),
    ],
)
def test_a_data_set_that_is_not_as_configured_is_refused(hub, override, said):
    assert said in refused(*DATA, override)


def test_offline_another_revision_of_a_data_set_is_refused(hub, monkeypatch):
    prefetch(*DATA)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "sweep prefetch" in refused(*DATA, f"data.train.revision={COMMIT[::-1]}")
