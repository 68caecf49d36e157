"""Listening sockets: who is there already, what a dead daemon left, and who may open the door."""

from __future__ import annotations

import fcntl
import grp
import os
import re
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from powerd.linux.unix_sockets import inherited_listener, listen_tcp, listen_unix, peer_of
from powerd.linux.values import HostError


def test_a_unix_socket_of_its_mode_whatever_the_umask(tmp_path: Path) -> None:
    for mask in (0o000, 0o022, 0o077):
        before = os.umask(mask)
        try:
            listener = listen_unix(tmp_path / "s")
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o660
        listener.close()
        assert not (tmp_path / "s").exists()


def test_it_is_never_wider_even_before_it_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[int] = []

    def chmod(path: Path, _mode: int) -> None:
        modes.append(stat.S_IMODE(path.stat().st_mode))

    monkeypatch.setattr(Path, "chmod", chmod)
    before = os.umask(0)
    try:
        listen_unix(tmp_path / "s").close()
    finally:
        os.umask(before)
    assert modes == [0o660]


def test_the_directory_is_made(tmp_path: Path) -> None:
    listen_unix(tmp_path / "powerd" / "s").close()
    assert stat.S_IMODE((tmp_path / "powerd").stat().st_mode) & 0o777 == 0o755


def test_listeners_do_not_block(tmp_path: Path) -> None:
    for listener in (listen_unix(tmp_path / "s"), listen_tcp("127.0.0.1:0")):
        with pytest.raises(BlockingIOError):
            listener.accept()
        listener.close()


def test_a_second_daemon_reports_the_first(tmp_path: Path) -> None:
    first = listen_unix(tmp_path / "s")
    with pytest.raises(HostError, match=rf"another powerd .*{re.escape(str(tmp_path))}/s"):
        listen_unix(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(tmp_path / "s"))
    first.close()


def test_a_first_daemon_too_busy_to_answer_is_there_all_the_same(tmp_path: Path) -> None:
    first = listen_unix(tmp_path / "s")
    callers = []
    while True:
        caller = socket.socket(socket.AF_UNIX)
        caller.settimeout(0)
        callers.append(caller)
        if caller.connect_ex(str(tmp_path / "s")):
            break
    with pytest.raises(HostError, match="another powerd is running"):
        listen_unix(tmp_path / "s")
    for caller in callers:
        caller.close()
    first.close()


def test_what_a_dead_daemon_left_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "s"))
        dead.listen()
    assert (tmp_path / "s").exists()
    listen_unix(tmp_path / "s").close()


def test_a_path_that_is_too_long_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="107"):
        listen_unix(tmp_path / ("s" * (108 - len(os.fsencode(tmp_path) + b"/"))))
    assert not list(tmp_path.iterdir())
    listen_unix(tmp_path / ("s" * (107 - len(os.fsencode(tmp_path) + b"/")))).close()


