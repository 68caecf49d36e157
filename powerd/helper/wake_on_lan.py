"""Wake-on-LAN of network cards, read and armed by ethtool's generic netlink.

Message layouts are those of genetlink.h and ethtool_netlink.h, documented in the kernel's
Documentation/networking/ethtool-netlink.rst (WOL_GET, WOL_SET, "Bit sets"). Parsers return None for a
message that is truncated or unexpected.

Both requests need CAP_NET_ADMIN and a socket in the network namespace of the machine. The kernel calls the
driver within the system call, under one lock for all cards, so all cards share one executor.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol, TypeVar

from powerd.helper.errors import RefusalError
from powerd.helper.protocol.messages import ArmCard, CardRequest
from powerd.linux.netlink_codec import (
    NLA_F_NESTED,
    NLM_F_REQUEST,
    NetlinkMessage,
    pack_attribute,
    pack_message,
    parse_attributes,
    parse_messages,
)
from powerd.power.model import WOL_FLAGS, NetworkCard

_NLM_F_ACK: Final = 0x004

_GENL_ID_CTRL: Final = 0x10
_CTRL_GETFAMILY: Final = 3
_CTRL_NEWFAMILY: Final = 1
_FAMILY_ID, _FAMILY_NAME = 1, 2
_WOL_GET: Final = 9
_WOL_SET: Final = 10
_WOL_GET_REPLY: Final = 9
_WOL_HEADER, _WOL_MODES = 1, 2
_HEADER_NAME, _HEADER_FLAGS = 2, 3
_COMPACT: Final = 1  # ETHTOOL_FLAG_COMPACT_BITSETS: two words in place of a list of names
_BITS_SIZE, _BITS_VALUE, _BITS_MASK = 2, 4, 5

_GENERIC: Final = struct.Struct("=BBH")  # genlmsghdr: command, version, reserved
_U16: Final = struct.Struct("=H")
_U32: Final = struct.Struct("=I")


def family_request(sequence: int) -> bytes:
    """The request for the id of the family "ethtool" in the running kernel."""
    return _request(_GENL_ID_CTRL, sequence, _CTRL_GETFAMILY, pack_attribute(_FAMILY_NAME, b"ethtool\0"))


def wol_get_request(family: int, sequence: int, interface: str) -> bytes:
    """The request for an interface's supported and armed modes."""
    return _request(family, sequence, _WOL_GET, _interface_header(interface))


def wol_set_request(family: int, sequence: int, interface: str, letters: str) -> bytes:
    """The request to arm modes; the mask keeps all others as they are, atomically."""
    bits = _U32.pack(sum(1 << WOL_FLAGS.index(letter) for letter in letters))
    modes = (
        pack_attribute(_BITS_SIZE, _U32.pack(len(WOL_FLAGS)))
        + pack_attribute(_BITS_VALUE, bits)
        + pack_attribute(_BITS_MASK, bits)
    )
    return _request(
        family,
        sequence,
        _WOL_SET,
        _interface_header(interface) + pack_attribute(_WOL_MODES | NLA_F_NESTED, modes),
    )


def parse_family(message: NetlinkMessage) -> int | None:
    """The family id in the reply to family_request()."""
    if message.kind != _GENL_ID_CTRL or message.body[:1] != bytes([_CTRL_NEWFAMILY]):
        return None
    number = parse_attributes(message.body[_GENERIC.size :]).get(_FAMILY_ID, b"")
    return int(_U16.unpack(number)[0]) if len(number) == _U16.size else None


def parse_modes(message: NetlinkMessage, family: int) -> tuple[str, str] | None:
    """The supported and the armed modes in the reply to wol_get_request()."""
    if message.kind != family or message.body[:1] != bytes([_WOL_GET_REPLY]):
        return None
    modes = parse_attributes(parse_attributes(message.body[_GENERIC.size :]).get(_WOL_MODES, b""))
    supported, armed = (_bitset_letters(modes.get(key, b"")) for key in (_BITS_MASK, _BITS_VALUE))
    return None if supported is None or armed is None else (supported, armed)


def _request(kind: int, sequence: int, command: int, attributes: bytes) -> bytes:
    body = _GENERIC.pack(command, 1, 0) + attributes
    flags = NLM_F_REQUEST | _NLM_F_ACK
    return pack_message(NetlinkMessage(kind, sequence, body, flags))


def _interface_header(interface: str) -> bytes:
    """The request header of the family "ethtool"."""
    name = pack_attribute(_HEADER_NAME, interface.encode() + b"\0")
    return pack_attribute(
        _WOL_HEADER | NLA_F_NESTED, name + pack_attribute(_HEADER_FLAGS, _U32.pack(_COMPACT))
    )


