"""Wake-on-LAN of a network card, asked and armed over ethtool's generic netlink.

Both take CAP_NET_ADMIN, and a socket of the machine's own network namespace. The kernel asks the driver from
within the system call, under one lock for all cards, so these calls belong into one lane.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol, TypeVar

from powerd.helper import ethtool
from powerd.helper.errors import RefusalError
from powerd.helper.protocol import ArmCard, CardRequest, CardResponse

_MAGIC: Final = "g"
_NETLINK_GENERIC: Final = 16
_RECEIVE_SIZE: Final = 1 << 16
_RECEIVE_TIMEOUT: Final = 2.0  # seconds; the answer is there when the system call that asks has returned

_T = TypeVar("_T")


class WakeModes(Protocol):
    """Ways to wake, by interface, in letters of protocol.FLAGS; OSError as the kernel refuses."""

    def modes(self, interface: str) -> tuple[str, str]:
        """Supported, armed."""
        ...

    def add(self, interface: str, letters: str) -> None:
        """Arm ``letters`` besides what is armed."""
        ...


class EthtoolNetlink:
    """The real Modes: ethtool's family in the running kernel; one short-lived socket per question."""

    def modes(self, interface: str) -> tuple[str, str]:
        """Supported, armed."""
        with _open_socket() as sock:
            family = self._family_id(sock)
            return _exchange(
                sock,
                ethtool.wol_get_request(family, 2, interface),
                lambda message: ethtool.parse_modes(message, family),
            )

    def add(self, interface: str, letters: str) -> None:
        """Arm ``letters`` besides what is armed."""
        with _open_socket() as sock:
            request = ethtool.wol_set_request(self._family_id(sock), 2, interface, letters)
            _exchange(sock, request, lambda message: True if ethtool.errno_of(message) == 0 else None)

    def _family_id(self, sock: socket.socket) -> int:
        return _exchange(sock, ethtool.family_request(1), ethtool.parse_family)


def execute(request: CardRequest, root: Path, wake_modes: WakeModes) -> CardResponse:
    """Carry out ``request``, and tell the card's flags as they are afterwards.

    Args:
        request: its interface is looked up below ``root``/sys/class/net, and has to be a card of hardware.
        root: where paths begin.
        kernel: whom to ask.

    Raises:
        RefusalError: it was not done, or the card does not confirm it.
    """
    name = request.interface
    _require_hardware(name, root)
    try:
        supported, armed = wake_modes.modes(name)
        if isinstance(request, ArmCard):
            if _MAGIC not in supported:
                raise RefusalError(_unsupported_text(name))
            if _MAGIC not in armed:
                wake_modes.add(name, _MAGIC)
                supported, armed = wake_modes.modes(name)
            if _MAGIC not in armed:
                raise RefusalError(
                    f"{name} was armed for magic packets and does not show it; see its driver in dmesg"
                )
    except OSError as error:
        raise RefusalError(_error_text(name, error)) from None
    return CardResponse(interface=name, supported=supported, armed=armed)


def _require_hardware(name: str, root: Path) -> None:
    """Bridges, VLANs and the like have no "device" in sysfs, and nothing that could wake a machine."""
    interface = root / "sys/class/net" / name
    if not interface.is_dir():
        raise RefusalError(f"there is no network interface {name}; `ip link` lists those that there are")
    if not (interface / "device").exists():
        raise RefusalError(f"{name} is no network card but made by software; name the card below it")


def _error_text(name: str, error: OSError) -> str:
    if error.errno == errno.EOPNOTSUPP:
        return _unsupported_text(name)
    if error.errno == errno.ENODEV:
        return f"{name} is no network interface any more; `ip link` lists those that there are"
    if error.errno == errno.ENOENT:
        return "this kernel has no ethtool netlink (CONFIG_ETHTOOL_NETLINK); arm the card by ethtool(8)"
    if error.errno in {errno.EPERM, errno.EACCES}:
        return f"the kernel tells how {name} wakes with CAP_NET_ADMIN only; run the helper as its service"
    return f"{name} does not answer: {error.strerror or error}; look at its driver in dmesg"


def _unsupported_text(name: str) -> str:
    return f"{name} cannot wake this machine by magic packet: its driver has no support; use an alarm"


def _open_socket() -> socket.socket:
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_GENERIC)
    sock.settimeout(_RECEIVE_TIMEOUT)
    return sock


def _exchange(sock: socket.socket, request: bytes, parse: Callable[[ethtool.NetlinkReply], _T | None]) -> _T:
    """Send one request; the first message of the kernel's that ``read`` makes something of."""
    sequence = next(ethtool.parse_messages(request)).sequence
    sock.sendto(request, (0, 0))
    while True:
        data, (port, _) = sock.recvfrom(_RECEIVE_SIZE)
        if port:  # only the kernel is port 0; anybody else may send us datagrams too
            continue
        for message in ethtool.parse_messages(data):
            if message.sequence != sequence:
                continue
            code = ethtool.errno_of(message)
            if code:
                raise OSError(code, os.strerror(code))
            value = parse(message)
            if value is not None:
                return value
            if code == 0:
                raise OSError(errno.EPROTO, os.strerror(errno.EPROTO))
