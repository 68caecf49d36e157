from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from fakes.lease_files import CountingFiles

from powerd.presence.leases import format_by_name
from powerd.presence.leases.format import HostEntry
from powerd.presence.leases.watcher import (
    GRACE_PERIOD,
    MAX_VANISHED_AGE,
    FileOrigin,
    RetainedEntries,
    WatchedFile,
)

PATH = "/srv/leases"
A, B = "0 02:00:00:00:00:01 10.0.0.1 a *\n", "0 02:00:00:00:00:02 10.0.0.2 b *\n"
ENTRY_A = HostEntry("10.0.0.1", "02:00:00:00:00:01", "a", source=PATH)
ENTRY_B = HostEntry("10.0.0.2", "02:00:00:00:00:02", "b", source=PATH)
STALE_A, STALE_B = ENTRY_A._replace(stale=True), ENTRY_B._replace(stale=True)


class FileUnderTest:
    """One watched file below a temporary root."""

    def __init__(
        self, root: Path, form: str | None = "dnsmasq", origin: FileOrigin = FileOrigin.DEFAULT_PATH
    ) -> None:
        self.machine = CountingFiles(root)
        self.file = WatchedFile(PATH, origin, format_by_name(form) if form else None)
        self.now = 0.0

    def poll(self, after: float = 60) -> list[HostEntry]:
        """Poll after some more seconds; return the entries."""
        self.now += after
        asyncio.run(self.file.poll(self.machine, self.now))
        return list(self.file.retained.entries)

    def put(self, *texts: str) -> list[HostEntry]:
        """Replace the file and poll."""
        self.machine.replace_file(PATH, *texts)
        return self.poll()


@pytest.fixture
def file(tmp_path: Path) -> FileUnderTest:
    return FileUnderTest(tmp_path)


def test_an_unchanged_file_costs_one_stat(file: FileUnderTest) -> None:
    assert file.put(A) == [ENTRY_A]
    version = file.file.version
    file.machine.reset_counts()
    for _ in range(10):
        assert file.poll() == [ENTRY_A]
    assert file.machine.stat_counts == {PATH: 10}
    assert not file.machine.open_counts
    assert file.file.version == version


def test_a_replaced_appended_or_truncated_file_is_read(file: FileUnderTest) -> None:
    file.put(A)
    assert file.put(B) == [ENTRY_B, STALE_A]
    file.machine.append(PATH, A)
    assert file.poll() == [ENTRY_B, ENTRY_A]
    (file.machine.root / PATH[1:]).write_text("")
    assert file.poll() == [STALE_B, STALE_A]
    assert file.poll(GRACE_PERIOD + 1) == []
    assert file.file.error is None


def test_a_partly_written_file_is_read_again(file: FileUnderTest) -> None:
    file.put(A, B)
    assert file.put(A, B[:20]) == [ENTRY_A, STALE_B]
    assert file.file.result.skipped == 0
    file.machine.append(PATH, B[20:])
    assert file.poll() == [ENTRY_A, ENTRY_B]


def test_a_removal_is_read_twice_because_file_times_are_coarse(file: FileUnderTest) -> None:
    """The file is overwritten in place with the same size, within one tick of the kernel's clock."""
    file.put(A, B)
    place = file.machine.root / PATH[1:]
    with place.open("r+") as stream:
        stream.write(A + A)
    mark = file.machine.stat_signature(PATH)
    assert mark
    assert file.poll()[0] == ENTRY_A
    with place.open("r+") as stream:
        stream.write(A + B)
    file.machine.restore_mtime(PATH, mark)
    assert file.machine.stat_signature(PATH) == mark
    assert file.poll() == [ENTRY_A, ENTRY_B]
    file.machine.reset_counts()
    file.poll()
    assert not file.machine.open_counts


def test_invalid_entries_are_read_twice_only(file: FileUnderTest) -> None:
    file.put(A, "garbled\n")
    assert file.file.result.skipped == 1
    for _ in range(5):
        file.poll()
    assert file.machine.open_counts == {PATH: 2}


def test_a_vanished_file_keeps_its_entries_and_is_an_error_after_an_hour(file: FileUnderTest) -> None:
    file.put(A)
    file.machine.remove(PATH)
    assert file.poll() == [STALE_A]
    assert file.poll(MAX_VANISHED_AGE) == [STALE_A]
    assert not file.file.error
    assert file.poll(1) == [STALE_A]
    assert file.file.hides_clients
    assert f"{PATH}: no longer exists" in str(file.file.error)
    assert file.put(A) == [ENTRY_A]
    assert not file.file.error
    assert not file.file.hides_clients


def test_a_vanished_file_keeps_its_removed_entries_too(file: FileUnderTest) -> None:
    file.put(A, B)
    file.put(A)
    file.machine.remove(PATH)
    file.poll()
    assert file.poll(GRACE_PERIOD * 2) == [
        STALE_A,
        STALE_B,
    ]


