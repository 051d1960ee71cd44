"""Why a process ended, from what it left on standard error; and how a command ends on a disk that takes nothing."""

from __future__ import annotations

import errno
import subprocess

import pytest

from sweep.__main__ import main
from sweep.run.ending import last_words

BAR = "Loading weights: 100%|██████████| 26/26 [00:00<00:00, 800.1it/s]"
SRUN = "srun: error: n1: task 0: {}"
KILLED = "killed by signal 9 (out of memory?)"


@pytest.mark.parametrize(
    ("written", "code", "said"),
    [
        (f"{BAR}\n{SRUN.format('Killed')}\nsrun: Terminating StepId=7.0\n", "", KILLED),
        (f"ValueError: shape\n{BAR}\rStep 3: 50%\nslurmstepd: error: x\n", "0:9", f"{KILLED}: ValueError: shape"),
        (f"{BAR}\n", "137:0", KILLED),
        (f"/lib/x.py:3: FutureWarning: error in future\n{SRUN.format('Segmentation fault (core dumped)')}\n", "139:0",
         "killed by signal 11 (Segmentation fault)"),
        ("all is well\n", "0:15", "killed by signal 15 (Terminated)"),
        # The first to end is the cause; what srun then kills is not.
        (f"[rank1]: OSError: [Errno 28] No space left on device\n[rank1]:     write_json(self._sta\n"
         f"{SRUN.format('Exited with exit code 1')}\n{SRUN.format('Killed')}\n", "137:0",
         "[rank1]: OSError: [Errno 28] No space left on device"),
        ("Traceback\n  File x\ntorch.OutOfMemoryError: CUDA out of memory\n  advice\nUserWarning: bad\n", "1:0",
         "torch.OutOfMemoryError: CUDA out of memory"),
        ("module: command not found\nbye\n" + BAR, "127:0", "module: command not found"),
        ("no such module\n", "3:0", "no such module"),
        ("something\nasked to stop by SIGTERM\n2026-01-01 sweep INFO step 3\n", "1:0", "something"),
        ("x" * 400 + " error\n", "1:0", "…"),
        (BAR, "1:0", ""),
        ("", "", ""),
    ],
)  # fmt: skip
def test_last_words_are_the_signal_or_the_error_and_never_a_progress_bar(tmp_path, written, code, said):
    file = tmp_path / "0_log.err"
    file.write_text(written)
    assert last_words([file], code) == said


def test_only_the_end_of_a_long_file_is_read(tmp_path):
    file = tmp_path / "0_log.err"
    file.write_text("ValueError: early\n" + "chatter\n" * 10_000 + "KeyError: late\n")
    assert last_words([file, file], "") == "KeyError: late"


def test_gc_on_a_read_only_disk_ends_with_one_message(tmp_path, capsys):
    if subprocess.run(["mount", "-t", "tmpfs", "none", tmp_path], capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        (tmp_path / "cells" / "orphan").mkdir(parents=True)
        subprocess.run(["mount", "-o", "remount,ro", tmp_path], check=True)
        assert main(["gc", "--yes", "--output-dir", str(tmp_path)]) == 2
        assert capsys.readouterr().err.startswith("Read-only file system: ")
    finally:
        subprocess.run(["umount", tmp_path], check=True)


@pytest.mark.parametrize("command", [["retry", "x"], ["status", "x"], ["cancel", "x"], ["compare", "x"]])
def test_a_disk_that_takes_nothing_ends_any_command_with_one_message(tmp_path, capsys, monkeypatch, command):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("sweep.commands.during.read_sweep", full)
    monkeypatch.setattr("sweep.commands.compare.verdicts_on", full)
    assert main([*command, "--output-dir", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("No space left on device: free some") and said.count("\n") == 1
