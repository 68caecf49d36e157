"""What keeps a real machine awake, or cancels its sleep, and how powerd reports it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from rig.lan import Host
from rig.wait import stays, until
from vm.server import Server
from vm.service import ABSENT_AFTER, EVERY, IDLE_FOR, Powerd, config

pytestmark = pytest.mark.vm

WELL_PAST = ABSENT_AFTER + IDLE_FOR + 2 * EVERY
"""Seconds after which it would have slept if it could."""


def test_locks_of_others_and_of_its_own(server: Server, powerd: Powerd, laptop: Host) -> None:
    """A lock of another program prevents sleep until it ends, and so does a request, which takes a lock."""
    laptop.leave()
    lock = ["systemd-inhibit", "--what=sleep", "--who=backup", "--why=nightly copy", "--mode=block"]
    server.run("systemd-run", "--unit=backup", *lock, "sleep", "infinity")
    try:
        until(lambda: server.locks("block"), "the lock is held")
        powerd.start(config(laptop))
        powerd.logs("nightly copy")
        stays(
            lambda: server.monitor.state() == "running",
            "the lock keeps it awake",
            seconds=WELL_PAST,
            every=0.5,
        )
        server.run("powerd", "keep", "1h", "--because", "the tax return")
        (reason,) = (reason for reason in powerd.reasons() if "nightly copy" in reason)
        assert reason.startswith("backup: ")
        until(lambda: forbidden(server) == {"sleep", "shutdown", "idle"}, "it has locks of its own")
        assert all("the tax return" in line for line in own_locks(server))
    finally:
        server.run("systemctl", "stop", "backup")
    until(lambda: not any("nightly copy" in each for each in powerd.reasons()), "the lock is gone")
    powerd.logs("the tax return")
    stays(
        lambda: server.monitor.state() == "running",
        "the request keeps it awake",
        seconds=WELL_PAST,
        every=0.5,
    )
    server.run("powerd", "keep", "--drop", "1")
    until(lambda: server.asleep or not server.locks("block"), "powerd has released its lock")
    until(lambda: server.asleep, "the server is suspended without locks")


def own_locks(server: Server) -> list[str]:
    """powerd's own block locks."""
    return [line for line in server.locks("block") if line.startswith("powerd ")]


def forbidden(server: Server) -> set[str]:
    """The operations that these locks block."""
    return {what for line in own_locks(server) for what in line.split()[5].split(":")}


def test_client_that_drops_pings(server: Server, powerd: Powerd, laptop: Host, firewalled: Host) -> None:
    """A PC with a firewall is present exactly as long as its card answers ARP."""
    powerd.start(config(laptop, firewalled))
    powerd.sees(laptop)
    laptop.leave()
    powerd.sees(firewalled)
    until(lambda: powerd.status()["clients"]["present"] == 1, "the laptop is known to have left")
    stays(lambda: server.monitor.state() == "running", "a client is present", seconds=WELL_PAST, every=0.5)
    assert powerd.status()["clients"]["present"] == 1
    firewalled.leave()
    until(lambda: server.asleep, "the server is suspended without clients")


@pytest.fixture
def alice(server: Server) -> Iterator[Callable[[], str]]:
    """Log in a user whose terminal accepts messages; returns a function for the output of the terminal."""
    shown = "/run/alice"
    server.run("useradd", "--create-home", "alice")
    # As mesg(1) does, which Debian 13 has in another package.
    server.lay("/home/alice/.profile", "chmod g+w $(tty)\n")
    # login(1) of Debian 13 makes a process group of its own, and stops unless it leads the session already.
    login = f"sleep infinity | script --quiet --flush --command 'exec login -f alice' {shown}"
    server.run("systemd-run", "--unit=alice", "sh", "-c", login)
    until(lambda: "alice    + pts/" in server.run("who", "--mesg"), "she has logged in")
    yield lambda: server.run("cat", shown)
    server.run("systemctl", "stop", "alice")


def test_client_that_returns_during_the_warning(
    server: Server, powerd: Powerd, laptop: Host, alice: Callable[[], str]
) -> None:
    """The sleep is cancelled, and wall(1), started by the shipped unit, announces the cancellation."""
    warn = 40  # long enough to come back in
    powerd.start(config(laptop, idle_for=warn, warn=f"{warn}s"))
    powerd.sees(laptop)
    laptop.leave()
    until(lambda: powerd.state() == "warning", "the warning is given", every=0.2)
    laptop.come_back()
    powerd.sees(laptop)
    assert powerd.state() == "awake"
    warned, off = [entry for entry in powerd.journal() if entry.event in {"warning", "phase"}][-2:]
    assert (warned.event, off.event) == ("warning", "phase")
    assert warned.text.startswith("will suspend at")
    assert off.text.startswith(f"awake: {laptop.address}: home")
    until(lambda: "cancelled, this server" in alice(), "the terminal shows the cancellation")
    assert f"in {warn}s" in alice().partition("cancelled")[0]
    stays(lambda: server.monitor.state() == "running", "the sleep is cancelled", seconds=warn, every=0.5)
