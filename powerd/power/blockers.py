"""What the machine itself says: who holds a lock, who was at a keyboard, what could not wake it.

What keeps the server awake: every reason, and above all whatever is unknown.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from powerd.config.options import Options
from powerd.config.values import DAYS
from powerd.core.reasons import UndatedReason, reason_unreliable, unavailable_reason
from powerd.core.snapshot import LOGIND, NETWORK_CARDS, POLL_INTERVALS, TIMERS, Memory, Snapshot, SourceId
from powerd.core.time import Moment, Reading
from powerd.power.model import Inhibitor, KeyPress, NetworkCard, WakeTime
from powerd.presence.model import ClientState, ClientStatus
from powerd.presence.policy import NOT_PROBED, max_observation_age
from powerd.requests.model import KeepAwake

_MAX_AGE_IN_POLLS: Final = 3
"""A word that is so many rounds old says nothing about now."""
_TTY_TIME_RESOLUTION: Final = 8.0
"""Seconds: of key presses within so long the kernel dates the first alone (tty_update_time())."""
_BLOCKABLE: Final = ("sleep", "shutdown", "idle")
"""What a lock can hold up that powerd brings about."""
_MAGIC_PACKET: Final = "g"


def required_sources(options: Options) -> tuple[SourceId, ...]:
    """The standing sources without which it cannot be told whether the server may sleep."""
    timers = (TIMERS,) if options.wake.timers else ()
    cards = (NETWORK_CARDS,) if options.wake.arm_lan else ()
    return (LOGIND, *timers, *cards)


def find_machine_blockers(
    snapshot: Snapshot, memory: Memory, options: Options, now: Moment
) -> Iterator[UndatedReason]:
    """Each reason of the machine's own to stay awake."""
    for source in required_sources(options):
        problem = reason_unreliable(
            snapshot.sources.get(source), _MAX_AGE_IN_POLLS * POLL_INTERVALS[source], memory, now
        )
        if problem is not None:
            yield unavailable_reason(source, problem, memory, now)
        elif source == LOGIND:
            yield from _inhibitor_blockers(snapshot.inhibitors)
        elif source == NETWORK_CARDS:
            yield from _card_blockers(snapshot)
    press = snapshot.key_press
    if press is not None and now.mono < idle_from(press):
        yield key_press_reason(press)


def idle_from(press: KeyPress) -> float:
    """CLOCK_MONOTONIC before which the key was pressed."""
    return press.at + _TTY_TIME_RESOLUTION


def key_press_reason(press: KeyPress) -> UndatedReason:
    """Whose key press begins idleness anew."""
    return UndatedReason(press.session, "a key was pressed, and idleness counts from then")


def _inhibitor_blockers(inhibitors: tuple[Inhibitor, ...]) -> Iterator[UndatedReason]:
    """Who forbids a sleep; a delay lock only makes it wait, and logind sees to that."""
    for lock in inhibitors:
        blocked = [what for what in _BLOCKABLE if what in lock.what]
        if blocked and lock.mode.startswith("block"):
            why = f": {lock.why}" if lock.why else ""
            yield UndatedReason(lock.who or f"process {lock.pid}", f"forbids {' and '.join(blocked)}{why}")


def _card_blockers(snapshot: Snapshot) -> Iterator[UndatedReason]:
    """That arming is asked for, and no card of the LAN can be armed."""
    if any(
        isinstance(card, Reading) and _MAGIC_PACKET in card.value.supported
        for card in snapshot.network_cards.values()
    ):
        return
    if not snapshot.network_cards:
        text = "wake.arm_lan asks for it, but no network card leads to a LAN; connect one, or switch it off"
        yield UndatedReason(NETWORK_CARDS, text, confirmed=False)
    for name, card in snapshot.network_cards.items():
        problem = _cannot_arm(card.value) if isinstance(card, Reading) else card.reason
        yield UndatedReason(
            name, f"cannot be armed to wake the server, as wake.arm_lan asks: {problem}", confirmed=False
        )


def _cannot_arm(card: NetworkCard) -> str:
    return f'by ethtool it knows "{card.supported}", and no magic packet; look into the firmware setup'


def machine_remarks(
    snapshot: Snapshot, options: Options, wake_time: WakeTime | None
) -> Iterator[UndatedReason]:
    """What a person should know of the machine although it holds nothing up."""
    for source in required_sources(options):
        status = snapshot.sources.get(source)
        if isinstance(status, Reading):
            yield from (UndatedReason(source, warning, blocks_sleep=False) for warning in status.value)
    if (
        wake_time is None
        and not options.wake.arm_lan
        and any(rule.action != "command" for rule in options.sleep)
    ):
        yield from _unwakeable_remarks(snapshot)


