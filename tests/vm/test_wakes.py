"""What spins up the drive of a default Debian, how the doctor's fixes stop it, and that powerd does not.

The Debian runs in a container with its root file system on a virtual drive. powerd and its helper run from
that file system too, as on a server with a single disk.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from typing import Any, Final

import pytest
from rig.daemon import NO_CHECKS
from rig.wait import until
from vm.container import ROOT, Container
from vm.drives import Drive, Drives
from vm.drives_watch import config, states
from vm.lab import Lab
from vm.server import Server
from vm.service import Powerd

pytestmark = pytest.mark.vm

AFTER: Final = 10
MINUTE: Final = 62.0
"""Seconds in which each timer of the Debian comes once, as they are shortened."""
HOUR: Final = 3700.0
"""Seconds in which each does as it is: cron.hourly is the rarest."""
QUIET: Final = HOUR if int(os.environ.get("POWERD_VM_QUIET", "0")) >= 3600 else MINUTE
ROUNDS: Final = 20
"""Seconds of powerd's rounds after everything has been evicted; each does the same."""
FROM_THE_DRIVE: Final = f"""\
[Service]
RootDirectory={ROOT}
BindPaths=/run
BindReadOnlyPaths=/etc/passwd /etc/group /etc/machine-id /etc/powerd
"""
"""The configuration is the server's, which the test can change without the drive."""
TRACES: Final = "/sys/kernel/tracing/instances"
OWN_FILES: Final = f"{ROOT}/opt/powerd/lib {ROOT}/usr/lib/python3* {ROOT}/usr/sbin/hdparm"
"""Read before powerd starts: a drive that is plainly busy is traced only after five quiet minutes."""
OWN_UNITS: Final = ("powerd", "powerd-helper")
EVICT: Final = """\
for group in system.slice machine.slice; do echo 1G >/sys/fs/cgroup/$group/memory.reclaim; done 2>/dev/null
echo 3 >/proc/sys/vm/drop_caches
"""
"""Mapped pages too: the kernel's answer to a lack of memory, which drop_caches is not."""
CHANGE: Final = """\
import sys
from powerd.__main__ import main
sys.exit(max(main(["doctor", sys.argv[1], name]) for name in sys.argv[2:]))
"""
"""Several calls of the command line, whose start takes three seconds here."""


@pytest.fixture(scope="module")
def server(lab: Lab) -> Iterator[Server]:
    """The server, on which one daemon runs during all tests of this file."""
    yield lab.server()
    lab.tidy()


@pytest.fixture(scope="module")
def debian(server: Server, drives: Drives) -> Iterator[Container]:
    container = Container(server, drives, shortened=QUIET == MINUTE)
    try:
        container.boot()
        yield container
    finally:
        container.remove()


@pytest.fixture(scope="module")
def powerd(server: Server, debian: Container) -> Iterator[Powerd]:
    """powerd runs from the drive. The disk of the journal is not managed, unless a rule names it."""
    powerd = Powerd(server)
    with contextlib.ExitStack() as stack:
        for unit in OWN_UNITS:
            place = f"/etc/systemd/system/{unit}.service.d/drive.conf"
            server.lay(place, FROM_THE_DRIVE)
            stack.callback(server.run, "rm", place)
        server.run("mkdir", "--parents", f"{ROOT}/var/lib/powerd", f"{ROOT}/etc/powerd", "/var/lib/powerd")
        server.run("mount", "--bind", f"{ROOT}/var/lib/powerd", "/var/lib/powerd")
        stack.callback(server.run, "umount", "/var/lib/powerd")
        text = config(AFTER, rules={debian.drive: f'spin_down_after = "{AFTER}s"'})
        server.lay(f"{ROOT}/etc/powerd/powerd.toml", text)  # for the doctor
        server.run("systemctl", "daemon-reload")
        server.run("sh", "-c", f"find {OWN_FILES} -type f -exec cat {{}} + >/dev/null")
        powerd.start(f"{text}\n{NO_CHECKS}")
        yield powerd
        powerd.stop()
        server.run("systemctl", "stop", *OWN_UNITS)
    server.run("systemctl", "daemon-reload")


def rows(powerd: Powerd, path: str) -> list[dict[str, Any]]:
    """The list that an API path returns."""
    return list(json.loads(powerd.get(path) or "[]"))


