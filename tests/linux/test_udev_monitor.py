from __future__ import annotations

import asyncio
import errno
import math
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from powerd.linux import udev_monitor
from powerd.linux.files import HostFiles
from powerd.linux.udev_monitor import BlockDeviceMonitor
from powerd.linux.values import HostError

LOOP = Path("/sys/block/loop7/uevent")
root_only = pytest.mark.skipif(
    os.geteuid() != 0 or not LOOP.exists(), reason="has the kernel announce a loop device: run as root"
)


class FakeUdev:
    """A socket pair instead of netlink: one end receives what the other sends."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.ours.settimeout(0)
        monkeypatch.setattr(udev_monitor, "_open", lambda _: self.theirs)

    def emit(self, times: int = 1) -> None:
        """Messages; those that find no room are lost, as netlink's."""
        for _ in range(times):
            try:
                self.ours.send(b"change@/devices/virtual/block/loop7")
            except BlockingIOError:
                return


@pytest.fixture
def fake_udev(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeUdev]:
    monkeypatch.setattr(udev_monitor, "_REST", 0.05)
    air = FakeUdev(monkeypatch)
    yield air
    air.ours.close()
    air.theirs.close()


def listening(scenario: Callable[[BlockDeviceMonitor, list[float]], Awaitable[None]]) -> list[float]:
    """Times at which it was called while ``story`` was played."""

    async def play() -> list[float]:
        loop = asyncio.get_running_loop()
        times: list[float] = []
        monitor = BlockDeviceMonitor(lambda: times.append(loop.time()))
        try:
            await scenario(monitor, times)
        finally:
            monitor.close()
        return times

    return asyncio.run(play())


async def until(times: list[float], count: int) -> None:
    async with asyncio.timeout(60):
        while len(times) < count:  # noqa: ASYNC110 - what is waited for comes from a callback
            await asyncio.sleep(0.005)


def test_silence_causes_no_event(fake_udev: FakeUdev) -> None:
    async def scenario(_: BlockDeviceMonitor, __: list[float]) -> None:
        fake_udev.emit(0)

    assert listening(scenario) == []


def test_a_message_is_reported_at_once_and_its_followers_once_after_the_pause(fake_udev: FakeUdev) -> None:
    async def scenario(_: BlockDeviceMonitor, times: list[float]) -> None:
        fake_udev.emit()
        await until(times, 1)
        fake_udev.emit(7)
        await until(times, 2)
        await asyncio.sleep(0.2)
        fake_udev.emit()
        await until(times, 3)

    times = listening(scenario)
    assert len(times) == 3
    assert times[1] - times[0] >= 0.045


def test_an_endless_stream_is_reported_with_growing_pauses(fake_udev: FakeUdev) -> None:
    async def scenario(_: BlockDeviceMonitor, __: list[float]) -> None:
        for _turn in range(100):
            fake_udev.emit(5)
            await asyncio.sleep(0.01)

    times = listening(scenario)
    assert len(times) <= 2 + math.log2(1 + (times[-1] - times[0]) / 0.05)


def test_a_pause_is_no_longer_than_a_minute(fake_udev: FakeUdev, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udev_monitor, "_LONGEST_REST", 0.06)

    async def scenario(_: BlockDeviceMonitor, times: list[float]) -> None:
        fake_udev.emit()
        while len(times) < 6:
            fake_udev.emit()
            await asyncio.sleep(0.005)

    assert len(listening(scenario)) == 6, "with doubling alone this would take over 3 s"


