"""What a finding reads of a machine, and what is noted where that is not possible."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest
from doctor.server import Server

from powerd.doctor.machine import Machine, last
from powerd.linux.files import HostFiles


@pytest.fixture
def files(server: Server) -> Iterator[HostFiles]:
    files = HostFiles(server.root)
    yield files
    files.close()


def read(files: HostFiles, *sleeping: str) -> Machine:
    return asyncio.run(Machine.read(files, sleeping))


def test_what_cannot_be_read_is_noted(server: Server, files: HostFiles) -> None:
    server.at("/etc/directory").mkdir(parents=True)
    server.at("/etc/loop").symlink_to("loop")
    machine = read(files)
    assert machine.text("/etc/directory") == machine.text("/etc/nothing") == ""
    assert machine.find("/etc/loop/*.conf") == machine.listdir("/etc/loop") == ()
    assert machine.find("/etc/nothing/*") == machine.listdir("/etc/nothing") == ()
    directory, *loops = machine.notes
    assert directory.startswith("/etc/directory cannot be read; ")
    assert all("/etc/loop" in note for note in loops)
    assert loops


def test_nothing_is_read_from_a_data_disk_in_standby(server: Server, files: HostFiles) -> None:
    server.sata(2, "WD-2")
    server.mount("8:32", "/srv", "ext4", "/dev/sdc")
    server.put("/srv/smb.conf", "on the data disk")
    server.put("/etc/smb.conf", "on the root")
    assert read(files).text("/srv/smb.conf") == "on the data disk"
    machine = read(files, "sdc")
    assert machine.text("/srv/smb.conf") == ""
    assert not machine.exists("/srv/smb.conf")
    assert machine.text("/etc/smb.conf") == "on the root"
    assert machine.disks_of("/srv/smb.conf") == ("sdc",), "as in the mount table"
    assert any("sdc, which is in" in note for note in machine.notes)


def test_the_disks_of_a_path(server: Server, files: HostFiles) -> None:
    server.sata(2, "WD-2")
    server.md("md0", 0, ["sdc", "sda1"])
    server.mount("9:0", "/srv", "ext4", "/dev/md0")
    server.at("/data").symlink_to("srv/data")
    server.put("/srv/data/x", "")
    server.mount("0:30", "/srv/ram", "tmpfs", "tmpfs")
    machine = read(files)
    paths = ("/etc/x", "/fast/x", "/srv/x", "/data/x", "/srv/ram/x", "/srvx")
    assert [machine.disks_of(path) for path in paths] == [
        ("sda",),
        (),
        ("sda", "sdc"),
        ("sda", "sdc"),
        (),
        ("sda",),
    ]


@pytest.mark.parametrize(
    ("library", "version"),
    [
        ("/usr/lib/systemd/libsystemd-shared-247.so", 247),
        ("/usr/lib/systemd/libsystemd-shared-257.7-1.so", 257),
        ("/usr/lib/systemd/libsystemd-core-252.so", 0),
    ],
)
def test_the_version_of_systemd(server: Server, files: HostFiles, library: str, version: int) -> None:
    server.at("/usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-252.so").unlink()
    server.put(library, "")
    assert read(files).systemd_version() == version


def test_enabled_units_and_timers(server: Server, files: HostFiles) -> None:
    for name in ("a.timer", "b.timer", "c.timer"):
        server.put(f"/lib/systemd/system/{name}", "[Timer]\nOnCalendar=daily\n")
    server.enable("a.timer", "timers.target")
    server.enable("b.timer", "timers.target")
    server.at("/etc/systemd/system/b.timer").symlink_to("/dev/null")
    server.enable("gone.timer", "timers.target")
    machine = read(files)
    assert machine.enabled_timers() == ("a.timer",)
    assert [machine.enabled(f"{name}.timer") for name in ("a", "b", "c", "gone")] == [
        True,
        False,
        False,
        False,
    ]


def test_a_number_and_the_last_value(server: Server, files: HostFiles) -> None:
    server.put("/proc/sys/vm/a", "-5\n")
    server.put("/proc/sys/vm/b", "5 6\n")
    machine = read(files)
    assert [machine.number(f"/proc/sys/vm/{name}") for name in "abc"] == [-5, None, None]
    assert last({"A.k": ("1", "2")}, "A.k") == "2"
    assert last({"A.k": ()}, "A.k", "3") == "3"


@pytest.mark.parametrize("target", ["/dev/zero", "/dev/null", "pipe"])
def test_nothing_but_regular_files_is_opened(
    server: Server, files: HostFiles, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    """A service may put a link into its directory, and opening some devices has an effect."""
    os.mkfifo(server.root / "pipe")
    server.at("/var/lib/x").symlink_to(server.root / target)
    machine, opened, real = read(files), list[object](), os.open

    def record(path: str, flags: int) -> int:
        if not flags & os.O_PATH:
            opened.append(path)
        return real(path, flags)

    monkeypatch.setattr(os, "open", record)
    assert machine.text("/var/lib/x") == ""
    assert opened == []
    assert any("/var/lib/x" in note for note in machine.notes)
