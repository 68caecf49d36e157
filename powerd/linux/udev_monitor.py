"""Reports that disks were added, removed or changed: udev's netlink socket, set up by pyudev.

The content of a message is not parsed: after any message the inventory is read again from sysfs and udev's
database, which is also what lost messages (ENOBUFS) require. A message costs 2 us instead of 75, and a burst
one poll per quiet period.
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
"""Exists while systemd-udevd runs, or its socket unit listens (systemd-udevd.service(8))."""
_ROOM: Final = 16 << 20
"""Receive buffer, bytes; without CAP_NET_ADMIN the kernel limits it to net.core.rmem_max."""
_REST: Final = 2.0
"""Seconds without reading after a message: the partitions and arrays of a disk appear together."""
_LONGEST_REST: Final = 60.0
_AT_ONCE: Final = 1 << 14
"""Messages discarded in one call, about 30 ms; more are read after the quiet period."""
_SO_RCVBUFFORCE: Final = 33  # asm-generic/socket.h; not in the socket module

EventSource = Literal["udev", "kernel"]


class BlockDeviceMonitor:
    """Calls ``on_change`` after a block device was added, removed or changed, once per quiet period.

    The quiet period is 2 s, and doubles up to 60 s while messages keep arriving: udev announces a change
    whenever a program closes a disk that it had open for writing, and some programs do so continuously.

    Args:
        on_change: called in the running event loop.
        source: ``udev``, whose messages arrive after its database is updated; or ``kernel``.
    """

    def __init__(self, on_change: Callable[[], None], source: EventSource = "udev") -> None:
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._socket = _open(source)
        self._quiet_period = _REST
        self._timer: asyncio.TimerHandle | None = None
        self._loop.add_reader(self._socket.fileno(), self._readable)

    def close(self) -> None:
        """Stop listening."""
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
                continue  # ENOBUFS: messages were lost; the others are still queued


def is_udev_running() -> bool:
    """Whether udev runs here; without it no disk has a stable name, and pyudev is not imported."""
    return _UDEV.exists()


def _open(source: EventSource) -> socket.socket:
    """A socket for events of whole disks; pyudev's filter makes the kernel drop the others.

    Raises:
        HostError: the socket cannot be opened.
    """
    try:
        import pyudev  # noqa: PLC0415 - 2 MB and 30 ms, only where udev runs

        monitor = pyudev.Monitor.from_netlink(pyudev.Context(), source)
        monitor.filter_by("block", "disk")
        monitor_socket = socket.socket(fileno=os.dup(monitor.fileno()))
    except (ImportError, OSError, MemoryError) as error:
        raise _to_host_error(error, "install libudev, and allow the service AF_NETLINK") from error
    _enlarge_buffer(monitor_socket)
    try:
        monitor.start()  # binds the socket, of which this is a duplicate: the monitor may be freed
    except OSError as error:
        monitor_socket.close()
        raise _to_host_error(error, "allow the service AF_NETLINK") from error
    return monitor_socket


def _to_host_error(error: Exception, remedy: str) -> HostError:
    return HostError(f"cannot receive events of block devices: {error}; {remedy}")


def _enlarge_buffer(monitor_socket: socket.socket) -> None:
    monitor_socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM)
    try:
        monitor_socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _ROOM)
    except PermissionError:
        return
