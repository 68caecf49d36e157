"""sd_notify to a real socket."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from rig.limits import no_more_files

from powerd.linux.sd_notify import ServiceManager


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


def notify(state: str) -> bool:
    """Send one notification."""
    with contextlib.closing(ServiceManager()) as service_manager:
        return service_manager.notify(state)


def test_the_service_manager_is_notified(manager: socket.socket) -> None:
    assert notify("READY=1\nSTATUS=awake: tv: is home")
    assert manager.recv(1000) == b"READY=1\nSTATUS=awake: tv: is home"


def test_nobody_wants_to_know(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not notify("READY=1")


@pytest.mark.parametrize("address", ["/nonexistent/notify", "relative", "vsock:2:1234", "", "/" + "x" * 200])
def test_a_failed_notification_is_no_error(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    assert not notify("READY=1")


def test_it_never_waits(manager: socket.socket) -> None:
    while notify("WATCHDOG=1"):
        pass
    assert manager.recv(1000) == b"WATCHDOG=1"


def test_the_watchdog_is_fed_without_a_free_descriptor(manager: socket.socket) -> None:
    with contextlib.closing(ServiceManager()) as service_manager, no_more_files():
        assert service_manager.notify("WATCHDOG=1")
    assert manager.recv(1000) == b"WATCHDOG=1"
