"""Notifies the service manager: sd_notify(3)."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping


class ServiceManager:
    """The service manager that has started this process, if any.

    Its socket stays open, so that the watchdog is fed also when no file descriptor is free.

    Args:
        environ: the process's environment.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        # An address that begins with "@" is in the abstract namespace (unix(7)).
        self._address = environ.get("NOTIFY_SOCKET", "").replace("@", "\0", 1)
        has_manager = self._address.startswith(("/", "\0"))
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if has_manager else None

    def notify(self, state: str) -> bool:
        """Send ``state``, e.g. ``READY=1``, without waiting; False = not sent."""
        if self._socket is None:
            return False
        try:
            self._socket.sendto(state.encode(), socket.MSG_DONTWAIT, self._address)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
