"""``--watch``: on a terminal, in a pipe, while the daemon restarts, and its end."""

from __future__ import annotations

import os
import pty
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from ui.cli.command_line import ENVIRON, error_of, powerd
from ui.status_server_process import status_server
from ui.statuses import NOW, family

from powerd.ui.api import status_json
from powerd.ui.cli import watch
from powerd.ui.status import why_text

pytestmark = pytest.mark.process

TEXT = why_text(status_json(family(), NOW))


def watching(path: Path, output: int, errors: int, *argv: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "powerd", "why", "--watch", "--socket", str(path), *argv],
        env=ENVIRON | {"TERM": "xterm", "NO_COLOR": "1"},
        stdout=output,
        stderr=errors,
    )


def read_until(fd: int, text: bytes) -> bytes:
    found = b""
    while text not in found:
        chunk = os.read(fd, 65536)
        assert chunk, found
        found += chunk
    return found


def test_in_a_pipe_it_outlives_a_restart_of_the_daemon_and_ends_with_the_pipe(tmp_path: Path) -> None:
    (output, output_end), (errors, errors_end) = os.pipe(), os.pipe()
    last = TEXT.splitlines()[-1].encode()
    with status_server("family", tmp_path / "s"):
        process = watching(tmp_path / "s", output_end, errors_end)
        os.close(output_end)
        os.close(errors_end)
        assert read_until(output, last + b"\n").decode() == TEXT
    assert b"tries again" in read_until(errors, b"\n")
    with status_server("idle", tmp_path / "s"):
        assert b"\x1b" not in read_until(output, b"idle")
        os.close(output)
        assert process.wait(60) == 128 + signal.SIGPIPE
    assert b"Traceback" not in os.read(errors, 65536)
    os.close(errors)


def test_on_a_terminal_it_redraws_and_ends_cleanly(tmp_path: Path) -> None:
    terminal, terminal_end = pty.openpty()
    with status_server("family", tmp_path / "s"):
        process = watching(tmp_path / "s", terminal_end, terminal_end)
        os.close(terminal_end)
        text = read_until(terminal, b"\x1b[J")
        assert text.startswith(b"\x1b[?1049h")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    rest = read_until(terminal, TEXT.splitlines()[-1].encode())
    assert b"\x1b[?1049l" in rest, "the terminal is as it was, with the last text"
    assert b"Traceback" not in rest
    os.close(terminal)


def test_without_a_daemon_it_does_not_wait(tmp_path: Path) -> None:
    error_of(powerd("status", "--watch", "--socket", str(tmp_path / "s")), code=3)


@pytest.mark.parametrize(
    ("sent", "goes_on"),
    [(b"event: phase\ndata: {}\n\n", True), (b": heartbeat\n\nevent: phase\n", True), (b"", False)],
)
def test_an_event_ends_the_wait_and_so_does_the_end_of_the_stream(sent: bytes, goes_on: bool) -> None:  # noqa: FBT001 - a parameter
    stream, daemon = socket.socketpair()
    with stream, daemon:
        if sent:
            daemon.sendall(sent)
        else:
            daemon.close()
        assert watch._wait_for_event(stream) is goes_on  # noqa: SLF001 - the wait alone


def test_a_heartbeat_is_no_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "REDRAW_INTERVAL", 0.0)
    stream, daemon = socket.socketpair()
    with stream, daemon:
        daemon.sendall(b": heartbeat\n\n")
        assert watch._wait_for_event(stream), "the interval is over"  # noqa: SLF001 - the wait alone
