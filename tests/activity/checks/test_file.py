from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.checks import check_ports

from powerd.activity.checks.file import FileCheck, Options, is_in_memory
from powerd.core.poller import PollDepth
from powerd.linux.files import HostFiles
from powerd.linux.values import HostError
from powerd.simulation.clock import BEGIN, StoppedClock

MOUNTS = """\
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
22 21 0:21 / /run rw,nosuid shared:2 - tmpfs tmpfs rw
23 21 8:17 / /srv/my\\040disk rw shared:3 - xfs /dev/sdb1 rw
24 22 8:33 / /run/media rw shared:4 - ext4 /dev/sdc1 rw
odd line
"""


@pytest.mark.parametrize(
    ("path", "in_memory"),
    [
        ("/run/backup.lock", True),
        ("/run/*", True),
        ("/run/media/x", False),
        ("/running", False),
        ("/var/lock", False),
        ("/srv/my disk/x", False),
    ],
)
def test_the_file_system_is_that_of_the_longest_mount_point(path: str, *, in_memory: bool) -> None:
    assert is_in_memory(path, MOUNTS) is in_memory


def make_check(root: Path, paths: tuple[str, ...], within: float = 0.0) -> FileCheck:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/mountinfo").write_text(MOUNTS)
    (root / "run").mkdir()
    ports = replace(check_ports(clock=StoppedClock()), files=HostFiles(root))
    return FileCheck(Options(paths, within), ports)


def poll(check: FileCheck) -> list[tuple[str, bool]]:
    return [(each.subject, each.keeps_awake) for each in asyncio.run(check.poll(PollDepth.FULL))]


def test_a_file_that_exists(tmp_path: Path) -> None:
    check = make_check(tmp_path, ("/run/*.lock",))
    assert poll(check) == []
    (tmp_path / "run/backup.lock").touch()
    assert poll(check) == [("/run/backup.lock", True)]


@pytest.mark.parametrize(("age", "awake"), [(0, True), (599, True), (600, False), (-3600, True)])
def test_a_file_that_has_changed(tmp_path: Path, age: float, *, awake: bool) -> None:
    check = make_check(tmp_path, ("/run/state",), within=600)
    changed = BEGIN - age
    (tmp_path / "run/state").touch()
    os.utime(tmp_path / "run/state", (changed, changed))
    assert poll(check) == ([("/run/state", True)] if awake else [])


def test_a_file_on_a_disk_has_a_warning(tmp_path: Path) -> None:
    check = make_check(tmp_path, ("/srv/state",))
    assert poll(check) == [("/srv/state", False)]


def test_mounts_that_cannot_be_read_are_a_failure(tmp_path: Path) -> None:
    check = make_check(tmp_path, ("/srv/state",))
    (tmp_path / "proc/self/mountinfo").unlink()
    with pytest.raises(HostError):
        poll(check)


@pytest.mark.parametrize("paths", [(), ("",)])
def test_paths_are_required(paths: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="requires"):
        Options(paths)
