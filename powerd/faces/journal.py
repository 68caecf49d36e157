"""What is worth a line in the journal: transitions, each told once. No I/O here.

A round in which nothing changed gives nothing, for a log line is a disk write.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from powerd import __version__
from powerd.faces.disk_news import told
from powerd.faces.words import clock, harmless, span, verb
from powerd.model import (
    Blind,
    ClientId,
    Decision,
    Disk,
    Finding,
    Outcome,
    Reason,
    Seen,
    Severity,
    Sleep,
    Snapshot,
    State,
    Status,
    Verdict,
    Warn,
)

Event: TypeAlias = Literal[
    "listening",
    "start",
    "phase",
    "woke",
    "blind",
    "sighted",
    "still-blind",
    "client",
    "outcome",
    "spin-down",
    "spin-up",
    "disk",
    "finding",
    "reload",
    "refused",
    "trouble",
]
MESSAGE_IDS: Final[Mapping[Event, str]] = {
    "listening": "d3c1b8a7c0a24d7b9a3c7d31f1b6e7c4",
    "start": "b20a0a0b5cb7439a9dfc29d93ca181bd",
    "phase": "33a1590eff2141759920cae82a572435",
    "woke": "6b1d9e0c3f9a4c0f8f6f0f3c2b7de615",
    "blind": "fba14fec6f2e41e5a223fdee78206e2f",
    "sighted": "6e0457284775492b856769fc7a358c7c",
    "still-blind": "5b02ad5ea0ff4cdaa13f188904ac3957",
    "client": "c9dfcc9956bc49328a3fe19161bcc58c",
    "outcome": "8f18d862d6d24785a7752548f853ba2f",
    "spin-down": "1c1bb1c2b0c94e1d8e9a5dc7c5b0a3f4",
    "spin-up": "5a3f0a83d1b84c1c9b6de1e9ce3f7c02",
    "disk": "0f7a6f6c5b3e4b0f9f0c8d54a1d2e6b9",
    "finding": "4f0d5a7b1d5e4a0c9b1c6c5f2a7e9d31",
    "reload": "c303f1e53f9f4eb5bbe9b19c1d18f633",
    "refused": "df417db453fb46ce8469f513dfb60ce9",
    "trouble": "9e6aa6c617ea43fb85fb9ebed908ae91",
}
"""One id per kind of event, for ``journalctl MESSAGE_ID=…``; never changed. What they tell: where the
faces are; the first decision; a change of phase; the end of a sleep; a source that cannot look, can again, or
has not been able to for long; clients that come and go; what an order came to; disks that stand by, spin
again, or make trouble; a configuration taken over, or refused; any other fault."""

ERROR, WARNING, NOTICE, INFO = 3, 4, 5, 6
"""Priorities as in syslog(3)."""
_FEW: Final = 3
"""So many clients that change together get a line each; more share one."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line for the journal.

    Attributes:
        message: one line of text, free of control characters.
        priority: as in syslog(3).
        fields: MESSAGE_ID, POWERD_EVENT and what else applies.
    """

    message: str
    priority: int
    fields: Mapping[str, str]


def entry(event: Event, message: str, priority: int = INFO, **about: str) -> Entry:
    """An Entry; ``about`` are its further fields: ``subject``, ``reason``, ``client``."""
    fields = {f"POWERD_{name.upper()}": harmless(text) for name, text in about.items()}
    return Entry(
        harmless(message), priority, {"MESSAGE_ID": MESSAGE_IDS[event], "POWERD_EVENT": event, **fields}
    )


def finding(disk: Disk, found: Finding) -> Entry:
    """What a check of a drive has found, and what to do about it."""
    priority = {Severity.ALARM: ERROR, Severity.WARNING: WARNING, Severity.NOTE: NOTICE}[found.severity]
    about = {"subject": disk.device, "disk": disk.id, "reason": found.text, "finding": found.kind}
    return entry("finding", f"{disk.device}: {found.text}; {found.advice}", priority, **about)


class Chronicle:
    """Remembers what has been told, and gives of each new Status what is to be told besides."""

    def __init__(self) -> None:
        self._before: Status | None = None
        self._told: dict[ClientId, State] = {}

    def entries(self, status: Status) -> list[Entry]:
        """The transitions since the last call, weightiest first; [] for a quiet round."""
        before, self._before = self._before, status
        return [
            *_outcomes(before, status),
            *_woke(before, status),
            *_phase(before, status),
            *_sight(before, status),
            *self._clients(status.decision.verdicts, status),
            *(entry(news.event, news.message, news.priority, **news.about) for news in told(before, status)),
        ]

    def _clients(self, verdicts: tuple[Verdict, ...], status: Status) -> Iterator[Entry]:
        """Who has come, gone, or can no longer be told; those that never count are left out."""
        counting = {verdict.client.id: verdict for verdict in verdicts if verdict.keeps_awake}
        self._told = {name: state for name, state in self._told.items() if name in counting}
        groups: dict[State, list[Verdict]] = {}
        for name, verdict in counting.items():
            told = self._told.get(name)
            if verdict.state is told or (verdict.state is State.UNKNOWN and not _unaskable(verdict, status)):
                continue
            self._told[name] = verdict.state
            if told is not None or verdict.state is not State.ABSENT:  # that one is away as ever is no news
                groups.setdefault(verdict.state, []).append(verdict)
        for state, group in groups.items():
            yield from _grouped(state, group)


def _unaskable(verdict: Verdict, status: Status) -> bool:
    """Whether a client is unknown because it could not be asked, and that is a reason to be awake by itself.

    One that was not asked because somebody else is home, or is silent but not yet for long enough, has
    made no transition that anybody wants to read of; nor has one of many behind a source that is blind.
    """
    word = status.snapshot.sightings.get(verdict.client.id)
    failed = isinstance(word, Blind) or (isinstance(word, Seen) and word.value.silent_since is None)
    return failed and any(
        reason.keeps_awake and reason.subject == verdict.client.label for reason in status.decision.reasons
    )


def _grouped(state: State, group: list[Verdict]) -> Iterator[Entry]:
    priority = WARNING if state is State.UNKNOWN else INFO
    if len(group) <= _FEW:
        for verdict in group:
            name, why = verdict.client.label, verdict.why
            yield entry(
                "client",
                f"{name} is {state}: {why}",
                priority,
                client=verdict.client.id,
                subject=name,
                reason=why,
            )
        return
    names = ", ".join(verdict.client.label for verdict in group[:_FEW])
    message = f"{len(group)} clients are {state}: {names} and {len(group) - _FEW} more"
    yield entry("client", message, priority, client=" ".join(verdict.client.id for verdict in group))


def _outcomes(before: Status | None, after: Status) -> Iterator[Entry]:
    for kind, outcome in after.snapshot.outcomes.items():
        if before is None or before.snapshot.outcomes.get(kind) == outcome:
            continue
        if not isinstance(outcome.order, Warn | Sleep):
            continue  # a disk's are told with its state
        act = verb(outcome.order.action).plain
        if isinstance(outcome.order, Warn):
            if not outcome.ok:
                message = f"cannot announce that the server is to {act}: {outcome.observed}"
                yield entry("outcome", message, WARNING, subject="warning", reason=outcome.observed)
        elif not outcome.ok:
            message = f"could not {act}: {outcome.observed}"
            yield entry("outcome", message, ERROR, subject=_rule(outcome.order), reason=outcome.observed)
        else:
            message = f"{outcome.observed}{_idle(before.decision, outcome)}"
            yield entry("outcome", message, NOTICE, subject=_rule(outcome.order), reason=outcome.observed)


def _rule(order: Sleep) -> str:
    return f"sleep rule {order.rule + 1}"


def _idle(decision: Decision, outcome: Outcome) -> str:
    """For how long nobody had needed the server when the order was given."""
    since = decision.memory.idle_since
    return "" if since is None else f": nobody had needed the server for {span(outcome.begun - since)}"


def _woke(before: Status | None, after: Status) -> Iterator[Entry]:
    """The machine has slept since the last decision; POWERD_SLEPT is for how long, seconds."""
    resumed = after.decision.memory.resumed
    if before is None or resumed is None or resumed == before.decision.memory.resumed:
        return
    slept = after.now.slept - before.now.slept
    yield entry(
        "woke", f"woke up after {span(slept)} of sleep", NOTICE, subject="sleep", slept=f"{slept:.0f}"
    )


def _phase(before: Status | None, after: Status) -> Iterator[Entry]:
    old, new = before.decision.phase if before else None, after.decision.phase
    if before is None:
        yield entry(
            "start", f"powerd {__version__} decides, in {after.mode} mode; {status_line(after)}", NOTICE
        )
    elif (
        old == new
        or (old, new) == ("going-down", "idle")
        or (new == "going-down" and after.mode == "observe")
    ):
        return  # nothing new, or just what the order's outcome says by itself
    else:
        cause = _cause(after.decision.reasons)
        about = {"subject": cause.subject, "reason": cause.text} if cause else {}
        yield entry("phase", status_line(after), INFO if new in {"awake", "idle"} else NOTICE, **about)


def _cause(reasons: Iterable[Reason]) -> Reason | None:
    """The weightiest reason to be awake."""
    return next((reason for reason in reasons if reason.keeps_awake), None)


def status_line(status: Status) -> str:
    """The state and what it is due to, in a line that changes with them only: sd_notify(3)'s STATUS=."""
    decision, phase = status.decision, status.decision.phase
    holding = sum(reason.keeps_awake for reason in decision.reasons)
    cause = _cause(decision.reasons)
    plan, observing = decision.plan, status.mode == "observe"
    if phase == "going-down":
        return harmless(f"going down: {cause.text}" if cause else "going down")
    if plan is not None:
        when, act = clock(plan.at.wall, status.now.wall), verb(plan.action).plain
        if phase == "warning":
            return f"{'would' if observing else 'will'} {act} at {when} unless something stirs"
        return f"{phase}: {'would' if observing else 'may'} {act} at {when} at the earliest"
    if cause is None:
        return f"{phase}: nobody needs the server, and no sleep is in sight"
    more = f", and {holding - 1} more" if holding > 1 else ""
    return harmless(f"{phase}: {cause.subject}: {cause.text}{more}")


