from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from fakes.checks import check_ports

from powerd.activity.check import Check, CheckKind
from powerd.activity.checks import file, log
from powerd.activity.checks.file import FileCheck, Options, find_mount, parse_mounts
from powerd.core.poller import PollDepth
from powerd.linux.files import HostFiles
from powerd.linux.values import HostError
from powerd.simulation.clock import BEGIN, StoppedClock

MOUNTS = """\
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
22 21 0:21 / /run rw,nosuid shared:2 - tmpfs tmpfs rw
23 21 8:17 / /srv/my\\040disk rw shared:3 - xfs /dev/sdb1 rw
24 22 8:33 / /run/media rw shared:4 - ext4 /dev/sdc1 rw
odd line
"""
PRIVATE_MOUNTS = """\
25 21 8:1 /tmp/systemd-private-2f-powerd.service-xL/tmp /tmp rw shared:5 - ext4 /dev/sda1 rw
26 21 8:1 /var/tmp/systemd-private-2f-powerd.service-xM/tmp /var/tmp rw shared:6 - ext4 /dev/sda1 rw
27 21 0:40 / /dev ro,nosuid shared:7 - tmpfs tmpfs rw
28 27 0:22 / /dev/shm rw,nosuid shared:8 - tmpfs tmpfs rw
"""
"""Of a service with PrivateTmp=yes and PrivateDevices=yes in systemd 252."""


@pytest.mark.parametrize(
    ("path", "in_memory"),
    [
        ("/run/backup.lock", True),
        ("/run/*", True),
        ("/run/media/x", False),
        ("/running", False),
        ("/var/lock", False),
        ("/srv/my disk/x", False),
    ],
)
def test_the_file_system_is_that_of_the_longest_mount_point(path: str, *, in_memory: bool) -> None:
    assert find_mount(path, parse_mounts(MOUNTS)).is_in_memory is in_memory


def write_mounts(root: Path, more: str) -> None:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/mountinfo").write_text(MOUNTS + more)


def new_check(kind: CheckKind, root: Path, path: str) -> Check:
    """The check ``file`` or ``log`` of one path."""
    options = file.Options((path,)) if kind is file.KIND else log.Options((path,), "x")
    return kind.new(options, replace(check_ports(clock=StoppedClock()), files=HostFiles(root)))


def make_check(root: Path, paths: tuple[str, ...], within: float = 0.0) -> FileCheck:
    write_mounts(root, PRIVATE_MOUNTS)
    (root / "run").mkdir()
    ports = replace(check_ports(clock=StoppedClock()), files=HostFiles(root))
    return FileCheck(Options(paths, within), ports)


def poll(check: FileCheck) -> list[tuple[str, bool]]:
    return [(each.subject, each.keeps_awake) for each in asyncio.run(check.poll(PollDepth.FULL))]


def test_a_file_that_exists(tmp_path: Path) -> None:
    check = make_check(tmp_path, ("/run/*.lock",))
    assert poll(check) == []
    (tmp_path / "run/backup.lock").touch()
    assert poll(check) == [("/run/backup.lock", True)]


@pytest.mark.parametrize(("age", "awake"), [(0, True), (599, True), (600, False), (-3600, True)])
def test_a_file_that_has_changed(tmp_path: Path, age: float, *, awake: bool) -> None:
    check = make_check(tmp_path, ("/run/state",), within=600)
    changed = BEGIN - age
    (tmp_path / "run/state").touch()
    os.utime(tmp_path / "run/state", (changed, changed))
    assert poll(check) == ([("/run/state", True)] if awake else [])


def test_a_file_on_a_disk_has_a_warning(tmp_path: Path) -> None:
    check = make_check(tmp_path, ("/srv/state",))
    assert poll(check) == [("/srv/state", False)]


@pytest.mark.parametrize("path", ["/tmp/backup.lock", "/var/tmp/*/lock", "/tmp/*", "/dev/ttyUSB0"])  # noqa: S108 - not used
def test_a_path_that_the_service_does_not_see_is_a_failure(tmp_path: Path, path: str) -> None:
    with pytest.raises(HostError, match="its own"):
        poll(make_check(tmp_path, (path,)))


