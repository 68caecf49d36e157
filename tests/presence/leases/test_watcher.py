from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fakes.lease_files import CountingFiles

from powerd.presence.leases import format_by_name
from powerd.presence.leases.format import HostEntry
from powerd.presence.leases.watcher import GRACE_PERIOD, MAX_VANISHED_AGE, EntryBatch, FileOrigin, WatchedFile

PATH = "/srv/leases"
A, B = "0 02:00:00:00:00:01 10.0.0.1 a *\n", "0 02:00:00:00:00:02 10.0.0.2 b *\n"
LEAD_A, LEAD_B = (
    HostEntry("10.0.0.1", "02:00:00:00:00:01", "a"),
    HostEntry("10.0.0.2", "02:00:00:00:00:02", "b"),
)


class FileUnderTest:
    """One file under watch, and what is seen of it."""

    def __init__(
        self, root: Path, form: str | None = "dnsmasq", wanted: FileOrigin = FileOrigin.DEFAULT_PATH
    ) -> None:
        self.eyes = CountingFiles(root)
        self.file = WatchedFile(PATH, wanted, format_by_name(form) if form else None)
        self.now = 0.0

    def poll(self, after: float = 60) -> list[EntryBatch]:
        """What there is after some more seconds."""
        self.now += after
        asyncio.run(self.file.poll(self.eyes, self.now))
        return list(self.file.batches("x"))

    def put(self, *texts: str) -> list[EntryBatch]:
        """Replace the file, and look."""
        self.eyes.replace_file(PATH, *texts)
        return self.poll()


@pytest.fixture
def file(tmp_path: Path) -> FileUnderTest:
    return FileUnderTest(tmp_path)


def test_unchanged_it_costs_one_stat(file: FileUnderTest) -> None:
    assert file.put(A) == [EntryBatch("x", (LEAD_A,))]
    version = file.file.version
    file.eyes.reset_counts()
    for _ in range(10):
        assert file.poll() == [EntryBatch("x", (LEAD_A,))]
    assert file.eyes.stat_counts == {PATH: 10}
    assert not file.eyes.open_counts
    assert file.file.version == version


def test_replaced_appended_truncated(file: FileUnderTest) -> None:
    file.put(A)
    assert file.put(B) == [EntryBatch("x", (LEAD_B,)), EntryBatch("x", (LEAD_A,), stale=True)]
    file.eyes.append(PATH, A)
    assert file.poll() == [EntryBatch("x", (LEAD_B, LEAD_A))]
    (file.eyes.root / PATH[1:]).write_text("")
    assert file.poll() == [EntryBatch("x", (LEAD_B, LEAD_A), stale=True)]
    assert file.poll(GRACE_PERIOD + 1) == []
    assert file.file.error is None


def test_half_written_it_is_read_again(file: FileUnderTest) -> None:
    file.put(A, B)
    assert file.put(A, B[:20]) == [EntryBatch("x", (LEAD_A,)), EntryBatch("x", (LEAD_B,), stale=True)]
    assert file.file.result.skipped == 0
    file.eyes.append(PATH, B[20:])
    assert file.poll() == [EntryBatch("x", (LEAD_A, LEAD_B))]


def test_a_loss_is_read_twice_because_file_times_are_coarse(file: FileUnderTest) -> None:
    """Written over in place, at the same size and within the same tick of the kernel's clock."""
    file.put(A, B)
    place = file.eyes.root / PATH[1:]
    with place.open("r+") as stream:
        stream.write(A + A)
    mark = file.eyes.stat_signature(PATH)
    assert mark
    assert file.poll()[0] == EntryBatch("x", (LEAD_A,))
    with place.open("r+") as stream:
        stream.write(A + B)
    file.eyes.restore_mtime(PATH, mark)
    assert file.eyes.stat_signature(PATH) == mark
    assert file.poll() == [EntryBatch("x", (LEAD_A, LEAD_B))]
    file.eyes.reset_counts()
    file.poll()
    assert not file.eyes.open_counts


def test_garbled_entries_are_read_twice_not_forever(file: FileUnderTest) -> None:
    file.put(A, "garbled\n")
    assert file.file.result.skipped == 1
    for _ in range(5):
        file.poll()
    assert file.eyes.open_counts == {PATH: 2}


def test_vanished_it_is_remembered_for_an_hour(file: FileUnderTest) -> None:
    file.put(A)
    file.eyes.remove(PATH)
    assert file.poll() == [EntryBatch("x", (LEAD_A,), stale=True)]
    assert file.poll(MAX_VANISHED_AGE) == [EntryBatch("x", (LEAD_A,), stale=True)]
    assert not file.file.error
    assert file.poll(1) == [EntryBatch("x", (LEAD_A,), stale=True)]
    assert file.file.hides_clients
    assert (
        file.file.error
        == f"{PATH}: has vanished; bring it back, or correct clients.leases and restart powerd"
    )
    assert file.put(A) == [EntryBatch("x", (LEAD_A,))]
    assert not file.file.error
    assert not file.file.hides_clients


def test_vanished_while_an_entry_had_gone_both_are_remembered(file: FileUnderTest) -> None:
    file.put(A, B)
    file.put(A)
    file.eyes.remove(PATH)
    file.poll()
    assert file.poll(GRACE_PERIOD * 2) == [
        EntryBatch("x", (LEAD_A,), stale=True),
        EntryBatch("x", (LEAD_B,), stale=True),
    ]


def test_what_hides_nobody_is_forgotten_when_it_has_vanished(tmp_path: Path) -> None:
    file = FileUnderTest(tmp_path, "dnsmasq.conf")
    file.put("dhcp-host=02:00:00:00:00:01,10.0.0.1\n")
    file.eyes.remove(PATH)
    file.poll()
    file.poll(MAX_VANISHED_AGE + 1)
    assert file.poll(GRACE_PERIOD + 1) == []
    assert not file.file.error


