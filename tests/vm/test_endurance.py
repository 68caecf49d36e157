"""Ten nights in a row: nothing is left behind, and the eleventh would go as the first."""

from __future__ import annotations

from typing import Final, NamedTuple

import pytest
from rig.lan import Host
from rig.wait import stays, until
from vm.server import Server
from vm.service import Powerd, config

pytestmark = pytest.mark.vm

NIGHTS: Final = 10
SETTLED: Final = 3
"""After so many nights everything has been imported and each cache is full."""
GROWTH: Final = 256
"""KiB of memory that seven nights may cost: less than a night would if it left anything behind."""


class Holdings(NamedTuple):
    """What a daemon could leave behind."""

    files: str
    locks: str
    alarm: str


def holdings(server: Server, pid: int) -> Holdings:
    """What it holds for good: the fewest of three looks, for sweeps and answers take sockets meanwhile."""
    listing = f"readlink /proc/{pid}/fd/* | sed 's/[0-9]*//g' | sort"
    files = min((server.run("sh", "-c", listing) for _ in range(3)), key=len)
    locks = server.run("systemd-inhibit", "--list", "--no-legend")
    return Holdings(files, locks, server.run("cat", "/sys/class/rtc/rtc0/wakealarm"))


def memory(server: Server, pid: int) -> int:
    """Resident and private, KiB (proc_pid_smaps(5))."""
    shown = server.run("cat", f"/proc/{pid}/smaps_rollup").splitlines()
    return sum(int(line.split()[1]) for line in shown if line.startswith("Private_"))


def spend_nights(server: Server, powerd: Powerd, laptop: Host, nights: int) -> None:
    """The client leaves, the server sleeps so many times, and the client is home again."""
    laptop.leave()
    for night in range(1, nights + 1):
        until(lambda: server.asleep, f"night {night} has come", within=60)
        stays(lambda: server.asleep, "it sleeps on", seconds=2)
        server.wake()
    laptop.come_back()
    powerd.sees(laptop)


def test_ten_nights(server: Server, powerd: Powerd, laptop: Host) -> None:
    powerd.start(config(laptop, absent_after=1, idle_for=1))
    powerd.sees(laptop)
    pid = powerd.pid()
    spend_nights(server, powerd, laptop, SETTLED)
    held, used = holdings(server, pid), memory(server, pid)
    spend_nights(server, powerd, laptop, NIGHTS - SETTLED)
    assert powerd.status()["trouble"] is None
    assert (powerd.pid(), powerd.restarts()) == (pid, 0)
    assert holdings(server, pid) == held
    assert held.alarm == ""
    assert memory(server, pid) - used < GROWTH
