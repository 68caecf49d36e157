"""Notifies the service manager: sd_notify(3), sd_watchdog_enabled(3)."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping


def notify(state: str) -> bool:
    """Send ``state``, e.g. ``READY=1`` or several such lines; False = no service manager listens.

    Uses systemd-python where it is installed, else sends the datagram itself. Never raises.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    try:
        from systemd import daemon  # noqa: PLC0415 - optional, and used under a service manager only
    except ImportError:
        return _send_datagram(address, state)
    try:
        return bool(daemon.notify(state))
    except OSError:
        return False


def _send_datagram(address: str, state: str) -> bool:
    """Send one datagram; an address that begins with "@" is in the abstract namespace (unix(7))."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.settimeout(0)
            manager.connect("\0" + address[1:] if address.startswith("@") else address)
            manager.sendall(state.encode())
    except OSError:
        return False
    return True


def watchdog_usec(environ: Mapping[str, str] = os.environ) -> int | None:
    """Microseconds within which each ``WATCHDOG=1`` is expected; None = no watchdog for this process."""
    usec, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not (usec.isascii() and usec.isdigit()) or pid not in {"", str(os.getpid())}:
        return None
    return int(usec) or None