def _sight(before: Status | None, after: Status) -> Iterator[Entry]:
    """Sources that have gone blind, see again, or have been blind for so long that policy grows loud."""
    was, now = _blind(before.snapshot) if before else {}, _blind(after.snapshot)
    for name, why in now.items():
        if name not in was:
            yield entry("blind", f"{name}: {why}", WARNING, subject=name, reason=why)
        elif before is not None and (text := _louder(name, before, after)):
            yield entry("still-blind", f"{name}: {text}", ERROR, subject=name, reason=text)
    for name in was.keys() - now.keys():
        yield entry("sighted", f"{name}: can look again", NOTICE, subject=name)


def _blind(snapshot: Snapshot) -> dict[str, str]:
    """Why each source and check that cannot look cannot."""
    found = {str(name): word.why for name, word in snapshot.sources.items() if isinstance(word, Blind)}
    checks = snapshot.checks.items()
    return found | {f"checks.{name}": word.why for name, word in checks if isinstance(word, Blind)}


def _louder(name: str, before: Status, after: Status) -> str | None:
    """A source's reason that is worded anew though it dates from before: policy has grown loud."""
    was, now = (
        next((reason for reason in status.decision.reasons if reason.subject == name), None)
        for status in (before, after)
    )
    if was is None or now is None or was.since != now.since:
        return None
    return now.text if was.text != now.text and was.text in now.text else None
