"""When the last client has left, a real machine suspends or powers off."""

from __future__ import annotations

import time

import pytest
from rig.lan import Host
from rig.wait import stays, until
from vm.server import STALL, Server
from vm.service import EVERY, JournalEntry, Powerd, config

pytestmark = pytest.mark.vm

ABSENT_AFTER = 6
IDLE_FOR = 8
WARN = 4
SLACK = 1.0
"""Seconds; a probe may have been in flight when the client left."""
LOOK = 10.0
"""Seconds that the polls at the end of the warning may take on a slow machine; measured: 5.5."""


def on_time(entries: list[JournalEntry], host: Host, verb: str) -> None:
    """Assert that it happened when it was due, or at most one sweep later, by the server's own clock."""
    gone, announced, accepted = (
        at(entries, words) for words in (f"{host.address} is absent", f"will {verb} at", "logind accepted: ")
    )
    assert IDLE_FOR - WARN - SLACK <= announced - gone <= IDLE_FOR - WARN + EVERY + SLACK + STALL
    assert accepted - gone >= IDLE_FOR - SLACK
    assert accepted - announced <= WARN + LOOK + STALL
    assert any("about to " in entry.text and "by sleep rule 1" in entry.text for entry in entries)


def at(entries: list[JournalEntry], words: str) -> float:
    """The time of the last such line in the journal."""
    return max(entry.at for entry in entries if words in entry.text)


def test_suspends_again_and_again_but_not_soon_after_a_wake_up(
    server: Server, powerd: Powerd, laptop: Host
) -> None:
    after_resume = 59
    powerd.start(
        config(
            laptop,
            absent_after=ABSENT_AFTER,
            idle_for=IDLE_FOR,
            warn=f"{WARN}s",
            after_resume=f"{after_resume}s",
        )
    )
    powerd.sees(laptop)
    left = time.monotonic()
    laptop.leave()
    until(lambda: server.asleep, "the server is suspended")
    assert time.monotonic() - left >= ABSENT_AFTER + IDLE_FOR - SLACK
    stays(lambda: server.asleep, "it sleeps on", seconds=3)

    woken = time.monotonic()
    server.wake()
    powerd.logs(f"waits until {after_resume}s after the wake-up")
    until(lambda: len(powerd.turns()) > 2, "the wake-up is reported", every=0.5)
    entries = powerd.journal()
    assert [entry.event for entry in powerd.turns()] == ["warning", "going-down", "woke"]
    on_time(entries, laptop, "suspend")
    until(lambda: server.asleep, "the server is suspended again")
    assert time.monotonic() - woken >= after_resume - SLACK


def test_powers_off(server: Server, powerd: Powerd, laptop: Host) -> None:
    """As user powerd, over D-Bus, logind and polkit, until the machine is off."""
    server.show_journal_on_console()
    powerd.start(
        config(laptop, action="poweroff", absent_after=ABSENT_AFTER, idle_for=IDLE_FOR, warn=f"{WARN}s")
    )
    powerd.sees(laptop)
    left = time.monotonic()
    laptop.leave()
    until(lambda: not server.on, "the server is off", within=300)
    assert time.monotonic() - left >= ABSENT_AFTER + IDLE_FOR - SLACK
    assert server.process is not None
    assert server.process.returncode == 0
    assert "reboot: Power down" in server.console()
    on_time(powerd.console_entries(), laptop, "power off")
