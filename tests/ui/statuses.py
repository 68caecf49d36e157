"""Hand-made Status values for tests of views."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from facts import changed, new_snapshot

from powerd.activity.model import Activity, ActivityReport, ActivityRow, CheckId, CheckState
from powerd.core.actions import CompletedAction, WakeTime
from powerd.core.snapshot import Decision, Memory, Phase, PlannedSleep, Reason, Snapshot, SourceId, Status
from powerd.core.time import Moment, Reading, Unavailable
from powerd.presence.model import (
    Client,
    ClientId,
    ClientState,
    ClientStatus,
    EvidenceKind,
    Observation,
    PresenceReport,
    ProbeState,
)

BERLIN = ZoneInfo("Europe/Berlin")
CLIENTS = SourceId("clients")
HOSTILE_NAME = "\x1b]0;owned\x07<script>alert(1)</script>\r\n\u202eevil\u2028"
"""A host name as a hostile DHCP client would choose it."""


def at(seconds: float = 0.0, slept: float = 0.0) -> Moment:
    """``seconds`` after 2026-01-12 21:16:00 in Berlin, a Monday."""
    wall = datetime(2026, 1, 12, 20, 16, tzinfo=UTC) + timedelta(seconds=seconds + slept)
    return Moment(100_000.0 + seconds, slept, wall.astimezone(BERLIN))


NOW = at()


def client(n: int, name: str | None = None, sources: tuple[str, ...] = ("dhcpd.leases",)) -> Client:
    mac = f"02:00:00:00:{n >> 8:02x}:{n & 255:02x}"
    return Client(ClientId(mac), (f"10.0.{n >> 8}.{n & 255}",), mac, name, sources)


def client_status(
    who: Client,
    state: ClientState = ClientState.PRESENT,
    why: str = "answers ping",
    since: Moment | None = None,
) -> ClientStatus:
    here = state is ClientState.PRESENT
    return ClientStatus(
        client=who,
        state=state,
        reason=why,
        since=since or at(-1080),
        last_seen=at(-12) if here else at(-7200),
        evidence=EvidenceKind.ICMP,
        rtt=0.00042 if here else None,
    )


def decision(
    phase: Phase = "awake",
    reasons: tuple[Reason, ...] = (),
    client_statuses: tuple[ClientStatus, ...] = (),
    plan: PlannedSleep | None = None,
) -> Decision:
    return Decision((), reasons, Memory.initial(at(-8040)), 100_060.0, False, phase, plan).with_parts(  # noqa: FBT003 - the fields in their order
        PresenceReport(client_statuses)
    )


def status(
    decided: Decision,
    snapshot: Snapshot | None = None,
    mode: Literal["observe", "enforce"] = "observe",
    since: Moment | None = None,
) -> Status:
    snapshot = snapshot or Snapshot(sources={CLIENTS: Reading(NOW.mono, ())})
    return Status(NOW, mode, snapshot, decided, since or at(-8040))


def family() -> Status:
    """Clients of all states: one is present, some are absent, one is unknown, one is ignored."""
    laptop = client(12, "laptop", ("learned",))
    router = Client(ClientId("10.9.0.5"), ("10.9.0.5",), None, "workshop.lan", ("hosts",))
    client_statuses = (
        client_status(client(10, "anna-phone")),
        replace(
            client_status(client(11, "kitchen-bulb"), since=at(-5 * 86400)),
            evidence=EvidenceKind.ARP,
            always_on=True,
        ),
        client_status(laptop, ClientState.ABSENT, "silent"),
        replace(
            client_status(router, ClientState.UNKNOWN, "its last question could not be asked"), on_link=False
        ),
        replace(client_status(client(13, "printer"), ClientState.PRESENT), blocks_sleep=False),
        replace(client_status(client(14), ClientState.ABSENT, "silent"), last_seen=None, evidence=None),
    )
    reasons = (
        Reason("anna-phone", "is home: answers ping", at(-1080)),
        Reason("kitchen-bulb", "is home: answers ARP", at(-5 * 86400)),
        Reason("workshop.lan", "may be home: its last question could not be asked", at(-60)),
        Reason(
            "kitchen-bulb",
            'is always on; if it is not a personal device, exclude it with ignore = ["02:00:00:00:00:0b"]',
            at(-5 * 86400),
            blocks_sleep=False,
        ),
    )
    warnings = ("/var/lib/dhcp/dhcpd.leases: 3 entries skipped, the first: line 17: no address",)
    snapshot = Snapshot(sources={CLIENTS: Reading(NOW.mono, warnings)})
    return status(decision("awake", reasons, client_statuses), snapshot)


def idle(mode: Literal["observe", "enforce"] = "observe") -> Status:
    """No client is present, and a sleep is planned."""
    plan = PlannedSleep(0, "poweroff", at(4 * 3600 + 58 * 60))
    waits = Reason("sleep rule 1", "waits for its window: 02:00-08:00", at(-600))
    gone = tuple(client_status(client(n, f"host-{n}"), ClientState.ABSENT, "silent") for n in range(10, 14))
    return status(decision("idle", (waits,), gone, plan), mode=mode, since=at(-600))


def with_wake_alarm() -> Status:
    """As idle(), with a wake-up for a timer, on a machine that cannot execute a rule."""
    given = idle("enforce")
    cannot = 'sleep rule 1 will not work: logind answers "na" for suspend'
    reasons = (*given.decision.reasons, Reason("logind", cannot, at(-600), blocks_sleep=False))
    wake = WakeTime(at(9 * 3600 + 12 * 60), "backup.timer")
    snapshot = Snapshot(
        sources={CLIENTS: Reading(NOW.mono, ("odd",)), SourceId("logind"): Reading(NOW.mono, (cannot,))}
    )
    return replace(
        given, decision=changed(given.decision, reasons=reasons, wake_time=wake), snapshot=snapshot
    )


def warning(mode: Literal["observe", "enforce"] = "enforce") -> Status:
    """The announcement has been made."""
    quiet = Reason("sleep rule 1", "nothing keeps the server awake", at(-15))
    output = decision(
        "warning",
        (quiet,),
        idle().decision.part(PresenceReport).client_statuses,
        PlannedSleep(0, "suspend", at(45)),
    )
    return status(output, mode=mode, since=at(-15))


def clients_unavailable() -> Status:
    """The clients cannot be looked at."""
    why = "cannot open a raw socket: Operation not permitted; run as root or give the service CAP_NET_RAW"
    unknown = tuple(client_status(client(n, f"host-{n}"), ClientState.UNKNOWN, why) for n in range(10, 40))
    snapshot = new_snapshot(
        sources={CLIENTS: Unavailable(NOW.mono, why)}, checks={"users": Reading(NOW.mono, None)}
    )
    return status(decision("awake", (Reason("clients", why, at(-30)),), unknown), snapshot)


def many_clients(count: int = 200) -> Status:
    """Very many clients."""
    client_statuses = tuple(
        client_status(
            client(n, f"a-host-with-quite-a-long-name-{n}.example.org"), list(ClientState)[n % 3], "silent"
        )
        for n in range(count)
    )
    return status(decision("awake", (), client_statuses))


def hostile() -> Status:
    """Every text that a stranger can choose is chosen badly."""
    output = client_status(client(66, HOSTILE_NAME, (HOSTILE_NAME,)), ClientState.UNKNOWN, HOSTILE_NAME)
    reasons = (
        Reason(HOSTILE_NAME, HOSTILE_NAME * 3, NOW),
        Reason(HOSTILE_NAME, HOSTILE_NAME, NOW, blocks_sleep=False),
    )
    always = replace(output, client=client(67, HOSTILE_NAME), state=ClientState.PRESENT, always_on=True)
    snapshot = Snapshot(
        sources={
            CLIENTS: Reading(NOW.mono, (HOSTILE_NAME,)),
            SourceId(HOSTILE_NAME): Unavailable(NOW.mono, HOSTILE_NAME),
        }
    )
    return status(decision("awake", reasons, (output, always)), snapshot)


def first_decision() -> Status:
    """The first decision: no readings, and no known clients."""
    output = decision("starting", (Reason("clients", "has not been polled yet", NOW),))
    return status(output, Snapshot(), since=NOW)


def working(mode: Literal["observe", "enforce"] = "enforce") -> Status:
    """Work in progress above and below thresholds, and checks in every state."""
    copy = Activity("sda", "smbd.service writes", True, 4_200_000.0, "B/s", 4000.0, NOW.mono - 600)  # noqa: FBT003 - in their order
    session = Activity("alice", "over SSH from 10.0.0.44, runs rsync since 21:10", keeps_awake=True)
    load = Activity("load", "tasks have waited for the CPU for minutes", False, 1.25, "%", 10)  # noqa: FBT003 - in their order
    rows = (
        ActivityRow(CheckId("disk_io"), copy, CheckState.MEASURED, "", True, at(-600), 0.0012),  # noqa: FBT003 - in their order
        ActivityRow(CheckId("http:jellyfin"), None, CheckState.FAILED, "connection refused", True, took=2.5),  # noqa: FBT003 - in their order
        ActivityRow(CheckId("command:backup"), None, CheckState.DEFERRED, "", False),  # noqa: FBT003 - in their order
        ActivityRow(CheckId("load"), load, CheckState.MEASURED, "", False, took=0.0001),  # noqa: FBT003 - in their order
        ActivityRow(CheckId("nfs"), None, CheckState.FAILED, "permission denied", False),  # noqa: FBT003 - in their order
        ActivityRow(CheckId("samba"), None, None, "has not been polled yet", True),  # noqa: FBT003 - in their order
        ActivityRow(CheckId("sessions"), session, CheckState.MEASURED, "", True),  # noqa: FBT003 - in their order
        ActivityRow(CheckId("storage"), None, CheckState.MEASURED, "", False),  # noqa: FBT003 - in their order
        ActivityRow(CheckId("machines"), None, CheckState.NOT_APPLICABLE, "no machined runs", False),  # noqa: FBT003 - in their order
    )
    reasons = (
        Reason("sda", copy.text, at(-600)),
        Reason("http:jellyfin", "connection refused", at(-60)),
        Reason("samba", "has not been polled yet", at(-60)),
        Reason("alice", session.text, at(-60)),
        Reason("nfs", "permission denied", at(-60), blocks_sleep=False),
    )
    output = decision("awake", reasons, idle().decision.part(PresenceReport).client_statuses)
    return status(output.with_parts(ActivityReport(rows)), mode=mode)


STATUSES = {
    "family": family(),
    "working": working(),
    "idle": idle(),
    "alarmed": with_wake_alarm(),
    "warning": warning(),
    "blind": clients_unavailable(),
    "crowd": many_clients(),
    "evil": hostile(),
    "newborn": first_decision(),
    "none": None,
}


_HOME = Reason("tv", "is home", NOW)
_NO_RULE = Reason(
    "sleep", "no [[sleep]] rule is configured, so the server never sleeps", NOW, blocks_sleep=False
)
OUTLOOKS = {
    "idle": idle(),
    "idle, enforce mode": idle("enforce"),
    "idle, no plan": status(decision("idle")),
    "warning": warning(),
    "warning, observe mode": warning("observe"),
    "warning, overdue": status(decision("warning", (), (), PlannedSleep(0, "suspend", at(-1)))),
    "going down": status(decision("going-down", (Reason("sleep", "about to suspend", NOW),))),
    "one blocker": status(decision("awake", (_HOME,))),
    "two blockers": status(
        decision("awake", (_HOME, _HOME._replace(subject="laptop", text="is home: answers ARP")))
    ),
    "no rule": status(decision("awake", (_HOME, _NO_RULE))),
}
"""What can happen next."""


def make_status(  # noqa: PLR0913 - a Status has as many sides
    phase: Phase = "awake",
    statuses: Iterable[ClientStatus] = (),
    *,
    why: str | None = None,
    mode: Literal["observe", "enforce"] = "enforce",
    result: CompletedAction | None = None,
    reasons: tuple[Reason, ...] = (),
) -> Status:
    """A Status; ``why`` = the clients' source is blind, and that is the reason to be awake."""
    statuses = tuple(statuses)
    source: Reading[tuple[str, ...]] | Unavailable = (
        Unavailable(NOW.mono, why) if why else Reading(NOW.mono, ())
    )
    observations: dict[ClientId, Reading[Observation] | Unavailable] = {
        who.client.id: Reading(
            NOW.mono, Observation(silent_since=1.0 if who.reason.startswith("silent") else None)
        )
        for who in statuses
    }
    if why:
        reasons = (Reason("clients", why, NOW), *reasons)
    elif not reasons:
        reasons = tuple(
            Reason(who.client.label, f"may be home: {who.reason}", NOW)
            for who in statuses
            if who.state is ClientState.UNKNOWN and who.probe is not ProbeState.SKIPPED
        )
    results = {type(result.action): result} if result else {}
    snapshot = new_snapshot(sources={CLIENTS: source}, observations=observations, completed_actions=results)
    memory = changed(Memory.initial(NOW), idle_since=NOW.mono - 1320)
    output = replace(decision(phase, reasons, statuses), memory=memory)
    return status(output, snapshot, mode)
