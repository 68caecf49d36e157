"""Real files below a directory, with times of change on virtual moments."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest
from fakes.checks import check_ports

from powerd.activity.check import NotApplicableError
from powerd.activity.checks.log import LogCheck, Options
from powerd.core.poller import PollDepth
from powerd.linux.files import HostFiles
from powerd.linux.values import HostError
from powerd.simulation.clock import SimulatedClock

LOG: Final = "/var/log/app.log"
FILM: Final = "GET /films/1\n"
SCRAPE: Final = "GET /metrics\n"
WITHIN: Final = 600.0
MOUNTS: Final = (
    "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n26 21 8:1 /tmp/systemd-private-2f-x/tmp /tmp rw - ext4 a rw\n"
)


class CountingFiles(HostFiles):
    """Files of a directory.

    Attributes:
        bytes_read: of log files, with the limit of each reading.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.bytes_read: list[int] = []

    def read_bytes(self, path: str, limit: int, start: int = 0) -> bytes | None:
        if path.startswith("/var/log"):
            self.bytes_read.append(limit)
        return super().read_bytes(path, limit, start)


@dataclass
class Server:
    """A server with a check of one log.

    Attributes:
        minutes: the time; the check is polled in each.
        paths, regex: of the check.
    """

    root: Path
    minutes: float = 0.0
    paths: tuple[str, ...] = (LOG,)
    regex: str = "GET /films/"
    files: CountingFiles = field(init=False)
    check: LogCheck = field(init=False)
    clock: SimulatedClock = field(init=False)

    def __post_init__(self) -> None:
        (self.root / "proc/self").mkdir(parents=True)
        (self.root / "proc/self/mountinfo").write_text(MOUNTS)
        (self.root / "var/log").mkdir(parents=True)
        self.files = CountingFiles(self.root)
        self.clock = SimulatedClock(mono=lambda: self.minutes * 60.0)
        self.restart()

    def restart(self) -> None:
        ports = replace(check_ports(clock=self.clock), files=self.files)
        self.check = LogCheck(Options(self.paths, self.regex, WITHIN), ports)

    def write(self, text: str | bytes, path: str = LOG, age: float = 0.0) -> None:
        """Append to a log that is written ``age`` seconds before now."""
        local = self.root / path.lstrip("/")
        with local.open("ab") as file:
            file.write(text if isinstance(text, bytes) else text.encode())
        changed = self.clock.now().wall.timestamp() - age
        os.utime(local, (changed, changed))

    def poll(self, minutes: float = 1.0) -> bool:
        """Whether a log keeps the server awake, these minutes after the last poll."""
        self.minutes += minutes
        found = asyncio.run(self.check.poll(PollDepth.ROUTINE))
        assert all(each.keeps_awake for each in found)
        return bool(found)


@pytest.fixture
def server(tmp_path: Path) -> Server:
    server = Server(tmp_path)
    server.write(FILM, age=86_400)
    assert not server.poll()
    return server


def test_a_line_that_matches_counts_for_some_time(server: Server) -> None:
    server.write(SCRAPE + FILM + SCRAPE)
    assert [server.poll() for _ in range(11)] == [True] * 9 + [False] * 2
    server.write(SCRAPE)
    assert not server.poll()


def test_a_log_that_does_not_grow_is_not_read(server: Server) -> None:
    server.files.bytes_read.clear()
    assert not any(server.poll() for _ in range(10))
    assert server.files.bytes_read == []
    server.write(SCRAPE)
    assert [server.poll(), server.poll()] == [False, False]
    assert server.files.bytes_read == [len(SCRAPE)]


def test_what_was_written_before_the_start_counts_unread(server: Server) -> None:
    server.files.bytes_read.clear()
    server.write(SCRAPE, age=WITHIN - 120)
    server.restart()
    assert [server.poll(), server.poll(), server.poll()] == [True, False, False]
    assert not any(server.files.bytes_read)


