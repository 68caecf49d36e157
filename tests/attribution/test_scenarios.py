"""Who accessed a disk, in the real kernel: on ext4, XFS and btrfs, by processes in control groups.

Each scenario is one process; a third party then synchronises the filesystem, which brings the writes that the
kernel would make half a minute later, and must not be named for them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Self

import pytest
from helper.loop_devices import needs_tracefs
from helper.traced_filesystems import (
    FILESYSTEMS,
    TracedFilesystems,
    cgroup_root,
    control_group,
    needs_cgroups,
)
from rig.wait import until

from powerd.attribution.changes import Change
from powerd.attribution.join import join
from powerd.attribution.model import Access, FileReading, TraceReading
from powerd.disks.model import DiskId
from powerd.helper.disks.device import DiskDevice
from powerd.helper.disks.trace_recorder import read_trace, stop_trace
from powerd.helper.file_watch import FileWatch
from powerd.helper.protocol.messages import ReadFiles

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("trace"), needs_tracefs, needs_cgroups]

_CONTAINER: Final = "docker-" + 16 * "0a1b" + ".scope"
UNITS: Final = {
    # control group: unit and owner of its culprits
    "system.slice/backup.service": ("backup.service", ""),
    f"system.slice/{_CONTAINER}": (_CONTAINER, "container 0a1b0a1b0a1b"),
    "user.slice/user-1000.slice/session-3.scope": ("session-3.scope", "alice's session 3"),
}
SERVICE, CONTAINER, SESSION = UNITS
_SERVER: Final = '''
import ctypes, json, mmap, os, signal, struct, sys, threading

def open_file(name, flags=os.O_RDWR | os.O_CREAT):
    return os.open(name, flags, 0o644)

def write(name, text="x" * 9000, at=0):
    descriptor = open_file(name)
    os.pwrite(descriptor, text.encode(), at)
    return descriptor

def fork_into(group):
    """As clone3(2) with CLONE_INTO_CGROUP does, by which systemd starts services."""
    directory = os.open(group, os.O_RDONLY | os.O_DIRECTORY)
    arguments = struct.pack("11Q", 1 << 33, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, 0, 0, directory)
    child = ctypes.CDLL(None).syscall(435, arguments, len(arguments))
    assert child >= 0
    os.close(directory)
    return child

def start(request):
    child = fork_into(request["group"]) if request["how"] == "into" else os.fork()
    if child:
        return child
    if request["group"] and request["how"] != "into":
        with open(request["group"] + "/cgroup.procs", "w") as file:
            file.write("0")
    with open("/proc/self/comm", "w") as file:
        file.write(request["name"])
    os.chdir(request["path"])
    try:
        exec(request["code"])
    except BaseException as error:
        print(error, file=sys.stderr)
        os._exit(1)
    os._exit(0)

for line in sys.stdin:
    request = json.loads(line)
    child = start(request)
    status = 0 if request["how"] == "stays" else os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(json.dumps([child, status]), flush=True)
'''


class Scenario(NamedTuple):
    """What one process does.

    Attributes:
        code: what it does with the file "old", which exists, is written and not cached.
        operations: one of which is reported.
        group: its control group.
        name: of a file in its directory that is reported where files are watched.
    """

    code: str
    operations: Sequence[str]
    group: str = SERVICE
    name: str = "old"


SCENARIOS: Final = {
    "buffered": Scenario("write('old', 'y')", ("write",)),
    "fsync": Scenario("os.fsync(write('old', 'y'))", ("write",), CONTAINER),
    "direct": Scenario(
        "os.pwrite(open_file('old', os.O_RDWR | os.O_DIRECT), mmap.mmap(-1, 4096), 0)", ("write",), SESSION
    ),
    "mapped": Scenario("mmap.mmap(open_file('old'), 9000)[5000] = 7", ("write",)),
    "chmod": Scenario("os.chmod('old', 0o600)", ("attributes",), CONTAINER),
    "utime": Scenario("os.utime('old', (1, 1))", ("attributes",), SESSION),
    "read": Scenario("os.read(open_file('old', os.O_RDONLY), 9000)", ("read",)),
    "delete": Scenario("os.unlink('old')", ("delete", "write"), CONTAINER),
    "rename": Scenario("os.rename('old', 'new')", ("rename", "write"), SESSION),
    "mkdir": Scenario("os.mkdir('directory')", ("create", "write"), name="directory"),
    "truncate": Scenario("os.truncate('old', 10)", ("write", "attributes", "read"), CONTAINER),
    "orphan": Scenario(
        """