@pytest.mark.process
def test_of_many_that_start_at_once_one_runs(tmp_path: Path) -> None:
    """Also where a dead daemon's file tempts each of them to remove another's."""
    code = (
        "import sys, pathlib\nfrom powerd.linux.unix_sockets import listen_unix\n"
        "sys.stdin.readline()\n"
        "try:\n    held = listen_unix(pathlib.Path(sys.argv[1]))\n"
        "except Exception as error:\n    print(error, flush=True)\n"
        "else:\n    print('runs', flush=True)\n"
        "sys.stdin.readline()\n"
    )
    pipe = subprocess.PIPE
    for _ in range(3):
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(tmp_path / "s"))
        argv = [sys.executable, "-c", code, str(tmp_path / "s")]
        daemons = [subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True) for _ in range(6)]
        output = []
        for daemon in daemons:
            assert daemon.stdin
            daemon.stdin.write("go\n")
            daemon.stdin.flush()
        for daemon in daemons:
            assert daemon.stdout
            output.append(daemon.stdout.readline().strip())
        for daemon in daemons:
            daemon.communicate("end\n")
        assert output.count("runs") == 1, output
        assert all(text == "runs" or text.startswith("another powerd") for text in output)
        (tmp_path / "s").unlink()


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_what_is_no_socket_is_left_alone(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "precious"
    path.mkdir() if kind == "directory" else path.write_text("data")
    with pytest.raises(HostError, match="not a socket"):
        listen_unix(path)
    assert path.exists()


@pytest.mark.parametrize("path", ["/nonexistent/deeper/s", "/proc/s", "/" + "x" * 200, "/tmp/" + "x" * 120])  # noqa: S108 - nothing is made there
def test_a_path_that_cannot_be_is_one_sentence(path: str) -> None:
    with pytest.raises(HostError, match=r"--socket") as caught:
        listen_unix(Path(path))
    assert "\n" not in str(caught.value)


def test_a_successors_file_is_not_taken_along(tmp_path: Path) -> None:
    first = listen_unix(tmp_path / "s")
    (tmp_path / "s").unlink()
    second = listen_unix(tmp_path / "s")
    first.close()
    assert (tmp_path / "s").exists()
    second.close()
    second.close()
    assert not (tmp_path / "s").exists()


def test_a_file_that_somebody_removed_is_not_missed(tmp_path: Path) -> None:
    listener = listen_unix(tmp_path / "s")
    (tmp_path / "s").unlink()
    listener.close()


def test_tcp() -> None:
    listener = listen_tcp("127.0.0.1:0")
    host, port = listener.getsockname()
    with pytest.raises(HostError, match=rf"127\.0\.0\.1:{port}: .*port.*\[http\]"):
        listen_tcp(f"{host}:{port}")
    listener.close()
    listen_tcp(f"{host}:{port}").close()


def test_tcp_over_ipv6() -> None:
    listener = listen_tcp("[::1]:0")
    assert listener.getsockname()[0] == "::1"
    listener.close()


def test_an_address_that_is_not_ours() -> None:
    with pytest.raises(HostError, match=r"cannot listen on 192\.0\.2\.1:1: "):
        listen_tcp("192.0.2.1:1")


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file to another group: run as root")
def test_the_socket_is_given_to_the_group(tmp_path: Path) -> None:
    with listen_unix(tmp_path / "s", group="daemon"):
        found = (tmp_path / "s").stat()
        assert (found.st_uid, found.st_gid) == (0, grp.getgrnam("daemon").gr_gid)
    with listen_unix(tmp_path / "s", group="no-such-group"):
        assert (tmp_path / "s").stat().st_gid == os.getegid()


def locked(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def test_one_that_starts_meanwhile_is_reported_and_nothing_waits(tmp_path: Path) -> None:
    listen_unix(tmp_path / "s").close()
    descriptor = locked(tmp_path / "s.lock")
    with pytest.raises(HostError, match="another powerd is starting"):
        listen_unix(tmp_path / "s")
    os.close(descriptor)
    listen_unix(tmp_path / "s").close()


def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "s.lock").symlink_to(tmp_path / "victim")
    with pytest.raises(HostError, match="cannot listen"):
        listen_unix(tmp_path / "s")
    assert not (tmp_path / "victim").exists()


LOCK_ALL = """
import fcntl, os, pathlib, sys
os.setgid(65534), os.setuid(65534)
directory = pathlib.Path(sys.argv[1])
held = 0
for path in (directory, *directory.iterdir()):
    try:
        descriptor = os.open(path, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        held += 1
    except OSError:
        pass
print(held, flush=True)
sys.stdin.readline()
"""


@pytest.mark.process
@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user: run as root")
def test_an_unprivileged_user_who_locks_all_that_he_can_delays_nobody() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch).chmod(0o755)
        path = Path(scratch, "powerd", "s")
        listen_unix(path).close()
        argv = [sys.executable, "-I", "-c", LOCK_ALL, str(path.parent)]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as nobody:
            assert nobody.stdin
            assert nobody.stdout
            assert nobody.stdout.readline() == "1\n", "the directory, and not the lock file"
            listen_unix(path).close()
            nobody.stdin.write("end\n")


def test_the_kernel_reports_the_peer() -> None:
    here, there = socket.socketpair()
    with here, there:
        assert peer_of(here) == (os.getpid(), os.geteuid())


def test_nothing_is_inherited_that_was_meant_for_another() -> None:
    assert inherited_listener({}) is None
    assert inherited_listener({"LISTEN_PID": "1", "LISTEN_FDS": "1"}) is None


@pytest.mark.parametrize("count", ["0", "2", "x", ""])
def test_one_socket_is_inherited(count: str) -> None:
    with pytest.raises(HostError, match="exactly one socket"):
        inherited_listener({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": count})