def test_more_messages_than_are_taken_at_one_go_wait_for_the_next(
    fake_udev: FakeUdev, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(udev_monitor, "_AT_ONCE", 2)

    async def scenario(_: BlockDeviceMonitor, times: list[float]) -> None:
        fake_udev.emit(5)
        await until(times, 3)

    assert len(listening(scenario)) == 3


def test_lost_messages_are_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """recv(2) reports ENOBUFS once; the remaining messages can still be read."""

    class Full(socket.socket):
        errors = 2

        def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
            if self.errors:
                self.errors -= not flags & socket.MSG_PEEK
                raise OSError(errno.ENOBUFS, "No buffer space available")
            return super().recv(bufsize, flags)

    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    full = Full(fileno=theirs.detach())
    monkeypatch.setattr(udev_monitor, "_REST", 0.02)
    monkeypatch.setattr(udev_monitor, "_open", lambda _: full)

    async def scenario(_: BlockDeviceMonitor, times: list[float]) -> None:
        ours.send(b"one")
        await until(times, 1)
        full.errors = 1
        ours.send(b"two")  # the first may have been read by now
        await until(times, 2)

    with ours:
        assert len(listening(scenario)) == 2


def test_nothing_is_reported_after_close(fake_udev: FakeUdev) -> None:
    async def scenario(monitor: BlockDeviceMonitor, times: list[float]) -> None:
        fake_udev.emit()
        await until(times, 1)
        fake_udev.emit()
        monitor.close()
        monitor.close()
        await asyncio.sleep(0.1)

    assert len(listening(scenario)) == 1


def test_without_udev_nothing_is_loaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(udev_monitor, "_UDEV", tmp_path / "control")
    monkeypatch.setitem(sys.modules, "pyudev", None)
    HostFiles().watch_block_devices(lambda: None)
    (tmp_path / "control").touch()
    HostFiles(tmp_path).watch_block_devices(lambda: None)


def test_the_machine_listens_and_closes(
    fake_udev: FakeUdev, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(udev_monitor, "_UDEV", tmp_path)
    times: list[float] = []

    async def scenario() -> None:
        machine = HostFiles()
        machine.watch_block_devices(lambda: times.append(0))
        fake_udev.emit()
        await until(times, 1)
        machine.close()

    asyncio.run(scenario())
    assert fake_udev.theirs.fileno() == -1


@pytest.mark.process
@pytest.mark.parametrize("trouble", ["no pyudev", "no socket"])
def test_what_cannot_be_had_is_one_sentence(monkeypatch: pytest.MonkeyPatch, trouble: str) -> None:
    if trouble == "no pyudev":
        monkeypatch.setitem(sys.modules, "pyudev", None)
    else:
        pyudev = pytest.importorskip("pyudev")

        def refuse(_: object) -> None:
            raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))

        monkeypatch.setattr(pyudev.Monitor, "start", refuse)

    async def scenario() -> None:
        BlockDeviceMonitor(lambda: None)

    with pytest.raises(HostError, match=r"^[^\n]*block devices: [^\n]*; [^\n]*AF_NETLINK$"):
        asyncio.run(scenario())


@pytest.mark.process
@root_only
@pytest.mark.parametrize("room", [udev_monitor._ROOM, 4096])  # noqa: SLF001 - with room for all, and for next to none
def test_a_burst_of_real_events_is_reported_a_few_times(monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    monkeypatch.setattr(udev_monitor, "_ROOM", room)
    monkeypatch.setattr(udev_monitor, "_REST", 0.1)
    times: list[float] = []

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        monitor = BlockDeviceMonitor(lambda: times.append(loop.time()), "kernel")
        for n in range(10_000):
            os.write(uevent, b"change")
            if n % 100 == 0:
                await asyncio.sleep(0)
        await until(times, 1)
        monitor.close()

    uevent = os.open(LOOP, os.O_WRONLY)
    asyncio.run(scenario())
    os.close(uevent)
    assert 1 <= len(times) <= 2 + math.log2(1 + (times[-1] - times[0]) / 0.1)


@root_only
def test_without_rights_the_buffer_is_what_the_kernel_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udev_monitor, "_SO_RCVBUFFORCE", 10_000)

    class Strict(socket.socket):
        def setsockopt(self, level: int, option: int, value: int) -> None:  # type: ignore[override]  # one of its three forms
            if option == 10_000:
                raise PermissionError
            super().setsockopt(level, option, value)

    with Strict(socket.AF_NETLINK, socket.SOCK_RAW, 15) as own:
        udev_monitor._enlarge_buffer(own)  # noqa: SLF001 - the subject
        most = int(Path("/proc/sys/net/core/rmem_max").read_text())
        assert own.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 2 * min(most, 16 << 20)