end, other_end = os.pipe()
if not os.fork():
    if not os.fork():
        write('old', 'z')
    os._exit(0)
os.close(other_end)
os.read(end, 1)  # until both have ended
""",
        ("write",),
        SESSION,
    ),
    "thread": Scenario(
        "t = threading.Thread(target=write, args=('old', 'z'))\nt.start()\nt.join()", ("write",)
    ),
}


class Processes:
    """Starts processes at once, by fork of a small one; inside ``with``."""

    def __enter__(self) -> Self:
        self._server = subprocess.Popen(
            [sys.executable, "-I", "-c", _SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._server.communicate()

    def run(self, name: str, code: str, path: Path, group: str = "", how: str = "ends") -> int:
        """Run ``code`` in a new process, and return its number.

        Args:
            name: of the process.
            code: what it does.
            path: its working directory.
            group: its control group.
            how: it "ends", which is waited for, or "stays", or is forked "into" its group, and ends.
        """
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        root = cgroup_root()
        directory = str(root / group) if root and group else ""
        request = {
            "name": name,
            "code": code,
            "path": str(path),
            "group": directory,
            "how": how,
        }
        print(json.dumps(request), file=self._server.stdin, flush=True)
        pid, status = json.loads(self._server.stdout.readline())
        assert status == 0
        return int(pid)

    def sync(self, path: Path) -> None:
        """Synchronise a filesystem in another process."""
        self.run("sync", "os.execvp('sync', ['sync', '--file-system', '.'])", path)


@pytest.fixture(scope="module")
def disks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TracedFilesystems]:
    with TracedFilesystems(tmp_path_factory.mktemp("traced")) as disks:
        yield disks


@pytest.fixture(scope="module")
def file_watch(disks: TracedFilesystems) -> Iterator[FileWatch]:
    watch = FileWatch(disks.root, allow_loops=True)
    yield watch
    watch.close()


@pytest.fixture(scope="module")
def processes() -> Iterator[Processes]:
    with control_group(SERVICE), control_group(CONTAINER), control_group(SESSION), Processes() as processes:
        yield processes


@pytest.fixture(params=FILESYSTEMS)
def filesystem(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def place(
    request: pytest.FixtureRequest, disks: TracedFilesystems, processes: Processes, filesystem: str
) -> Path:
    """A directory of its own, with the file "old"; nothing waits to be written, and the disk is traced."""
    path = disks.path(filesystem) / str(zlib.crc32(request.node.name.encode()))
    path.mkdir()
    drop = "os.posix_fadvise(open_file('old'), 0, 0, os.POSIX_FADV_DONTNEED)"
    for code in ("write('old')", drop):
        processes.run("prepare", code, path)
        processes.sync(path)
    disks.read()
    return path


def culprits(accesses: Sequence[Access]) -> set[tuple[str, str, str]]:
    """Name, unit and owner of each."""
    return {(each.culprit.comm, each.culprit.unit, each.culprit.owner) for each in accesses}


def accesses_of(
    disks: TracedFilesystems, filesystem: str, earlier: Sequence[Change] = ()
) -> Sequence[Access]:
    """Those to the disk since the last reading."""
    return accesses_in(disks.read(), disks.disk(filesystem), earlier)


def accesses_in(
    trace: TraceReading, disk: DiskDevice, earlier: Sequence[Change] = (), files: FileReading | None = None
) -> Sequence[Access]:
    """Those to a disk in a reading.

    XFS writes metadata of the earlier tests every 30 s; nobody is named for that.
    """
    of_disk = [
        access
        for access in join(trace, earlier, files, users={1000: "alice"}).accesses
        if access.disk == disk.name
    ]
    return [
        access
        for access in of_disk
        if (access.certainty, access.culprit.comm.partition("/")[0]) != ("unknown", "xfsaild")
    ]


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_process_its_unit_and_its_file_are_named(
    disks: TracedFilesystems, file_watch: FileWatch, processes: Processes, place: Path, name: str
) -> None:
    """The file at level "files" only, at which the process is the same."""
    scenario, disk = SCENARIOS[name], disks.disk_of(place)
    watched = ReadFiles((DiskId(disk.name),))
    file_watch.read(watched)
    processes.run(name, scenario.code, place, scenario.group)
    processes.sync(place)
    trace, files = disks.read(), file_watch.read(watched)
    found = accesses_in(trace, disk)
    assert culprits(found) == {(name, *UNITS[scenario.group])}
    assert {access.operation for access in found} & set(scenario.operations)
    with_files = accesses_in(trace, disk, files=files)
    assert culprits(with_files) == culprits(found)
    assert str(place / scenario.name) in {access.path for access in with_files}


def test_a_process_older_than_the_trace_is_named(
    disks: TracedFilesystems, processes: Processes, filesystem: str, place: Path, tmp_path: Path
) -> None:
    """It appends to its file, as servers do, and lives on."""
    for fifo in ("start", "done"):
        os.mkfifo(tmp_path / fifo)
    start, done = tmp_path / "start", tmp_path / "done"
    code = f"""
