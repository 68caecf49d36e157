"""Maintenance by the kernel's files; the sockets are those of the real kernel if it is accessible."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerd.disks.maintenance import UNIX_SOCKETS_FILE, running_maintenance, scrubbed_filesystems

UUID: Final = "0870fdc3-dcc9-4c5c-85f4-e4df192866b6"
RECORDED: Final = f"""\
Num       RefCount Protocol Flags    Type St Inode Path
00000000d8c0de92: 00000003 00000000 00000000 0001 03   467
000000001ba7cd3d: 00000002 00000000 00010000 0001 01  8812 /run/systemd/private
000000009d96d0d9: 00000003 00000000 00000000 0001 03 19234 @/tmp/dbus-abc
00000000e4f71913: 00000002 00000000 00010000 0001 01 1923570 /var/lib/btrfs/scrub.progress.{UUID}
"""
"""While `btrfs scrub start` of btrfs-progs 6.2 ran on Linux 6.18."""


def test_a_scrub_is_known_by_its_socket() -> None:
    assert scrubbed_filesystems(RECORDED) == {UUID}
    assert scrubbed_filesystems(RECORDED.strip()) == {UUID}


@pytest.mark.parametrize(
    "path",
    [
        f"/var/lib/btrfs/scrub.status.{UUID}",
        f"/srv/var/lib/btrfs/scrub.progress.{UUID}",
        f"@/var/lib/btrfs/scrub.progress.{UUID}",
        f"/var/lib/btrfs/scrub.progress.{UUID}0",
        "/var/lib/btrfs/scrub.progress.",
    ],
)
def test_other_sockets_are_none(path: str) -> None:
    assert scrubbed_filesystems(RECORDED.replace(f"/var/lib/btrfs/scrub.progress.{UUID}", path)) == set()


def test_nothing_to_read_is_no_scrub() -> None:
    assert scrubbed_filesystems(None) == scrubbed_filesystems("") == set()


@given(st.text())
def test_no_text_upsets_it(text: str) -> None:
    assert all(len(uuid) == len(UUID) for uuid in scrubbed_filesystems(text))


@pytest.mark.parametrize(
    "operation", ["resync", "check", "repair", "balance", "device add", "device replace", "resize"]
)
def test_words_of_work(operation: str) -> None:
    assert running_maintenance(operation) == operation


@pytest.mark.parametrize("operation", [None, "", "idle", "frozen", "none", "balance paused"])
def test_idle_states(operation: str | None) -> None:
    assert running_maintenance(operation) is None


_SCRUBBING: Final = f"""\
import pathlib, socket, sys
pathlib.Path("/var/lib/btrfs").mkdir()
here = socket.socket(socket.AF_UNIX)
here.bind("/var/lib/btrfs/scrub.progress.{UUID}")
here.listen(100)
print("listening", flush=True)
sys.stdin.read()
"""


@pytest.mark.lan
@pytest.mark.skipif(os.geteuid() != 0, reason="a /var/lib of one's own takes root")
def test_the_real_kernel_lists_it_for_as_long_as_it_listens() -> None:
    """btrfs(8) is played in a mount namespace; the reader has a /proc of processes alone, and no rights."""
    played = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /var/lib && exec "$@"', "sh"]
    service = "mount -t proc -o subset=pid,hidepid=invisible proc /proc && exec setpriv --reuid=65534 cat "
    ask = ["unshare", "--mount", "sh", "-c", service + UNIX_SOCKETS_FILE]

    def sockets() -> str:
        return subprocess.run(ask, check=True, capture_output=True, text=True).stdout

    with subprocess.Popen(
        [*played, sys.executable, "-c", _SCRUBBING], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as scrub:
        assert scrub.stdin is not None
        assert scrub.stdout is not None
        assert scrub.stdout.readline() == "listening\n"
        assert UUID in scrubbed_filesystems(sockets())
        scrub.stdin.close()
    assert UUID not in scrubbed_filesystems(sockets())
