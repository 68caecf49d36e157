"""Builds Statuses for the record: what a server does from one decision to the next."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from facts import changed, new_snapshot
from ui.statuses import client, client_status

from powerd.core.actions import Action, CompletedAction, Mode
from powerd.core.snapshot import Decision, Memory, Phase, Reason, Status
from powerd.core.time import Moment
from powerd.disks.model import Disk, DiskId, Mount
from powerd.disks.state import DiskReport, DisksReport, DiskState
from powerd.power.model import SleepMemory, TransitionFacts
from powerd.presence.model import ClientState, PresenceReport

BEGIN: Final = datetime(2026, 6, 1, 12, tzinfo=UTC).timestamp()
PHONE: Final = client(1, "phone")


def moment(seconds: float, slept: float = 0.0) -> Moment:
    """``seconds`` awake and ``slept`` asleep after BEGIN, at which CLOCK_MONOTONIC was 1000."""
    return Moment(1000.0 + seconds, slept, datetime.fromtimestamp(BEGIN + seconds + slept, UTC))


def status(  # noqa: PLR0913 - the parts of a decision, by name
    at: float,
    phase: Phase = "idle",
    *,
    slept: float = 0.0,
    mode: Mode = "enforce",
    phone: ClientState = ClientState.ABSENT,
    blockers: tuple[tuple[str, str, bool], ...] = (),
    done: tuple[Action, ...] = (),
    failed: str = "",
    done_at: float | None = None,
    facts: TransitionFacts | None = None,
    disks: tuple[DiskReport, ...] = (),
    **sleep_memory: Any,  # noqa: ANN401 - of the fields of SleepMemory
) -> Status:
    """A decision.

    Args:
        at, slept: of its Moment.
        phase, mode: of it.
        phone: the state of the only client, which is a blocker if it is present.
        blockers: others: subject, text, and whether they are confirmed.
        done, failed, done_at: completed actions of the server, the error of all of them, and when.
        facts, disks, sleep_memory: further parts.
    """
    now = moment(at, slept)
    known = replace(client_status(PHONE, phone, since=now), last_seen=moment(at - 60, slept))
    if phone is ClientState.PRESENT:
        blockers = (("phone", "home, answers ping", True), *blockers)
    ended_at = now.mono if done_at is None else 1000.0 + done_at
    snapshot = changed(
        new_snapshot(),
        completed_actions={
            n: CompletedAction(each, ended_at, not failed, failed, ended_at) for n, each in enumerate(done)
        },
    )
    if facts is not None:
        snapshot = snapshot.with_parts(facts)
    idle = {} if phase in {"awake", "starting"} else {"idle_since": now.mono - 600}
    decision = Decision(
        (),
        tuple(Reason(subject, text, now, confirmed=confirmed) for subject, text, confirmed in blockers),
        Memory.initial(moment(-3600)).with_parts(SleepMemory(**{**idle, **sleep_memory})),
        now.mono + 60,
        needs_fresh_readings=False,
        phase=phase,
        planned_sleep=None,
    )
    decision = decision.with_parts(PresenceReport((known,)), DisksReport(disks))
    return Status(now, mode, snapshot, decision, now)


def disk_holding(directory: str, state: DiskState, **about: Any) -> DiskReport:  # noqa: ANN401 - of DiskReport
    """The disk that a directory is on."""
    disk = Disk(DiskId("ata-WD-1"), "sda", mounts=(Mount(directory, "ext4"),))
    return DiskReport(disk, state, moment(0), spin_down_after=1200.0, **about)
