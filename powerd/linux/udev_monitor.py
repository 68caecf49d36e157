"""Hears that disks have come, gone or changed: udev's netlink socket, set up by pyudev.

What a message says is not read: whoever hears one looks at sysfs and udev's database again, which is also all
there is to do when messages were lost (ENOBUFS). So a message costs 2 us instead of 75, and a storm one look
per rest.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

from powerd.linux.values import HostError

_UDEV: Final = Path("/run/udev/control")
"""Is there while systemd-udevd runs, or its socket waits for it (systemd-udevd.service(8))."""
_ROOM: Final = 16 << 20
"""Bytes of messages that may wait; without CAP_NET_ADMIN the kernel allows net.core.rmem_max."""
_REST: Final = 2.0
"""Seconds of deafness after a message: a disk's partitions and arrays come at once, and one look sees all."""
_LONGEST_REST: Final = 60.0
_AT_ONCE: Final = 1 << 14
"""Messages taken at one go, some 30 ms; if there are more, they are heard after the rest."""
_SO_RCVBUFFORCE: Final = 33  # asm-generic/socket.h; the socket module has no name for it

EventSource = Literal["udev", "kernel"]


class BlockDeviceMonitor:
    """Calls ``heard`` soon after any block device has come, gone or changed; within a rest, once.

    The rest is 2 s, and doubles up to a minute while messages keep coming: whenever a program that had a disk
    open for writing closes it, udev announces a change, and some do that all the time.

    Args:
        on_change: is called in the running loop.
        source: ``udev``, whose messages come when its database is up to date; or the kernel's own.
    """

    def __init__(self, on_change: Callable[[], None], source: EventSource = "udev") -> None:
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._socket = _open(source)
        self._quiet_period = _REST
        self._timer: asyncio.TimerHandle | None = None
        self._loop.add_reader(self._socket.fileno(), self._readable)

    def close(self) -> None:
        """Hear nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    def _readable(self) -> None:
        self._loop.remove_reader(self._socket.fileno())
        self._quiet_period = _REST
        self._notify()

    def _on_quiet_period_end(self) -> None:
        if self._has_pending():
            self._quiet_period = min(2 * self._quiet_period, _LONGEST_REST)
            self._notify()
        else:
            self._loop.add_reader(self._socket.fileno(), self._readable)

    def _notify(self) -> None:
        self._drain()
        self._timer = self._loop.call_later(self._quiet_period, self._on_quiet_period_end)
        self._on_change()

    def _has_pending(self) -> bool:
        try:
            self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except OSError as error:
            return error.errno == errno.ENOBUFS
        return True

    def _drain(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                self._socket.recv(1, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError:
                continue  # ENOBUFS: some were lost, and the rest is still to be taken


def is_udev_running() -> bool:
    """Whether udev runs here; without it no disk has a stable name, and pyudev is not even loaded."""
    return _UDEV.exists()


def _open(source: EventSource) -> socket.socket:
    """A socket that hears of whole disks only; the kernel sorts out the rest by pyudev's filter.

    Raises:
        HostError: it cannot be had.
    """
    try:
        import pyudev  # noqa: PLC0415 - 2 MB and 30 ms, which a machine without udev need not pay

        monitor = pyudev.Monitor.from_netlink(pyudev.Context(), source)
        monitor.filter_by("block", "disk")
        monitor_socket = socket.socket(fileno=os.dup(monitor.fileno()))
    except (ImportError, OSError, MemoryError) as error:
        raise _to_host_error(error, "install libudev, and allow the service AF_NETLINK") from error
    _enlarge_buffer(monitor_socket)
    try:
        monitor.start()  # binds the socket, which ours is too: the monitor itself may go
    except OSError as error:
        monitor_socket.close()
        raise _to_host_error(error, "allow the service AF_NETLINK") from error
    return monitor_socket


def _to_host_error(error: Exception, remedy: str) -> HostError:
    return HostError(f"cannot hear of disks that come and go: {error}; {remedy}")


def _enlarge_buffer(monitor_socket: socket.socket) -> None:
    monitor_socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM)
    try:
        monitor_socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _ROOM)
    except PermissionError:
        return