def _bitset_letters(bitset: bytes) -> str | None:
    """The letters of a compact bit set; unknown bits of a newer kernel are ignored."""
    if len(bitset) < _U32.size:
        return None
    bits = int(_U32.unpack_from(bitset)[0])
    return "".join(letter for bit, letter in enumerate(WOL_FLAGS) if bits >> bit & 1)


_MAGIC: Final = "g"
_NETLINK_GENERIC: Final = 16
_RECEIVE_SIZE: Final = 1 << 16
_RECEIVE_TIMEOUT: Final = 2.0  # seconds; the reply is there when the system call returns

_T = TypeVar("_T")


class WakeModes(Protocol):
    """The modes of interfaces, in letters of WOL_FLAGS; methods raise OSError as the kernel refuses."""

    def modes(self, interface: str) -> tuple[str, str]:
        """The supported and the armed modes."""
        ...

    def add(self, interface: str, letters: str) -> None:
        """Arm ``letters`` in addition to what is armed."""
        ...


class EthtoolNetlink:
    """The kernel's WakeModes; one socket per request."""

    def modes(self, interface: str) -> tuple[str, str]:
        """The supported and the armed modes."""
        with _open_socket() as sock:
            family = self._family_id(sock)
            return _exchange(
                sock,
                wol_get_request(family, 2, interface),
                lambda message: parse_modes(message, family),
            )

    def add(self, interface: str, letters: str) -> None:
        """Arm ``letters`` in addition to what is armed."""
        with _open_socket() as sock:
            request = wol_set_request(self._family_id(sock), 2, interface, letters)
            _exchange(sock, request, lambda message: True if message.errno == 0 else None)

    def _family_id(self, sock: socket.socket) -> int:
        return _exchange(sock, family_request(1), parse_family)


def execute(request: CardRequest, root: Path, wake_modes: WakeModes) -> NetworkCard:
    """Execute ``request``, and return the state of the card afterwards.

    Args:
        request: its interface must be a physical card below ``root``/sys/class/net.
        root: the directory that paths start at.
        wake_modes: the kernel's.

    Raises:
        RefusalError: it was not executed, or the card does not confirm it.
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
                    f"{name} was set to wake by magic packet but does not report it; see its driver in dmesg"
                )
    except OSError as error:
        raise RefusalError(_error_text(name, error)) from None
    return NetworkCard(interface=name, supported=supported, armed=armed)


def _require_hardware(name: str, root: Path) -> None:
    """Refuse bridges, VLANs and other interfaces without a "device" in sysfs."""
    interface = root / "sys/class/net" / name
    if not interface.is_dir():
        raise RefusalError(f"there is no network interface {name}; `ip link` lists all")
    if not (interface / "device").exists():
        raise RefusalError(f"{name} is a virtual interface; name the network card below it")


def _error_text(name: str, error: OSError) -> str:
    if error.errno == errno.EOPNOTSUPP:
        return _unsupported_text(name)
    if error.errno == errno.ENODEV:
        return f"{name} is no longer a network interface; `ip link` lists all"
    if error.errno == errno.ENOENT:
        return (
            "this kernel has no ethtool netlink (CONFIG_ETHTOOL_NETLINK); enable Wake-on-LAN with ethtool(8)"
        )
    if error.errno in {errno.EPERM, errno.EACCES}:
        return (
            f"the kernel reports the Wake-on-LAN setting of {name} only with CAP_NET_ADMIN; run "
            "the helper as its service"
        )
    return f"{name} does not answer: {error.strerror or error}; see its driver in dmesg"


def _unsupported_text(name: str) -> str:
    return f"{name} cannot wake this machine by magic packet: its driver has no support; use an alarm"


def _open_socket() -> socket.socket:
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_GENERIC)
    sock.settimeout(_RECEIVE_TIMEOUT)
    return sock


def _exchange(sock: socket.socket, request: bytes, parse: Callable[[NetlinkMessage], _T | None]) -> _T:
    """Send one request, and return the first reply that ``parse`` accepts."""
    sequence = next(parse_messages(request)).sequence
    sock.sendto(request, (0, 0))
    while True:
        data, (port, _) = sock.recvfrom(_RECEIVE_SIZE)
        if port:  # the kernel is port 0; other processes may send datagrams too
            continue
        for message in parse_messages(data):
            if message.sequence != sequence:
                continue
            code = message.errno
            if code:
                raise OSError(code, os.strerror(code))
            value = parse(message)
            if value is not None:
                return value
            if code == 0:
                raise OSError(errno.EPROTO, os.strerror(errno.EPROTO))
