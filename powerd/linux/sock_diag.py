"""Reads the TCP connections of this server with their byte counters by sock_diag(7), without privileges.

One dump of each address family; the kernel walks its table in 0.2 ms, and a connection costs 3 us. The
layouts are those of linux/inet_diag.h and of struct tcp_info in linux/tcp.h.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from contextlib import suppress
from functools import lru_cache
from typing import Final

from powerd.linux import netlink
from powerd.linux.values import HostError, NotAvailableError, TcpConnection

_NETLINK_SOCK_DIAG: Final = 4
_SOCK_DIAG_BY_FAMILY: Final = 20
_INET_DIAG_INFO: Final = 2
_REQUEST: Final = struct.Struct("=BBBxI48x")  # inet_diag_req_v2: family, protocol, extensions, states, id
_MESSAGE: Final = struct.Struct("=BBxx2s2s16s16sIQ12xII")
"""inet_diag_msg: family, state, ports and addresses (network order), device, cookie, uid, inode."""
_ATTRIBUTE: Final = struct.Struct("=HH")  # nlattr: length, type
_LAST_DATA_RECEIVED: Final = 52
"""Offset in tcp_info of tcpi_last_data_recv and, after it, tcpi_last_ack_recv, in milliseconds."""
_BYTES_ACKED: Final = 120
"""Offset in tcp_info of tcpi_bytes_acked and, after it, tcpi_bytes_received (since Linux 4.1)."""
_STATES: Final = {1: "established", 4: "fin-wait-1", 5: "fin-wait-2", 8: "close-wait"}
"""The states (linux/tcp_states.h) in which data move, by their names in ss(8)."""
_STATE_MASK: Final = sum(1 << state for state in _STATES)
_ABSENT: Final = {errno.ENOENT, errno.EPROTONOSUPPORT}
"""Errnos without the module of the family, and without the netlink protocol."""
_LOOPBACK: Final = socket.inet_pton(socket.AF_INET6, "::1")
_MAPPED: Final = bytes(10) + b"\xff\xff"  # RFC 4291, 2.5.5.2: an IPv4 peer of an IPv6 socket
_LINK_LOCAL: Final = b"\xfe\x80"


def read_connections() -> tuple[TcpConnection, ...]:
    """The connections with other hosts; those over loopback and those of this process are left out.

    Raises:
        NotAvailableError: the kernel has no inet_diag.
        HostError: the kernel refuses.
    """
    try:
        bodies = [body for family in (socket.AF_INET, socket.AF_INET6) for body in _dump(family)]
    except HostError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno in _ABSENT:
            raise NotAvailableError("the kernel does not show TCP connections: it has no tcp_diag") from error
        raise
    user, own_sockets = os.geteuid(), None
    connections = []
    for body in bodies:
        parsed = parse_connection(body)
        if parsed is None:
            continue
        connection, uid, inode = parsed
        if uid == user:
            own_sockets = _own_inodes() if own_sockets is None else own_sockets
            if inode in own_sockets:
                continue
        connections.append(connection)
    return tuple(connections)


def _dump(family: int) -> list[bytes]:
    request = _REQUEST.pack(family, socket.IPPROTO_TCP, 1 << _INET_DIAG_INFO - 1, _STATE_MASK)
    return netlink.dump(_NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY, _SOCK_DIAG_BY_FAMILY, request)


def parse_connection(body: bytes) -> tuple[TcpConnection, int, int] | None:
    """One reply: the connection, and the user and the inode of its socket.

    None if it is over loopback, if it is truncated, or if its socket is closed and no longer has counters.
    """
    if len(body) < _MESSAGE.size:
        return None
    family, state, port, remote_port, local, remote, device, cookie, uid, inode = _MESSAGE.unpack_from(body)
    info = _find_info(body)
    if info is None or state not in _STATES:
        return None
    if family == socket.AF_INET:
        local, remote = local[:4], remote[:4]
    elif remote.startswith(_MAPPED):
        local, remote = local[12:], remote[12:]
    if remote[0] == 127 if len(remote) == 4 else remote == _LOOPBACK:  # noqa: PLR2004 - 127.0.0.0/8; bytes of IPv4
        return None
    data_age, ack_age = struct.unpack_from("=II", body, info + _LAST_DATA_RECEIVED)
    sent, received = struct.unpack_from("=QQ", body, info + _BYTES_ACKED)
    connection = TcpConnection(
        _address(local, device),
        int.from_bytes(port, "big"),
        _address(remote, device),
        int.from_bytes(remote_port, "big"),
        _STATES[state],
        sent,
        received,
        min(data_age, ack_age) / 1000,
        cookie,
    )
    return connection, uid, inode


def _find_info(body: bytes) -> int | None:
    """The offset of struct tcp_info in a reply; None if it has none, or one without the byte counters."""
    offset = _MESSAGE.size
    while offset + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, offset)
        start = offset + _ATTRIBUTE.size
        if length < _ATTRIBUTE.size or offset + length > len(body):
            return None
        if kind == _INET_DIAG_INFO:
            return start if length - _ATTRIBUTE.size >= _BYTES_ACKED + 16 else None
        offset += length + 3 & ~3
    return None


@lru_cache(maxsize=1024)
def _address(packed: bytes, device: int) -> str:
    """The address as text; a link-local one of IPv6 with its interface, fe80::1%eth0."""
    if len(packed) == 4:  # noqa: PLR2004 - bytes of an IPv4 address
        return socket.inet_ntop(socket.AF_INET, packed)
    text = socket.inet_ntop(socket.AF_INET6, packed)
    if device and packed.startswith(_LINK_LOCAL):
        with suppress(OSError):
            return f"{text}%{socket.if_indextoname(device)}"
    return text


def _own_inodes() -> frozenset[int]:
    """The inodes of the open files of this process."""
    inodes = set()
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names alone, of which a Path would make objects
        with suppress(OSError):  # the descriptor of the listing itself
            inodes.add(os.fstat(int(name)).st_ino)
    return frozenset(inodes)
