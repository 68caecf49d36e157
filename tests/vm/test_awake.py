"""What keeps a real machine up, or calls its sleep off, and how powerd says so."""

from __future__ import annotations

import pytest
from rig.lan import Host
from rig.wait import stays, until
from vm.server import Server
from vm.service import ABSENT_AFTER, EVERY, IDLE_FOR, Powerd, config

pytestmark = pytest.mark.vm

WELL_PAST = ABSENT_AFTER + IDLE_FOR + 2 * EVERY
"""Seconds after which it would have slept if it could."""


def test_inhibitor_lock_of_somebody_else(server: Server, powerd: Powerd, laptop: Host) -> None:
    """The lock is named by its holder and reason; once it is given back the server sleeps after all."""
    lock = ["systemd-inhibit", "--what=sleep", "--who=backup", "--why=nightly copy", "--mode=block"]
    server.run("systemd-run", "--unit=backup", *lock, "sleep", "infinity")
    try:
        until(lambda: "nightly copy" in server.run("systemd-inhibit", "--list"), "the lock is held")
        powerd.start(config(laptop))
        powerd.sees(laptop)
        laptop.leave()
        powerd.says("nightly copy")
        (reason,) = (reason for reason in powerd.reasons() if "nightly copy" in reason)
        assert "backup" in reason
        stays(lambda: server.monitor.state() == "running", "the lock is heeded", seconds=EVERY)
    finally:
        server.run("systemctl", "stop", "backup")
    until(lambda: server.asleep, "the server is suspended once the lock is gone", within=120)


def test_client_that_drops_pings(server: Server, powerd: Powerd, laptop: Host, firewalled: Host) -> None:
    """A firewalled PC is there as long as its card answers ARP, and no longer."""
    powerd.start(config(laptop, firewalled))
    powerd.sees(laptop)
    laptop.leave()
    powerd.sees(firewalled)
    stays(lambda: server.monitor.state() == "running", "somebody is there", seconds=WELL_PAST, every=0.5)
    assert powerd.status()["clients"]["present"] == 1
    firewalled.leave()
    until(lambda: server.asleep, "the server is suspended when that one has left too", within=90)


def test_client_that_returns_during_the_warning(server: Server, powerd: Powerd, laptop: Host) -> None:
    warn = 15
    powerd.start(config(laptop, idle_for=warn, warn=f"{warn}s"))
    powerd.sees(laptop)
    laptop.leave()
    until(lambda: powerd.state() == "warning", "the warning is given", within=60, every=0.2)
    laptop.come_back()
    powerd.sees(laptop)
    assert powerd.state() == "awake"
    phases = [entry.text for entry in powerd.journal() if entry.event == "phase"]
    assert phases[-2].startswith("will suspend at")
    assert phases[-1].startswith(f"awake: {laptop.address}: home")
    stays(lambda: server.monitor.state() == "running", "it is called off", seconds=warn, every=0.5)