@pytest.mark.parametrize(
    ("parts", "counts"),
    [
        (("GET /fi", "lms/1\n"), [False, True]),
        (("GET /fi", "rst/1\n"), [False, False]),
        ((FILM[:-1], "\n"), [True, True]),
        ((b"\xff\xfe GET /films/\xe4\n",), [True]),
        ((b"\x00" * 100, FILM), [False, True]),
    ],
)
def test_lines_in_parts_and_of_any_bytes(
    server: Server, parts: tuple[str | bytes, ...], counts: list[bool]
) -> None:
    found = []
    for part in parts:
        server.write(part)
        found.append(server.poll())
    assert found == counts


@pytest.mark.parametrize("after", ["", SCRAPE])
@pytest.mark.parametrize("name", ["app.log.1", "app.log-20261129", "app.1.log"])
def test_a_renamed_log_is_read_to_its_end(server: Server, name: str, after: str) -> None:
    server.write(FILM)
    (server.root / "var/log/app.log").rename(server.root / f"var/log/{name}")
    (server.root / "var/log/app.log").touch()
    server.write(after)
    assert server.poll()


@pytest.mark.parametrize("match", [0, 1, 2, None])
def test_two_rotations_in_one_round(server: Server, match: int | None) -> None:
    """The file that was made and renamed between two polls is read too, and those from before are not."""
    directory = server.root / "var/log"
    server.write(FILM, "/var/log/app.log.1", age=3600)
    for number in range(3):
        server.write(FILM if number == match else SCRAPE, age=30.0 - 10.0 * number)
        if number < 2:
            for suffix in (".2", ".1", ""):
                old = directory / f"app.log{suffix}"
                if old.exists():
                    old.rename(directory / f"app.log.{int(suffix[1:] or 0) + 1}")
    assert server.poll() is (match is not None)


def test_rotation_of_a_log_without_matches(server: Server) -> None:
    """By renaming, with and without a new file, whose old one has another name."""
    for number in range(3):
        server.write(SCRAPE)
        (server.root / "var/log/app.log").rename(server.root / f"var/log/app.log.{number}")
        if number == 1:
            assert not server.poll(), "the program makes the new file when it writes next"
        server.write(SCRAPE)
        assert not server.poll()
    server.write(FILM)
    assert server.poll()


def test_the_last_line_of_a_log_without_a_successor(server: Server) -> None:
    """It counts however old the line before it was."""
    server.poll(minutes=120)
    server.write(FILM)
    (server.root / "var/log/app.log").rename(server.root / "var/log/app.log.1")
    assert server.poll()


def test_lines_that_end_as_on_windows(tmp_path: Path) -> None:
    server = Server(tmp_path, regex="^done$")
    server.write("start\r\n", age=86_400)
    assert not server.poll()
    server.write("done\r\n")
    assert server.poll()


def truncate(log: Path) -> None:
    log.write_text(SCRAPE[:2])


def overwrite(log: Path) -> None:
    log.write_text(log.read_text().replace("GET", "PUT"))


def overwrite_with_more(log: Path) -> None:
    log.write_text("PUT /metrics\n" * 1000)


def append_a_long_line(log: Path) -> None:
    log.write_text(log.read_text() + "x" * (1 << 14) + FILM)


def append_much_and_rename(log: Path) -> None:
    log.write_text(log.read_text() + FILM + SCRAPE * (1 << 17))
    log.rename(log.with_name("app.log.1"))
    log.write_text(SCRAPE)


def replace_it(log: Path) -> None:
    log.rename(log.with_name("other"))
    log.write_text(SCRAPE)


@pytest.mark.parametrize(
    "lose", [truncate, overwrite, overwrite_with_more, append_a_long_line, append_much_and_rename, replace_it]
)
def test_what_cannot_be_read_counts(server: Server, lose: Callable[[Path], None]) -> None:
    server.write(SCRAPE)
    assert not server.poll()
    lose(server.root / "var/log/app.log")
    server.write("", age=30)
    assert [server.poll() for _ in range(10)] == [True] * 9 + [False]


def test_a_log_that_is_removed_counts_if_it_was_in_use(server: Server) -> None:
    server.write(SCRAPE)
    assert not server.poll()
    (server.root / "var/log/app.log").unlink()
    assert [server.poll() for _ in range(10)] == [True] * 8 + [False] * 2


