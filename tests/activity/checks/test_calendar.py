from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from core.snapshot_strategies import moment
from fakes.checks import check_ports
from fakes.ports import RecordingPorts

from powerd.activity.calendar_child import encode_events, find_events
from powerd.activity.checks.calendar import (
    CalendarCheck,
    CalendarEvent,
    Options,
    current_activities,
    parse,
)
from powerd.core.poller import PollDepth
from powerd.core.time import Moment
from powerd.linux.subprocess import OUTPUT_CAP
from powerd.linux.values import HostError, ProcessResult
from powerd.power.wake_schedule import MAX_ALARM_DELAY

NOW = datetime(2026, 11, 29, 9, 0, tzinfo=UTC)
DAY = 86_400.0
REQUEST: dict[str, Any] = {"horizon": 28 * DAY, "match": ["*"], "all_day": False}


def calendar(*events: str) -> bytes:
    text = "".join(f"BEGIN:VEVENT\n{event}\nEND:VEVENT\n" for event in events)
    return f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//t//EN\n{text}END:VCALENDAR\n".replace(
        "\n", "\r\n"
    ).encode()


def found(content: bytes, **changed: object) -> list[tuple[str, str]]:
    """Summary and begin of each event."""
    events = find_events(content, NOW.timestamp(), REQUEST | changed)
    return [
        (str(event["summary"]), f"{datetime.fromtimestamp(float(str(event['begin'])), UTC):%d %H:%M}")
        for event in events
    ]


WEEKLY = """\
UID:1
DTSTART;TZID=Europe/Berlin:20261019T093000
DTEND;TZID=Europe/Berlin:20261019T103000
RRULE:FREQ=WEEKLY;BYDAY=MO
EXDATE;TZID=Europe/Berlin:20261207T093000
SUMMARY:Backup"""
MOVED = """\
UID:1
RECURRENCE-ID;TZID=Europe/Berlin:20261214T093000
DTSTART;TZID=Europe/Berlin:20261214T120000
DURATION:PT15M
SUMMARY:Backup later"""


def test_recurrence_with_an_exception_and_a_moved_occurrence() -> None:
    assert found(calendar(WEEKLY, MOVED)) == [
        ("Backup", "30 08:30"),
        ("Backup later", "14 11:00"),
        ("Backup", "21 08:30"),
    ]


def test_an_event_that_takes_place_is_found_and_one_that_has_ended_is_not() -> None:
    now = "UID:2\nDTSTART:20261129T080000Z\nDTEND:20261129T100000Z\nSUMMARY:now"
    over = "UID:3\nDTSTART:20261129T080000Z\nDTEND:20261129T085900Z\nSUMMARY:over"
    later = "UID:4\nDTSTART:20270129T080000Z\nSUMMARY:beyond the horizon"
    assert found(calendar(now, over, later)) == [("now", "29 08:00")]


def test_what_does_not_count() -> None:
    birthday = "UID:5\nDTSTART;VALUE=DATE:20261201\nSUMMARY:Birthday"
    cancelled = "UID:6\nDTSTART:20261201T080000Z\nSTATUS:CANCELLED\nSUMMARY:Cancelled"
    film = "UID:7\nDTSTART:20261201T190000Z\nSUMMARY:Film"
    content = calendar(birthday, cancelled, film)
    assert found(content) == [("Film", "01 19:00")]
    assert [name for name, _ in found(content, all_day=True)] == ["Birthday", "Film"]
    assert found(content, match=["Back*"]) == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>log in</html>",
        calendar(WEEKLY)[:-17],
        calendar(WEEKLY.replace("BYDAY=MO", "BYDAY=NEVER")),
        calendar(WEEKLY.replace("EXDATE;TZID=Europe/Berlin:2026", "EXDATE:x")),
        calendar(WEEKLY).replace(b"END:VEVENT\r\n", b""),
        calendar("UID:8\nDTSTART:today\nSUMMARY:x"),
        calendar("UID:9\nDTSTART:20261129T090000Z\nRRULE:FREQ=HOURLY\nSUMMARY:too many"),
    ],
)
def test_what_cannot_be_read_is_an_error(content: bytes) -> None:
    with pytest.raises(HostError):
        found(content)


EVENTS = (
    CalendarEvent(NOW.timestamp() - 3600, NOW.timestamp() + 3600, "Film"),
    CalendarEvent(NOW.timestamp() + DAY, NOW.timestamp() + DAY + 60, "Backup"),
    CalendarEvent(NOW.timestamp() + 2 * DAY, NOW.timestamp() + 2 * DAY + 60, "Backup"),
)


@pytest.mark.parametrize(
    ("ahead", "awake", "next_one"),
    [
        (-7200, [], 0),
        (-3600, ["Film"], 1),
        (0, ["Film"], 1),
        (3600, [], 1),
        (DAY + 30, ["Backup"], 2),
        (3 * DAY, [], None),
    ],
)
def test_the_present_event_keeps_awake_and_the_next_one_wakes_up(
    ahead: float, awake: list[str], next_one: int | None
) -> None:
    now = Moment(1000.0, 0.0, datetime.fromtimestamp(NOW.timestamp() + ahead, UTC))
    activities = list(current_activities(EVENTS, now, wakes_up=True))
    assert [each.subject.strip('"') for each in activities if each.keeps_awake] == awake
    wake_times = [each.wake_at for each in activities if each.wake_at is not None]
    assert wake_times == ([] if next_one is None else [EVENTS[next_one].begin])
    assert not any(each.wake_at for each in current_activities(EVENTS, now, wakes_up=False))


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.moment = moment(wall=NOW)

    def now(self) -> Moment:
        return self.moment


