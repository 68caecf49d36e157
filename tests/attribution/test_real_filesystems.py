"""The right process is named on real filesystems, by the real trace: ext4, XFS and btrfs on loop devices.

A process does one thing on all three and ends; then sync(1) writes back what it has changed. The kernel would
do the same half a minute later.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from helper.loop_devices import needs_tracefs
from helper.traced_filesystems import (
    FILESYSTEMS,
    TracedFilesystems,
    control_group,
    needs_cgroups,
    run_python,
)

from powerd.attribution.join import join
from powerd.attribution.model import Access

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("trace"), needs_tracefs, needs_cgroups]

UNIT = "powerd-test.slice/backup.service"
ID = "3f2a9c" + "0" * 58
OWNERS = {
    UNIT: "backup.service",
    f"powerd-test.slice/docker-{ID}.scope": "container 3f2a9c000000",
    "user.slice/user-1000.slice/session-3.scope": "alice's session 3",
}
APPEND = "open(path, 'ab').write(b'x' * 9000)"
ACTIONS = {
    "buffered write": APPEND,
    "write and fsync": "f = open(path, 'ab', 0); f.write(b'x' * 9000); os.fsync(f.fileno())",
    "direct write": (
        "m = mmap.mmap(-1, 4096); m.write(b'x' * 4096); os.write(os.open(path, os.O_WRONLY | os.O_DIRECT), m)"
    ),
    "mmap store": "f = open(path, 'r+b'); m = mmap.mmap(f.fileno(), 4096); m[0] = 255 - m[0]",
    "metadata only": "os.utime(path, (1, os.stat(path).st_mtime + 1))",
    "cold read": "d = os.open(path, os.O_RDONLY); os.posix_fadvise(d, 0, 0, 4); os.read(d, 4096)",
    "create": "open(path + '.new', 'x')",
    "rename": "os.rename(path + '.new', path + '.old')",
    "delete": "os.unlink(path + '.old')",
    "make and remove a directory": "os.mkdir(path + '.d'); os.rmdir(path + '.d')",
    "truncate": "os.truncate(path, 65536)",
}
"""In this order, because the later ones use what the earlier ones have made."""
ON_EACH = "import mmap\nfor path in sys.argv[1:]: "


class JoinedFilesystems:
    """The filesystems, and what is joined of each reading.

    Nothing is remembered from one reading to the next, because here they are a tenth of a second apart.
    """

    def __init__(self, disks: TracedFilesystems) -> None:
        self.files = [disks.path(name) / "file" for name in FILESYSTEMS]
        self._disks = disks

    def sync(self) -> None:
        """Have sync(1) write back everything."""
        subprocess.run(["sync", "--file-system", *self.files], check=True)

    def accesses(self) -> list[list[Access]]:
        """The accesses to each of the disks since the last call."""
        joined = join(self._disks.read(), users={1000: "alice"})
        return [
            [
                access
                for access in joined.accesses
                # unknown: a filesystem's own thread, which comes by every 30 s
                if access.disk == f"loop-{place}" and access.certainty != "unknown"
            ]
            for place in range(len(FILESYSTEMS))
        ]

    def users(self) -> list[set[tuple[int | None, str, str, str]]]:
        """Who has used each of the disks: pid, name, unit or owner, and how certain that is."""
        return [
            {
                (
                    access.culprit.pid,
                    access.culprit.comm,
                    access.culprit.owner or access.culprit.unit,
                    access.certainty,
                )
                for access in accesses
            }
            for accesses in self.accesses()
        ]


@pytest.fixture(scope="module")
def joined(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JoinedFilesystems]:
    with TracedFilesystems(tmp_path_factory.mktemp("joined")) as disks:
        joined = JoinedFilesystems(disks)
        for file in joined.files:
            file.write_bytes(b"x" * 65536)
        joined.sync()
        joined.accesses()
        yield joined


@pytest.mark.parametrize("action", ACTIONS)
def test_the_process_that_did_it_is_named(joined: JoinedFilesystems, action: str) -> None:
    with control_group(UNIT) as group:
        pid = run_python(ON_EACH + ACTIONS[action], *joined.files, group=group, name="writer")
    joined.sync()
    assert joined.users() == [{(pid, "writer", "backup.service", "certain")}] * 3


@pytest.mark.parametrize("group_name", list(OWNERS)[1:])
def test_a_container_or_a_session_is_named(joined: JoinedFilesystems, group_name: str) -> None:
    with control_group(group_name) as group:
        pid = run_python(ON_EACH + APPEND, *joined.files, group=group, name="vi")
    joined.sync()
    assert joined.users() == [{(pid, "vi", OWNERS[group_name], "certain")}] * 3


def test_a_process_that_does_nothing_but_fsync_is_not_named(joined: JoinedFilesystems) -> None:
    writer = run_python(ON_EACH + APPEND, *joined.files, name="writer")
    run_python(ON_EACH + "os.fsync(os.open(path, os.O_RDONLY))", *joined.files, name="syncer")
    assert [{pid for pid, *_ in users} for users in joined.users()] == [{writer}] * 3


def test_a_warm_read_is_no_access(joined: JoinedFilesystems) -> None:
    read = ON_EACH + "open(path, 'rb').read()"
    run_python(read, *joined.files)
    joined.sync()
    joined.accesses()
    run_python(read, *joined.files)
    assert joined.accesses() == [[]] * 3