def test_a_log_that_grows_too_fast_counts(server: Server) -> None:
    server.write(SCRAPE * (1 << 17))
    assert server.poll()
    assert max(server.files.bytes_read) <= 1 << 20


def test_a_search_that_would_take_hours_counts_and_ends(tmp_path: Path) -> None:
    server = Server(tmp_path, regex="(a+)+$")
    server.write("b\n", age=WITHIN)
    assert not server.poll()
    server.write("a" * 100 + "!\n")
    assert server.poll()
    server.write("b\n")
    assert not server.poll(WITHIN / 60), "the line is not searched again"
    assert signal.getsignal(signal.SIGVTALRM) is signal.SIG_DFL
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)


def test_many_logs_with_slow_searches_do_not_block_the_daemon(tmp_path: Path) -> None:
    """Each search may take a second, and the watchdog waits for three minutes."""
    paths = tuple(f"/var/log/{n}.log" for n in range(3))
    server = Server(tmp_path, paths=paths)
    for path in paths:
        server.write(SCRAPE, path)
    server.poll()
    for path in paths:
        server.write(SCRAPE, path)
    server.files.bytes_read.clear()
    read_by_turn: list[int] = []

    async def poll() -> None:
        polling = asyncio.ensure_future(server.check.poll(PollDepth.ROUTINE))
        while not polling.done():
            await asyncio.sleep(0)
            read_by_turn.append(len(server.files.bytes_read))

    server.minutes += 1
    asyncio.run(poll())
    assert all(after - before <= 2 for before, after in pairwise([0, *read_by_turn])), "its end, and the rest"


def test_logs_with_dates(tmp_path: Path) -> None:
    """A new one is read from its beginning; one that is removed after a month does not count."""
    server = Server(tmp_path, paths=("/var/log/app/log_*.log",))
    (tmp_path / "var/log/app").mkdir()
    server.write(FILM, "/var/log/app/log_20261001.log", age=86_400)
    assert not server.poll()
    server.write(FILM, "/var/log/app/log_20261129.log")
    assert server.poll()
    assert [server.poll() for _ in range(10)][-1] is False
    (tmp_path / "var/log/app/log_20261001.log").unlink()
    assert not server.poll()


def test_a_step_of_the_wall_clock_hides_no_line(server: Server) -> None:
    server.write(FILM, age=7200)  # written a moment ago, before the clock was set
    assert server.poll()


def test_a_log_that_is_not_there(tmp_path: Path) -> None:
    server = Server(tmp_path)
    with pytest.raises(NotApplicableError, match=r"app\.log"):
        server.poll()
    server.write(SCRAPE, age=86_400)
    assert not server.poll()


@pytest.mark.skipif(os.geteuid() != 0, reason="gives up the rights of root")
@pytest.mark.parametrize("denied", ["var/log/app.log", "var/log"])
def test_a_log_that_may_not_be_read_is_a_failure_from_the_start(server: Server, denied: str) -> None:
    for parent in list(server.root.parents)[:-2]:
        parent.chmod(0o755)
    server.root.chmod(0o755)
    (server.root / denied).chmod(0o700)
    server.restart()
    os.seteuid(65534)
    try:
        with pytest.raises(HostError, match=r"let user|add user"):
            server.poll()
    finally:
        os.seteuid(0)


def test_a_place_that_the_service_does_not_see_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="its own"):
        Server(tmp_path, paths=("/tmp/app.log",)).poll()  # noqa: S108 - below a root of this test


@pytest.mark.parametrize("kind", ["nfs4", "autofs"])
def test_a_log_that_may_block_is_a_failure(server: Server, kind: str) -> None:
    mounts = server.root / "proc/self/mountinfo"
    mounts.write_text(f"{MOUNTS}27 21 0:50 / /var/log rw - {kind} nas:/log rw\n")
    server.restart()
    with pytest.raises(HostError, match=kind):
        server.poll()


@pytest.mark.parametrize("options", [((), "x"), (("/a",), ""), (("",), "x")])
def test_paths_and_an_expression_are_required(options: tuple[tuple[str, ...], str]) -> None:
    with pytest.raises(ValueError, match="requires"):
        Options(*options)