def test_a_file_that_comes_and_goes(tmp_path: Path) -> None:
    """systemd-networkd removes its file with the last lease."""
    file = FileUnderTest(tmp_path, "systemd-networkd")
    assert file.put('{"Leases": [{"Address": [10, 0, 0, 1]}]}')
    file.eyes.remove(PATH)
    assert file.poll() == [EntryBatch("x", (HostEntry("10.0.0.1"),), stale=True)]
    assert file.poll(GRACE_PERIOD + 1) == []
    file.poll(MAX_VANISHED_AGE * 2)
    assert not file.file.error


def test_unreadable_its_clients_are_unknown_at_once(file: FileUnderTest) -> None:
    file.put(A)
    file.eyes.unreadable.add(PATH)
    assert file.put(B) == [EntryBatch("x", (LEAD_A,), stale=True)]
    assert file.file.hides_clients
    assert file.file.error == f"cannot read {PATH}: Permission denied; be somebody else"
    version = file.file.version
    file.poll()
    assert file.file.version == version
    file.eyes.unreadable.clear()
    assert file.poll()[0] == EntryBatch("x", (LEAD_B,))
    assert not file.file.error


def test_an_unreadable_file_that_hides_no_client_is_a_warning(tmp_path: Path) -> None:
    usual, by_name = (
        FileUnderTest(tmp_path, "pihole.toml"),
        FileUnderTest(tmp_path, "pihole.toml", FileOrigin.CONFIGURED),
    )
    for file in (usual, by_name):
        file.eyes.unreadable.add(PATH)
        file.put("[dhcp]\n")
        assert file.file.error
    assert not usual.file.hides_clients
    assert by_name.file.hides_clients


def test_what_makes_no_sense_keeps_the_last_clients(file: FileUnderTest) -> None:
    file.put(A)
    assert file.put("\0" * 100, "\n") == [EntryBatch("x", (LEAD_A,), stale=True)]
    assert file.file.hides_clients
    assert file.file.error
    assert file.file.error.startswith(f"{PATH}: nothing in it makes sense: line 1: ")
    assert file.put(A) == [EntryBatch("x", (LEAD_A,))]
    assert not file.file.error


@pytest.mark.parametrize(
    ("wanted", "trouble"),
    [
        (FileOrigin.DEFAULT_PATH, None),
        (FileOrigin.CONFIGURED, f"{PATH}: there is no such lease file; correct clients.leases, or start"),
        (FileOrigin.INCLUDED, f"{PATH}: another file includes it, but it does not exist"),
    ],
)
def test_what_never_existed(tmp_path: Path, wanted: FileOrigin, trouble: str | None) -> None:
    file = FileUnderTest(tmp_path, "dhcpd.conf", wanted)
    assert file.poll() == []
    assert (file.file.error or "").startswith(trouble or "")
    assert bool(file.file.error) == bool(trouble)
    assert file.file.hides_clients == (wanted is FileOrigin.CONFIGURED)
    file.put("")
    assert not file.file.error


def test_the_format_is_recognised(tmp_path: Path) -> None:
    file = FileUnderTest(tmp_path, None, FileOrigin.CONFIGURED)
    assert file.put("") == []
    assert not file.file.error
    assert file.put(A) == [EntryBatch("x", (LEAD_A,))]
    assert file.file.file_format == format_by_name("dnsmasq")


def test_an_unknown_format_is_grave_and_keeps_whom_it_knew(tmp_path: Path) -> None:
    file = FileUnderTest(tmp_path, None, FileOrigin.CONFIGURED)
    assert file.put("Dear diary,\n") == []
    assert file.file.hides_clients
    assert file.file.error == f"{PATH}: is of no known format of lease files; take it out of clients.leases"
    assert file.put(A)
    assert file.put("Dear diary,\n") == [EntryBatch("x", (LEAD_A,), stale=True)]
    assert file.put("lease 10.0.0.9 {\n ends never;\n}\n")[0] == EntryBatch("x", (HostEntry("10.0.0.9"),))


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
def test_related_files_in_their_order(tmp_path: Path, parts: tuple[str, ...], name: str) -> None:
    file = FileUnderTest(tmp_path, None, FileOrigin.CONFIGURED)
    for suffix, part in ((".1", "one"), (".2", "two"), (".completed", "done")):
        if part in parts:
            file.eyes.replace_file(PATH + suffix, HEADER, ROWS[part].rstrip())  # its last line has no end
    batches = file.put(HEADER, ROWS["main"] if "main" in parts else "")
    assert [lead.name for batch in batches for lead in batch.entries] == [name]
    assert file.file.result.skipped == 0


def test_the_clean_up_of_a_running_server_loses_nobody(tmp_path: Path) -> None:
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
                file.eyes.remove(path)
            else:
                file.eyes.replace_file(path, *texts)
        assert [(batch.stale, len(batch.entries)) for batch in file.poll()] == [(False, 1)]


def test_reading_what_changes_meanwhile_is_done_anew(tmp_path: Path) -> None:
    """The marks are from before the reading."""
    file = FileUnderTest(tmp_path)
    file.eyes.replace_file(PATH, A)

    class Late(CountingFiles):
        async def read_chunks(self, path: str) -> AsyncIterator[str]:
            async for text in super().read_chunks(path):
                yield text
            if self.open_counts[path] == 1:
                self.replace_file(PATH, A, B)

    late = Late(tmp_path)
    asyncio.run(file.file.poll(late, 1))
    asyncio.run(file.file.poll(late, 2))
    assert list(file.file.batches("x")) == [EntryBatch("x", (LEAD_A, LEAD_B))]
