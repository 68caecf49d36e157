"""Hand-made pairs of decisions with a transition between them, for tests of the journal."""

from __future__ import annotations

from dataclasses import replace

from facts import changed
from ui.disk_statuses import active, disk_status, standby, unresponsive
from ui.statuses import NOW, at, client, client_status, make_status
from ui.wake_statuses import access, wake, watched

from powerd.attribution.model import Access, AttributionReport
from powerd.core.actions import CancelWarning, CompletedAction, Sleep, WarnUsers
from powerd.core.snapshot import Reason, Status
from powerd.disks.state import DiskState
from powerd.power.model import WakeEvent, WakeStormState, WakeupCause
from powerd.presence.model import ClientState, ClientStatus

PRESENT, ABSENT, UNKNOWN = ClientState.PRESENT, ClientState.ABSENT, ClientState.UNKNOWN
HOME = (Reason("tv", "is home", NOW),)
OFF = Sleep(0, "poweroff")


def person(n: int, state: ClientState = PRESENT, why: str = "answers ping") -> ClientStatus:
    return client_status(client(n, f"host-{n}"), state, why)


def woken(given: Status, waking: WakeEvent | None, seconds: float = 2.0) -> Status:
    """The decision after a night of 8 h; ``waking`` = what is known of it by then."""
    now = at(seconds, slept=8 * 3600)
    memory = replace(given.decision.memory, resumed_at=NOW.mono + 2)
    decision = replace(given.decision, memory=memory)
    return replace(given, now=now, decision=decision, snapshot=changed(given.snapshot, wake_event=waking))


def wake_storm() -> tuple[Status, Status]:
    before = make_status("idle")
    empty = tuple((NOW.mono - n, WakeupCause.NETWORK) for n in (1200.0, 600.0, 0.0))
    storm = WakeStormState(unneeded_wakeups=empty, stay_up_until=NOW.mono + 3600, stay_up_for=3600.0)
    memory = changed(before.decision.memory, wake_storm=storm)
    return before, replace(before, decision=replace(before.decision, memory=memory))


def _result(action: Sleep | WarnUsers | CancelWarning, *, ok: bool, message: str) -> tuple[Status, Status]:
    completed = CompletedAction(action, NOW.mono, ok=ok, message=message, started_at=NOW.mono)
    return make_status("idle"), make_status("idle", result=completed)


def wake_status(by: Access, explanation: str = "") -> Status:
    return watched(AttributionReport({by.disk: (wake(60.0, by, explanation),)}))


TRANSITIONS: dict[str, tuple[Status, ...]] = {
    "idle without a plan": (make_status("awake"), make_status("idle")),
    "two blockers": (make_status("idle"), make_status("awake", reasons=(*HOME, *HOME))),
    "unknown client": (
        make_status(statuses=[person(1)]),
        make_status(statuses=[person(1, UNKNOWN, "no route")]),
    ),
    "many clients": (make_status(), make_status(statuses=[person(n) for n in range(30)])),
    "failed source": (make_status(), make_status(why="no socket")),
    "available source": (make_status(why="no socket"), make_status()),
    "slept": _result(OFF, ok=True, message="would have powered off"),
    "not slept": _result(OFF, ok=False, message="somebody inhibits it"),
    "not announced": _result(WarnUsers(0, "poweroff", 60), ok=False, message="no terminal"),
    "not called off": _result(CancelWarning(0, "poweroff", ""), ok=False, message="no terminal"),
    **{
        f"woken: {cause}": (
            make_status("idle"),
            woken(make_status("idle"), WakeEvent(NOW.mono, cause, detail)),
        )
        for cause, detail in zip(WakeupCause, ("the alarm was for backup.timer", "", "", ""), strict=True)
    },
    "disk in sleep mode": (
        disk_status(standby()),
        disk_status(standby()._replace(state=DiskState.SLEEPING, last_spin_up=at(-60), since=NOW)),
    ),
    "disk answers again": (disk_status(unresponsive()), disk_status(active("sdc"))),
    "disk without a method": (
        disk_status(active()),
        disk_status(active()._replace(state=DiskState.UNSUPPORTED, reason="cannot be spun down: refused")),
    ),
    "wake storm": wake_storm(),
    "woken disk": (watched(AttributionReport()), wake_status(access(path="/var/spool/cron/crontabs"))),
    "woken disk, likely": (
        watched(AttributionReport()),
        wake_status(access(operation="write", certainty="likely"), "two others have changed files as well"),
    ),
}
"""Rounds of decisions; the entries of the last one are in golden/transitions.txt."""
