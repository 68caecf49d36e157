"""The helper's process: started by its socket or by hand, left alone, ended, and started wrongly."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from helper.helper_process import NOBODY, PROGRAM, HelperProcess, as_user
from rig.wait import until

from powerd.helper.__main__ import allowed_uids, main

pytestmark = pytest.mark.process

needs_activation = pytest.mark.skipif(
    shutil.which("systemd-socket-activate") is None, reason="systemd-socket-activate is not installed"
)


def test_root_and_the_named_user_are_admitted() -> None:
    assert allowed_uids("nobody") == {0, os.geteuid(), pwd.getpwnam("nobody").pw_uid}
    assert allowed_uids("no-such-user") == {0, os.geteuid()}


def test_it_ends_on_request_and_removes_its_socket() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        with HelperProcess() as server:
            assert server.request(request="read-alarm")["response"] == "alarm"
            server.process.send_signal(number)
            assert server.process.wait(20) == 0
            assert not server.socket.exists()
            assert len(server.log()) == 1


def test_it_ends_though_a_client_sends_nothing() -> None:
    with HelperProcess() as server, server.connect() as line:
        assert server.request(request="read-alarm")["response"] == "alarm"
        server.process.terminate()
        assert server.process.wait(20) == 0
        assert line.recv(10) == b""
        assert not any("Traceback" in line for line in server.log())


@needs_activation
def test_started_by_its_socket_it_leaves_when_nobody_asks() -> None:
    with HelperProcess("--idle", "4", activated=True) as server:
        assert server.request(request="read-alarm")["response"] == "alarm"
        assert server.request(request="read-card", interface="br7")["response"] == "refused"
        assert server.process.wait(20) == 0
        assert server.socket.exists(), "it is the service manager's"
        assert sum(line.startswith("<5>") for line in server.log()) == 2


@needs_activation
def test_it_does_not_leave_while_somebody_is_here() -> None:
    with HelperProcess("--idle", "0.2", activated=True) as server, server.connect() as line:
        with pytest.raises(subprocess.TimeoutExpired):
            server.process.wait(1.5)
        line.sendall(b'{"request": "read-alarm"}\n')
        assert line.recv(4096).startswith(b'{"response": "alarm"')
        assert server.process.wait(20) == 0


@needs_activation
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--listen={0}/a", "--listen={0}/b"], "exactly one socket"),
        (["--datagram", "--listen={0}/a"], "is not a listening Unix socket"),
    ],
)
def test_a_wrong_socket_is_refused(tmp_path: Path, words: list[str], says: str) -> None:
    argv = [value.format(tmp_path) for value in words]
    starter = subprocess.Popen(
        ["systemd-socket-activate", *argv, *PROGRAM],
        stderr=subprocess.PIPE,
        text=True,
    )
    kind = socket.SOCK_DGRAM if "--datagram" in words else socket.SOCK_STREAM
    with socket.socket(socket.AF_UNIX, kind) as knocking:
        until(lambda: knocking.connect_ex(str(tmp_path / "a")) == 0, "it listens")
        knocking.send(b"x")
        _, answer = starter.communicate(timeout=30)
    assert starter.returncode == 1
    assert says in answer
    assert "Traceback" not in answer


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user: run as root")
def test_the_user_that_is_named_may_ask() -> None:
    with HelperProcess("--user", "nobody") as server:
        with as_user(NOBODY):
            line = server.connect()
        with line:
            line.sendall(b'{"request": "read-alarm"}\n')
            assert line.recv(4096).startswith(b'{"response": "alarm"')


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "<3>no socket was passed to the helper: start powerd-helper.socket, or use --socket PATH\n"),
        (
            ["--socket", "/nonexistent/s"],
            (
                "<3>cannot listen on /nonexistent/s: No such file or directory; name another path "
                "with --socket\n"
            ),
        ),
    ],
)
def test_a_start_without_a_socket_is_one_error_line(
    capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    assert main(words) == 1
    assert capsys.readouterr().err == says


def test_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--sokcet"])
    assert caught.value.code == 2
    assert "unrecognized arguments: --sokcet" in capsys.readouterr().err
