"""Hand-made Status values: what the faces are given, without the house that makes it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from powerd.model import (
    Blind,
    Client,
    ClientId,
    Decision,
    How,
    Memory,
    Moment,
    Outcome,
    Phase,
    Plan,
    Reason,
    Seen,
    Sighting,
    Snapshot,
    SourceId,
    State,
    Status,
    Verdict,
    Wake,
)

BERLIN = ZoneInfo("Europe/Berlin")
CLIENTS = SourceId("clients")
EVIL = "\x1b]0;owned\x07<script>alert(1)</script>\r\n\u202eevil\u2028"
"""A host name as a hostile DHCP client would choose it."""


def at(seconds: float = 0.0, slept: float = 0.0) -> Moment:
    """``seconds`` after 2026-01-12 21:16:00 in Berlin, a Monday."""
    wall = datetime(2026, 1, 12, 20, 16, tzinfo=UTC) + timedelta(seconds=seconds + slept)
    return Moment(100_000.0 + seconds, slept, wall.astimezone(BERLIN))


NOW = at()


def client(n: int, name: str | None = None, sources: tuple[str, ...] = ("dhcpd.leases",)) -> Client:
    mac = f"02:00:00:00:{n >> 8:02x}:{n & 255:02x}"
    return Client(ClientId(mac), (f"10.0.{n >> 8}.{n & 255}",), mac, name, sources)


def verdict(
    who: Client, state: State = State.PRESENT, why: str = "answers ping", since: Moment | None = None
) -> Verdict:
    here = state is State.PRESENT
    return Verdict(
        client=who,
        state=state,
        why=why,
        since=since or at(-1080),
        heard=at(-12) if here else at(-7200),
        how=How.ICMP,
        rtt=0.00042 if here else None,
    )


def decision(
    phase: Phase = "awake",
    reasons: tuple[Reason, ...] = (),
    verdicts: tuple[Verdict, ...] = (),
    plan: Plan | None = None,
) -> Decision:
    return Decision((), reasons, Memory.newborn(at(-8040)), 100_060.0, False, phase, plan, verdicts)  # noqa: FBT003 - the fields in their order


def status(
    said: Decision,
    snapshot: Snapshot | None = None,
    mode: Literal["observe", "enforce"] = "observe",
    since: Moment | None = None,
) -> Status:
    snapshot = snapshot or Snapshot(sources={CLIENTS: Seen(NOW.mono, ())})
    return Status(NOW, mode, snapshot, said, since or at(-8040))


def family() -> Status:
    """An ordinary evening: somebody is home, some are not, one cannot be told, one never counts."""
    laptop = client(12, "laptop", ("learned",))
    router = Client(ClientId("10.9.0.5"), ("10.9.0.5",), None, "workshop.lan", ("hosts",))
    verdicts = (
        verdict(client(10, "anna-phone")),
        replace(verdict(client(11, "kitchen-bulb"), since=at(-5 * 86400)), how=How.ARP, always_on=True),
        verdict(laptop, State.ABSENT, "silent"),
        replace(verdict(router, State.UNKNOWN, "its last question could not be asked"), on_link=False),
        replace(verdict(client(13, "printer"), State.PRESENT), keeps_awake=False),
        replace(verdict(client(14), State.ABSENT, "silent"), heard=None, how=None),
    )
    reasons = (
        Reason("anna-phone", "is home: answers ping", at(-1080)),
        Reason("kitchen-bulb", "is home: answers ARP", at(-5 * 86400)),
        Reason("workshop.lan", "may be home: its last question could not be asked", at(-60)),
        Reason(
            "kitchen-bulb",
            'is always on; if it is nobody\'s own, stop counting it with ignore = ["02:00:00:00:00:0b"]',
            at(-5 * 86400),
            keeps_awake=False,
        ),
    )
    warnings = ("/var/lib/dhcp/dhcpd.leases: 3 entries skipped, the first: line 17: no address",)
    snapshot = Snapshot(sources={CLIENTS: Seen(NOW.mono, warnings)})
    return status(decision("awake", reasons, verdicts), snapshot)


def idle(mode: Literal["observe", "enforce"] = "observe") -> Status:
    """Nobody is there, and a rule is in sight."""
    plan = Plan(0, "poweroff", at(4 * 3600 + 58 * 60))
    waits = Reason("sleep rule 1", "waits for its window: 02:00-08:00", at(-600))
    gone = tuple(verdict(client(n, f"host-{n}"), State.ABSENT, "silent") for n in range(10, 14))
    return status(decision("idle", (waits,), gone, plan), mode=mode, since=at(-600))


def alarmed() -> Status:
    """The same, to be woken for a timer, on a machine that cannot do what a rule says."""
    given = idle("enforce")
    cannot = 'sleep rule 1 will not work: logind answers "na" for suspend'
    reasons = (*given.decision.reasons, Reason("logind", cannot, at(-600), keeps_awake=False))
    wake = Wake(at(9 * 3600 + 12 * 60), "backup.timer")
    snapshot = Snapshot(
        sources={CLIENTS: Seen(NOW.mono, ("odd",)), SourceId("logind"): Seen(NOW.mono, (cannot,))}
    )
    return replace(given, decision=replace(given.decision, reasons=reasons, wake=wake), snapshot=snapshot)


def warning(mode: Literal["observe", "enforce"] = "enforce") -> Status:
    """The announcement has been made."""
    quiet = Reason("sleep rule 1", "nothing keeps the server awake any more", at(-15))
    said = decision("warning", (quiet,), idle().decision.verdicts, Plan(0, "suspend", at(45)))
    return status(said, mode=mode, since=at(-15))


def blind() -> Status:
    """The clients cannot be looked at."""
    why = "cannot open a raw socket: Operation not permitted; run as root or give the service CAP_NET_RAW"
    unknown = tuple(verdict(client(n, f"host-{n}"), State.UNKNOWN, why) for n in range(10, 40))
    snapshot = Snapshot(sources={CLIENTS: Blind(NOW.mono, why)}, checks={"users": Seen(NOW.mono, None)})
    return status(decision("awake", (Reason("clients", why, at(-30)),), unknown), snapshot)


def crowd(count: int = 200) -> Status:
    """Very many clients."""
    verdicts = tuple(
        verdict(client(n, f"a-host-with-quite-a-long-name-{n}.example.org"), list(State)[n % 3], "silent")
        for n in range(count)
    )
    return status(decision("awake", (), verdicts))


def evil() -> Status:
    """Every text that a stranger can choose is chosen badly."""
    said = verdict(client(66, EVIL, (EVIL,)), State.UNKNOWN, EVIL)
    reasons = (Reason(EVIL, EVIL * 3, NOW), Reason(EVIL, EVIL, NOW, keeps_awake=False))
    always = replace(said, client=client(67, EVIL), state=State.PRESENT, always_on=True)
    snapshot = Snapshot(sources={CLIENTS: Seen(NOW.mono, (EVIL,)), SourceId(EVIL): Blind(NOW.mono, EVIL)})
    return status(decision("awake", reasons, (said, always)), snapshot)


def newborn() -> Status:
    """The first decision: nothing has been seen, nobody is known."""
    said = decision("starting", (Reason("clients", "has not looked yet", NOW),))
    return status(said, Snapshot(), since=NOW)


EVERY = {
    "family": family(),
    "idle": idle(),
    "alarmed": alarmed(),
    "warning": warning(),
    "blind": blind(),
    "crowd": crowd(),
    "evil": evil(),
    "newborn": newborn(),
    "none": None,
}


def world(  # noqa: PLR0913 - a Status has as many sides
    phase: Phase = "awake",
    people: Iterable[Verdict] = (),
    *,
    why: str | None = None,
    mode: Literal["observe", "enforce"] = "enforce",
    outcome: Outcome | None = None,
    reasons: tuple[Reason, ...] = (),
) -> Status:
    """A Status; ``why`` = the clients' source is blind, and that is the reason to be awake."""
    people = tuple(people)
    source: Seen[tuple[str, ...]] | Blind = Blind(NOW.mono, why) if why else Seen(NOW.mono, ())
    sightings: dict[ClientId, Seen[Sighting] | Blind] = {
        who.client.id: Seen(NOW.mono, Sighting(silent_since=1.0 if who.why.startswith("silent") else None))
        for who in people
    }
    if why:
        reasons = (Reason("clients", why, NOW), *reasons)
    elif not reasons:
        reasons = tuple(
            Reason(who.client.label, f"may be home: {who.why}", NOW)
            for who in people
            if who.state is State.UNKNOWN and "somebody else" not in who.why
        )
    outcomes = {type(outcome.order): outcome} if outcome else {}
    snapshot = Snapshot(sources={CLIENTS: source}, sightings=sightings, outcomes=outcomes)
    memory = replace(Memory.newborn(NOW), idle_since=NOW.mono - 1320)
    said = replace(decision(phase, reasons, people), memory=memory)
    return status(said, snapshot, mode)
