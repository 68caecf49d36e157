"""Reasons of the machine: inhibitor locks, key presses and network cards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from powerd.config.options import Options
from powerd.core.actions import WakeTime
from powerd.core.domain import Context
from powerd.core.reasons import UndatedReason
from powerd.core.snapshot import Snapshot, SourceId
from powerd.core.time import Reading, is_clock_plausible
from powerd.power.model import (
    LOGIND,
    MAGIC_PACKET,
    NETWORK_CARDS,
    POLL_INTERVALS,
    TIMERS,
    Inhibitor,
    KeyPress,
    LogindFacts,
    NetworkCard,
    NetworkCardFacts,
)
from powerd.presence.model import PresenceFacts

_MAX_AGE_IN_POLLS: Final = 3
"""Age in poll intervals from which a reading is stale."""
_TTY_TIME_RESOLUTION: Final = 8.0
"""Seconds; the kernel records only the first key press within this time (tty_update_time())."""
_BLOCKABLE: Final = ("sleep", "shutdown", "idle")
"""What an inhibitor can block that powerd causes."""


def required_sources(options: Options) -> Mapping[SourceId, float]:
    """The sources of inhibitors, timers and cards, each with the age above which its reading is stale."""
    timers = (TIMERS,) if options.wake.timers else ()
    cards = (NETWORK_CARDS,) if options.wake.arm_lan else ()
    return {each: _MAX_AGE_IN_POLLS * POLL_INTERVALS[each] for each in (LOGIND, *timers, *cards)}


def find_machine_blockers(context: Context) -> Iterator[UndatedReason]:
    """The blockers of the machine: inhibitors, cards, key presses."""
    facts = context.snapshot.part(LogindFacts)
    if context.is_reliable(LOGIND):
        yield from _inhibitor_blockers(facts.inhibitors)
    if context.options.wake.arm_lan and context.is_reliable(NETWORK_CARDS):
        yield from _card_blockers(context.snapshot)
    yield from _clock_blockers(context)
    if facts.key_press is not None and context.now.mono < idle_from(facts.key_press):
        yield key_press_reason(facts.key_press)


def _clock_blockers(context: Context) -> Iterator[UndatedReason]:
    """A blocker while the date is implausible, and windows or wake times depend on it.

    The sleep rules have a delay after the boot as well.
    """
    if context.snapshot.part(PresenceFacts).clock_synchronised or is_clock_plausible(context.now):
        return
    options = context.options
    if (
        options.wake.at
        or options.wake.timers
        or any(rule.during for rule in options.sleep)
        or any(check.kind == "calendar" for check in options.activity.enabled_checks)
    ):
        text = (
            f"says {context.now.wall:%Y-%m-%d}, which cannot be right, so windows of sleep rules and wake "
            "times are unknown; waits until the date is set"
        )
        yield UndatedReason("clock", text, confirmed=False)


def idle_from(press: KeyPress) -> float:
    """CLOCK_MONOTONIC from which the server is idle after this key press."""
    return press.at + _TTY_TIME_RESOLUTION


def key_press_reason(press: KeyPress) -> UndatedReason:
    """The reason for a key press, from which idleness counts."""
    return UndatedReason(press.session, "a key was pressed; idle time counts from then")


def _inhibitor_blockers(inhibitors: tuple[Inhibitor, ...]) -> Iterator[UndatedReason]:
    """Block inhibitors; logind itself waits for delay locks."""
    for lock in inhibitors:
        blocked = [what for what in _BLOCKABLE if what in lock.what]
        if blocked and lock.mode.startswith("block"):
            why = f": {lock.why}" if lock.why else ""
            yield UndatedReason(lock.who or f"process {lock.pid}", f"forbids {' and '.join(blocked)}{why}")


def _card_blockers(snapshot: Snapshot) -> Iterator[UndatedReason]:
    """A blocker if wake.arm_lan is set and no card of the LAN can be armed."""
    if any(
        isinstance(card, Reading) and MAGIC_PACKET in card.value.supported
        for card in snapshot.part(NetworkCardFacts).network_cards.values()
    ):
        return
    if not snapshot.part(NetworkCardFacts).network_cards:
        text = (
            "wake.arm_lan is set, but no network card is connected to a LAN; connect one, or set "
            "wake.arm_lan = false"
        )
        yield UndatedReason(NETWORK_CARDS, text, confirmed=False)
    for name, card in snapshot.part(NetworkCardFacts).network_cards.items():
        problem = _cannot_arm(card.value) if isinstance(card, Reading) else card.reason
        yield UndatedReason(
            name,
            f"cannot be enabled to wake the server, which wake.arm_lan requires: {problem}",
            confirmed=False,
        )


def _cannot_arm(card: NetworkCard) -> str:
    return f'it supports "{card.supported}" (ethtool), but no magic packets; check the firmware setup'


def machine_remarks(
    snapshot: Snapshot, options: Options, wake_time: WakeTime | None
) -> Iterator[UndatedReason]:
    """Remarks on the machine that do not block a sleep."""
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
    """A remark if only the power button would wake the server."""
    cards = {
        name: card.value
        for name, card in snapshot.part(NetworkCardFacts).network_cards.items()
        if isinstance(card, Reading)
    }
    if any(MAGIC_PACKET in card.armed for card in cards.values()):
        return
    for name, card in snapshot.part(NetworkCardFacts).network_cards.items():
        if not isinstance(card, Reading):
            yield UndatedReason(
                name, f"unknown whether it wakes the server: {card.reason}", blocks_sleep=False
            )
    if not cards or len(cards) < len(snapshot.part(NetworkCardFacts).network_cards):
        return
    can_arm = any(MAGIC_PACKET in card.supported for card in cards.values())
    text = (
        "no alarm is requested and no network card is enabled for magic packets, so only the "
        "power button wakes the server"
    )
    remedy = "set wake.at or wake.timers" + (", or wake.arm_lan = true" if can_arm else "")
    yield UndatedReason(", ".join(cards), f"{text}; {remedy}", blocks_sleep=False)
