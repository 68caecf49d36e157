"""Watching directories by the real inotify(7)."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from powerd.attribution.model import MAX_EVENTS, FileReading
from powerd.linux.files import HostFiles
from powerd.linux.values import HostError


class Watched:
    """Directories below ``base`` that are watched, as those of a disk that spins."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.files = HostFiles(base)

    def read(self, *directories: str, standby: bool = False) -> FileReading:
        """Read ``directories``; ``standby``: their disk must not be read."""
        return self.files.read_directories(directories, () if standby else directories)

    def paths(self, *directories: str, standby: bool = False) -> list[str]:
        return [access.path for access in self.read(*directories, standby=standby).accesses]


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    (tmp_path / "photos/2026").mkdir(parents=True)
    (tmp_path / "photos/old").write_text("old")
    watched = Watched(tmp_path)
    yield watched
    watched.files.close()


def test_each_operation_is_reported(watched: Watched) -> None:
    directory = watched.base / "photos"
    assert watched.read("/photos") == FileReading()
    (directory / "new").touch()
    (directory / "old").read_text()
    with (directory / "old").open("a") as file:
        file.write("more")
    (directory / "old").chmod(0o600)
    (directory / "old").rename(directory / "renamed")
    (directory / "renamed").unlink()
    (directory / "2026/deep").touch()
    list(directory.iterdir())
    reading = watched.read("/photos")
    assert {(access.path, access.operation) for access in reading.accesses} == {
        ("/photos/new", "create"),
        ("/photos/new", "read"),  # opened
        ("/photos/new", "write"),  # closed, after it was open for writing
        ("/photos/old", "read"),
        ("/photos/old", "write"),
        ("/photos/old", "attributes"),
        ("/photos/old", "rename"),
        ("/photos/renamed", "rename"),
        ("/photos/renamed", "delete"),
        ("/photos", "read"),
    }
    assert {access.pid for access in reading.accesses} == {0}
    assert watched.read("/photos") == FileReading()


def test_a_directory_that_is_not_named_any_more_is_not_watched(watched: Watched) -> None:
    watched.read("/photos", "/photos/2026")
    watched.read("/photos")
    (watched.base / "photos/2026/unseen").touch()
    (watched.base / "photos/seen").touch()
    assert set(watched.paths("/photos")) == {"/photos/seen"}
    watched.read()
    (watched.base / "photos/seen").touch()
    assert watched.paths("/photos") == []


def test_without_directories_nothing_is_open(watched: Watched) -> None:
    before = set(Path("/proc/self/fd").iterdir())
    watched.read("/photos")
    watched.read()
    assert set(Path("/proc/self/fd").iterdir()) == before


@pytest.mark.parametrize("leave", ["delete", "rename"])
def test_a_directory_goes_and_comes(watched: Watched, leave: str) -> None:
    directory = watched.base / "photos/2026"
    watched.read("/photos/2026")
    if leave == "delete":
        directory.rmdir()
    else:
        directory.rename(watched.base / "elsewhere")
        (watched.base / "elsewhere/unseen").touch()
    reading = watched.read("/photos/2026")
    assert {access.path for access in reading.accesses} <= {"/photos/2026", "/photos/2026/unseen"}
    (sentence,) = reading.unwatched
    assert sentence.startswith("cannot watch /photos/2026: ")
    directory.mkdir()
    assert watched.read("/photos/2026") == FileReading()
    if leave == "rename":
        (watched.base / "elsewhere/unseen").touch()
    (directory / "seen").touch()
    assert set(watched.paths("/photos/2026")) == {"/photos/2026/seen"}


def test_on_a_disk_in_standby_a_watch_stays_and_none_is_added(watched: Watched) -> None:
    reading = watched.read("/photos", standby=True)
    (sentence,) = reading.unwatched
    assert sentence.startswith("/photos is not watched")
    watched.read("/photos")
    (watched.base / "photos/seen").touch()
    assert set(watched.paths("/photos", standby=True)) == {"/photos/seen"}


@pytest.mark.process
@pytest.mark.skipif(os.geteuid() != 0, reason="takes root, to mount")
def test_a_mount_over_a_directory_is_watched_in_its_place(watched: Watched) -> None:
    directory = watched.base / "photos"
    watched.read("/photos")
    subprocess.run(["mount", "-t", "tmpfs", "none", directory], check=True)
    try:
        (directory / "early").touch()
        assert watched.paths("/photos", standby=True) == []
        assert watched.paths("/photos") == []
        (directory / "mounted").touch()
        assert set(watched.paths("/photos")) == {"/photos/mounted"}
    finally:
        subprocess.run(["umount", directory], check=True)
    assert watched.read("/photos").unwatched == ()
    (directory / "again").touch()
    assert set(watched.paths("/photos")) == {"/photos/again"}


def test_overflow_is_reported_and_the_first_accesses_stay(watched: Watched) -> None:
    watched.read("/photos/2026")
    descriptor = os.open(watched.base / "photos/2026", os.O_PATH)
    for number in range(17_000):
        os.mkfifo(f"{number}", dir_fd=descriptor)
    os.close(descriptor)
    reading = watched.read("/photos/2026")
    assert reading.overflow
    assert [access.path for access in reading.accesses] == [f"/photos/2026/{n}" for n in range(MAX_EVENTS)]
    assert watched.read("/photos/2026") == FileReading()


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/photos/old", "cannot watch /photos/old: it is not a directory; name the directory that it is in"),
        ("/none", "cannot watch /none: No such file or directory; check the path and the disk"),
    ],
)
def test_what_cannot_be_watched_is_named_with_the_remedy(watched: Watched, path: str, sentence: str) -> None:
    assert watched.read("/photos", path).unwatched == (sentence,)


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root, to become another user")
def test_a_directory_that_this_user_may_not_read_is_named_with_the_remedy(watched: Watched) -> None:
    for parent in (watched.base, *watched.base.parents):
        if parent.stat().st_mode & 0o001 == 0:
            parent.chmod(parent.stat().st_mode | 0o011)
    (watched.base / "photos").chmod(0o700)
    os.seteuid(65534)
    try:
        (sentence,) = watched.read("/photos").unwatched
    finally:
        os.seteuid(0)
    assert "/photos: Permission denied; " in sentence
    assert "setfacl -m u:nobody:rx" in sentence


def test_too_many_instances_are_one_sentence(watched: Watched) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open("/dev/null", os.O_RDONLY)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, before[1]))
    try:
        with pytest.raises(HostError, match=r"fs\.inotify"):
            watched.read("/photos")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert watched.read("/photos") == FileReading()


def test_two_names_of_one_directory_are_one_watch(watched: Watched) -> None:
    (watched.base / "link").symlink_to("photos")
    for _ in range(2):
        (sentence,) = watched.read("/photos", "/link").unwatched
        assert "is the directory /photos" in sentence
    (watched.base / "photos/seen").touch()
    assert set(watched.paths("/photos", "/link")) == {"/photos/seen"}
