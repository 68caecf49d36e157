"""Lines to the journal's own socket, to a terminal, and to standard error."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import socket
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from powerd.linux import journald
from powerd.linux.journald import JournalWriter

FIELDS = {"MESSAGE_ID": "b20a0a0b5cb7439a9dfc29d93ca181bd", "POWERD_EVENT": "phase"}


def test_lines_carry_their_level_only_in_the_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journald, "SOCKET", str(tmp_path / "none"))
    file = tmp_path / "log"
    with file.open("w") as stream:
        found = os.fstat(stream.fileno())
        ours = f"{found.st_dev}:{found.st_ino}"
        for journal in ("", "1:2", ours):
            JournalWriter({"JOURNAL_STREAM": journal}, stream).send("could not suspend", 3, FIELDS)
    assert file.read_text() == "could not suspend\n" * 2 + "<3>could not suspend\n"


def test_on_a_terminal_lines_are_for_people() -> None:
    """Also where the terminal itself was started by systemd, whose variables it passes on."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as stream:
        JournalWriter({"INVOCATION_ID": "x", "SYSTEMD_EXEC_PID": str(os.getpid())}, stream).send(
            "awake: tv", 6, FIELDS
        )
        assert os.read(ours, 1000) == b"awake: tv\r\n"
    os.close(ours)


def test_a_log_that_cannot_be_written_ends_nothing(tmp_path: Path) -> None:
    JournalWriter({}, None).send("x", 6, FIELDS)
    closed = (tmp_path / "log").open("w")
    closed.close()
    sent = JournalWriter({}, io.StringIO())
    sent._stream = closed  # noqa: SLF001 - closed under its hands
    sent.send("x", 6, FIELDS)
    with open("/dev/full", "wb", buffering=0) as full:  # noqa: PTH123 - as standard error is: nothing is held back
        stream = io.TextIOWrapper(full, write_through=True)
        with pytest.raises(OSError, match="No space"):
            stream.write("x")
        JournalWriter({}, stream).send("x", 6, FIELDS)


def test_without_a_journal_or_its_library_standard_error_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = {"SYSTEMD_EXEC_PID": str(os.getpid())}
    for path, library in ((tmp_path / "none", True), (tmp_path, False)):
        monkeypatch.setattr(journald, "SOCKET", str(path))
        if not library:
            monkeypatch.setitem(sys.modules, "systemd", None)
        stream = io.StringIO()
        JournalWriter(ours, stream).send("awake: tv", 6, FIELDS)
        assert stream.getvalue() == "awake: tv\n"


def test_a_full_journal_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[str, dict[str, str]]] = []
    library = ModuleType("systemd.journal")
    library.send = lambda message, **fields: sent.append((message, fields))  # type: ignore[attr-defined] # a stand-in
    package = ModuleType("systemd")
    package.journal = library  # type: ignore[attr-defined] # a stand-in
    monkeypatch.setitem(sys.modules, "systemd", package)
    monkeypatch.setattr(journald, "SOCKET", str(tmp_path / "s"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "s"))
        ours = JournalWriter({"SYSTEMD_EXEC_PID": str(os.getpid())}, io.StringIO())
        ours.send("awake: tv", 6, FIELDS)
        assert sent == [
            ("awake: tv", {"PRIORITY": "6", "SYSLOG_IDENTIFIER": "powerd", "CODE_FUNC": "send", **FIELDS})
        ]
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as others, contextlib.suppress(BlockingIOError):
            others.settimeout(0)
            others.connect(str(tmp_path / "s"))
            while True:
                others.send(b"x")
        ours.send("lost", 6, FIELDS)
    ours.send("nobody listens", 6, FIELDS)
    ours.close()
    ours.send("closed", 6, FIELDS)
    assert len(sent) == 1


NATIVE = """
import os, resource, socket, sys
os.makedirs("/run/systemd/journal")
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind("/run/systemd/journal/socket")
receiver.setblocking(False)
from powerd.linux.journald import JournalWriter
sent = JournalWriter({environ}, sys.stderr)
sent.send("awake: tv", 6, {{"MESSAGE_ID": "b20a", "POWERD_EVENT": "phase"}})
print(receiver.recv(10000).decode(), end="")
free = os.dup(1)
os.close(free)
resource.setrlimit(resource.RLIMIT_NOFILE, (free, free))
sent.send("no descriptor is free", 6, {{}})
print(receiver.recv(10000).decode().splitlines()[0])
for n in range(5000):
    sent.send(f"line {{n}}", 6, {{}})
lines = 0
try:
    while receiver.recv(10000):
        lines += 1
except BlockingIOError:
    pass
print("kept", 0 < lines < 5000)
receiver.close()
sent.send("nobody listens", 6, {{}})
"""


@pytest.mark.lan
@pytest.mark.parametrize(
    "environ",
    [
        '{"SYSTEMD_EXEC_PID": str(os.getpid())}',
        '{"JOURNAL_STREAM": "{0.st_dev}:{0.st_ino}".format(os.fstat(2))}',
    ],
)
def test_under_systemd_the_journal_gets_every_field_and_is_never_waited_for(environ: str) -> None:
    """A real socket in the journal's place, in a mount namespace of its own; libsystemd writes to it."""
    pytest.importorskip("systemd.journal", reason="systemd-python is not installed")
    code = NATIVE.format(environ=environ)
    argv = [
        "unshare",
        "--mount",
        "sh",
        "-c",
        'mount -t tmpfs none /run && exec "$@"',
        "sh",
        sys.executable,
        "-c",
        code,
    ]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert sorted(lines) == sorted(
        [
            "MESSAGE=awake: tv",
            "PRIORITY=6",
            "SYSLOG_IDENTIFIER=powerd",
            "CODE_FUNC=send",
            "MESSAGE_ID=b20a",
            "POWERD_EVENT=phase",
            "MESSAGE=no descriptor is free",
            "kept True",
        ]
    )


def test_a_process_that_inherited_the_variables_is_not_the_service() -> None:
    stream = io.StringIO()
    JournalWriter({"SYSTEMD_EXEC_PID": "1", "JOURNAL_STREAM": "8:1234", "INVOCATION_ID": "x"}, stream).send(
        "x", 6, FIELDS
    )
    assert stream.getvalue() == "x\n"
