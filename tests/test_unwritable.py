"""Disks that are full, used up or read-only: the run says so, and goes on once it can."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
import time

import pytest

import launch
from helpers.constants import ROOT, TINY
from helpers.made_up_statuses import status_of
from programs.full_disk import PLACES, RESULT, fill
from sweep.run import directory
from sweep.run.directory import RunDirectory
from sweep.run.state import State
from sweep.run.unwritable import FREE_SOME, complaint, disk_fault


def mount(*options: str) -> subprocess.CompletedProcess:
    return subprocess.run(["mount", *options], capture_output=True, text=True)


@pytest.fixture
def disk(tmp_path):
    """A disk of two megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    if not sys.platform.startswith("linux"):
        pytest.skip("mounts a tmpfs, which Linux has")
    made = mount("-t", "tmpfs", "-o", "size=2m", "none", str(place))
    if made.returncode:
        pytest.skip(f"may not mount a small disk here: {made.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "begins"),
    [
        (OSError(errno.ENOSPC, "x"), "No space left on device: {place} has"),
        (OSError(errno.EDQUOT, "x"), "Disk quota exceeded: {place} has"),
        (OSError(errno.EROFS, "x"), "Read-only file system: {place} cannot be written"),
        (OSError(errno.ENOSPC, "x", "/dev/shm/a/b"), "No space left on device: /dev/shm/a/b has"),
        (OSError(errno.ENOSPC, "x", "/usr/a", None, "/dev/shm/a/b"), "No space left on device: /dev/shm/a/b has"),
        (caused(RuntimeError("while saving"), OSError(errno.ENOSPC, "x")), "No space left on device: {place} has"),
        (Exception("I/O error: No space left on device (os error 28)"), "No space left on device: {place} has"),
        (FileNotFoundError(errno.ENOENT, "No such file", "x"), None),
        (ValueError("nothing of the disk"), None),
    ],
)
def test_what_came_of_the_disk_is_told_from_what_did_not(tmp_path, error, begins):
    said = disk_fault(error, tmp_path)
    assert said is None if begins is None else said.startswith(begins.format(place=tmp_path))
    assert said is None or said.endswith("launch again")


def test_a_command_names_the_disk_or_the_owner_and_what_to_do(tmp_path):
    assert (
        complaint(OSError(errno.ENOSPC, "x"))
        == f"{os.strerror(errno.ENOSPC)}: {FREE_SOME}, then give the command again"
    )
    owned = complaint(PermissionError(errno.EACCES, "Permission denied", str(tmp_path)))
    assert owned.startswith(f"{tmp_path}: Permission denied; {tmp_path} belongs to ")
    assert complaint(FileNotFoundError(errno.ENOENT, "x")) == ""


def test_a_library_that_does_not_name_the_disk_is_understood_by_its_free_space(disk):
    error = RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 4800 vs 4694")
    assert disk_fault(error, disk) is None
    fill(disk, 1)
    assert disk_fault(error, disk) == (
        f"No space left on device: {disk} has 0.0 MB free of 2.0; {FREE_SOME} and launch again (RuntimeError: {error})"
    )


def test_the_last_state_is_written_into_the_room_that_was_set_aside(disk):
    run = RunDirectory(disk)
    run.write_state(state=State.RUNNING, step=3)
    run.set_room_aside()
    fill(disk, 0)
    with pytest.raises(OSError, match="No space left"):
        run.write_state(step=4)
    run.write_last_state(state=State.FAILED, note="full")
    state = run.read_state()
    assert (state.state, state.note, state.step) == (State.FAILED, "full", 3)
    assert not (disk / "reserve").exists() and run.unfinished() == []


def test_where_no_last_state_could_be_written_the_status_looks_at_the_disk(disk):
    run = RunDirectory(disk)
    run.write_state(state=State.RUNNING, host=os.uname().nodename)
    (disk / "lock").touch()
    fill(disk, 0)
    with pytest.raises(OSError, match="No space left"):
        run.write_last_state(state=State.FAILED)
    status = status_of(disk, 4)
    assert status.state == State.FAILED
    assert status.note == f"its process is gone; {disk_fault(OSError(errno.ENOSPC, ''), disk)}"
    (disk / "filler").unlink()
    assert status_of(disk, 4).state == State.INTERRUPTED


def test_a_read_only_disk_is_said_and_does_not_stop_the_heart_for_good(disk, monkeypatch):
    monkeypatch.setattr(directory, "HEARTBEAT_SECONDS", 0.02)
    run = RunDirectory(disk)
    run.write_state(state=State.RUNNING, host=os.uname().nodename)
    (disk / "lock").touch()
    assert mount("-o", "remount,ro", str(disk)).returncode == 0
    with pytest.raises(OSError) as raised:
        run.add_provenance(code="x")
    assert disk_fault(raised.value, disk).startswith(f"Read-only file system: {disk}/.provenance.json.")
    assert status_of(disk, 4).note.startswith(f"its process is gone; Read-only file system: {disk} cannot be")
    ended = threading.Event()
    heart = threading.Thread(target=run._beat, args=(ended,))
    heart.start()
    time.sleep(0.1)
    assert run.heartbeat_age() is None
    assert mount("-o", "remount,rw", str(disk)).returncode == 0
    while run.heartbeat_age() is None and heart.is_alive():
        time.sleep(0.02)
    ended.set()
    heart.join()
    assert run.heartbeat_age() is not None


def test_a_launch_onto_a_full_disk_says_so_and_leaves_nothing_half_copied(disk, cache_dir, capsys):
    fill(disk, 200)
    code = launch.main([*TINY, f"output_dir={disk / 'runs'}", f"cache_dir={cache_dir}"])
    assert code == 2
    said = capsys.readouterr().err
    assert f"output_dir={disk / 'runs'}: No space left on device: " in said and FREE_SOME in said
    assert list((disk / "runs" / "code").iterdir()) == []


def test_training_fails_with_the_reason_and_goes_on_once_there_is_room(disk, tmp_path, cache_dir):
    """The disk is full in turn while answers, a metrics row, a state, a checkpoint and final weights are written."""
    command = [sys.executable, "tests/programs/full_disk.py", disk, tmp_path, cache_dir]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line.removeprefix(RESULT)) for line in done.stdout.splitlines() if line.startswith(RESULT)]
    *attempts, different = found
    assert different == []
    *failed, last = attempts
    assert (last["code"], last["state"], last["rows"]) == (0, "done", [1, 2, 3, 4])
    assert last["checkpoints"] == ["step_000003", "step_000004"]
    assert [(a["place"], a["rows"], a["row_cut_short"], a["step"]) for a in failed] == [
        ("answers", [1], False, 1),
        ("metrics", [1], True, 1),
        ("state", [1, 2], False, 1),
        ("checkpoint", [1, 2], False, 2),
        ("final", [1, 2, 3, 4], False, 4),
    ]
    assert [a["place"] for a in failed] == list(PLACES)
    for attempt in failed:
        assert (attempt["code"], attempt["state"]) == (1, "failed")
        assert attempt["note"].startswith(f"No space left on device: {disk}/runs/cells/")
        assert f"has 0.0 MB free of 2.0; {FREE_SOME} and launch again" in attempt["note"]
