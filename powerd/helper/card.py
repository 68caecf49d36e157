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
from powerd.helper.protocol import ArmCard, Card, CardRequest

_MAGIC: Final = "g"
_NETLINK_GENERIC: Final = 16
_ROOM: Final = 1 << 16
_PATIENCE: Final = 2.0  # seconds; the answer is there when the system call that asks has returned

_T = TypeVar("_T")


class Modes(Protocol):
    """Ways to wake, by interface, in letters of protocol.FLAGS; OSError as the kernel refuses."""

    def modes(self, interface: str) -> tuple[str, str]:
        """Supported, armed."""
        ...

    def add(self, interface: str, letters: str) -> None:
        """Arm ``letters`` besides what is armed."""
        ...


class Kernel:
    """The real Modes: ethtool's family in the running kernel; one short-lived socket per question."""

    def modes(self, interface: str) -> tuple[str, str]:
        """Supported, armed."""
        with _open() as sock:
            family = self._family(sock)
            return _ask(
                sock,
                ethtool.ask_modes(family, 2, interface),
                lambda message: ethtool.modes_of(message, family),
            )

    def add(self, interface: str, letters: str) -> None:
        """Arm ``letters`` besides what is armed."""
        with _open() as sock:
            request = ethtool.add_modes(self._family(sock), 2, interface, letters)
            _ask(sock, request, lambda message: True if ethtool.code_of(message) == 0 else None)

    def _family(self, sock: socket.socket) -> int:
        return _ask(sock, ethtool.ask_family(1), ethtool.family_of)


def obey(request: CardRequest, root: Path, kernel: Modes) -> Card:
    """Carry out ``request``, and tell the card's flags as they are afterwards.

    Args:
        request: its interface is looked up below ``root``/sys/class/net, and has to be a card of hardware.
        root: where paths begin.
        kernel: whom to ask.

    Raises:
        RefusalError: it was not done, or the card does not confirm it.
    """
    name = request.interface
    _demand_hardware(name, root)
    try:
        supported, armed = kernel.modes(name)
        if isinstance(request, ArmCard):
            if _MAGIC not in supported:
                raise RefusalError(_unable(name))
            if _MAGIC not in armed:
                kernel.add(name, _MAGIC)
                supported, armed = kernel.modes(name)
            if _MAGIC not in armed:
                raise RefusalError(
                    f"{name} was armed for magic packets and does not show it; see its driver in dmesg"
                )
    except OSError as error:
        raise RefusalError(_refusal(name, error)) from None
    return Card(interface=name, supported=supported, armed=armed)


def _demand_hardware(name: str, root: Path) -> None:
    """Bridges, VLANs and the like have no "device" in sysfs, and nothing that could wake a machine."""
    interface = root / "sys/class/net" / name
    if not interface.is_dir():
        raise RefusalError(f"there is no network interface {name}; `ip link` lists those that there are")
    if not (interface / "device").exists():
        raise RefusalError(f"{name} is no network card but made by software; name the card below it")


def _refusal(name: str, error: OSError) -> str:
    if error.errno == errno.EOPNOTSUPP:
        return _unable(name)
    if error.errno == errno.ENODEV:
        return f"{name} is no network interface any more; `ip link` lists those that there are"
    if error.errno == errno.ENOENT:
        return "this kernel has no ethtool netlink (CONFIG_ETHTOOL_NETLINK); arm the card by ethtool(8)"
    if error.errno in {errno.EPERM, errno.EACCES}:
        return f"the kernel tells how {name} wakes with CAP_NET_ADMIN only; run the helper as its service"
    return f"{name} does not answer: {error.strerror or error}; look at its driver in dmesg"


def _unable(name: str) -> str:
    return f"{name} cannot wake this machine by magic packet: its driver has no support; use an alarm"


def _open() -> socket.socket:
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_GENERIC)
    sock.settimeout(_PATIENCE)
    return sock


def _ask(sock: socket.socket, request: bytes, read: Callable[[ethtool.Message], _T | None]) -> _T:
    """Send one request; the first message of the kernel's that ``read`` makes something of."""
    sequence = next(ethtool.messages(request)).sequence
    sock.sendto(request, (0, 0))
    while True:
        data, (port, _) = sock.recvfrom(_ROOM)
        if port:  # only the kernel is port 0; anybody else may send us datagrams too
            continue
        for message in ethtool.messages(data):
            if message.sequence != sequence:
                continue
            code = ethtool.code_of(message)
            if code:
                raise OSError(code, os.strerror(code))
            value = read(message)
            if value is not None:
                return value
            if code == 0:
                raise OSError(errno.EPROTO, os.strerror(errno.EPROTO))
