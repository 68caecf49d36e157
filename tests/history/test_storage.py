"""The files of the record: power cuts, damage, disks in standby, limits, and a year."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from history.histories import BEGIN, disk_holding, moment, status

from powerd.config.options import Options
from powerd.core.line_files import LineFiles
from powerd.core.service import Environment
from powerd.core.snapshot import Status
from powerd.core.state import StateStore
from powerd.core.storage import Storage
from powerd.core.time import Moment
from powerd.disks.state import DiskState
from powerd.history.codec import HEADER, Entry, LineWriter, read_entries
from powerd.history.model import DiskWake, SleepRecord, State, StateChange, Subject
from powerd.history.policy_record import make_record
from powerd.history.service import HistoryService
from powerd.power.model import ShutdownInProgress, TransitionFacts
from powerd.presence.model import ClientState

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


def busy_day(begin: float, random: Random, devices: list[Subject]) -> Iterator[Entry]:
    """Twelve devices that come, doze and go, work of the server, disks, and a sleep."""
    states: tuple[State, ...] = ("present", "dozing", "absent")
    times = sorted(random.uniform(begin, begin + 86_400) for _ in range(300))
    for at in times:
        state = random.choice(states)
        yield StateChange(
            round(at), random.choice(devices), state, round(at - 700) if state == "absent" else None
        )
    for at in times[::15]:
        yield DiskWake(
            round(at), "ata-WD-1", 1200, "smbd.service", "", "smbd", f"/srv/films/{random.random()}.mkv"
        )
    yield SleepRecord(
        begin + 3600, "suspend", 0, "enforce", "slept", begin + 25_200, 21_600.0, woken_by="alarm"
    )


def test_a_year_of_a_busy_home_takes_less_than_2_mb(tmp_path: Path) -> None:
    """Eleven compressed months, and two that are not: the present one, and the one before until a restart."""
    random = Random(1)  # noqa: S311 - repeatable on purpose
    devices = [Subject("client", f"02:00:00:00:00:{n:02x}", f"device-{n}") for n in range(12)]
    files, writer = LineFiles(tmp_path), LineWriter()
    for day in range(31):
        entries = busy_day(BEGIN + 86_400 * day, random, devices)
        files.append("month", "".join(map(writer.lines, entries)), header=HEADER)
    plain = files.size("month")
    for _ in range(2):
        files.compress("month", 4e9)
    assert 11 * files.size("month") + 2 * plain < 2_000_000