def test_who_wakes_it_is_named(server: Server, powerd: Powerd, debian: Container) -> None:
    """All timers elapse at the same moment; the first service spins up the drive."""
    until(lambda: "powerd-disks" in server.run("ls", TRACES), "the drive is traced", every=0.5)
    powerd.get("/")  # the first request loads the web server from the drive
    with debian.frozen():
        frozen = server.monotonic()
        server.run("sync")
        until(lambda: states(server, debian.drive) == ["standby"], "powerd has spun it down", 300, every=0.5)
        until(lambda: server.monotonic() > frozen + MINUTE, "a minute has passed", every=1)
        before = len(rows(powerd, "/api/wakes"))
    woken = until(
        lambda: rows(powerd, "/api/wakes")[: -before or None],
        "the wake has a culprit",
        within=300,
        every=1,
        accept=lambda rows: rows and rows[0]["unit"],
    )
    (wake,) = woken
    assert (wake["disk"], wake["how"], wake["own"]) == (debian.drive.id, "trace", False)
    assert wake["owner"] == "container debian"
    expected = {"systemd-timesyncd.service"} | ({"rsyslog.service"} if QUIET == MINUTE else set())
    until(lambda: expected <= users_of_the_drive(powerd), "all of them are named", within=600, every=1)
    assert wake["unit"] in users_of_the_drive(powerd)


def users_of_the_drive(powerd: Powerd) -> set[str]:
    """The units of the container that have used the drive."""
    return {row["unit"] for row in rows(powerd, "/api/accesses") if row["owner"] == "container debian"}


def test_the_doctor_s_fixes_let_it_sleep(server: Server, powerd: Powerd, debian: Container) -> None:
    """Only fixes are applied, and nothing that is to be done by hand, so cron and postfix run as before."""
    before = debian.configuration()
    found = until(lambda: examine(debian), "the drive spins, so the doctor reads it", within=300)
    names = [finding["id"] for finding in found if finding["fixable"]]
    assert {"cron_log", "journald", "noatime", "rsyslog", "timesyncd", "tmpfiles_clean"} <= set(names)
    debian.run("/opt/powerd/bin/python3", "-c", CHANGE, "--fix", *names)
    server.run("sync")
    until(
        lambda: asleep_for(server, debian.drive) > QUIET,
        "each timer has come, and none has woken it",
        within=QUIET * 2 + 600,
        every=1,
    )
    down = server.monotonic() - asleep_for(server, debian.drive)
    helper = ("systemctl", "is-active", "powerd-helper")
    until(lambda: server.run(*helper, check=False) != "active", "the helper has ended", every=1)
    with debian.frozen():
        evicted_powerd_lets_it_sleep(server, powerd, debian.drive)
    ran = debian.run("journalctl", "--output=short-monotonic", "--unit=cron")
    jobs = [line for line in ran.splitlines() if "session closed for user root" in line]
    assert any(float(line[1:].split("]")[0]) > down for line in jobs), "cron has run the hourly job"
    debian.run("/opt/powerd/bin/python3", "-c", CHANGE, "--undo", *names)
    assert debian.configuration() == before


def examine(debian: Container) -> list[dict[str, Any]]:
    """The doctor's diagnoses; none while powerd reports the drive in standby."""
    found: dict[str, Any] = json.loads(debian.run("powerd", "doctor", "--json", check=False))
    return list(found["findings"])


def asleep_for(server: Server, drive: Drive) -> float:
    """Seconds since the drive's last spin-down, by its own log."""
    return server.monotonic() - drive.log("spun down")[-1].at if drive.rests() else 0.0


def evicted_powerd_lets_it_sleep(server: Server, powerd: Powerd, drive: Drive) -> None:
    """Polls, page and API read nothing from the drive, although the page cache has been dropped.

    They have been used before, so the web server is loaded. Starting a program would read it from the drive.
    """
    before = drive.state()
    assert before.power == "standby"
    server.run("sh", "-c", EVICT)
    time.sleep(ROUNDS)
    assert "<html" in powerd.get("/")
    assert powerd.status()["state"]
    after = drive.state()
    assert (after.starts, after.reads) == (before.starts, before.reads)
    assert drive.rests()