def _unwakeable_remarks(snapshot: Snapshot) -> Iterator[UndatedReason]:
    """That nothing but its power button would bring the server back, as far as can be seen."""
    cards = {name: card.value for name, card in snapshot.network_cards.items() if isinstance(card, Reading)}
    if any(_MAGIC_PACKET in card.armed for card in cards.values()):
        return
    for name, card in snapshot.network_cards.items():
        if not isinstance(card, Reading):
            yield UndatedReason(
                name, f"cannot tell whether it wakes the server: {card.reason}", blocks_sleep=False
            )
    if not cards or len(cards) < len(snapshot.network_cards):
        return
    can_arm = any(_MAGIC_PACKET in card.supported for card in cards.values())
    text = "no alarm is asked for and no magic packet is heard, so only its power button wakes the server"
    remedy = "set wake.at or wake.timers" + (", or wake.arm_lan = true" if can_arm else "")
    yield UndatedReason(", ".join(cards), f"{text}; {remedy}", blocks_sleep=False)


CLIENTS: Final = SourceId("clients")
_HALF_DAY: Final = 12 * 3600.0
_SIX_DAYS: Final = 6


def find_blockers(
    snapshot: Snapshot, verdicts: tuple[ClientStatus, ...], memory: Memory, options: Options, now: Moment
) -> Iterator[UndatedReason]:
    """Each reason that somebody is there, something is in progress, or nobody can say."""
    clients_status = snapshot.sources.get(CLIENTS)
    problem = reason_unreliable(clients_status, max_observation_age(options), memory, now)
    if problem is not None:
        yield unavailable_reason(CLIENTS, problem, memory, now)
    else:
        yield from _client_blockers(verdicts)
    for name, check in sorted(snapshot.checks.items()):
        # A check's own rhythm is not known here; a word three rounds old is stale for any of them.
        problem = reason_unreliable(check, max_observation_age(options), memory, now)
        if problem is not None:
            yield unavailable_reason(f"checks.{name}", problem, memory, now)
        elif isinstance(check, Reading) and check.value is not None:
            yield UndatedReason(f"checks.{name}", check.value)
    yield from find_machine_blockers(snapshot, memory, options, now)
    for keep in active_keeps(snapshot, now):
        yield _keep_blocker(keep)


def active_keeps(snapshot: Snapshot, now: Moment) -> list[KeepAwake]:
    """Keeps and holds that have not ended, the first asked for first."""
    active = [keep for keep in snapshot.keep_awake.values() if keep.seconds_left(now) > 0]
    return sorted(active, key=lambda keep: (keep.since.mono + keep.since.slept, keep.id))


def remarks(verdicts: tuple[ClientStatus, ...], options: Options) -> Iterator[UndatedReason]:
    """What a person should know although it holds nothing up."""
    for verdict in verdicts:
        if verdict.always_on and verdict.blocks_sleep:
            pattern = verdict.client.mac or verdict.client.label
            yield UndatedReason(
                verdict.client.label,
                f'is always on; if it is nobody\'s own, stop counting it with ignore = ["{pattern}"]',
                blocks_sleep=False,
                since=verdict.since,
            )
    if not options.sleep:
        yield UndatedReason(
            "sleep", "no [[sleep]] rule is configured, so the server never sleeps", blocks_sleep=False
        )


def _client_blockers(verdicts: tuple[ClientStatus, ...]) -> Iterator[UndatedReason]:
    counted = [verdict for verdict in verdicts if verdict.blocks_sleep]
    if not verdicts:
        yield UndatedReason(CLIENTS, "no client is known, so nobody can be seen to leave", confirmed=False)
    elif not counted:
        yield UndatedReason(
            CLIENTS, "every known client is ignored, so nobody can be seen to leave", confirmed=False
        )
    for verdict in counted:
        if verdict.state is ClientState.PRESENT:
            yield UndatedReason(verdict.client.label, f"home, {verdict.reason}", since=verdict.since)
    for verdict in counted:
        if verdict.state is ClientState.UNKNOWN and verdict.reason != NOT_PROBED:
            yield UndatedReason(verdict.client.label, f"may be home: {verdict.reason}", confirmed=False)


def _keep_blocker(keep: KeepAwake) -> UndatedReason:
    if keep.until is None:
        return UndatedReason("hold", f"awake while it runs: {keep.reason}", since=keep.since)
    because = f": {keep.reason}" if keep.reason else ""
    return UndatedReason(
        "keep", f"kept awake until {format_keep_end(keep.since, keep.until)}{because}", since=keep.since
    )


def format_keep_end(since: Moment, until: Moment) -> str:
    """The end of a keep as one says it when it is asked for, and worded so to its end.

    ``20:58`` within half a day or on the same date, ``Mon 20:58`` within six days, else with its date.
    """
    days = (until.wall.date() - since.wall.date()).days
    if days == 0 or until.mono + until.slept - since.mono - since.slept < _HALF_DAY:
        return f"{until.wall:%H:%M}"
    if 0 < days <= _SIX_DAYS:
        return f"{DAYS[until.wall.weekday()]} {until.wall:%H:%M}"
    return f"{until.wall:%Y-%m-%d %H:%M}"
