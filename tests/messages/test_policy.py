"""When which message is sent: repetition, quiet hours over midnight and DST, retries and bounds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from ui.statuses import BERLIN, NOW, at

from powerd.config.load import parse
from powerd.config.message_options import MessageOptions
from powerd.core.time import Moment
from powerd.messages.model import MAX_KEYS, MAX_PENDING, Message, Outbox
from powerd.messages.policy import (
    MAX_ATTEMPTS,
    RETRY_FIRST,
    RETRY_MAX,
    add_messages,
    all_due,
    due_messages,
    record_attempts,
    without_pointless,
)

NOTE = Message("woke", NOW.wall.timestamp(), "note", "sleep", "the server woke up")
ALARM = replace(NOTE, event="finding", severity="alarm", subject="sda")
STORM = replace(NOTE, event="wake-storm", severity="warning", key="wake-storm")
QUIET = parse(b'[messages]\nquiet = ["22:00-07:00"]', "test").messages
DAY = 86400.0


def outbox(*messages: Message) -> Outbox:
    return add_messages(Outbox(), messages).outbox


def local(year: int, month: int, day: int, hour: int, minute: int = 0) -> Moment:
    wall = datetime(year, month, day, hour, minute, tzinfo=BERLIN)
    return Moment(wall.timestamp(), 0.0, wall)


def due(
    box: Outbox, now: Moment, options: MessageOptions = QUIET, *, starts_disk: bool = False
) -> list[Message]:
    return [each.message for each in due_messages(box, options, now, starts_disk=starts_disk)]


@pytest.mark.parametrize(
    ("now", "is_quiet"),
    [
        (local(2026, 1, 12, 21, 59), False),
        (local(2026, 1, 12, 22), True),
        (local(2026, 1, 13, 0), True),
        (local(2026, 1, 13, 6, 59), True),
        (local(2026, 1, 13, 7), False),
        (local(2026, 3, 29, 3), True),  # the hour from 2:00 on was skipped
        (local(2026, 3, 29, 7), False),
        (local(2026, 10, 25, 2, 30), True),  # this hour comes twice
        (local(2026, 10, 25, 7), False),
    ],
)
def test_quiet_hours(now: Moment, is_quiet: bool) -> None:  # noqa: FBT001 - a column of the table
    box = outbox(NOTE, ALARM, STORM)
    assert due(box, now) == ([ALARM] if is_quiet else [ALARM, NOTE, STORM])
    assert due(box, now, MessageOptions()) == [ALARM, NOTE, STORM]
    repeated = replace(now, wall=now.wall.astimezone(UTC).astimezone(BERLIN))
    assert due(box, repeated) == due(box, now)


def test_what_would_start_a_disk_waits_unless_it_is_urgent() -> None:
    announcement = replace(NOTE, event="warning", until=at(60).wall.timestamp())
    box = outbox(NOTE, ALARM, STORM, announcement)
    assert due(box, NOW, MessageOptions(), starts_disk=True) == [ALARM, announcement]


def test_a_warning_is_pointless_after_the_sleep_and_after_its_cancellation() -> None:
    box = outbox(replace(NOTE, event="warning", until=at(60).wall.timestamp()), ALARM)
    assert without_pointless(box, at(59), warns=True) is box
    assert [each.message for each in without_pointless(box, at(60), warns=True).pending] == [ALARM]
    assert [each.message for each in without_pointless(box, at(1), warns=False).pending] == [ALARM]


def later(message: Message, seconds: float) -> Message:
    return replace(message, at=message.at + seconds)


@pytest.mark.parametrize(
    ("message", "seconds", "count"),
    [
        (STORM, 3600, 1),
        (STORM, 12 * 3600, 2),
        (STORM, -3600, 2),  # the clock was set back
        (replace(STORM, event="doctor"), 6 * DAY, 1),
        (replace(STORM, event="doctor"), 7 * DAY, 2),
        (NOTE, 1, 2),
    ],
)
def test_the_same_is_not_sent_again_for_some_time(message: Message, seconds: float, count: int) -> None:
    assert len(outbox(message, later(message, seconds)).pending) == count


def test_of_too_many_the_oldest_of_the_least_severe_are_lost() -> None:
    many = [later(ALARM, n) for n in range(MAX_PENDING - 1)]
    changed = add_messages(outbox(NOTE, *many), [later(STORM, 9)])
    assert changed.lost == (NOTE,)
    changed = add_messages(changed.outbox, [later(ALARM, 9999)])
    assert changed.lost == (later(STORM, 9),)
    changed = add_messages(changed.outbox, [later(ALARM, 99999)])
    assert changed.lost == (ALARM,)
    assert len(changed.outbox.pending) == MAX_PENDING


def test_the_keys_are_bounded() -> None:
    box = outbox(*(replace(STORM, key=f"key {n}") for n in range(2 * MAX_KEYS)))
    assert len(box.sent_at) == MAX_KEYS
    assert f"key {2 * MAX_KEYS - 1}" in box.sent_at


def test_a_message_is_retried_with_growing_delays_until_every_recipient_has_it() -> None:
    box, now, delays = outbox(NOTE), NOW, []
    for _ in range(9):
        box = record_attempts(box, {NOTE: ["hook"]}, ["hook", "url"], now).outbox
        (pending,) = box.pending
        assert pending.delivered == {"hook"}
        delays.append(pending.retry_at - now.mono)
        assert due(box, replace(now, mono=pending.retry_at - 1), MessageOptions()) == []
        now = replace(now, mono=pending.retry_at)
        assert due(box, now, MessageOptions()) == [NOTE]
    assert delays == [RETRY_FIRST * 2**n for n in range(7)] + [RETRY_MAX] * 2
    assert due(all_due(box), NOW, MessageOptions()) == [NOTE], "the network may be there again"
    assert record_attempts(box, {NOTE: ["url"]}, ["hook", "url"], now) == (Outbox(), ())


def test_what_was_added_during_an_attempt_stays() -> None:
    box = add_messages(outbox(NOTE), [ALARM]).outbox
    left = record_attempts(box, {NOTE: ["hook"]}, ["hook"], NOW).outbox
    assert [(each.message, each.attempts) for each in left.pending] == [(ALARM, 0)]


def test_a_recipient_that_does_not_exist_is_given_up() -> None:
    box = outbox(NOTE)
    for _ in range(7 + MAX_ATTEMPTS):  # the delay doubles seven times until it is an hour
        box = record_attempts(box, {NOTE: []}, ["url"], NOW).outbox
    assert len(box.pending) == 1
    assert record_attempts(box, {NOTE: []}, ["url"], NOW) == (Outbox(), (NOTE,))


def test_a_server_that_wakes_up_often_gives_no_message_up_sooner() -> None:
    box = outbox(NOTE)
    for _ in range(3 * MAX_ATTEMPTS):
        box = record_attempts(all_due(box), {NOTE: []}, ["url"], NOW).outbox
    assert len(box.pending) == 1
