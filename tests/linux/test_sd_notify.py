"""sd_notify, through systemd-python and by hand, to a real socket."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from powerd.linux.sd_notify import notify, watchdog_usec


@pytest.fixture(params=["path", "abstract"])
def manager(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    """A service manager's socket, named in NOTIFY_SOCKET."""
    address = str(tmp_path / "notify") if request.param == "path" else f"@powerd-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind("\0" + address[1:] if address.startswith("@") else address)
        receiver.settimeout(0)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        yield receiver


@pytest.fixture(params=["systemd-python", "by hand"])
def sender(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "by hand":
        monkeypatch.setitem(sys.modules, "systemd", None)
    else:
        pytest.importorskip("systemd.daemon", reason="systemd-python is not installed")
    return str(request.param)


@pytest.mark.usefixtures("sender")
def test_the_service_manager_is_notified(manager: socket.socket) -> None:
    assert notify("READY=1\nSTATUS=awake: tv: is home")
    assert manager.recv(1000) == b"READY=1\nSTATUS=awake: tv: is home"


@pytest.mark.usefixtures("sender")
def test_nobody_wants_to_know(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not notify("READY=1")


@pytest.mark.usefixtures("sender")
@pytest.mark.parametrize("address", ["/nonexistent/notify", "relative", "vsock:2:1234", "", "/" + "x" * 200])
def test_a_failed_notification_is_no_error(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    assert not notify("READY=1")


def test_by_hand_never_waits(manager: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "systemd", None)
    while notify("WATCHDOG=1"):
        pass
    assert manager.recv(1000) == b"WATCHDOG=1"


@pytest.mark.parametrize(
    ("environ", "usec"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "180000000"}, 180_000_000),
        ({"WATCHDOG_USEC": "180000000", "WATCHDOG_PID": str(os.getpid())}, 180_000_000),
        ({"WATCHDOG_USEC": "180000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "-1"}, None),
    ],
)
def test_watchdog(environ: dict[str, str], usec: int | None) -> None:
    assert watchdog_usec(environ) == usec
