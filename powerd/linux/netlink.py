"""Reads links, addresses, default routes and neighbours from the kernel by rtnetlink(7).

Each call is one dump over a socket that is closed afterwards: changes of the network do not wake the daemon,
and a dump of a home server's tables takes less than a millisecond.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable
from typing import Final, TypeVar

from powerd.linux import rtnetlink
from powerd.linux.netlink_codec import (
    NLM_F_REQUEST,
    NLMSG_DONE,
    NLMSG_ERROR,
    NetlinkMessage,
    pack_message,
    parse_messages,
)
from powerd.linux.values import HostError, Interface, Lan, Neighbour

_GETLINK: Final = 18
_GETADDR: Final = 22
_GETROUTE: Final = 26
_GETNEIGH: Final = 30
_REPLY_TYPE: Final = {_GETLINK: 16, _GETADDR: 20, _GETROUTE: 24, _GETNEIGH: 28}
"""The RTM_NEW* type of the reply to each RTM_GET*."""

_NLM_F_DUMP_INTR: Final = 0x010
_NLM_F_DUMP: Final = 0x300

_IFLA_EXT_MASK: Final = 29
_SKIP_STATS: Final = 8  # RTEXT_FILTER_SKIP_STATS: counters are four fifths of a link's message
_BODY: Final = {
    _GETLINK: struct.pack("=16xHHI", 8, _IFLA_EXT_MASK, _SKIP_STATS),  # ifinfomsg and one attribute
    _GETADDR: bytes(8),
    _GETROUTE: bytes(12),
    _GETNEIGH: bytes(12),
}
_LINKS_WITH_STATISTICS: Final = bytes(16)  # ifinfomsg
_FDB_BODY: Final = struct.pack("=B11x", socket.AF_BRIDGE)  # ndmsg
_BUFFER_SIZE: Final = 1 << 16  # the kernel fills at most 32 KiB per datagram of a dump
_TIMEOUT: Final = 1.0  # seconds; the kernel answers from the system call itself
_ATTEMPTS: Final = 2

_T = TypeVar("_T")


def read_lan(guests: rtnetlink.GuestDetector) -> Lan:
    """The links to a LAN, all own addresses, the next hops of default routes, and the guests.

    Raises:
        HostError: the kernel refuses.
    """
    links = _query(_GETLINK, rtnetlink.parse_link)
    addresses = _query(_GETADDR, rtnetlink.parse_address)
    routes = _query(_GETROUTE, rtnetlink.parse_gateways)
    entries = _query(_GETNEIGH, rtnetlink.parse_fdb_entry, _FDB_BODY)
    gateways = frozenset(hop for hops in routes for hop in hops)
    return rtnetlink.build_lan(links, addresses, gateways, guests.update(entries, links))


def read_neighbours() -> tuple[Neighbour, ...]:
    """The neighbour tables of IPv4 and IPv6.

    Raises:
        HostError: the kernel refuses.
    """
    return tuple(_query(_GETNEIGH, rtnetlink.parse_neighbour))


def read_interfaces() -> tuple[Interface, ...]:
    """All interfaces with their addresses and byte counters.

    Raises:
        HostError: the kernel refuses.
    """
    links = _query(_GETLINK, rtnetlink.parse_link, _LINKS_WITH_STATISTICS)
    return rtnetlink.build_interfaces(links, _query(_GETADDR, rtnetlink.parse_address))


def is_link_ready(index: int) -> bool:
    """Whether the interface with this index exists, is up and has carrier.

    Raises:
        HostError: the kernel refuses.
    """
    request = struct.pack("=4xi8xHHI", index, 8, _IFLA_EXT_MASK, _SKIP_STATS)
    try:
        with _open() as sock:
            _send(sock, _GETLINK, request, NLM_F_REQUEST)
            data = sock.recv(_BUFFER_SIZE)
    except OSError as error:
        raise _to_host_error(error) from error
    links = (
        rtnetlink.parse_link(message.body)
        for message in parse_messages(data)
        if message.kind == _REPLY_TYPE[_GETLINK]
    )
    return any(link is not None and link.ready for link in links)


def _query(kind: int, parse: Callable[[bytes], _T | None], request: bytes | None = None) -> list[_T]:
    """The parsed messages of the reply to a dump request."""
    bodies = dump(socket.NETLINK_ROUTE, kind, _REPLY_TYPE[kind], request or _BODY[kind])
    return [value for value in map(parse, bodies) if value is not None]


def dump(protocol: int, kind: int, reply: int, request: bytes) -> list[bytes]:
    """The bodies of one dump; repeated once if the table changed meanwhile (NLM_F_DUMP_INTR).

    The second dump counts even if the table changed again: a missing entry is equivalent to one that was
    added a moment later.

    Args:
        protocol: of the netlink family, NETLINK_ROUTE or NETLINK_SOCK_DIAG.
        kind: the message type of the request.
        reply: the message type of the replies.
        request: the body of the request.

    Raises:
        HostError: the kernel refuses.
    """
    bodies: list[bytes] = []
    try:
        for _ in range(_ATTEMPTS):
            with _open(protocol) as sock:
                _send(sock, kind, request, NLM_F_REQUEST | _NLM_F_DUMP)
                bodies, consistent = _collect(sock, reply)
            if consistent:
                break
    except OSError as error:
        raise _to_host_error(error) from error
    return bodies


def _open(protocol: int = socket.NETLINK_ROUTE) -> socket.socket:
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
    sock.settimeout(_TIMEOUT)
    return sock


def _send(sock: socket.socket, kind: int, body: bytes, flags: int) -> None:
    sock.sendto(pack_message(NetlinkMessage(kind, 1, body, flags)), (0, 0))


def _to_host_error(error: OSError) -> HostError:
    reason = os.strerror(error.errno) if error.errno else str(error)
    return HostError(
        f"cannot read the network's state from the kernel: {reason}; allow the service AF_NETLINK"
    )


def _collect(sock: socket.socket, wanted: int) -> tuple[list[bytes], bool]:
    """Bodies of type ``wanted`` until the end of the dump, and whether nothing changed meanwhile."""
    bodies: list[bytes] = []
    consistent = True
    while True:
        data, (port, _) = sock.recvfrom(_BUFFER_SIZE)
        if port:  # the kernel is port 0; other processes may send datagrams too
            continue
        for message in parse_messages(data):
            consistent = consistent and not message.flags & _NLM_F_DUMP_INTR
            if message.kind == wanted:
                bodies.append(message.body)
            elif message.kind == NLMSG_DONE and (message.errno or 0) <= 0:
                return bodies, consistent
            elif message.kind in {NLMSG_DONE, NLMSG_ERROR}:  # a handler that fails at once ends its dump
                code = errno.EPROTO if message.errno is None else message.errno
                raise OSError(code, os.strerror(code))
