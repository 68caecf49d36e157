"""The files of the record: power cuts, damage, disks in standby, limits, and a year."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
from history.histories import BEGIN, disk_holding, moment, status

from powerd.config.options import Options
from powerd.core.service import Environment
from powerd.core.snapshot import Status
from powerd.core.state import StateStore
from powerd.core.storage import Storage
from powerd.core.time import Moment
from powerd.disks.state import DiskState
from powerd.history import service
from powerd.history.codec import HEADER, Entry, LineWriter, read_entries
from powerd.history.model import SERVER, DiskWake, Record, SleepRecord, State, StateChange, Subject
from powerd.history.policy_record import make_record, time_of
from powerd.history.service import HistoryService
from powerd.history.view.api import history_json, record_parts
from powerd.history.view.report import PowerUse, report_json
from powerd.history.view.report_table import report_text
from powerd.history.view.table import history_text
from powerd.power.model import ShutdownInProgress, TransitionFacts, WakeEvent, WakeupCause
from powerd.presence.model import ClientState
from powerd.replay.command import read_record, simulation_json, simulation_text

MOST_IN_MEMORY = 4000 + 600
"""Changes in memory, and those of the hours since it was checked."""
HOUR = 3600.0
FILE = "history/2026-06.jsonl"
SUSPENDS = TransitionFacts(ShutdownInProgress(1100.0, "sleep"))
POWERS_OFF = TransitionFacts(ShutdownInProgress(1100.0, "shutdown"))
ENTRIES: tuple[Entry, ...] = (
    StateChange(BEGIN, Subject("client", "02:00", "tv \u2028"), "present"),
    StateChange(BEGIN + 60, Subject("client", "02:00", "tv \u2028"), "absent", BEGIN + 10),
    SleepRecord(BEGIN + 100, "suspend", 0, "enforce", "slept", BEGIN + 900, 800.0, woken_by="alarm"),
    DiskWake(BEGIN + 1000, "ata-WD-1", None, "smbd.service", comm="smbd"),
)


class Clock:
    """Its time is set by the test."""

    def __init__(self) -> None:
        self.time = moment(0)

    def now(self) -> Moment:
        return self.time


class Server:
    """One run of powerd after another on the same state directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = Clock()
        self.errors: list[str] = []
        self.may_write = True
        self.history = self.start()

    def start(self) -> HistoryService:
        storage = Storage(self.directory, self.errors.append)
        environment = Environment(self.clock, StateStore(), Options, storage, self.errors.append, "")
        self.history = HistoryService(environment, lambda: self.may_write)
        return self.history

    def decide(self, *statuses: Status) -> None:
        for each in statuses:
            self.clock.time = each.now
            self.history.on_decision(each)

    def stored(self) -> str:
        path = self.directory / FILE
        return path.read_text() if path.exists() else ""


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path)


def lines_of(entries: tuple[Entry, ...]) -> str:
    writer = LineWriter()
    return f"{HEADER}\n" + "".join(map(writer.lines, entries))


def test_entries_are_read_as_they_were_written() -> None:
    faults: list[str] = []
    assert tuple(read_entries(lines_of(ENTRIES), 0.0, faults)) == ENTRIES
    assert faults == []


@pytest.mark.parametrize(
    ("since", "expected"), [(0.0, ENTRIES), (60.0, ENTRIES), (61.0, ENTRIES[1:]), (1001.0, ENTRIES[1:3])]
)
def test_of_what_is_earlier_only_the_last_state_and_the_sleeps_are_read(
    since: float, expected: tuple[Entry, ...]
) -> None:
    assert tuple(read_entries(lines_of(ENTRIES), BEGIN + since, [])) == expected


def test_a_power_cut_at_any_byte_costs_the_lines_after_it(server: Server) -> None:
    content = lines_of(ENTRIES).encode()
    path = server.directory / FILE
    path.parent.mkdir()
    server.clock.time = moment(2000)
    for length in range(len(content) + 1):
        path.write_bytes(content[:length])
        complete = content[: content[:length].rfind(b"\n") + 1].decode()
        expected = make_record(read_entries(complete, 0.0, []), 0.0, BEGIN + 2000)
        history = server.start()
        assert history.record.sleeps == expected.sleeps
        assert history.record.disk_wakes == expected.disk_wakes
        assert not server.errors
        history.on_decision(status(2000))
        assert path.read_bytes().startswith(content[:length])
        added = path.read_text()[length:].removeprefix("\n").removeprefix(f"{HEADER}\n")
        faults: list[str] = []
        assert list(read_entries(added, 0.0, faults))
        assert not faults