@pytest.mark.parametrize("kind", ["nfs4", "autofs", "cifs", "fuse.sshfs"])
@pytest.mark.parametrize("path", ["/srv/nas/lock", "/srv/*/lock", "/srv/nas/*", "/srv/nas"])
def test_a_place_that_can_block_is_a_failure_and_is_not_looked_up(
    tmp_path: Path, path: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = make_check(tmp_path, (path,))
    (tmp_path / "srv/nas").mkdir(parents=True)
    with (tmp_path / "proc/self/mountinfo").open("a") as mounts:
        mounts.write(f"29 21 0:50 / /srv/nas rw - {kind} nas:/lock rw\n")
    looked_up = list[str]()
    monkeypatch.setattr(HostFiles, "stat_signature", lambda _, path: looked_up.append(path))
    with pytest.raises(HostError, match=kind):
        poll(check)
    assert looked_up == []


@pytest.mark.parametrize(
    ("path", "links"),
    [
        ("/srv/link", {"srv/link": "/nas/lock"}),
        ("/srv/link", {"srv/link": "/nas"}),
        ("/srv/link/a", {"srv/link": "../nas"}),
        ("/srv/*", {"srv/link": "../nas/lock"}),
        ("/srv/*/lock", {"srv/link": "./../nas/"}),
        ("/srv/one/two", {"srv/one": "/srv/other", "srv/other": "three", "srv/three": "../../../nas"}),
        ("/srv/one/../lock", {"srv/one": "/nas/directory"}),
    ],
)
@pytest.mark.parametrize("kind", [file.KIND, log.KIND])
def test_a_symbolic_link_to_a_place_that_can_block(
    tmp_path: Path, path: str, links: dict[str, str], kind: CheckKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_mounts(tmp_path, "29 21 0:50 / /nas rw - nfs4 nas:/lock rw\n")
    (tmp_path / "srv").mkdir()
    for name, target in links.items():
        (tmp_path / name).symlink_to(target)
    looked_up = list[str]()
    monkeypatch.setattr(HostFiles, "stat_signature", lambda _, path: looked_up.append(path))
    with pytest.raises(HostError, match="nfs4"):
        asyncio.run(new_check(kind, tmp_path, path).poll(PollDepth.FULL))
    assert looked_up == []


@pytest.mark.parametrize("path", ["/srv/link/lock", "/srv/link/*", "/srv/l*/lock"])
@pytest.mark.parametrize("kind", [file.KIND, log.KIND])
def test_a_symbolic_link_to_a_place_that_the_service_does_not_see(
    tmp_path: Path, path: str, kind: CheckKind
) -> None:
    write_mounts(tmp_path, PRIVATE_MOUNTS)
    (tmp_path / "srv").mkdir()
    (tmp_path / "tmp").mkdir()
    (tmp_path / "srv/link").symlink_to("../tmp")
    with pytest.raises(HostError, match="its own"):
        asyncio.run(new_check(kind, tmp_path, path).poll(PollDepth.FULL))


@pytest.mark.parametrize(("above", "blocks"), [("ext4 /dev/sda1", False), ("nfs4 nas:/x", True)])
def test_an_automount_that_is_mounted_is_what_is_mounted_there(
    tmp_path: Path,
    above: str,
    blocks: bool,  # noqa: FBT001 - a column
) -> None:
    automount = "29 21 0:50 / /srv rw - autofs systemd-1 rw,fd=51,direct\n"
    write_mounts(tmp_path, f"{automount}30 29 8:1 / /srv rw - {above} rw\n")
    (tmp_path / "srv").mkdir()
    (tmp_path / "srv/lock").touch()
    check = new_check(file.KIND, tmp_path, "/srv/lock")
    if blocks:
        with pytest.raises(HostError, match="nfs4"):
            asyncio.run(check.poll(PollDepth.FULL))
    else:
        assert [each.keeps_awake for each in asyncio.run(check.poll(PollDepth.FULL))] == [True]


@pytest.mark.parametrize(
    ("path", "target"),
    [("/srv/link", "/srv/lock"), ("/srv/link", "lock"), ("/srv/link", "/nas2/lock"), ("/srv/link", "link")],
)
@pytest.mark.parametrize("kind", [file.KIND, log.KIND])
def test_a_symbolic_link_to_another_place(tmp_path: Path, path: str, target: str, kind: CheckKind) -> None:
    write_mounts(tmp_path, "29 21 0:50 / /nas rw - nfs4 nas:/lock rw\n")
    (tmp_path / "srv").mkdir()
    (tmp_path / "srv/lock").touch()
    (tmp_path / "srv/link").symlink_to(target)
    try:
        asyncio.run(new_check(kind, tmp_path, path).poll(PollDepth.FULL))
    except HostError as error:
        assert "can block" not in str(error)  # noqa: PT017 - a file that does not exist is an error of one check


_SILENT_FILESYSTEM: Final = """
import asyncio, ctypes, errno, os, struct, subprocess, sys
from pathlib import Path
from fakes.checks import check_ports
from powerd.activity.checks import file, log
from powerd.core.poller import PollDepth
from powerd.linux.files import HostFiles
from powerd.linux.values import HostError
from dataclasses import replace

directory = Path(sys.argv[1])
(directory / "nas").mkdir()
(directory / "link").symlink_to("nas/lock")
device = os.open("/dev/fuse", os.O_RDWR)
libc = ctypes.CDLL(None, use_errno=True)
options = f"fd={device},rootmode=40000,user_id=0,group_id=0".encode()
if libc.mount(b"nas", os.fsencode(directory / "nas"), b"fuse.sshfs", 0, options):
    raise OSError(ctypes.get_errno(), "mount")
unique = struct.unpack_from("<IIQ", os.read(device, 1 << 17))[2]  # FUSE_INIT (linux/fuse.h)
os.write(device, struct.pack("<IiQIIIIHHII36x", 80, 0, unique, 7, 31, 0, 0, 12, 12, 1 << 16, 1))
os.set_blocking(device, False)
for kind, options in (
    (file.KIND, file.Options((str(directory / "link"),))),
    (log.KIND, log.Options((str(directory / "l*"),), "x")),
):
    check = kind.new(options, replace(check_ports(), files=HostFiles()))
    try:
        asyncio.run(check.poll(PollDepth.FULL))
    except HostError as error:
        print(error)
    try:
        print("the kernel asks for", os.read(device, 1 << 17))
    except BlockingIOError:
        pass
os.set_blocking(device, True)
with subprocess.Popen(["stat", "-L", directory / "link"], stderr=subprocess.DEVNULL) as looks_up:
    os.read(device, 1 << 17)  # the request that is never answered
    print("blocked" if looks_up.poll() is None else "ended")
    os.close(device)  # ends the connection, and what waits for it
"""


@pytest.mark.process
@pytest.mark.skipif(os.geteuid() != 0 or not Path("/dev/fuse").exists(), reason="needs root and /dev/fuse")
def test_a_symbolic_link_to_a_file_system_that_never_answers(tmp_path: Path) -> None:
    argv = ["unshare", "--mount", sys.executable, "-c", _SILENT_FILESYSTEM, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=False)
    lines = done.stdout.splitlines()
    assert [("fuse.sshfs" in line) for line in lines[:-1]] == [True, True], done
    assert lines[-1] == "blocked"


def test_a_shared_mount_below_a_private_one(tmp_path: Path) -> None:
    check = make_check(tmp_path, ("/dev/shm/lock",))  # noqa: S108 - below a root of this test
    (tmp_path / "dev/shm").mkdir(parents=True)
    (tmp_path / "dev/shm/lock").touch()
    assert poll(check) == [("/dev/shm/lock", True)]  # noqa: S108 - below a root of this test


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("/srv/*/lock", ["/srv/a/lock", "/srv/b [1]/lock"]),
        ("/srv/[ab]*/lock", ["/srv/a/lock", "/srv/b [1]/lock"]),
        ("/*/?/l*", ["/srv/a/lock"]),
        ("/srv/.*/lock", ["/srv/.c/lock"]),
        ("/srv/*", ["/srv/file"]),
        ("/srv/a", []),
        ("/none/*/lock", []),
        ("/srv/file/*", []),
    ],
)
def test_wildcards_match_files_as_those_of_a_shell(tmp_path: Path, pattern: str, found: list[str]) -> None:
    check = make_check(tmp_path, (pattern,))
    for name in ("a", "b [1]", ".c", "empty", "lost+found"):
        (tmp_path / "srv" / name).mkdir(parents=True)
        if name != "empty":
            (tmp_path / "srv" / name / "lock").touch()
    (tmp_path / "srv/file").touch()
    assert [path for path, awake in poll(check) if awake] == found


@pytest.mark.skipif(os.geteuid() != 0, reason="gives up the rights of root")
@pytest.mark.parametrize("pattern", ["/srv/*/lock", "/srv/*/*", "/srv/locked/lock", "/srv/l*/a/lock"])
def test_a_directory_that_cannot_be_entered_is_a_failure(tmp_path: Path, pattern: str) -> None:
    check = make_check(tmp_path, (pattern,))
    for parent in (tmp_path, *list(tmp_path.parents)[:-2]):  # all below /tmp
        parent.chmod(0o755)
    (tmp_path / "srv/locked").mkdir(parents=True)
    (tmp_path / "srv/locked").chmod(0o700)
    (tmp_path / "srv/locked/lock").touch()
    os.seteuid(65534)
    try:
        with pytest.raises(HostError, match="locked"):
            poll(check)
    finally:
        os.seteuid(0)


def test_mounts_that_cannot_be_read_are_a_failure(tmp_path: Path) -> None:
    check = make_check(tmp_path, ("/srv/state",))
    (tmp_path / "proc/self/mountinfo").unlink()
    with pytest.raises(HostError):
        poll(check)


@pytest.mark.parametrize("paths", [(), ("",)])
def test_paths_are_required(paths: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="requires"):
        Options(paths)
