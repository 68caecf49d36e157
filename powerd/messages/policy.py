"""When which message is sent: quiet hours, repetition, retries and bounds; pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Final, NamedTuple

from powerd.config.message_options import MessageOptions
from powerd.core.time import Moment, is_in_windows
from powerd.messages.model import MAX_KEYS, MAX_PENDING, SEVERITIES, Message, Outbox, PendingMessage

RETRY_FIRST: Final = 30.0
"""Seconds until the second attempt: a network is up by then that was down at the wake-up."""
RETRY_MAX: Final = 3600.0
MAX_ATTEMPTS: Final = 7 * 24
"""Failed attempts RETRY_MAX apart after which a message is given up: a week of the server being awake."""
_REPEAT_AFTER: Final[Mapping[str, float]] = {"doctor": 7 * 86400.0}
_DEFAULT_REPEAT: Final = 12 * 3600.0
"""Seconds in which a message with the same key is not sent again."""


class Changed(NamedTuple):
    """A changed Outbox, and the messages that were dropped."""

    outbox: Outbox
    lost: tuple[Message, ...] = ()


def add_messages(outbox: Outbox, messages: Iterable[Message]) -> Changed:
    """The Outbox with new messages; beyond its bound the oldest of the least severe are lost."""
    pending, sent_at = list(outbox.pending), dict(outbox.sent_at)
    for message in messages:
        last = sent_at.get(message.key) if message.key else None
        repeat_after = _REPEAT_AFTER.get(message.event, _DEFAULT_REPEAT)
        if last is not None and 0 <= message.at - last < repeat_after:
            continue
        if message.key:
            sent_at.pop(message.key, None)  # so that the order is that of the latest messages
            sent_at[message.key] = message.at
        pending.append(PendingMessage(message))
    lost = []
    while len(pending) > MAX_PENDING:
        victim = max(pending, key=lambda each: SEVERITIES.index(each.message.severity))
        pending.remove(victim)
        lost.append(victim.message)
    recent = dict(list(sent_at.items())[-MAX_KEYS:])
    return Changed(replace(outbox, pending=tuple(pending), sent_at=recent), tuple(lost))


def all_due(outbox: Outbox) -> Outbox:
    """The Outbox in which every message is due: after a resume, a start or a test the network may be back."""
    return replace(outbox, pending=tuple([replace(each, delay=0.0, retry_at=0.0) for each in outbox.pending]))


def without_pointless(outbox: Outbox, now: Moment, *, warns: bool) -> Outbox:
    """The Outbox without messages whose time is over; ``warns``: a sleep is still announced."""
    wall = now.wall.timestamp()
    pending = tuple(
        [
            each
            for each in outbox.pending
            if each.message.until is None or (warns and wall < each.message.until)
        ]
    )
    return outbox if len(pending) == len(outbox.pending) else replace(outbox, pending=pending)


def due_messages(
    outbox: Outbox, options: MessageOptions, now: Moment, *, starts_disk: bool
) -> tuple[PendingMessage, ...]:
    """The messages to send now, alarms first.

    Args:
        outbox: the messages.
        options: the quiet hours.
        now: the present moment.
        starts_disk: sending starts the disk of the programs that send; only an alarm is worth that, and the
            warning before a sleep, which is pointless later.
    """
    quiet = bool(options.quiet) and is_in_windows(options.quiet, now.wall)
    due = [
        each
        for each in outbox.pending
        if each.retry_at <= now.mono
        and (each.message.severity == "alarm" or not quiet)
        and (each.message.severity == "alarm" or each.message.until is not None or not starts_disk)
    ]
    return tuple(sorted(due, key=lambda each: each.message.severity != "alarm"))


def record_attempts(
    outbox: Outbox,
    delivered: Mapping[Message, Collection[str]],
    recipients: Collection[str],
    now: Moment,
) -> Changed:
    """The Outbox after an attempt to send some messages.

    Args:
        outbox: as it is now; messages may have been added during the attempt.
        delivered: of each message that was sent, the recipients that have got it.
        recipients: all that are configured.
        now: the end of the attempt.
    """
    pending, lost = [], []
    for each in outbox.pending:
        if each.message not in delivered:
            pending.append(each)
            continue
        recipients_done = each.delivered.union(delivered[each.message])
        attempts = each.attempts + (each.delay >= RETRY_MAX)
        if recipients_done.issuperset(recipients):
            continue
        if attempts >= MAX_ATTEMPTS:
            lost.append(each.message)
            continue
        delay = min(RETRY_MAX, max(RETRY_FIRST, 2 * each.delay))
        pending.append(PendingMessage(each.message, recipients_done, attempts, delay, now.mono + delay))
    return Changed(replace(outbox, pending=tuple(pending)), tuple(lost))