def test_it_is_read_at_the_start_and_again_before_a_sleep_and_twice_a_day() -> None:
    clock, fake = Clock(), RecordingPorts(command_result=ProcessResult(0, "[]", ""))
    check = CalendarCheck(Options(path="/c.ics"), check_ports(fake.ports(), clock))

    def reads(after: float, depth: PollDepth = PollDepth.ROUTINE) -> int:
        clock.moment = moment(wall=NOW, mono=1000.0 + after)
        asyncio.run(check.poll(depth))
        return len(fake.calls)

    assert reads(0) == 1
    request = fake.calls[0][-1]
    assert isinstance(request, bytes)
    assert json.loads(request)["horizon"] > MAX_ALARM_DELAY, "no alarm is set farther ahead"
    assert reads(3599, PollDepth.BEFORE_SLEEP) == 1
    assert reads(3600) == 1
    assert reads(3600, PollDepth.BEFORE_SLEEP) == 2
    assert reads(3600 + 12 * 3600 - 1) == 2
    assert reads(3600 + 12 * 3600) == 3


@pytest.mark.parametrize(("refresh", "retry"), [(3600.0, 900), (60.0, 60)])
def test_a_failure_stays_one_and_is_tried_again_later_or_before_a_sleep(refresh: float, retry: int) -> None:
    clock = Clock()
    fake = RecordingPorts(command_result=ProcessResult(1, "", "cannot read /c.ics: No such file\n"))
    check = CalendarCheck(Options(path="/c.ics", refresh=refresh), check_ports(fake.ports(), clock))

    def reads(after: float, depth: PollDepth = PollDepth.ROUTINE) -> int:
        clock.moment = moment(wall=NOW, mono=1000.0 + after)
        with pytest.raises(HostError, match="cannot read"):
            asyncio.run(check.poll(depth))
        return len(fake.calls)

    assert reads(0) == 1
    assert reads(retry - 1) == 1
    assert reads(retry) == 2
    assert reads(retry + 1, PollDepth.BEFORE_SLEEP) == 3
    fake.command_result = ProcessResult(0, "[]", "")
    clock.moment = moment(wall=NOW, mono=1000.0 + retry + 2)
    assert asyncio.run(check.poll(PollDepth.FULL)) == ()
    assert asyncio.run(check.poll(PollDepth.ROUTINE)) == ()
    assert len(fake.calls) == 4


def test_a_reading_that_was_interrupted_is_a_failure() -> None:
    class NeverEnds(RecordingPorts):
        async def run(self, *_: object, **__: object) -> ProcessResult:
            await asyncio.Event().wait()
            return self.command_result

    check = CalendarCheck(Options(path="/c.ics"), check_ports(NeverEnds().ports(), Clock()))

    async def interrupt() -> None:
        task = asyncio.ensure_future(check.poll(PollDepth.ROUTINE))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        with pytest.raises(HostError, match="interrupted"):
            await check.poll(PollDepth.ROUTINE)

    asyncio.run(interrupt())


@pytest.mark.parametrize(("summary", "fits"), [("И" * 60, True), ("é" * 100, True), ("😀" * 60, False)])
def test_what_the_daemon_would_not_read_to_its_end_is_an_error(summary: str, *, fits: bool) -> None:
    events: list[dict[str, object]] = [{"begin": 1.5, "end": 1796050800.0, "summary": summary}] * 250
    if fits:
        assert parse(encode_events(events, OUTPUT_CAP).decode())[0].summary == summary
    else:
        with pytest.raises(HostError, match="bytes; choose some"):
            encode_events(events, OUTPUT_CAP)


@pytest.mark.parametrize("text", ["", "{}", "[{}]", '[{"begin": "x"}]', "[1]", "null"])
def test_other_output_of_the_child_is_a_failure(text: str) -> None:
    if text == "{}":
        assert parse(text) == ()
        return
    with pytest.raises(HostError):
        parse(text)


@pytest.mark.parametrize("given", [{}, {"path": "/a", "url": "http://h/"}])
def test_one_place_is_required(given: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="requires"):
        Options(**given)  # type: ignore[arg-type] # as the loader calls it


@pytest.mark.process
def test_the_child_reads_a_file(tmp_path: Path) -> None:
    file = tmp_path / "c.ics"

    def child(content: bytes) -> subprocess.CompletedProcess[str]:
        file.write_bytes(content)
        request = REQUEST | {"path": str(file), "now": NOW.timestamp(), "output_cap": OUTPUT_CAP}
        command = [sys.executable, "-m", "powerd.activity.calendar_child"]
        return subprocess.run(
            command, input=json.dumps(request), capture_output=True, encoding="utf-8", check=False
        )

    assert [each.summary for each in parse(child(calendar(WEEKLY)).stdout)] == ["Backup"] * 3
    umlaut = child(calendar(WEEKLY.replace("Backup", "Prüfung"))).stdout
    assert [each.summary for each in parse(umlaut)] == ["Prüfung"] * 3
    assert child(b"").returncode == 1
