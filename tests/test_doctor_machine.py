"""`doctor` on this machine: pretend GPUs, real directories and broken ones, no Slurm, and the command itself."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import sys
from pathlib import Path
from unittest.mock import patch

import pytest

from sweep.__main__ import main
from sweep.doctor import caches, devices, places, torch_here
from sweep.doctor.devices import Needs
from sweep.doctor.finding import Level
from sweep.plan import machine

NVIDIA_SMI = """#!/bin/sh
case "$*" in
  *query-gpu*) echo '0, GPU-a, 81559, 1000, 570.86, Disabled, NVIDIA H100'
               echo '1, GPU-b, 81559, 81000, 570.86, Disabled, NVIDIA H100';;
  *query-compute-apps*) echo 'GPU-a, 4242, 80000, /usr/bin/python3';;
  *) echo '| NVIDIA-SMI 570.86   Driver Version: 570.86   CUDA Version: 12.8 |';;
esac
"""


@pytest.fixture
def nvidia_smi(tmp_path, monkeypatch):
    """Put a program of that name before all others, with the text that is given."""

    def write(text: str = NVIDIA_SMI) -> None:
        folder = tmp_path / "bin"
        folder.mkdir()
        (folder / "nvidia-smi").write_text(text)
        (folder / "nvidia-smi").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        monkeypatch.delenv(machine.VISIBLE, raising=False)
        machine._machine.cache_clear()

    yield write
    machine._machine.cache_clear()


@pytest.fixture
def quick_torch(monkeypatch):
    """Facts about torch without importing it, which the tests of `torch_here` do."""
    facts = {"torch": "2.13.0", "cuda": None, "available": False, "vllm": {"version": None, "error": "not installed"}}
    monkeypatch.setattr(torch_here, "gather", lambda vllm: facts)


def doctor(capsys, *words: str) -> tuple[int, dict]:
    code = main(["doctor", "--json", *words])
    return code, json.loads(capsys.readouterr().out)


def found(told: dict, check: str) -> list[dict]:
    return [one for one in told["findings"] if one["check"] == check]


def test_pretend_gpus_and_what_is_on_them(nvidia_smi):
    nvidia_smi()
    gpus, driver = devices.gather()
    assert [one.uuid for one in gpus] == ["GPU-a", "GPU-b"] and driver.cuda == "12.8"
    full, free = devices.judge_gpus(gpus, driver, Needs(gpus=2), None)
    assert (full.level, free.level) == (Level.WARNING, Level.OK)
    assert "python3 (process 4242, 78.1 GiB)" in full.seen and full.remedy == "CUDA_VISIBLE_DEVICES=1"


def test_a_driver_that_fails_says_why(nvidia_smi):
    nvidia_smi("#!/bin/sh\necho 'Failed to initialize NVML: Driver/library version mismatch'\nexit 18\n")
    (one,) = devices.judge_gpus(*devices.gather(), Needs(gpus=1), None)
    assert one.level == Level.BROKEN and "version mismatch" in one.seen


def test_an_nvidia_smi_that_cannot_be_started_is_a_driver_that_fails(nvidia_smi):
    nvidia_smi("no program")
    assert devices.gather() == ((), devices.Driver(True, "it cannot be started: Exec format error", "", {}))


def test_torch_is_looked_at_in_a_process_of_its_own():
    facts = torch_here.gather(vllm=False)
    assert facts["torch"].startswith("2.") and facts["vllm"]["version"] is None


def test_a_torch_that_kills_its_process_is_reported(tmp_path, monkeypatch):
    (tmp_path / "torch.py").write_text("import os\nos.abort()")
    assert "ended with -6" in _with_first_on_path(monkeypatch, tmp_path)["error"]


def test_a_relative_place_of_pythonpath_is_one_of_this_directory(tmp_path, monkeypatch):
    (tmp_path / "own" / "torch").mkdir(parents=True)
    (tmp_path / "own" / "torch" / "__init__.py").write_text("raise ImportError('that of this directory')")
    monkeypatch.chdir(tmp_path)
    assert "that of this directory" in _with_first_on_path(monkeypatch, Path("own"))["error"]


def test_a_torch_that_cannot_be_imported_is_reported(tmp_path, monkeypatch):
    (tmp_path / "torch.py").write_text("raise ImportError('libcudart.so.13: cannot open')")
    assert _with_first_on_path(monkeypatch, tmp_path) == {"error": "ImportError: libcudart.so.13: cannot open"}


def _with_first_on_path(monkeypatch, folder: Path) -> dict:
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return torch_here.gather(vllm=False)


LAZY = "def __getattr__(name):\n    from importlib import import_module\n    return import_module('vllm.llm').LLM\n"
SAMPLES, IS_BROKEN = "class LLM: ...\n", "raise ImportError('_C.so: undefined symbol: _ZN3c10')\n"


@pytest.mark.parametrize(
    ("llm", "kernels", "on_gpu", "error"),
    [
        (SAMPLES, "", True, None),
        (SAMPLES, IS_BROKEN, False, None),  # they are for GPUs
        (SAMPLES, IS_BROKEN, True, "ImportError: _C.so: undefined symbol: _ZN3c10"),
        (IS_BROKEN, "", False, "ImportError: _C.so: undefined symbol: _ZN3c10"),
    ],
)
def test_a_vllm_whose_parts_cannot_be_loaded_is_reported(tmp_path, monkeypatch, llm, kernels, on_gpu, error):
    """vLLM itself imports them when they are used, and only warns of its kernels."""
    (tmp_path / "vllm").mkdir()
    for name, text in {"__init__": f"__version__ = '0.32.0'\n{LAZY}", "llm": llm, "_C": kernels}.items():
        (tmp_path / "vllm" / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    with patch.dict(sys.modules):
        for name in [name for name in sys.modules if name.partition(".")[0] == "vllm"]:
            del sys.modules[name]
        found = torch_here._vllm(True, on_gpu)
    assert found == {"version": None if error else "0.32.0", "error": error}


def test_a_directory_is_tried_and_left_as_it_was(tmp_path):
    (tmp_path / "mine").write_text("kept")
    tried = places.gather(tmp_path / "not" / "there")
    assert tried.place == tmp_path and not tried.refused
    assert (tried.locks, tried.links, tried.replaces, tried.syncs) == (places.EXCLUDES, "", "", "")
    assert [file.name for file in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("place", ["/proc", "/sys/kernel"])
def test_a_directory_that_takes_nothing(place):
    tried = places.gather(Path(place))
    assert tried.refused
    assert [one.level for one in places.judge("output_dir", tried, False)] == [Level.BROKEN]


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "runs").write_text("")
    assert places.gather(tmp_path / "runs").refused == "it is a file"


@pytest.mark.parametrize("target", ["not-mounted", "runs"])
def test_a_link_that_leads_nowhere(tmp_path, target):
    (tmp_path / "runs").symlink_to(target)
    for wanted in (tmp_path / "runs", tmp_path / "runs" / "mine"):
        assert places.gather(wanted).refused == f"{tmp_path / 'runs'} is a link to nothing"


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EIO])
def test_a_file_system_without_locks(tmp_path, monkeypatch, number):
    def refuse(file, operation):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert places.gather(tmp_path).locks == errno.errorcode[number]


def test_locks_that_exclude_nobody(tmp_path, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", lambda file, operation: None)
    assert places.gather(tmp_path).locks == places.BOTH_HOLD


@pytest.mark.parametrize(
    ("name", "field"), [("link", "links"), ("replace", "replaces"), ("fsync", "syncs"), ("mkdir", "refused")]
)
def test_a_file_system_that_lacks_something(tmp_path, monkeypatch, name, field):
    def refuse(*args, **how):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, name, refuse)
    assert getattr(places.gather(tmp_path), field) == "Operation not permitted"


def test_links_that_are_made_over_others_are_no_claims(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", lambda source, target: target.write_text("x"))
    assert "over the first one" in places.gather(tmp_path).links


def snapshot(cache: Path, index: dict | None, *files: str) -> None:
    """A model in the hub's cache, as huggingface_hub lays it out."""
    home = cache / "models--some--model"
    place = home / "snapshots" / "c0ffee"
    place.mkdir(parents=True)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text("c0ffee")
    if index is not None:
        (place / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    for name in files:
        (place / name).write_text("")


@pytest.mark.parametrize(
    ("index", "files", "state", "at_hand"),
    [
        (None, ["model.safetensors"], "in the cache, commit c0ffee", True),
        ({"a": "1.safetensors", "b": "2.safetensors"}, ["1.safetensors"], "1 of 2 files of weights", False),
        ({"a": "1.safetensors"}, ["1.safetensors"], "in the cache", True),
        (None, ["config.json"], "without weights", False),
    ],
)
def test_weights_in_the_cache_of_the_hub(tmp_path, monkeypatch, index, files, state, at_hand):
    snapshot(tmp_path, index, *files)
    monkeypatch.setattr("huggingface_hub._snapshot_download.constants.HF_HUB_CACHE", str(tmp_path))
    source = caches._in_cache("model", "some/model", "main")
    assert source.at_hand == at_hand and state in source.state


@pytest.mark.parametrize("kind", ["model", "dataset"])
@pytest.mark.parametrize("gone", ["model.safetensors", "config.json", "model.safetensors.index.json"])
def test_files_of_the_cache_that_were_deleted_are_missed(tmp_path, monkeypatch, kind, gone):
    snapshot(tmp_path, None, "config.json", "model.safetensors")
    (tmp_path / "models--some--model").rename(tmp_path / f"{kind}s--some--{kind}")
    file = tmp_path / f"{kind}s--some--{kind}" / "snapshots" / "c0ffee" / gone
    file.unlink(missing_ok=True)
    file.symlink_to("../../blobs/0123")
    monkeypatch.setattr("huggingface_hub._snapshot_download.constants.HF_HUB_CACHE", str(tmp_path))
    source = caches._in_cache(kind, f"some/{kind}", "main")
    assert not source.at_hand and source.state.startswith("is in the cache without ")


@pytest.mark.parametrize("content", ["", "{", "[]", "{}"])
def test_a_damaged_list_of_weights_is_reported(tmp_path, monkeypatch, content):
    snapshot(tmp_path, {"a": "1.safetensors"}, "1.safetensors")
    next(tmp_path.rglob("*.index.json")).write_text(content)
    monkeypatch.setattr("huggingface_hub._snapshot_download.constants.HF_HUB_CACHE", str(tmp_path))
    source = caches._in_cache("model", "some/model", "main")
    assert (source.at_hand, source.state) == (False, "is in the cache without a whole model.safetensors.index.json")


def test_the_demo_runs_here(capsys, quick_torch, tmp_path):
    code, told = doctor(capsys, f"output_dir={tmp_path / 'runs'}", f"cache_dir={tmp_path / 'cache'}")
    assert (code, told["counts"]["broken"], told["counts"]["not checked"], told["node"]) == (0, 0, 0, None)
    assert {one["seen"].split()[1].strip(":") for one in found(told, "cache.model")} == {
        "qwen2_mini",
        "llama3_mini",
        "olmo2_mini",
    }
    assert not list(tmp_path.iterdir())


def test_a_model_that_is_too_large_for_this_machine(capsys, quick_torch, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("WANDB_API_KEY", "wandb-secret")
    code, told = doctor(capsys, "model=llama3_1_8b", f"output_dir={tmp_path}")
    assert code == 1 and found(told, "plan.obstacle")
    (model,) = found(told, "cache.model")
    assert model["level"] == "broken" and "HF_HUB_OFFLINE" in model["seen"]  # the tests' own setting
    assert f"prefetch model=llama3_1_8b output_dir={tmp_path}" in model["remedy"]
    assert found(told, "hub.token")[0]["seen"] == "there is a token for the hub"
    assert "secret" not in json.dumps(told)


def test_an_output_directory_that_cannot_be_written(capsys, quick_torch, file):
    code, told = doctor(capsys, "seed=0", f"output_dir={file('in the way', 'runs')}")
    assert code == 1 and [one["level"] for one in found(told, "output_dir.write")] == ["broken"]
    assert not found(told, "plan.obstacle")  # the same fault is said once


def test_without_slurm(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    code, told = doctor(capsys, "cluster=slurm", f"output_dir={tmp_path / 'runs'}")
    assert code == 1 and "scontrol: no such command here" in found(told, "slurm.controller")[0]["seen"]
    assert found(told, "node.hardware")[0]["level"] == "not checked"


def test_a_login_node_without_torch(capsys, tmp_path, monkeypatch):
    from sweep.doctor import packages

    version = packages.version
    monkeypatch.setattr(packages, "version", lambda name: None if name in packages.OF_JOBS else version(name))
    monkeypatch.setattr(torch_here, "gather", lambda vllm: pytest.fail("torch is not looked at where no job runs"))
    _, told = doctor(capsys, "cluster=slurm", f"output_dir={tmp_path / 'runs'}")
    (missing,) = found(told, "packages.missing")
    assert missing["level"] == "warning" and "torch" in missing["seen"]


def test_values_of_the_environment_of_jobs_are_not_shown(capsys, tmp_path):
    typed = ["cluster=slurm", "model=qwen2_5_7b", "cluster.env.TOKEN=abracadabra", f"output_dir={tmp_path / 'runs'}"]
    main(["doctor", *typed])
    main(["doctor", "--json", *typed])
    shown = capsys.readouterr()
    assert "cluster.env.TOKEN=…" in shown.out and "abracadabra" not in shown.out + shown.err


def test_what_is_printed_is_sorted_and_ends_with_a_count(capsys, quick_torch, tmp_path):
    assert main(["doctor", "tracking.mode=online", "seed=0", f"output_dir={tmp_path}"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("broken") and "no API key" in lines[1] and "wandb login" in lines[2]
    levels = [line.split()[0] for line in lines[1:-1] if not line.startswith(" ")]
    assert levels == sorted(levels, key=["broken", "warning", "not", "ok"].index)
    assert lines[-1].startswith("1 broken, ")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["modle=qwen2_mini"], "Did you mean model?"),
        (["model=qwen9"], "no such model"),
        (["steps=0"], "steps"),
        (["nosuch"], "nosuch: no such sweep"),
        (["nosuch", "--on-node"], "--on-node belongs to the overrides of a launch"),
        (["seed=0", "--on-node"], "add cluster=slurm"),
        (["seed=0", "--hashes"], "name a sweep"),
        (["cluster=slurm", "--on-node", "--start-minutes", "0"], "start-minutes"),
    ],
)
def test_mistakes_are_told_apart_from_what_is_broken(capsys, tmp_path, monkeypatch, words, says):
    monkeypatch.chdir(tmp_path)
    assert main(["doctor", *words]) == 2
    assert says in capsys.readouterr().err


def test_a_mini_reads_nothing_of_the_hub(composed):
    assert not caches.reads_hub(composed())
