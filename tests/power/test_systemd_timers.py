"""systemd's manager is a mock on a bus of our own; tests/contrib/test_logind_live.py asks a real one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from linux.private_bus import PrivateBus

from powerd.linux.values import HostError
from powerd.power.logind import LogindClient
from powerd.power.model import SystemdTimer
from powerd.power.systemd_timers import parse_timer

pytestmark = pytest.mark.process

NEVER = 2**64 - 1
BACKUP = {"NextElapseUSecRealtime": 1_774_000_000_500_000, "NextElapseUSecMonotonic": 0, "WakeSystem": True}
SCRUB = {"NextElapseUSecRealtime": 0, "NextElapseUSecMonotonic": 7_200_000_000, "WakeSystem": True}
TIDY = {"NextElapseUSecRealtime": NEVER, "NextElapseUSecMonotonic": NEVER, "WakeSystem": False}


def timers(*units: str) -> Sequence[SystemdTimer]:
    async def ask() -> Sequence[SystemdTimer]:
        logind = LogindClient()
        try:
            return await logind.list_timers(units)
        finally:
            logind.close()

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("shown", "wall", "mono"),
    [
        (BACKUP, 1_774_000_000.5, None),
        (SCRUB, None, 7200.0),
        (TIDY, None, None),
        ({"NextElapseUSecRealtime": 5_000_000, "NextElapseUSecMonotonic": 6_000_000}, 5.0, 6.0),
        ({"WakeSystem": True}, None, None),
    ],
)
def test_both_clocks_are_read_and_never_is_none(
    shown: dict[str, int], wall: float | None, mono: float | None
) -> None:
    pauses = "WakeSystem" not in shown or not shown["WakeSystem"]
    assert parse_timer("a.timer", shown) == SystemdTimer("a.timer", wall, mono, pauses)


def test_named_timers_are_reported_even_without_wake_system(bus: PrivateBus) -> None:
    bus.systemd(backup=BACKUP, tidy=TIDY)
    assert timers("tidy.timer", "backup.timer") == (
        SystemdTimer("tidy.timer", pauses_in_sleep=True),
        SystemdTimer("backup.timer", wall=1_774_000_000.5),
    )


def test_auto_is_all_that_wake_the_machine(bus: PrivateBus) -> None:
    bus.systemd(backup=BACKUP, scrub=SCRUB, tidy=TIDY)
    assert timers("auto") == (
        SystemdTimer("backup.timer", wall=1_774_000_000.5),
        SystemdTimer("scrub.timer", mono=7200.0),
    )
    named_too = timers("tidy.timer", "scrub.timer", "auto")
    assert [each.unit for each in named_too] == ["tidy.timer", "scrub.timer", "backup.timer"]


def test_one_that_does_not_exist_is_a_sentence_with_the_remedy(bus: PrivateBus) -> None:
    bus.systemd(backup=BACKUP)
    with pytest.raises(HostError) as error:
        timers("backup.timer", "bakcup.timer")
    assert "`systemctl list-timers --all`" in str(error.value)


@pytest.mark.usefixtures("bus")
def test_without_systemd_auto_is_none_and_a_named_one_cannot_be_seen() -> None:
    assert timers("auto") == ()
    assert timers() == ()
    with pytest.raises(HostError, match=r"backup\.timer: systemd is not running"):
        timers("auto", "backup.timer")


def test_without_a_bus_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/nothing")
    assert timers("auto") == ()
    with pytest.raises(HostError, match=r"backup\.timer: .*D-Bus"):
        timers("backup.timer")