@pytest.mark.parametrize(
    "junk",
    [
        b"\0" * 50,
        b"\xff\xfe[",
        b'["sleep",{}]',
        b"[" * 5000,
        b"[1,99,1]",
        b'["=",0,"x"]',
        b"[1,0,1",
        b"[1,0,1],[2,0,1]",
        b"[01,0,1]",
        b"[9999999999,0,1]",
        b"[1,0,13]",
        b"x[1,0,1]",
        b"[1,0,1]]",
    ],
)
def test_what_cannot_be_read_is_skipped_and_reported_once(junk: bytes, server: Server) -> None:
    path = server.directory / FILE
    path.parent.mkdir()
    path.write_bytes(lines_of(ENTRIES[:2]).encode() + junk + b"\n" + lines_of(ENTRIES[2:]).encode())
    server.clock.time = moment(2000)
    assert server.start().record.sleeps == (ENTRIES[2],)
    (error,) = server.errors
    assert "1 of its" in error
    assert junk in path.read_bytes()


@pytest.mark.parametrize("content", [b"mine\n", b'["powerd-history",2]\n[1,2,3]\n'])
def test_a_file_of_others_is_set_aside(content: bytes, server: Server) -> None:
    path = server.directory / FILE
    path.parent.mkdir()
    path.write_bytes(content)
    server.start()
    (error,) = server.errors
    assert "set aside as 2026-06.bad" in error
    assert path.with_name("2026-06.bad").read_bytes() == content
    server.decide(status(0))
    assert server.stored().startswith(HEADER)
    for since in (0.0, server.clock.time.wall.timestamp() - 60):
        (problem,) = asyncio.run(server.history.read(since)).problems
        assert "2026-06.bad" in problem, "reading the record reports what is missing"
    assert asyncio.run(server.start().read(0.0)).problems == (problem,), "after a restart, too"
    assert len(server.errors) == 1


def test_a_file_that_cannot_be_written_is_reported_once_and_nothing_is_lost(server: Server) -> None:
    path = server.directory / FILE
    path.mkdir(parents=True)
    server.decide(status(0), status(60, "awake", phone=ClientState.PRESENT), status(120))
    assert len(server.errors) == 1
    path.rmdir()
    server.decide(status(180))
    assert server.stored().count('"phone"') == 1
    assert "present" in {each.state for each in server.start().record.intervals}


def test_a_disk_in_standby_is_not_written_to(server: Server) -> None:
    server.may_write = False
    stopped = (disk_holding(str(server.directory), DiskState.STANDBY),)
    server.decide(
        status(0, disks=stopped),
        status(60, "awake", phone=ClientState.PRESENT, disks=stopped),
        status(100, "going-down", facts=SUSPENDS, disks=stopped),
    )
    server.history.close()
    assert server.stored() == ""


@pytest.mark.parametrize(
    ("facts", "state", "written"),
    [
        (SUSPENDS, DiskState.ACTIVE, True),
        (SUSPENDS, DiskState.UNKNOWN, True),
        (SUSPENDS, DiskState.STANDBY, False),
        (POWERS_OFF, DiskState.STANDBY, True),
        (None, DiskState.ACTIVE, False),
    ],
)
def test_what_happened_is_stored_before_a_sleep(
    facts: TransitionFacts | None, state: DiskState, server: Server, *, written: bool
) -> None:
    server.may_write = False
    disks = (disk_holding(str(server.directory), state),)
    server.decide(status(0, disks=disks), status(100, "going-down", facts=facts, disks=disks))
    assert bool(server.stored()) is written


def test_own_writes_keep_no_disk_spinning(server: Server) -> None:
    disks = (disk_holding(str(server.directory), DiskState.ACTIVE),)
    sizes = []
    for minute in range(12):
        phone = ClientState.PRESENT if minute % 2 else ClientState.ABSENT
        server.decide(status(60.0 * minute, "awake", phone=phone, disks=disks))
        sizes.append(len(server.stored()))
    assert len(set(sizes)) == 3, "at the first decision, and after five and ten minutes"


