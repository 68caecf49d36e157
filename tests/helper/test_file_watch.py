"""Watching files by fanotify(7) on real ext4, XFS, and btrfs of which only a subvolume is mounted."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Final

import pytest
from helper.loop_devices import FILESYSTEM_SIZE, LoopDevices

from powerd.attribution.model import MAX_EVENTS, FileAccess, FileReading
from powerd.disks.model import DiskId
from powerd.helper import file_watch
from powerd.helper.file_watch import FileWatch
from powerd.helper.protocol.codec import encode_response
from powerd.helper.protocol.messages import ReadFiles

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(os.geteuid() != 0, reason="takes root"),
]

KINDS: Final = ("ext4", "xfs", "btrfs")
STORE: Final = """\
import mmap, os
descriptor = os.open("old", os.O_RDWR)
with mmap.mmap(descriptor, 0) as memory:
    memory[0] = 65
"""


class WatchedDisk:
    """A disk with a small tree, mounted and not read since, and a watch on it."""

    def __init__(self, loops: LoopDevices, place: int, kind: str) -> None:
        self.disk = DiskId(loops.ids[place])
        self.kind = kind
        self._loops, self._place = loops, place
        loops.make_filesystem(place, kind)
        self.top = loops.mount(place)
        os.sync()
        self.point = self.top
        if kind == "btrfs":
            subprocess.run(
                ["btrfs", "subvolume", "create", self.top / "@data"], check=True, stdout=subprocess.DEVNULL
            )
            subprocess.run(
                ["btrfs", "subvolume", "create", self.top / "@data/nested"],
                check=True,
                stdout=subprocess.DEVNULL,
            )
            self.point = self.top / "@data"
        for number in range(20):
            directory = self.point / f"directory-{number}" / "deep"
            directory.mkdir(parents=True)
            (directory / "old").write_text("old\n")
        subprocess.run(["umount", self.top], check=True)
        self.point = self.mount()
        self.watch = FileWatch(loops.root, allow_loops=True)

    def mount(self) -> Path:
        """Mount it where it always is."""
        return self._loops.mount(self._place, "subvol=@data" if self.kind == "btrfs" else "noatime")

    def reads_nothing(self, action: Callable[[], object]) -> bool:
        """Whether ``action`` reads nothing from the disk, which is mounted again before, with empty caches.

        Udev and the file system may read from it at the same time, but not each time.
        """
        for _ in range(5):
            subprocess.run(["umount", self.point], check=True)
            self.mount()
            before = self._loops.read_count(self._place)
            action()
            if self._loops.read_count(self._place) == before:
                return True
        return False

    def read(self) -> FileReading:
        reading = self.watch.read(ReadFiles((self.disk,)))
        encode_response(reading)
        return reading

    def accesses_of(
        self, script: str, *, program: str = "sh", directory: str = "directory-1/deep"
    ) -> list[FileAccess]:
        """What a process that runs ``script`` in the tree, and has ended, is reported to have done."""
        self.read()
        argv = ("sh", "-c", script) if program == "sh" else (sys.executable, "-ISc", script)
        child = subprocess.Popen(argv, cwd=self.point / directory)
        assert child.wait() == 0
        return [access for access in self.read().accesses if access.pid == child.pid]


@pytest.fixture(scope="module")
def loops(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopDevices]:
    with LoopDevices(tmp_path_factory.mktemp("loops"), len(KINDS), FILESYSTEM_SIZE) as loops:
        yield loops


@pytest.fixture(scope="module", params=KINDS)
def watched(loops: LoopDevices, request: pytest.FixtureRequest) -> Iterator[WatchedDisk]:
    kind: str = request.param
    if shutil.which(f"mkfs.{kind}") is None or kind not in Path("/proc/filesystems").read_text():
        pytest.skip(f"takes {kind}: apt-get install e2fsprogs xfsprogs btrfs-progs")
    watched = WatchedDisk(loops, KINDS.index(kind), kind)
    yield watched
    watched.watch.close()


def test_starting_reads_nothing_from_the_disk(watched: WatchedDisk) -> None:
    def start() -> None:
        watched.watch.close()
        reading = watched.read()
        assert reading.unwatched == ()
        assert list(reading.devices.values()) == [(watched.disk,)]

    assert watched.reads_nothing(start)


@pytest.mark.parametrize(
    ("script", "name", "operation"),
    [
        ("echo new > new", "new", "create"),
        ("exec mkdir folder", "folder", "create"),
        ("echo more >> old", "old", "write"),
        ("exec rm new", "new", "delete"),
        ("exec mv folder renamed", "renamed", "rename"),
        ("exec chmod 600 old", "old", "attributes"),
        ("read line < old", "old", "read"),
        ("for each in *; do :; done", "", "read"),
    ],
)
def test_each_operation_is_reported(watched: WatchedDisk, script: str, name: str, operation: str) -> None:
    path = watched.point / "directory-1/deep" / name
    accesses = watched.accesses_of(script)
    assert (str(path), operation) in [(access.path, access.operation) for access in accesses]
    if path.exists():
        assert path.stat().st_ino in [access.inode for access in accesses]


def test_of_a_store_to_a_mapped_file_the_opening_is_reported(watched: WatchedDisk) -> None:
    (access,) = watched.accesses_of(STORE, program="python")
    assert (access.path, access.operation) == (str(watched.point / "directory-1/deep/old"), "write")


def test_equal_accesses_are_one(watched: WatchedDisk) -> None:
    (access,) = watched.accesses_of("for each in 1 2 3 4 5 6 7 8 9; do echo $each >> old; done")
    assert access.operation == "write"


def test_another_mount_of_the_file_system_makes_no_difference(watched: WatchedDisk, tmp_path: Path) -> None:
    """As in a container: the process has a mount of a part of it, in a namespace of its own."""
    script = f"mount --bind {watched.point / 'directory-2'} {tmp_path} && echo new > {tmp_path}/deep/new"
    watched.read()
    subprocess.run(["unshare", "--mount", "sh", "-c", script], check=True)
    assert str(watched.point / "directory-2/deep/new") in [access.path for access in watched.read().accesses]


def test_while_a_disk_is_in_standby_its_accesses_wait(watched: WatchedDisk) -> None:
    watched.read()
    (watched.point / "directory-3/new").touch()
    standby = watched.watch.read(ReadFiles((), (watched.disk,)))
    assert standby.accesses == ()
    assert list(standby.devices.values()) == [(watched.disk,)]
    assert [access.path for access in watched.read().accesses] == [str(watched.point / "directory-3/new")]


def test_in_standby_no_directory_is_read_that_the_kernel_has_dropped(watched: WatchedDisk) -> None:
    watched.read()
    (watched.point / "directory-5/deep/new").touch()
    standby = ReadFiles((), (watched.disk,))
    watched.watch.read(standby)
    assert watched.reads_nothing(lambda: watched.watch.read(standby))
    assert [access.path for access in watched.read().accesses] == [
        str(watched.point / "directory-5/deep/new")
    ]


def test_what_is_deleted_is_named_as_far_as_it_is_known(watched: WatchedDisk) -> None:
    (access, *_) = watched.accesses_of("mkdir gone; echo > gone/file; exec rm -r gone")
    assert access.path.startswith(f"{watched.point}/")


def test_overflow_is_reported_and_the_first_accesses_stay(watched: WatchedDisk) -> None:
    if watched.kind != "ext4":
        pytest.skip("the queue is that of all file systems")
    watched.read()
    directory = watched.point / "many"
    directory.mkdir()
    descriptor = os.open(directory, os.O_RDONLY)
    for number in range(17_000):
        os.mknod(f"{number}", dir_fd=descriptor)
    os.close(descriptor)
    readings = [watched.read(), watched.read()]
    assert [reading.overflow for reading in readings] == [True, False]
    paths = [access.path for reading in readings for access in reading.accesses]
    assert len(paths) == MAX_EVENTS
    assert paths[0] == str(directory)
    assert {str(directory / f"{number}") for number in range(1000)} <= set(paths)


def test_what_does_not_fit_into_a_response_is_in_the_next(
    watched: WatchedDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_watch, "_MAX_RESPONSE", 2000)
    watched.read()
    paths = [str(watched.point / f"{number:0200}") for number in range(20)]
    for path in paths:
        Path(path).touch()
    readings = [[access.path for access in watched.read().accesses] for _ in range(20)]
    assert all(len(each) < len(paths) / 2 for each in readings)
    assert [path for path in dict.fromkeys(chain(*readings)) if path in paths] == paths


def test_a_disk_that_is_not_named_any_more_is_not_watched(watched: WatchedDisk) -> None:
    watched.read()
    assert watched.watch.read(ReadFiles((DiskId("loop-none"),))) == FileReading()
    (watched.point / "unseen").touch()
    assert watched.read().accesses == ()


def test_an_unmounted_file_system_is_watched_once_it_is_mounted_again(watched: WatchedDisk) -> None:
    """The watch does not keep it mounted."""
    watched.read()
    subprocess.run(["umount", watched.point], check=True)
    assert watched.read().devices == {}
    watched.mount()
    watched.read()
    (watched.point / "again").touch()
    assert [access.path for access in watched.read().accesses] == [str(watched.point / "again")]


def test_other_subvolumes_are_watched_by_the_path_that_shows_them(
    watched: WatchedDisk, loops: LoopDevices
) -> None:
    """One below a mounted subvolume, one that another mount shows, and one that none does."""
    if watched.kind != "btrfs":
        pytest.skip("it has no subvolumes")
    top = loops.mount(KINDS.index("btrfs"))
    for name in ("@home", "@old"):
        subprocess.run(["btrfs", "subvolume", "create", top / name], check=True, stdout=subprocess.DEVNULL)
    home = loops.mount(KINDS.index("btrfs"), "subvol=@home")
    unmounted = os.open(top / "@old", os.O_RDONLY)
    subprocess.run(["umount", "--lazy", top], check=True)
    watched.read()
    for path in (watched.point / "nested/file", home / "file"):
        path.touch()
    os.mknod("file", dir_fd=unmounted)
    os.close(unmounted)
    paths = [access.path for access in watched.read().accesses]
    assert paths == [str(watched.point / "nested/file"), str(home / "file"), f"{watched.point}/?/file"]
    subprocess.run(["umount", home], check=True)


def test_a_mount_that_another_one_covers_is_not_taken_for_it(watched: WatchedDisk, tmp_path: Path) -> None:
    """It is watched through another mount of the same file system, if there is one."""
    subprocess.run(["mount", "-t", "tmpfs", "none", watched.point], check=True)
    try:
        (sentence,) = watched.read().unwatched
        assert sentence.startswith(f"{watched.point} ({watched.kind}) is not watched")
    finally:
        subprocess.run(["umount", watched.point], check=True)
    subprocess.run(["mount", "--bind", watched.point / "directory-4", tmp_path], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "none", watched.point], check=True)
    try:
        assert watched.read().unwatched == ()
        (tmp_path / "seen").touch()
        assert [access.path for access in watched.read().accesses] == [str(tmp_path / "seen")]
    finally:
        subprocess.run(["umount", watched.point, tmp_path], check=True)
