"""hold, as processes of its own against a daemon that comes and goes: whatever ends, the server is let go."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rig.wait import until

pytestmark = pytest.mark.process

POWERD = (sys.executable, "-W", "error", "-m", "powerd")
ANSWER = b'HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{"id": "h1", "until": null}\n'


class Daemon:
    """Listens on the socket of powerd, and sends what the test requires."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        self.listener.settimeout(20)

    def accept(self, answer: bytes = ANSWER) -> tuple[socket.socket, bytes]:
        """Take one asker in, and give back its connection and what it has asked."""
        connection, _ = self.listener.accept()
        connection.settimeout(20)
        asked = b""
        while b"\r\n\r\n{" not in asked or not asked.endswith(b"}"):
            asked += connection.recv(4096)
        connection.sendall(answer)
        return connection, asked

    def close(self) -> None:
        self.listener.close()
        self.path.unlink(missing_ok=True)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path / "s")
    yield daemon
    daemon.close()


def hold(path: Path, *command: str, because: str = "") -> subprocess.Popen[str]:
    about = ("--because", because) if because else ()
    return subprocess.Popen(
        [*POWERD, "hold", *about, "--socket", str(path), "--", *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


@pytest.mark.parametrize(
    ("script", "code"), [("echo hello", 0), ("echo hello; exit 7", 7), ("echo hello; kill -KILL $$", 137)]
)
def test_the_command_s_code_is_hold_s_and_the_server_is_let_go(
    daemon: Daemon, script: str, code: int
) -> None:
    process = hold(daemon.path, "sh", "-c", script)
    connection, asked = daemon.accept()
    assert asked.startswith(b"POST /api/hold HTTP/1.0\r\n")
    assert asked.endswith(b'{"because": "sh"}')
    assert ended(process) == (code, "hello\n", "")
    assert connection.recv(1) == b""
    connection.close()


def test_a_reason_can_be_given(daemon: Daemon) -> None:
    process = hold(daemon.path, "true", because="the weekly backup")
    connection, asked = daemon.accept()
    assert asked.endswith(b'{"because": "the weekly backup"}')
    assert ended(process)[0] == 0
    connection.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_are_passed_on(daemon: Daemon, number: signal.Signals) -> None:
    name = number.name.removeprefix("SIG")
    process = hold(
        daemon.path, "sh", "-c", f"trap 'echo got; exit 5' {name}; echo on; while :; do sleep 0.05; done"
    )
    connection, _ = daemon.accept()
    assert process.stdout is not None
    assert process.stdout.readline() == "on\n"
    process.send_signal(number)
    assert ended(process) == (5, "got\n", "")
    connection.close()


def test_who_is_killed_lets_the_server_go(daemon: Daemon) -> None:
    process = hold(daemon.path, "sh", "-c", "echo $$; exec sleep 60")
    connection, _ = daemon.accept()
    assert process.stdout is not None
    child = int(process.stdout.readline())
    try:
        process.kill()
        assert connection.recv(1) == b"", "though the command itself goes on"
    finally:
        os.kill(child, signal.SIGKILL)
    ended(process)
    connection.close()


def test_a_daemon_that_restarts_is_asked_again_at_once(daemon: Daemon) -> None:
    process = hold(daemon.path, "sh", "-c", "echo on; exec sleep 60")
    first, _ = daemon.accept()
    assert process.stdout is not None
    assert process.stdout.readline() == "on\n"
    first.close()
    second, asked = daemon.accept()
    assert asked.endswith(b'{"because": "sh"}')
    process.terminate()
    assert ended(process) == (143, "", "")
    second.close()


def test_a_missing_daemon_is_reported_once_and_retried_until_it_is_back(tmp_path: Path) -> None:
    process = hold(tmp_path / "s", "sh", "-c", "echo on; exec sleep 60")
    assert process.stdout is not None
    assert process.stdout.readline() == "on\n"
    daemon = Daemon(tmp_path / "s")
    connection, _ = daemon.accept()
    until(lambda: process.poll() is None, "it runs on")
    process.terminate()
    code, _, errors = ended(process)
    assert code == 143
    first, *rest = errors.splitlines()
    assert first.startswith("powerd hold: ")
    assert "not kept awake" in first
    assert str(tmp_path / "s") in first
    assert len(rest) <= 1
    assert all("again" in line for line in rest)
    connection.close()
    daemon.close()


def test_a_refusal_of_the_daemon_is_quoted_and_the_command_is_run(daemon: Daemon) -> None:
    process = hold(daemon.path, "true")
    connection, _ = daemon.accept(b'HTTP/1.0 409 Conflict\r\n\r\n{"error": "there are 100 already"}\n')
    connection.close()
    code, output, errors = ended(process)
    assert (code, output) == (0, "")
    assert errors.startswith("powerd hold: ")
    assert errors.endswith(": there are 100 already\n")


def test_a_command_that_cannot_be_run_is_reported_as_a_shell_does(daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    for command, code in ((tmp_path / "none", 127), (tmp_path / "data", 126)):
        process = hold(daemon.path, str(command))
        connection, _ = daemon.accept()
        got, _, errors = ended(process)
        assert got == code
        assert errors.startswith("powerd hold: ")
        assert str(command) in errors
        assert connection.recv(1) == b""
        connection.close()
