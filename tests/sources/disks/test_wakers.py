from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig.hardware import Hardware

from powerd.host.machine import Machine
from powerd.host.values import HostError
from powerd.sources.disks.wakers import Lookout, Wakers, swaps_in_use

HEAD = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
MACHINE = "5f1d7a84db2e4f0f9a2a1b7c3d4e5f60"


def row(path: str, used: int, kind: str = "partition") -> str:
    """A line of the kernel (mm/swapfile.c, swap_show())."""
    return f"{path:<40}{kind}\t1048572\t\t{used}\t\t-2\n"


@pytest.mark.parametrize(
    ("rows", "used"),
    [
        ("", set()),
        (row("/dev/sda2", 0), set()),
        (row("/dev/sda2", 4) + row("/dev/zram0", 0) + row("/dev/dm-1", 1048572), {"/dev/sda2", "/dev/dm-1"}),
        (row("/srv/my\\040swap", 12, "file"), {"/srv/my swap"}),
        (row("/srv/swap\\040(deleted)", 12, "file"), {"/srv/swap"}),
        ("/dev/sda2 partition 1048572\n/dev/sda3 partition 12 many -2\n\n", set()),
    ],
)
def test_swap_space_is_in_use_where_the_kernel_says_so(rows: str, used: set[str]) -> None:
    assert swaps_in_use(HEAD + rows) == used


@given(st.text())
def test_any_text_is_borne(text: str) -> None:
    assert swaps_in_use(None) == frozenset()
    swaps_in_use(text)


class Eyes(Machine):
    """The real Eyes below a root, which write down what they look for on disk."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.disturbed = 0

    def target(self, path: str) -> str | None:
        self.disturbed += path.startswith("/var")
        return super().target(path)


class Server:
    """A machine's files about its journal and swap space."""

    def __init__(self, root: Path) -> None:
        self.hardware = Hardware(root)
        self.eyes = Eyes(root)
        self.lookout = Lookout(self.eyes)

    def look(self, mounted: str = "") -> Wakers:
        return self.lookout.look(mounted)

    def flushed(self) -> None:
        """As journald does when it is told to write to /var."""
        self.hardware.put("/run/systemd/journal/flushed", "")

    def directory(self, path: str) -> Path:
        made = self.hardware.at(path)
        made.mkdir(parents=True)
        return made


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    yield server
    server.eyes.close()


def test_a_journal_on_disk_is_found_where_its_links_lead(server: Server) -> None:
    server.flushed()
    server.directory("/srv/log/journal")
    server.directory("/var")
    server.hardware.at("/var/log").symlink_to("../srv/log")
    assert server.look().journal == "/srv/log/journal"


def test_one_that_is_not_written_to_does_not_count(server: Server) -> None:
    """Neither one that nobody has made, nor what another system's journald has left behind."""
    server.flushed()
    assert server.look().journal is None
    server.directory("/var/log/journal")
    server.hardware.at("/run/systemd/journal/flushed").unlink()
    assert server.look().journal is None


def test_a_journal_in_memory_is_told_from_one_on_disk_and_each_from_what_it_becomes(server: Server) -> None:
    server.directory("/var/log/journal")
    runtime = server.directory(f"/run/log/journal/{MACHINE}")
    assert server.look().journal is None, "at boot it is not on disk yet"
    server.flushed()
    assert server.look().journal is None, "Storage=volatile"
    runtime.rmdir()
    assert server.look().journal == "/var/log/journal"
    runtime.mkdir()
    assert server.look().journal is None


def test_a_namespace_s_journal_in_memory_says_nothing_of_the_system_s(server: Server) -> None:
    server.flushed()
    server.directory("/var/log/journal")
    server.directory(f"/run/log/journal/{MACHINE}.backup")
    assert server.look().journal == "/var/log/journal"


def test_a_runtime_journal_that_may_not_be_looked_for_is_taken_for_none(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.flushed()
    server.directory("/var/log/journal")

    def refuse(_: str) -> tuple[str, ...]:
        raise HostError("cannot look into /run/log/journal: Permission denied")

    monkeypatch.setattr(server.eyes, "entries", refuse)
    assert server.look().journal == "/var/log/journal"


def test_the_disk_is_looked_at_only_when_mounts_or_journald_have_changed(server: Server) -> None:
    server.flushed()
    server.directory("/var/log/journal")
    for _ in range(100):
        server.look()
    assert server.eyes.disturbed == 1
    server.look("another mount")
    assert server.eyes.disturbed == 2
    server.directory(f"/run/log/journal/{MACHINE}")
    server.look("another mount")
    assert server.eyes.disturbed == 2, "in memory it is nowhere else"


def test_swap_space_is_read_where_the_service_has_it(server: Server) -> None:
    assert server.look().swaps == frozenset()
    server.hardware.put("/run/powerd/swaps", HEAD + row("/dev/sda2", 4))
    assert server.look().swaps == {"/dev/sda2"}
    server.hardware.put("/proc/swaps", HEAD + row("/dev/sda2", 0))
    assert server.look().swaps == frozenset()


def test_this_kernel_s_own_table_is_understood() -> None:
    """Whatever there is: each row names a path, and what is in use is among them."""
    text = Path("/proc/swaps").read_text()
    head, *rows = text.splitlines()
    assert head.split() == HEAD.split()
    assert swaps_in_use(text) <= {row.split()[0] for row in rows}
    assert stat.S_IMODE(Path("/proc/swaps").stat().st_mode) & stat.S_IROTH