def test_the_state_of_each_run_ends_with_it(server: Server) -> None:
    server.decide(
        status(0, "awake", phone=ClientState.PRESENT), status(60, "awake", phone=ClientState.PRESENT)
    )
    server.clock.time = moment(90)
    server.history.close()
    server.start()
    server.decide(status(300, "awake", phone=ClientState.PRESENT))
    server.start()  # after a crash
    server.decide(status(900))
    stopped = [
        (each.begin - BEGIN, (each.end or 0) - BEGIN)
        for each in server.history.record.intervals
        if each.state == "stopped"
    ]
    assert stopped == [(90, 300), (300, 900)]


def test_a_lost_line_makes_no_sleep_longer_than_until_the_next_line(server: Server) -> None:
    woken = TransitionFacts(None, WakeEvent(1110.0, WakeupCause.BUTTON))
    resumed: dict[str, Any] = {"slept": 3600.0, "facts": woken}
    server.decide(
        status(0),
        status(100, "going-down", facts=SUSPENDS),
        status(110, "starting", **resumed),
        status(170, "awake", phone=ClientState.PRESENT, **resumed),
        status(800, "idle", **resumed),
    )
    lines = server.stored().splitlines(keepends=True)
    sleeps = [n for n, line in enumerate(lines) if line.startswith('["sleep"')]
    assert len(sleeps) == 3, "announced, ended, and somebody came"
    server.clock.time = moment(90_000, 3600)
    for lost in ({n} for n in range(len(lines))), (set(sleeps[1:]),):
        for numbers in lost:
            left = (line for n, line in enumerate(lines) if n not in numbers)
            (server.directory / FILE).write_text("".join(left))
            history = server.start()
            for record in (history.record, asyncio.run(history.read(0.0))):
                (sleep,) = record.sleeps
                assert sleep.end is not None
                assert BEGIN + 3710 <= sleep.end <= BEGIN + 4400
                assert sleep.woken_by == ("button" if len(numbers) == 1 else "unrecorded")


def test_a_sleep_of_which_only_the_end_is_still_in_memory_is_no_time_awake(server: Server) -> None:
    day, doze = 86_400.0, ClientState.DOZING
    woken = TransitionFacts(None, WakeEvent(1000.0 + day + 110, WakeupCause.BUTTON))
    suspends = TransitionFacts(ShutdownInProgress(1000.0 + day + 100, "sleep"))
    server.decide(
        status(0, "awake", phone=doze),
        status(day + 100, "awake", phone=doze, facts=suspends),
        status(day + 110, slept=36_000, phone=doze, facts=woken),
        status(8 * day + 19 * HOUR, slept=36_000, phone=ClientState.PRESENT, facts=woken),
    )
    record = server.history.record
    assert BEGIN + day + HOUR < record.since < BEGIN + day + 9 * HOUR
    assert [each.asleep for each in record.sleeps] == [36_000.0]
    assert history_json(record, UTC)["blockers"] == []


def test_counters_survive_a_restart(server: Server) -> None:
    server.decide(status(0), status(60), status(120, "awake", phone=ClientState.PRESENT))
    server.history.close()
    assert server.start().counters.decisions == 3


def test_a_day_without_end_is_limited(server: Server) -> None:
    """Names of blockers change with every decision; only the first 24 KB of the day are recorded."""
    server.may_write = False
    for n in range(200):
        server.decide(status(10.0 * n, "awake", blockers=((f"job-{n}", "x" * 500, True),)))
    server.may_write = True
    server.decide(status(3000.0))
    assert 24_000 < len(server.stored()) < 26_000
    assert server.history.record.intervals[-1].state == "stopped"
    server.decide(status(86_400.0, "awake", blockers=(("late", "", True),)))
    assert server.history.record.intervals[-1].subject.id == "late"


def as_sent(record: Record) -> Record:
    """What `powerd simulate` makes of the response of the daemon."""
    return read_record(json.loads("".join(record_parts(record, UTC, ""))))


