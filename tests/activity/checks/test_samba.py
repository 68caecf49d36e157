"""Files that clients of Samba have open count while a client is there, by Samba's own table."""

from __future__ import annotations

import asyncio
import contextlib
import lzma
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pytest
from fakes.checks import check_ports
from fakes.ports import RecordingPorts
from hypothesis import given
from hypothesis import strategies as st
from rig.lan import stop
from rig.wait import until

from powerd.activity.check import NotApplicableError
from powerd.activity.checks.samba import OpenFile, Options, SambaCheck, parse_open_files
from powerd.activity.model import Activity
from powerd.core.poller import PollDepth
from powerd.linux.files import HostFiles
from powerd.linux.values import HostError, TcpConnection

RECORDED: Final = lzma.decompress(
    (Path(__file__).parents[2] / "fixtures/samba/locking-4.17.12.tdb.xz").read_bytes()
)
"""Of Samba 4.17.12 on Debian 12, while two files were open."""
SHARE: Final = "/tmp/smb/share"  # noqa: S108 - the path in the recording
SMBD: Final = "/usr/sbin/smbd"


def connection(remote: str = "10.0.0.44", port: int = 445, silent: float = 5.0) -> TcpConnection:
    return TcpConnection("10.0.0.1", port, remote, 50_000, "established", 10_000, 10_000, silent, 1)


@dataclass(slots=True)
class SambaPorts(RecordingPorts):
    """A server with these connections."""

    connections: tuple[TcpConnection, ...] = ()

    async def tcp_connections(self) -> tuple[TcpConnection, ...]:
        return self.connections


def poll(root: Path, *connections: TcpConnection, options: Options | None = None) -> tuple[Activity, ...]:
    ports = replace(SambaPorts(connections=connections).ports(), files=HostFiles(root))
    return asyncio.run(SambaCheck(options or Options(), check_ports(ports)).poll(PollDepth.ROUTINE))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "run/samba").mkdir(parents=True)
    (tmp_path / "run/samba/locking.tdb").write_bytes(RECORDED)
    return tmp_path


def test_the_table_is_read() -> None:
    assert parse_open_files(RECORDED) == (
        OpenFile(SHARE, "film.mkv"),
        OpenFile(SHARE, "Filme ü/a b.mkv"),
    )


def test_open_files_of_a_connected_client_count(root: Path) -> None:
    (activity,) = poll(root, connection(), connection("10.0.0.45", port=22))
    assert (activity.subject, activity.keeps_awake, activity.value) == (SHARE, True, 2)
    assert "10.0.0.44" in activity.text
    assert "10.0.0.45" not in activity.text


@pytest.mark.parametrize(
    "connections", [(), (connection(silent=1801.0),), (connection(port=22),)], ids=["none", "stale", "ssh"]
)
def test_open_files_of_a_client_that_is_gone_do_not(
    root: Path, connections: tuple[TcpConnection, ...]
) -> None:
    (activity,) = poll(root, *connections)
    assert not activity.keeps_awake


def test_ignored_files_do_not_count(root: Path) -> None:
    (activity,) = poll(root, connection(), options=Options(ignore=("*/Filme*",)))
    assert activity.value == 1
    assert poll(root, connection(), options=Options(ignore=(f"{SHARE}/*",))) == ()


def test_without_samba_it_does_not_apply_and_with_another_format_it_fails(root: Path) -> None:
    with pytest.raises(NotApplicableError):
        poll(root / "nothing")
    table = root / "run/samba/locking.tdb"
    table.write_bytes(b"something else" * 100)
    with pytest.raises(HostError) as error:
        poll(root, connection())
    assert not isinstance(error.value, NotApplicableError)
    table.unlink()
    table.mkdir()  # it exists and cannot be read, for root neither
    with pytest.raises(HostError) as error:
        poll(root, connection())
    assert not isinstance(error.value, NotApplicableError)


@given(
    st.integers(0, len(RECORDED)),
    st.lists(st.tuples(st.integers(401_408, len(RECORDED) - 1), st.binary(min_size=1, max_size=4))),
)
def test_a_damaged_table_is_an_error_or_has_files(end: int, changes: list[tuple[int, bytes]]) -> None:
    data = bytearray(RECORDED)
    for offset, change in changes:
        data[offset : offset + len(change)] = change
    with contextlib.suppress(ValueError):
        parse_open_files(bytes(data[:end]))
    with contextlib.suppress(ValueError):
        assert len(parse_open_files(bytes(data))) < len(data)


CONFIGURATION: Final = """\
[global]
  server role = standalone server
  interfaces = lo
  bind interfaces only = yes
  smb ports = 14450
  private dir = {0}
  lock directory = {0}/run/samba
  state directory = {0}
  cache directory = {0}
  pid directory = {0}
  ncalrpc dir = {0}/ncalrpc
  map to guest = Bad User
  guest account = root
  disable spoolss = yes
  load printers = no
[media]
  path = {0}/media
  guest ok = yes
"""


@pytest.fixture
def real_samba(tmp_path: Path) -> Iterator[list[str]]:
    """A real smbd in a network namespace of its own; gives the argv that enters it."""
    (tmp_path / "run/samba").mkdir(parents=True)
    (tmp_path / "media").mkdir()
    (tmp_path / "media/film.mkv").write_bytes(bytes(20 << 20))
    (tmp_path / "smb.conf").write_text(CONFIGURATION.format(tmp_path))
    name = f"smb{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
        enter = ["ip", "netns", "exec", name]
        argv = [*enter, SMBD, "--foreground", "--no-process-group", f"--configfile={tmp_path}/smb.conf"]
        # its end sends SIGTERM to its process group
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True) as smbd:
            yield enter
            stop(smbd)
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


@pytest.mark.process
@pytest.mark.skipif(
    not Path(SMBD).exists() or shutil.which("smbclient") is None or os.geteuid() != 0,
    reason="needs root, samba and smbclient",
)
def test_a_real_server_with_a_client_that_reads_a_film(tmp_path: Path, real_samba: list[str]) -> None:
    table = tmp_path / "run/samba/locking.tdb"
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDWR)  # the client fills the pipe and waits, with the file open
    get = f"get film.mkv {pipe}"
    client = [*real_samba, "smbclient", "-N", "-p", "14450", "//127.0.0.1/media", "-U", "guest%", "-c", get]
    until(
        lambda: subprocess.run([*client[:-1], "ls"], capture_output=True, check=False).returncode == 0,
        "the share is there",
        within=20,
    )
    assert parse_open_files(table.read_bytes()) == ()
    with subprocess.Popen(client, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as reading:
        film = (OpenFile(f"{tmp_path}/media", "film.mkv"),)
        until(lambda: parse_open_files(table.read_bytes()) == film, "the film is open")
        assert [each.keeps_awake for each in poll(tmp_path, connection())] == [True]
        reading.kill()
    until(lambda: poll(tmp_path, connection()) == (), "the film is closed")
    os.close(reader)