def test_a_vanished_file_that_hides_no_client_is_discarded(tmp_path: Path) -> None:
    file = FileUnderTest(tmp_path, "dnsmasq.conf")
    file.put("dhcp-host=02:00:00:00:00:01,10.0.0.1\n")
    file.machine.remove(PATH)
    file.poll()
    file.poll(MAX_VANISHED_AGE + 1)
    assert file.poll(GRACE_PERIOD + 1) == []
    assert not file.file.error


def test_a_file_that_its_server_removes_without_leases(tmp_path: Path) -> None:
    """systemd-networkd removes its file with the last lease."""
    file = FileUnderTest(tmp_path, "systemd-networkd")
    assert file.put('{"Leases": [{"Address": [10, 0, 0, 1]}]}')
    file.machine.remove(PATH)
    assert file.poll() == [HostEntry("10.0.0.1", source=PATH, stale=True)]
    assert file.poll(GRACE_PERIOD + 1) == []
    file.poll(MAX_VANISHED_AGE * 2)
    assert not file.file.error


def test_an_unreadable_file_hides_clients_at_once(file: FileUnderTest) -> None:
    file.put(A)
    file.machine.unreadable.add(PATH)
    assert file.put(B) == [STALE_A]
    assert file.file.hides_clients
    assert "Permission denied" in str(file.file.error)
    version = file.file.version
    file.poll()
    assert file.file.version == version
    file.machine.unreadable.clear()
    assert file.poll()[0] == ENTRY_B
    assert not file.file.error


def test_a_last_entry_that_stays_cut_off_hides_clients(file: FileUnderTest) -> None:
    """At first its server may be writing it."""
    file.put(A, B[:20])
    hidden = []
    for after in (10, 21):
        hidden.append(file.file.hides_clients)
        file.poll(after)
    hidden.append(file.file.hides_clients)
    assert hidden == [False, False, True]
    assert file.put(A, B) == [ENTRY_A, ENTRY_B]
    assert not file.file.error


@pytest.mark.parametrize("last", ["read-ethers", "leasefile-ro", f"dhcp-host={ENTRY_B.mac},10.0.0.2,b,c/c"])
def test_a_warning_on_the_last_line_of_a_configuration_hides_nobody(tmp_path: Path, last: str) -> None:
    """Configuration management writes files without a newline at the end."""
    file = FileUnderTest(tmp_path, "dnsmasq.conf")
    file.put(f"dhcp-host={ENTRY_A.mac},10.0.0.1\n{last}")
    entries = file.poll()
    assert file.file.error is None
    assert len(file.file.result.warnings) == 1
    assert [entry.address for entry in entries] == ["10.0.0.1", "10.0.0.2"][: 1 + last.startswith("dhcp")]


@pytest.mark.parametrize("origin", FileOrigin)
def test_an_unreadable_file_hides_clients(tmp_path: Path, origin: FileOrigin) -> None:
    file = FileUnderTest(tmp_path, "pihole.toml", origin)
    file.machine.unreadable.add(PATH)
    file.put("[dhcp]\n")
    assert file.file.error
    assert file.file.hides_clients


def test_an_invalid_file_keeps_its_last_entries(file: FileUnderTest) -> None:
    file.put(A)
    assert file.put("\0" * 100, "\n") == [STALE_A]
    assert file.file.hides_clients
    assert file.file.error
    assert re.match(rf"{PATH}: no entry .*: line 1: ", file.file.error)
    assert file.put(A) == [ENTRY_A]
    assert not file.file.error


@pytest.mark.parametrize(
    ("origin", "error"),
    [
        (FileOrigin.DEFAULT_PATH, None),
        (FileOrigin.CONFIGURED, f"{PATH}: there is no such lease file; correct clients.leases, or start"),
        (FileOrigin.INCLUDED, f"{PATH}: another file includes it, but it does not exist"),
        (FileOrigin.LEASES_OF_SERVER, f"{PATH}: the configuration of a server names this lease file, but "),
    ],
)
def test_a_file_that_never_existed(tmp_path: Path, origin: FileOrigin, error: str | None) -> None:
    file = FileUnderTest(tmp_path, "dhcpd.conf", origin)
    assert file.poll() == []
    assert (file.file.error or "").startswith(error or "")
    assert bool(file.file.error) == bool(error)
    assert file.file.hides_clients == (origin in {FileOrigin.CONFIGURED, FileOrigin.INCLUDED})
    file.put("")
    assert not file.file.error


def test_the_format_is_detected(tmp_path: Path) -> None:
    file = FileUnderTest(tmp_path, None, FileOrigin.CONFIGURED)
    assert file.put("") == []
    assert not file.file.error
    assert file.put(A) == [ENTRY_A]
    assert file.file.file_format == format_by_name("dnsmasq")


