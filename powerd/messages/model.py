"""The values of the domain: alarms, which are shown until they are over, and messages to people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Annotated, Final, Literal, TypeAlias, get_args

from powerd.core.codec import PRINTABLE, PosixTime, length, span
from powerd.core.dataclass import dataclass
from powerd.core.time import Moment

AlarmSeverity: TypeAlias = Literal["alarm", "warning"]
"""``alarm``: needs action now; ``warning``: needs action within days."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """The condition with the highest priority for a person; it stands until it is acknowledged or over.

    Attributes:
        id: its stable identity: ``drive ata-...``, ``wake-storm``, ``sleep``, ``source clients``, ``reload``.
        subject: the drive, source or option concerned.
        text: what is wrong, one sentence without a number that changes every minute.
        remedy: what to do, one clause.
        since: None = unknown.
        severity: see AlarmSeverity.
    """

    id: str
    subject: str
    text: str
    remedy: str
    since: Moment | None
    severity: AlarmSeverity


MessageEvent: TypeAlias = Literal[
    "finding", "warning", "woke", "could-not-sleep", "wake-storm", "source-failed", "doctor"
]
"""What a message is about:

finding          a health check has found something
warning          a sleep follows unless the server is needed
woke             the server has woken up
could-not-sleep  a sleep has failed
wake-storm       the server was woken repeatedly without a present client
source-failed    a source has been unavailable for long, and keeps the server awake
doctor           a program wakes a disk again and again
"""
MessageSeverity: TypeAlias = Literal["alarm", "warning", "note"]
"""As AlarmSeverity; ``note``: for information."""
SEVERITIES: Final[tuple[MessageSeverity, ...]] = get_args(MessageSeverity)
"""The worst first."""
MESSAGE_EVENTS: Final[tuple[str, ...]] = get_args(MessageEvent)
MAX_SUBJECT: Final = 100
MAX_TEXT: Final = 1000
"""Characters of a text of a message."""
MAX_PENDING: Final = 100
"""Maximum number of messages that wait; people would not read more."""
MAX_KEYS: Final = 256
_Subject: TypeAlias = Annotated[str, PRINTABLE, length(0, MAX_SUBJECT)]
_Text: TypeAlias = Annotated[str, PRINTABLE, length(0, MAX_TEXT)]


@dataclass(frozen=True, slots=True)
class Message:
    """A message to people.

    Attributes:
        event: see MessageEvent, or ``test``.
        at: POSIX time of the event.
        severity: ``alarm`` is sent in quiet hours too.
        subject: the drive, source or option concerned.
        text: what has happened, one sentence.
        advice: what to do, one clause; "" = nothing.
        key: messages with one key are not repeated for some time; "" = each is sent.
        until: POSIX time after which the message is pointless; None = never.
        details: further keys of the JSON that the hook reads.
    """

    event: _Subject
    at: PosixTime
    severity: MessageSeverity
    subject: _Subject
    text: _Text
    advice: _Text = ""
    key: _Text = ""
    until: PosixTime | None = None
    details: tuple[tuple[_Subject, _Text], ...] = ()


@dataclass(frozen=True, slots=True)
class PendingMessage:
    """A message that has not been delivered to all recipients.

    Attributes:
        message: the message.
        delivered: the recipients that have it.
        attempts: failed attempts that came as late after the one before as they may.
        delay: seconds between the last of them and the next; 0 = none since the last wake-up or start.
        retry_at: CLOCK_MONOTONIC of the next attempt; 0 = now.
    """

    message: Message
    delivered: frozenset[_Subject] = frozenset()
    attempts: Annotated[int, span(0, 1 << 31)] = 0
    delay: float = 0.0
    retry_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Outbox:
    """The messages that are to be delivered, over restarts.

    Attributes:
        pending: the oldest first.
        sent_at: of each key, POSIX time of the latest message with it.
        silent: a message was due in observe mode or without a recipient, and was not made; the alarms and
            findings that still stand when that ends are sent then.
    """

    pending: Annotated[tuple[PendingMessage, ...], length(0, MAX_PENDING)] = ()
    sent_at: Annotated[Mapping[_Text, PosixTime], length(0, MAX_KEYS)] = field(
        default_factory=lambda: MappingProxyType({})
    )
    silent: bool = False


@dataclass(frozen=True, slots=True)
class MessageFacts:
    """Whether messages reach a recipient.

    Attributes:
        configured: hooks.alert or hooks.notify is set.
        waiting: number of messages that could not be delivered yet.
        error: why, one clause; "" = the last attempt has succeeded.
        failing_since: when the first of the failed attempts ended; None = the last has succeeded.
    """

    configured: bool = True
    waiting: int = 0
    error: str = ""
    failing_since: Moment | None = None


def clean_text(text: str, limit: int) -> str:
    """``text`` on one line without control and format characters, cut to ``limit`` characters.

    Hosts, drives and units choose their names; none may break a message or its JSON.
    """
    text = "".join(char if char.isprintable() else "\ufffd" for char in " ".join(text.split()))
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
