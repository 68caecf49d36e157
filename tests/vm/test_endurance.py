"""Ten sleeps in a row, requested by powerd and by others: no process, file or memory is left over."""

from __future__ import annotations

from itertools import pairwise
from typing import Final, NamedTuple

import pytest
from rig.lan import Host
from rig.wait import until
from vm.server import Server
from vm.service import Powerd, config

pytestmark = pytest.mark.vm

IN_VAIN: Final = 3
"""Consecutive wake-ups without a client that make a storm (powerd/power/wake_storm.py, MANY)."""
ASKED: Final = "25s"
"""after_resume; the test queries the server meanwhile."""
GROWTH: Final = 96
"""KiB of memory that a night of one kind may cost at least: what leaks does so on each. Seen of four of
powerd's own: 72, 60, 40, 44, then 84, 76, 52, 64 and 88, 76, 68, 64, as Python's heap fills up; of a hundred
nights the last ten cost 8."""
HUGE_PAGES: Final = "/sys/kernel/mm/transparent_hugepage/enabled"
"""They come in steps of 2 MiB, whenever the kernel finds some; without them memory can be compared."""


class Holdings(NamedTuple):
    """What a daemon may leave over."""

    files: str
    locks: str
    alarm: int | None
    children: str


def holdings(server: Server, pid: int) -> Holdings:
    """What the daemon holds: the least of three counts, because sweeps and responses take sockets."""
    listing = f"readlink /proc/{pid}/fd/* | sed 's/[0-9]*//g' | sort"
    files = min((server.run("sh", "-c", listing) for _ in range(3)), key=len)
    locks = server.run("systemd-inhibit", "--list", "--no-legend")
    children = server.run("cat", f"/proc/{pid}/task/{pid}/children")
    return Holdings(files, locks, server.alarm(), children)


def cleared_up(held: Holdings) -> bool:
    """Whether no hook runs and no alarm is set."""
    return (held.alarm, held.children) == (None, "")


def memory(server: Server, pid: int) -> int:
    """Its private dirty memory in KiB (proc_pid_smaps(5))."""
    shown = server.run("cat", f"/proc/{pid}/smaps_rollup").splitlines()
    return next(int(line.split()[1]) for line in shown if line.startswith("Private_Dirty:"))


class Household:
    """The server and its one client; each sleep has an alarm and both hooks.

    Attributes:
        nights: the number of sleeps.
        used: the daemon's memory after each sleep, in KiB.
    """

    def __init__(self, server: Server, powerd: Powerd, laptop: Host) -> None:
        self._server = server
        self._powerd = powerd
        self._laptop = laptop
        morning = server.run("date", "--date=+9 hours", "+%H:%M")
        hooks = 'before_sleep = ["/bin/true"]\nafter_wake = ["/bin/true"]'
        powerd.start(
            config(
                laptop,
                wake=f'at = ["{morning}"]',
                hooks=hooks,
                absent_after=1,
                idle_for=1,
                after_resume=ASKED,
            )
        )
        powerd.sees(laptop)
        self.nights = 0
        self.used: list[int] = []

    def one_night_out(self) -> None:
        """powerd puts the server to sleep; the client is present when the button wakes it."""
        self._laptop.leave()
        self._evening()
        self._laptop.come_back()
        self._morning()
        self._over()
        self._powerd.sees(self._laptop)

    def all_leave(self, nights: int) -> None:
        """powerd puts the server to sleep repeatedly; no client is present when the button wakes it."""
        self._laptop.leave()
        for _ in range(nights):
            self._evening()
            self._morning()

    def somebody_suspends_it(self, nights: int) -> None:
        """Suspend the server by hand, repeatedly, while the client is present."""
        for _ in range(nights):
            self._powerd.ready()
            self._server.suspend()
            self._morning()
            self._over()
        self._powerd.sees(self._laptop)

    def woken(self) -> int:
        """The number of wake-ups in powerd's journal."""
        return sum(entry.event == "woke" for entry in self._powerd.turns())

    def all_come_back(self) -> None:
        """Switch the client on, and wait until powerd sees it."""
        self._laptop.come_back()
        self._powerd.sees(self._laptop)

    def _evening(self) -> None:
        until(lambda: self._server.asleep, f"sleep {self.nights + 1} has begun")

    def _morning(self) -> None:
        self._server.wake()
        self.nights += 1
        self.used.append(memory(self._server, self._powerd.pid()))

    def _over(self) -> None:
        until(lambda: self.woken() == self.nights, "powerd has reported the wake-up", every=0.5)


def test_ten_sleeps(server: Server, powerd: Powerd, laptop: Host) -> None:
    server.run("sh", "-c", f"echo never >{HUGE_PAGES}")
    household = Household(server, powerd, laptop)
    pid = powerd.pid()
    household.one_night_out()
    household.somebody_suspends_it(nights=1)
    powerd.ready()
    until(lambda: cleared_up(holdings(server, pid)), "no hook runs and no alarm is set")
    held = holdings(server, pid)  # after one sleep of each kind, so all modules have been imported
    first = household.nights - 1
    household.all_leave(nights=IN_VAIN + 1)
    powerd.logs(f"woken {IN_VAIN} times within 1h by a button, and no client was present")
    household.all_come_back()
    own, last = household.used[first:], household.nights - 1
    household.somebody_suspends_it(nights=4)
    others = household.used[last:]
    assert household.woken() == household.nights == 10
    assert powerd.status()["error"] is None
    assert (powerd.pid(), powerd.restarts()) == (pid, 0)
    until(lambda: holdings(server, pid) == held, "it holds the same resources as before", every=1)
    assert cleared_up(held)
    for kind, used in (("its own", own), ("others'", others)):
        growth = [after - before for before, after in pairwise(used)]
        assert min(growth) < GROWTH, f"memory leaks on each of {kind} sleeps: {growth}"
