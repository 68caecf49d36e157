from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig.hardware import Hardware

from powerd.disks.source.spin_up_causes import JournalLocator, parse_storage
from powerd.linux.files import HostFiles
from powerd.linux.values import HostError

MACHINE = "5f1d7a84db2e4f0f9a2a1b7c3d4e5f60"
HOME = "/var/log/journal"
DEBIAN = "#  This file is part of systemd.\n\n[Journal]\n#Storage=persistent\n#Compress=yes\n"
"""The beginning of the file as it comes."""


def says(storage_value: str) -> str:
    return f"[Journal]\nStorage={storage_value}\n"


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ((), "auto"),
        ((DEBIAN,), "auto"),
        ((says("volatile"),), "volatile"),
        ((" [Journal] \n  Storage = none \t\n",), "none"),
        ((says("volatile"), says("persistent")), "persistent"),
        ((says("volatile") + "Storage=auto\n", DEBIAN), "auto"),
        ((says("volatile"), says("memory"), says("")), "volatile"),
        (
            ("Storage=volatile\n[Other]\nStorage=volatile\n[Journal]\n;Storage=volatile\nStorages=none\n",),
            "auto",
        ),
        (("[Journal]\n", "Storage=volatile\n"), "auto"),
    ],
)
def test_the_last_storage_setting_counts(texts: tuple[str, ...], message: str) -> None:
    assert parse_storage(texts) == message


@given(st.lists(st.text()))
def test_any_text_is_borne(texts: list[str]) -> None:
    assert parse_storage(texts) in {"auto", "volatile", "persistent", "none"}


class JournalFiles(HostFiles):
    """The real files below a root, counting reads of what is on a disk."""

    accessed = 0

    def _note(self, path: str) -> None:
        self.accessed += not path.startswith(("/run/", "/proc/"))

    def realpath(self, path: str) -> str | None:
        self._note(path)
        return super().realpath(path)

    def read_text(self, path: str, limit: int = 1 << 20) -> str | None:
        self._note(path)
        return super().read_text(path, limit)

    def listdir(self, directory: str) -> tuple[str, ...]:
        self._note(directory)
        return super().listdir(directory)


class JournaldServer:
    """What of a machine is journald's."""

    def __init__(self, root: Path) -> None:
        self.hardware = Hardware(root)
        self.files = JournalFiles(root)
        self.journald = JournalLocator(self.files)
        self.runtime = self.hardware.at(f"/run/log/journal/{MACHINE}")

    def place(self, mounted: str = "") -> str | None:
        return self.journald.locate(mounted)

    def asked(self) -> None:
        """Sets the flag, as journald does when it was asked to write to /var."""
        self.hardware.put("/run/systemd/journal/flushed", "")

    def configured(self, storage_value: str, path: str = "/etc/systemd/journald.conf") -> None:
        self.hardware.put(path, says(storage_value))

    def directory(self, path: str = HOME) -> None:
        self.hardware.at(path).mkdir(parents=True)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[JournaldServer]:
    server = JournaldServer(tmp_path)
    yield server
    server.files.close()


def test_a_journal_on_disk_is_found_through_links(server: JournaldServer) -> None:
    server.asked()
    server.directory("/srv/log/journal")
    server.directory("/var")
    server.hardware.at("/var/log").symlink_to("../srv/log")
    assert server.place() == "/srv/log/journal"


def test_one_that_nobody_has_made_is_nowhere(server: JournaldServer) -> None:
    server.asked()
    assert server.place() is None


def test_what_the_journald_of_another_system_has_left_behind_is_not_written_to(
    server: JournaldServer,
) -> None:
    server.directory()
    assert server.place() is None


def test_from_boot_on(server: JournaldServer) -> None:
    """At first it is in memory; then it goes over to the disk."""
    server.directory()
    server.runtime.mkdir(parents=True)
    assert server.place() is None
    server.runtime.rmdir()
    server.asked()
    assert server.place() == HOME


def test_with_storage_in_memory_the_directory_on_disk_does_not_count(server: JournaldServer) -> None:
    server.directory()
    server.asked()
    server.configured("volatile")
    assert server.place() == HOME, "it has not read that yet"
    server.runtime.mkdir(parents=True)
    assert server.place() is None


def test_what_it_has_left_in_memory_does_not_count_once_it_writes_to_disk(server: JournaldServer) -> None:
    server.directory()
    server.asked()
    server.runtime.mkdir(parents=True)
    for storage_value in ("auto", "persistent"):
        server.configured(storage_value)
        assert server.place(f"then {storage_value}") == HOME


def test_one_that_keeps_nothing_writes_nowhere(server: JournaldServer) -> None:
    server.directory()
    server.asked()
    server.configured("none")
    assert server.place() is None


def test_more_files_count_by_their_names_and_hide_those_of_other_places(server: JournaldServer) -> None:
    server.directory()
    server.asked()
    server.configured("persistent", "/usr/lib/systemd/journald.conf")
    server.configured("none", "/run/systemd/journald.conf.d/50-a.conf")
    server.configured("persistent", "/usr/lib/systemd/journald.conf.d/60-b.conf")
    assert server.place() == HOME
    server.configured("none", "/etc/systemd/journald.conf.d/60-b.conf")
    server.configured("persistent", "/etc/systemd/journald.conf.d/70-c.conf.bak")
    assert server.place("another mount") is None


def test_the_journal_of_a_namespace_in_memory_is_not_the_system_journal(server: JournaldServer) -> None:
    server.directory()
    server.asked()
    server.configured("volatile")
    server.directory(f"/run/log/journal/{MACHINE}.backup")
    assert server.place() == HOME


def test_an_unreadable_directory_counts_as_empty(
    server: JournaldServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.directory()
    server.asked()
    server.configured("volatile")
    server.runtime.mkdir(parents=True)

    def refuse(_: str) -> tuple[str, ...]:
        raise HostError("cannot list /run/log/journal: Permission denied")

    monkeypatch.setattr(server.files, "listdir", refuse)
    assert server.place() == HOME


def test_disks_are_read_only_when_mounts_or_files_in_memory_have_changed(server: JournaldServer) -> None:
    server.directory()
    server.asked()
    server.place()
    once = server.files.accessed
    assert once > 0
    for _ in range(100):
        server.place()
    assert server.files.accessed == once
    server.place("another mount")
    assert server.files.accessed == 2 * once
    server.runtime.mkdir(parents=True)
    server.place("another mount")
    assert server.files.accessed == 3 * once
