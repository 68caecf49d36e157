"""The helper as a process of its own, on a fake machine, for tests that stand before its door."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Self

from helper.fake_drives import FakeDrives
from rig.lan import stop
from rig.wait import until

from powerd.helper.protocol.codec import MAX_RESPONSE

NOBODY: Final = 65534
PROGRAM: Final = (
    sys.executable,
    *(("-m", "coverage", "run") if os.environ.get("COVERAGE_RUN") else ()),  # measured when the tests are
    *("-m", "powerd.helper"),
)
_CLOCK: Final = {"wakealarm": "1763703600\n", "since_epoch": "1763700000\n", "hctosys": "1\n"}


class HelperProcess:
    """A helper that serves inside ``with``; everybody may open its socket, so that it judges by itself.

    Args:
        words: added to its command line.
        activated: started by systemd-socket-activate(1), as its .socket unit does, at the first connection.
    """

    def __init__(self, *words: str, activated: bool = False) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="powerd-helper-"))
        self.base.chmod(0o755)
        self.socket = self.base / "socket"
        self.drives = FakeDrives(self.base, "sda", "sdb")
        self.root = self.drives.root
        self._log = self.base / "log"
        self._argv = [*PROGRAM, "--root", str(self.root), "--tools", str(self.drives.tools), *words]
        if activated:
            self._argv = ["systemd-socket-activate", "--listen", str(self.socket), *self._argv]
        else:
            self._argv += ["--socket", str(self.socket)]
        self._make_tree()

    def _make_tree(self) -> None:
        clock = self.root / "sys/class/rtc/rtc0"
        clock.mkdir(parents=True)
        for attribute, text in _CLOCK.items():
            (clock / attribute).write_text(text)
        (self.root / "sys/class/net/fake7/device").mkdir(parents=True)
        (self.root / "sys/class/net/br7").mkdir()
        (self.root / "precious").write_text("untouched\n")

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(self._argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until(lambda: _listening(self.socket), "the helper listens")
        self.socket.chmod(0o666)
        return self

    def __exit__(self, *_: object) -> None:
        stop(self.process)
        shutil.rmtree(self.base)

    def connect(self) -> socket.socket:
        """A connection; no answer within a minute is a TimeoutError."""
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(self.socket))  # waits for a place in the queue, as it has no time limit yet
        connection.settimeout(60)
        return connection

    def send(self, data: bytes) -> dict[str, Any]:
        """The response to ``data``, of which the helper may refuse a part."""
        with self.connect() as connection:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(data)
            return receive_line(connection)

    def request(self, **request: object) -> dict[str, Any]:
        """What is answered to one well-formed line."""
        return self.send(json.dumps(request).encode() + b"\n")

    def tree_state(self) -> dict[str, tuple[int, bytes]]:
        """Every file and directory of the fake machine: when it was last changed, and what it holds."""
        return {
            str(path): (path.stat().st_ctime_ns, path.read_bytes() if path.is_file() else b"")
            for path in sorted(self.root.rglob("*"))
        }

    def descriptors(self) -> int:
        """How many files the helper has open."""
        return sum(1 for _ in Path(f"/proc/{self.process.pid}/fd").iterdir())

    def log(self) -> list[str]:
        """Its lines on standard error."""
        return self._log.read_text().splitlines()


def _listening(path: Path) -> bool:
    """By the kernel's list, so that nobody has to knock (proc(5), net/unix: flag __SO_ACCEPTCON)."""
    rows = (row.split() for row in Path("/proc/net/unix").read_text().splitlines())
    return any(row[-1] == str(path) and row[3] == "00010000" for row in rows)


def receive_line(connection: socket.socket) -> dict[str, Any]:
    """The one line that comes, to the connection's end; it must be one, and no longer than allowed."""
    data = b""
    with contextlib.suppress(ConnectionResetError):  # it left something of ours unread, after it had answered
        while piece := connection.recv(1 << 16):
            data += piece
    assert data.endswith(b"\n")
    assert data.count(b"\n") == 1
    assert len(data) <= MAX_RESPONSE
    answer: dict[str, Any] = json.loads(data)
    return answer


@contextlib.contextmanager
def as_user(uid: int) -> Iterator[None]:
    """Become another user; connections made meanwhile have its credentials at the other end (unix(7))."""
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
