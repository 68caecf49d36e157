"""What is worth a line in the journal: transitions, each told once. No I/O here.

A round in which nothing changed gives nothing, for a log line is a disk write.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from powerd import __version__
from powerd.faces.disk_news import told
from powerd.faces.journal import ERROR, INFO, NOTICE, WARNING, Entry, Event, cause, entry, status_line
from powerd.faces.words import listed, span, verb
from powerd.model import (
    CARDS,
    LOGIND,
    TIMERS,
    Blind,
    CallOff,
    Cause,
    ClientId,
    Decision,
    Outcome,
    Reason,
    Seen,
    Sleep,
    Snapshot,
    State,
    Status,
    Verdict,
    Warn,
)

_BY: Final = {
    Cause.ALARM: "by the alarm",
    Cause.NETWORK: "by the network",
    Cause.BUTTON: "by a button",
    Cause.UNKNOWN: "and nothing tells by what",
}
_EVENTS: Final[Mapping[str, Event]] = {"warning": "warning", "going-down": "going-down"}
"""Phases that are events of their own, lest a dashboard take a sleep for a crash."""
_QUIET: Final = frozenset({"awake", "idle"})
_FEW: Final = 3
"""So many clients that change together get a line each; more share one."""


class Chronicle:
    """Remembers what has been told, and gives of each new Status what is to be told besides."""

    def __init__(self) -> None:
        self._before: Status | None = None
        self._told: dict[ClientId, State] = {}
        self._remarks: set[tuple[str, str]] = set()
        self._slept = 0.0

    def entries(self, status: Status) -> list[Entry]:
        """The transitions since the last call, weightiest first; [] for a quiet round."""
        before, self._before = self._before, status
        return [
            *_outcomes(before, status),
            *self._woke(before, status),
            *_storm(before, status),
            *_phase(before, status),
            *_sight(before, status),
            *self._remarked(status),
            *self._clients(status.decision.verdicts, status),
            *told(before, status),
        ]

    def _woke(self, before: Status | None, after: Status) -> Iterator[Entry]:
        """A sleep is over, told once it is known by what; POWERD_SLEPT is for how long, seconds."""
        resumed, waking = after.decision.memory.resumed, after.snapshot.waking
        if before is not None and resumed != before.decision.memory.resumed:
            self._slept += after.now.slept - before.now.slept
        if waking is None or before is None or waking == before.snapshot.waking:
            return
        slept, self._slept = self._slept, 0.0
        length = span(slept) if slept >= 1 else "less than a second"
        text = f"woke up after {length} of sleep, {_BY[waking.cause]}"
        yield entry(
            "woke",
            f"{text}: {waking.detail}" if waking.detail else text,
            NOTICE,
            subject="sleep",
            reason=waking.detail or _BY[waking.cause],
            cause=waking.cause,
            slept=f"{slept:.0f}",
        )

    def _remarked(self, status: Status) -> Iterator[Entry]:
        """What the machine's own sources warn of, and its network cards; never twice while powerd runs.

        What the clients' source warns of comes and goes with each lease file, and is for who looks at those.
        """
        for reason in status.decision.reasons:
            told = (reason.subject, reason.text)
            if not reason.keeps_awake and told not in self._remarks and _of_the_machine(reason, status):
                self._remarks.add(told)
                yield _word("remark", reason.subject, reason.text, WARNING)

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


def _of_the_machine(reason: Reason, status: Status) -> bool:
    """Whether a remark is on the machine itself: its logind, its timers, its network cards."""
    return all(name in {LOGIND, TIMERS, CARDS, *status.snapshot.cards} for name in reason.subject.split(", "))


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
    names = listed([verdict.client.label for verdict in group], _FEW)
    message = f"{len(group)} clients are {state}: {names}"
    yield entry("client", message, priority, client=" ".join(verdict.client.id for verdict in group))


def _outcomes(before: Status | None, after: Status) -> Iterator[Entry]:
    """What orders came to; a disk's are told with its state."""
    for kind, outcome in after.snapshot.outcomes.items():
        if before is None or before.snapshot.outcomes.get(kind) == outcome:
            continue
        order, observed = outcome.order, outcome.observed
        if isinstance(order, Sleep):
            message, priority = f"could not {verb(order.action).plain}: {observed}", ERROR
            if outcome.ok:
                message, priority = f"{observed}{_idle(before.decision, outcome)}", NOTICE
            yield entry("outcome", message, priority, subject=f"sleep rule {order.rule + 1}", reason=observed)
        elif isinstance(order, Warn | CallOff) and not outcome.ok:
            whether = "is" if isinstance(order, Warn) else "is not"
            message = f"cannot announce that the server {whether} to {verb(order.action).plain}: {observed}"
            yield entry("outcome", message, WARNING, subject="warning", reason=observed)


def _idle(decision: Decision, outcome: Outcome) -> str:
    """For how long nobody had needed the server when the order was given."""
    since = decision.memory.idle_since
    return "" if since is None else f": nobody had needed the server for {span(outcome.begun - since)}"


def _storm(before: Status | None, after: Status) -> Iterator[Entry]:
    """Policy backs off from wake-ups for which nobody comes."""
    unrest = after.decision.memory.unrest
    told = before.decision.memory.unrest.until if before is not None else None
    if unrest.until in {None, told}:
        return
    times = f"{len(unrest.empty)} times within an hour, and nobody was there"
    text = f"the server was woken {times}: it stays up for {span(unrest.pause)}"
    yield entry("storm", text, WARNING, subject="sleep", reason=text)


def _phase(before: Status | None, after: Status) -> Iterator[Entry]:
    old, new = before.decision.phase if before else None, after.decision.phase
    if before is None:
        yield entry(
            "start", f"powerd {__version__} decides, in {after.mode} mode; {status_line(after)}", NOTICE
        )
        return
    others = after.snapshot.leaving is not None
    said = new == "going-down" and after.mode == "observe" and not others  # by the order's outcome
    if old == new or said or (old, new) == ("going-down", "idle"):
        return  # nothing new, or just what the order's outcome says by itself
    reasons = after.decision.reasons
    why = cause(reasons)
    if why is None and new == "warning":
        why = next((reason for reason in reasons if reason.subject.startswith("sleep rule")), None)
    about = {"subject": why.subject, "reason": why.text} if why else {}
    yield entry(_EVENTS.get(new, "phase"), status_line(after), INFO if new in _QUIET else NOTICE, **about)


def _sight(before: Status | None, after: Status) -> Iterator[Entry]:
    """Sources that have gone blind, see again, or have been blind for so long that policy grows loud."""
    was, now = _blind(before.snapshot) if before else {}, _blind(after.snapshot)
    for name, why in now.items():
        if name not in was:
            yield _word("blind", name, why, WARNING)
        elif before is not None and (text := _louder(name, before, after)):
            yield _word("still-blind", name, text, ERROR)
    for name in was.keys() - now.keys():
        yield entry("sighted", f"{name}: can look again", NOTICE, subject=name)


def _word(event: Event, subject: str, text: str, priority: int) -> Entry:
    """``subject: text``, as a source or policy has worded it."""
    return entry(event, f"{subject}: {text}", priority, subject=subject, reason=text)


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