def test_a_month_that_cannot_be_read_is_named_wherever_its_numbers_are_missing(server: Server) -> None:
    server.decide(status(0))
    (server.directory / "history" / "2026-05.jsonl.z").write_bytes(b"junk")
    record = asyncio.run(server.history.read(0.0))
    (problem,) = record.problems
    assert server.errors == [problem]
    for text in (
        report_text(report_json(record, PowerUse(), UTC)),
        history_text(history_json(record, UTC)),
        simulation_text(simulation_json(as_sent(record), Options(), [], UTC)),
    ):
        assert "2026-05.jsonl" in text.replace("\n", "")


YEAR: float = datetime(2090, 1, 1, tzinfo=UTC).timestamp()  # later than the times of the files
PHONES = [Subject("client", f"02:00:00:00:00:{n:02x}", f"phone-of-person-{n}") for n in range(8)]
OTHERS = [Subject("client", f"02:00:00:00:01:{n:02x}", f"device-{n}.lan") for n in range(12)]
WORK = [Subject("activity", "disk_io", f"service-{n}.service", f"writes {n} MB/s to sda") for n in range(5)]
DISKS = [Subject("disk", f"ata-WDC_WD40EFRX-68N32N0_WD-WCC{n}", f"sd{chr(97 + n)}") for n in range(8)]
CHANGES_A_DAY: tuple[tuple[list[Subject], tuple[State, ...], int], ...] = (
    (PHONES, ("present", "dozing"), 28),  # a phone dozes most of the time
    ([*PHONES, *OTHERS], ("present", "absent"), 4),
    (WORK, ("active", "none"), 16),
    ([Subject("blocker", "backup.timer", text="is due in 5 min")], ("needed", "none"), 10),
    (DISKS, ("spinning", "standby"), 8),
    ([SERVER], ("awake", "idle"), 20),
)


def day_of_a_home(begin: float, random: Random) -> list[list[Entry]]:
    """What twenty clients and eight disks do on a day with a sleep at night, in parts of six hours."""
    parts: list[list[Entry]] = [[] for _ in range(4)]
    for subjects, states, count in CHANGES_A_DAY:
        for subject in subjects:
            seconds = sorted(7 * 3600 + int(61_200 * random.random()) for _ in range(count))
            for n, second in enumerate(seconds):
                state = states[n % len(states)]
                seen = begin + second - 300 - int(2700 * random.random()) if state == "absent" else None
                parts[second // 21_600].append(StateChange(begin + second, subject, state, seen))
    for disk in DISKS:
        for hour in random.sample(range(7, 24), 3):
            path = f"/srv/media/series/{random.getrandbits(40):x}/episode.mkv"
            wake = DiskWake(begin + hour * HOUR, disk.id, 2400, "smbd.service", "anna-pc", "smbd", path)
            parts[hour // 6].append(wake)
    asleep = SleepRecord(begin + HOUR, "suspend", 0, "enforce", "slept", alarm=begin + 7 * HOUR)
    woken = replace(asleep, end=begin + 7 * HOUR, asleep=6 * HOUR, woken_by="alarm", detail="rtc_cmos")
    came = replace(woken, came_at=begin + 7.2 * HOUR, came="phone-of-person-1: home, answers ping")
    parts[0].append(asleep)
    parts[1] += woken, came
    return [sorted(entries, key=time_of) for entries in parts]


@pytest.mark.long
def test_a_year_of_twenty_clients_takes_less_than_2_mb(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that the service stores and has in memory; its disk spins once a day only."""
    random, history = Random(1), server.history  # noqa: S311 - repeatable on purpose
    for day in range(365):
        for part, entries in enumerate(day_of_a_home(YEAR + day * 24 * HOUR, random)):
            monkeypatch.setattr(service, "record", lambda recorder, *_, found=entries: (recorder, found))
            seconds = YEAR - BEGIN + (day * 24 + part * 6 + 6) * HOUR - 1
            server.may_write = part == 3
            server.decide(status(seconds))
        assert len(history._entries) <= MOST_IN_MEMORY  # noqa: SLF001 - what it has in memory
    files = list((server.directory / "history").iterdir())
    names = {f"2090-{month:02}.jsonl{'' if month == 12 else '.z'}" for month in range(1, 13)}
    assert {path.name for path in files} == names, "no month is removed, and none is there twice"
    assert sum(path.stat().st_size for path in files) < 2_000_000
    assert server.errors == []
    year = asyncio.run(history.read(YEAR))
    assert len(year.sleeps) == 365
    assert len(year.changes) > 365 * 450
