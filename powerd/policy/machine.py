"""What the machine itself says: who holds a lock, who was at a keyboard, what could not wake it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from powerd.config import Options
from powerd.model import (
    CARDS,
    LOGIND,
    RHYTHM,
    TIMERS,
    Card,
    Inhibitor,
    KeyPress,
    Memory,
    Moment,
    Seen,
    Snapshot,
    SourceId,
    Wake,
)
from powerd.policy.why import Why, blind, trouble

_ROUNDS: Final = 3
"""A word that is so many rounds old says nothing about now."""
_GRAIN: Final = 8.0
"""Seconds: of key presses within so long the kernel dates the first alone (tty_update_time())."""
_HOLDS: Final = ("sleep", "shutdown", "idle")
"""What a lock can hold up that powerd brings about."""
_MAGIC: Final = "g"


def needed(options: Options) -> tuple[SourceId, ...]:
    """The standing sources without which it cannot be told whether the server may sleep."""
    timers = (TIMERS,) if options.wake.timers else ()
    cards = (CARDS,) if options.wake.arm_lan else ()
    return (LOGIND, *timers, *cards)


def holding(snapshot: Snapshot, memory: Memory, options: Options, now: Moment) -> Iterator[Why]:
    """Each reason of the machine's own to stay awake."""
    for source in needed(options):
        what = trouble(snapshot.sources.get(source), _ROUNDS * RHYTHM[source], memory, now)
        if what is not None:
            yield blind(source, what, memory, now)
        elif source == LOGIND:
            yield from _locked(snapshot.inhibitors)
        elif source == CARDS:
            yield from _unarmed(snapshot)
    press = snapshot.key_press
    if press is not None and now.mono < pressed(press):
        yield at_keyboard(press)


def pressed(press: KeyPress) -> float:
    """CLOCK_MONOTONIC before which the key was pressed."""
    return press.at + _GRAIN


def at_keyboard(press: KeyPress) -> Why:
    """Whose key press begins idleness anew."""
    return Why(press.where, "a key was pressed, and idleness counts from then")


def _locked(inhibitors: tuple[Inhibitor, ...]) -> Iterator[Why]:
    """Who forbids a sleep; a delay lock only makes it wait, and logind sees to that."""
    for lock in inhibitors:
        held = [what for what in _HOLDS if what in lock.what]
        if held and lock.mode.startswith("block"):
            why = f": {lock.why}" if lock.why else ""
            yield Why(lock.who or f"process {lock.pid}", f"forbids {' and '.join(held)}{why}")


def _unarmed(snapshot: Snapshot) -> Iterator[Why]:
    """That arming is asked for, and no card of the LAN can be armed."""
    if any(isinstance(card, Seen) and _MAGIC in card.value.supported for card in snapshot.cards.values()):
        return
    if not snapshot.cards:
        text = "wake.arm_lan asks for it, but no network card leads to a LAN; connect one, or switch it off"
        yield Why(CARDS, text, certain=False)
    for name, card in snapshot.cards.items():
        why = _unable(card.value) if isinstance(card, Seen) else card.why
        yield Why(name, f"cannot be armed to wake the server, as wake.arm_lan asks: {why}", certain=False)


def _unable(card: Card) -> str:
    return f'by ethtool it knows "{card.supported}", and no magic packet; look into the firmware setup'


def remarks(snapshot: Snapshot, options: Options, wake: Wake | None) -> Iterator[Why]:
    """What a person should know of the machine although it holds nothing up."""
    for source in needed(options):
        word = snapshot.sources.get(source)
        if isinstance(word, Seen):
            yield from (Why(source, warning, keeps_awake=False) for warning in word.value)
    if wake is None and not options.wake.arm_lan and any(rule.action != "command" for rule in options.sleep):
        yield from _for_ever(snapshot)


def _for_ever(snapshot: Snapshot) -> Iterator[Why]:
    """That nothing but its power button would bring the server back, as far as can be seen."""
    cards = {name: card.value for name, card in snapshot.cards.items() if isinstance(card, Seen)}
    if any(_MAGIC in card.armed for card in cards.values()):
        return
    for name, card in snapshot.cards.items():
        if not isinstance(card, Seen):
            yield Why(name, f"cannot tell whether it wakes the server: {card.why}", keeps_awake=False)
    if not cards or len(cards) < len(snapshot.cards):
        return
    able = any(_MAGIC in card.supported for card in cards.values())
    text = "no alarm is asked for and no magic packet is heard, so only its power button wakes the server"
    remedy = "set wake.at or wake.timers" + (", or wake.arm_lan = true" if able else "")
    yield Why(", ".join(cards), f"{text}; {remedy}", keeps_awake=False)