descriptor = open_file('old')
for _ in open({str(start)!r}):
    os.pwrite(descriptor, b'z', 9000)
    open({str(done)!r}, 'w').close()
"""
    pid = processes.run("server", code, place, SERVICE, "stays")
    with start.open("w") as file:
        stop_trace(disks.root)
        disks.read()
        print("append", file=file, flush=True)
        done.read_bytes()
        processes.sync(place)
        found = accesses_of(disks, filesystem)
    assert culprits(found) == {("server", *UNITS[SERVICE])}
    assert {access.culprit.pid for access in found} == {pid}


def test_who_synchronises_another_s_file_is_not_named(
    disks: TracedFilesystems, processes: Processes, filesystem: str, place: Path
) -> None:
    processes.run("writer", "write('old', 'y')", place, SERVICE)
    processes.run("other", "os.fsync(open_file('old', os.O_RDONLY))", place, CONTAINER)
    assert culprits(accesses_of(disks, filesystem)) == {("writer", *UNITS[SERVICE])}


def test_a_service_that_was_forked_into_its_group_is_named(
    disks: TracedFilesystems, processes: Processes, filesystem: str, place: Path
) -> None:
    """As systemd 254 and later starts services; this one has ended."""
    processes.run("service", "write('old', 'y')", place, SERVICE, "into")
    processes.sync(place)
    assert culprits(accesses_of(disks, filesystem)) == {("service", *UNITS[SERVICE])}


def test_a_change_is_remembered_until_it_is_written(
    disks: TracedFilesystems, processes: Processes, filesystem: str, place: Path
) -> None:
    """The trace is read in between, and the process has ended."""
    processes.run("writer", "write('old', 'y')", place, SESSION)
    joined = join(disks.read(), users={1000: "alice"})
    processes.sync(place)
    found = accesses_of(disks, filesystem, joined.changes)
    assert culprits(found) == {("writer", *UNITS[SESSION])}
    assert "write" in {access.operation for access in found}


def test_two_writers_are_named_for_their_own_files(
    disks: TracedFilesystems, processes: Processes, filesystem: str, place: Path
) -> None:
    inodes = {"first": (place / "old").stat().st_ino}
    processes.run("first", "write('old', 'y')", place, SERVICE)
    processes.run("second", "write('new', 'y')", place, CONTAINER)
    inodes["second"] = (place / "new").stat().st_ino
    processes.sync(place)
    found = accesses_of(disks, filesystem)
    assert culprits(found) == {("first", *UNITS[SERVICE]), ("second", *UNITS[CONTAINER])}
    for access in found:
        other = inodes["second" if access.culprit.comm == "first" else "first"]
        assert access.inode != other
    assert {access.culprit.comm for access in found if access.inode in inodes.values()} == {"first", "second"}


_SERIALS: Final = sorted(Path("/sys/block").glob("vd*/serial"))


@pytest.mark.skipif(not _SERIALS, reason="takes a virtio disk, whose serial number is read by a command")
def test_a_command_past_the_block_layer_is_named(
    disks: TracedFilesystems, processes: Processes, tmp_path: Path
) -> None:
    """As those of smartctl and hdparm, which take a drive that has SCSI commands."""
    device = _SERIALS[0].parent
    links = disks.root / "dev/disk/by-id"
    (links / "virtio").symlink_to(f"../../{device.name}")
    stop_trace(disks.root)
    read_trace(["virtio"], disks.root)

    def commands() -> set[tuple[str, str, str]]:
        """Again if the buffer was full, because other programs use this disk as well."""
        processes.run("smartctl", f"open({str(_SERIALS[0])!r}).read()", tmp_path, SERVICE)
        joined = join(read_trace(["virtio"], disks.root))
        return culprits([access for access in joined.accesses if access.operation == "command"])

    try:
        assert until(commands, "the command is recorded") == {("smartctl", *UNITS[SERVICE])}
    finally:
        stop_trace(disks.root)