def test_an_unknown_format_hides_clients_and_keeps_the_last_entries(tmp_path: Path) -> None:
    file = FileUnderTest(tmp_path, None, FileOrigin.CONFIGURED)
    assert file.put("Dear diary,\n") == []
    assert file.file.hides_clients
    assert "remove it from clients.leases" in str(file.file.error)
    assert file.put(A)
    assert file.put("Dear diary,\n") == [STALE_A]
    assert file.put("lease 10.0.0.9 {\n ends never;\n}\n")[0] == HostEntry("10.0.0.9", source=PATH)


HEADER = "address,hwaddr,valid_lifetime,expire,hostname,state\n"
ROWS = {
    name: f"10.0.0.1,02:00:00:00:00:01,60,1795262400,{name},0\n" for name in ("main", "one", "two", "done")
}


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (("main", "one", "two", "done"), "main"),
        (("one", "two", "done"), "done"),
        (("one", "two"), "one"),
        (("two",), "two"),
    ],
)
def test_companions_are_read_in_their_order(tmp_path: Path, parts: tuple[str, ...], name: str) -> None:
    file = FileUnderTest(tmp_path, None, FileOrigin.CONFIGURED)
    for suffix, part in ((".1", "one"), (".2", "two"), (".completed", "done")):
        if part in parts:
            file.machine.replace_file(PATH + suffix, HEADER, ROWS[part].rstrip())  # its last line has no end
    assert [entry.name for entry in file.put(HEADER, ROWS["main"] if "main" in parts else "")] == [name]
    assert file.file.result.skipped == 0


def test_the_cleanup_of_a_running_server_loses_no_entry(tmp_path: Path) -> None:
    """Step by step as "The LFC Process" of Kea's manual has it."""
    file = FileUnderTest(tmp_path, "kea")
    file.put(HEADER, ROWS["main"])
    main, one, two, done = PATH, f"{PATH}.1", f"{PATH}.2", f"{PATH}.completed"
    steps: list[dict[str, tuple[str, ...] | None]] = [
        {one: (HEADER, ROWS["main"]), main: (HEADER,)},
        {done: (HEADER, ROWS["main"])},
        {one: None},
        {two: (HEADER, ROWS["main"]), done: None},
    ]
    for step in steps:
        for path, texts in step.items():
            if texts is None:
                file.machine.remove(path)
            else:
                file.machine.replace_file(path, *texts)
        assert [entry.stale for entry in file.poll()] == [False]


def test_a_file_that_changes_while_it_is_read_is_read_again(tmp_path: Path) -> None:
    """The signatures are older than the text."""
    file = FileUnderTest(tmp_path)
    file.machine.replace_file(PATH, A)

    class Late(CountingFiles):
        async def read_chunks(self, path: str) -> AsyncGenerator[str]:
            async for text in super().read_chunks(path):
                yield text
            if self.open_counts[path] == 1:
                self.replace_file(PATH, A, B)

    late = Late(tmp_path)
    asyncio.run(file.file.poll(late, 1))
    asyncio.run(file.file.poll(late, 2))
    assert list(file.file.retained.entries) == [ENTRY_A, ENTRY_B]


def test_removed_entries_are_retained_for_the_grace_period() -> None:
    retained = RetainedEntries()
    assert not retained.update((ENTRY_A, ENTRY_B), 0)
    assert retained.update((ENTRY_B,), 10)
    assert list(retained.entries) == [ENTRY_B, STALE_A]
    assert not retained.expire(10 + GRACE_PERIOD)
    assert retained.expire(10 + GRACE_PERIOD + 1)
    assert list(retained.entries) == [ENTRY_B]


def test_an_entry_that_returns_is_not_removed() -> None:
    retained = RetainedEntries()
    retained.update((ENTRY_A,), 0)
    retained.update((), 1)
    assert not retained.update((ENTRY_A,), 2)
    assert retained.entries == (ENTRY_A,)


def test_an_entry_that_is_removed_again_has_a_new_grace_period() -> None:
    retained = RetainedEntries()
    for now, entries in ((0, (ENTRY_A,)), (1, ()), (500, (ENTRY_A,)), (501, ())):
        retained.update(entries, now)
    assert not retained.expire(501 + GRACE_PERIOD)


def test_a_removed_station_is_no_evidence() -> None:
    retained = RetainedEntries()
    retained.update((HostEntry(None, "02:00:00:00:00:01", kind="station"),), 0)
    retained.update((), 1)
    assert [entry.kind for entry in retained.entries] == ["lease"]


def test_current_entries_are_stale_while_their_source_cannot_be_read() -> None:
    retained = RetainedEntries()
    retained.update((ENTRY_A, ENTRY_B), 0)
    retained.update((ENTRY_B,), 1)
    asyncio.run(retained.set_stale(stale=True))
    assert retained.entries == (STALE_B, STALE_A)
    asyncio.run(retained.set_stale(stale=False))
    assert retained.entries == (ENTRY_B, STALE_A)


def test_entries_are_empty_when_the_last_is_neither_current_nor_removed() -> None:
    retained = RetainedEntries()
    assert retained.is_empty
    assert retained.entries == ()
    retained.update((ENTRY_A,), 0)
    retained.update((), 0)
    assert not retained.is_empty
