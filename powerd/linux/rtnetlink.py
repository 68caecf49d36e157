"""Parsers of rtnetlink(7) messages on links, addresses, default routes and neighbours; no I/O.

The layouts are those of linux/netlink.h, if_link.h, if_addr.h, rtnetlink.h and neighbour.h. A truncated or
malformed message is skipped without an error.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, ip_interface
from typing import Final

from powerd.core.dataclass import dataclass
from powerd.linux.netlink_codec import parse_attributes
from powerd.linux.values import Interface, Lan, Link, Neighbour

_ARPHRD_ETHER: Final = 1
_IFF_UP: Final = 0x1
_IFF_LOOPBACK: Final = 0x8
_OPERSTATE_UNKNOWN: Final = 0
_OPERSTATE_UP: Final = 6
_NUD_REACHABLE: Final = 0x02
_NUD_NOARP: Final = 0x40
_NUD_PERMANENT: Final = 0x80
_NTF_SELF: Final = 0x02
_RTN_UNICAST: Final = 1
_RT_TABLE_MAIN: Final = 254

_LINK: Final = struct.Struct("=BxHiII")  # ifinfomsg: family, hardware type, index, flags, change
_BYTES: Final = struct.Struct("=16xQQ")  # rtnl_link_stats64, its third and fourth counter
_ADDR: Final = struct.Struct("=BBBBI")  # ifaddrmsg: family, prefix length, flags, scope, index
_ROUTE: Final = struct.Struct(
    "=8BI"
)  # rtmsg: family, dst_len, src_len, tos, table, protocol, scope, type, flags
_HOP: Final = struct.Struct("=HBBi")  # rtnexthop: length, flags, hops, index
_NEIGH: Final = struct.Struct("=BxxxiHBB")  # ndmsg: family, index, state, flags, type
_IPV6_HOST_PREFIX: Final = 128
_IPV6_LAN_PREFIX: Final = 64
_TICKS: Final = os.sysconf("SC_CLK_TCK")  # nda_cacheinfo counts in these, proc(5)

_VIRTUAL_PORT_KINDS: Final = frozenset({"veth", "tun", "dummy"})
"""Kinds of bridge ports that connect containers and virtual machines, never hardware."""
_NON_LAN_KINDS: Final = frozenset(
    {"tun", "dummy", "ifb", "nlmon", "vxlan", "geneve", "gretap", "ip6gretap", "erspan"}
)
"""Kinds of Ethernet-like interfaces without a LAN: tunnels, and interfaces that end in the kernel."""
_GUEST_PORT_KINDS: Final = frozenset({"veth", "tun"})
"""Kinds of bridge ports whose carrier depends on a program or a guest of this server."""
_NSPAWN_PREFIX: Final = "ve-"
"""Of the host's end of a container's veth (systemd-nspawn(1), --network-veth)."""
_MASTER_KINDS: Final = frozenset({"bridge", "bond", "team", "openvswitch"})
"""Kinds of masters whose ports have no LAN of their own; the ports of a VRF keep theirs."""


@dataclass(frozen=True, slots=True)
class LinkMessage:
    """One interface in RTM_NEWLINK.

    Attributes:
        kind: IFLA_INFO_KIND, "" for hardware.
        carrier_losses: IFLA_CARRIER_DOWN_COUNT.
        leads_to_guest: only a container or a virtual machine of this server is behind it: it is a veth, or a
            tap with IFLA_TUN_VNET_HDR, which hypervisors set. A tap without it belongs to a layer-2 VPN.
        loopback: IFF_LOOPBACK.
        byte_count: bytes received and sent, of IFLA_STATS64; 0 if the dump was requested without statistics.
    """

    index: int
    name: str
    mac: str
    kind: str
    master: int | None
    ethernet: bool
    ready: bool
    carrier_losses: int = 0
    leads_to_guest: bool = False
    loopback: bool = False
    byte_count: int = 0


@dataclass(frozen=True, slots=True)
class FdbEntry:
    """One MAC address in the forwarding database of a bridge or of a card.

    Attributes:
        index: of the bridge port or of the card.
        mac: lower case with colons.
        permanent: it does not age: an own address, or one that was added by hand or by a driver.
        on_card: the card itself receives packets to this address, as for a macvlan interface above it.
    """

    index: int
    mac: str
    permanent: bool
    on_card: bool


def parse_link(body: bytes) -> LinkMessage | None:
    """One RTM_NEWLINK; None if it is truncated or has no name."""
    if len(body) < _LINK.size:
        return None
    _, hardware, index, flags, _ = _LINK.unpack_from(body)
    attrs = parse_attributes(body, _LINK.size)
    name = attrs.get(3, b"").rstrip(b"\0").decode(errors="replace")  # IFLA_IFNAME
    if not name:
        return None
    info = parse_attributes(attrs.get(18, b""))  # IFLA_LINKINFO
    kind = info.get(1, b"").rstrip(b"\0").decode(errors="replace")  # IFLA_INFO_KIND
    vnet_hdr = parse_attributes(info.get(2, b"")).get(5, b"\0")  # IFLA_INFO_DATA, IFLA_TUN_VNET_HDR
    carrier = attrs.get(33, b"\1")[:1] != b"\0"  # IFLA_CARRIER
    statistics = attrs.get(23, b"")  # IFLA_STATS64: packets received and sent, bytes received and sent, ...
    operstate = attrs.get(16, b"\0")[:1]  # IFLA_OPERSTATE: DORMANT is a Wi-Fi link not yet authenticated
    running = carrier and operstate in {bytes([_OPERSTATE_UNKNOWN]), bytes([_OPERSTATE_UP])}
    return LinkMessage(
        index=index,
        name=name,
        mac=mac_text(attrs.get(1, b"")),  # IFLA_ADDRESS
        kind=kind,
        master=_u32(attrs.get(10)),  # IFLA_MASTER
        ethernet=hardware == _ARPHRD_ETHER and not flags & _IFF_LOOPBACK,
        ready=bool(flags & _IFF_UP) and running,
        carrier_losses=_u32(attrs.get(48)) or 0,  # IFLA_CARRIER_DOWN_COUNT
        leads_to_guest=kind == "veth" or (kind == "tun" and vnet_hdr != b"\0"),
        loopback=bool(flags & _IFF_LOOPBACK),
        byte_count=sum(_BYTES.unpack_from(statistics)) if len(statistics) >= _BYTES.size else 0,
    )


def parse_address(body: bytes) -> tuple[int, str, int] | None:
    """Index, address and prefix length of one RTM_NEWADDR; None if there is no address in it."""
    if len(body) < _ADDR.size:
        return None
    family, prefix, _, _, index = _ADDR.unpack_from(body)
    attrs = parse_attributes(body, _ADDR.size)
    own = attrs.get(2, attrs.get(1, b""))  # IFA_LOCAL, else IFA_ADDRESS: they differ on point-to-point links
    address = address_text(family, own)
    return None if address is None else (index, address, prefix)


def parse_gateways(body: bytes) -> tuple[str, ...]:
    """The next hops of one RTM_NEWROUTE, if it is a default route of table main; else ()."""
    if len(body) < _ROUTE.size:
        return ()
    family, dst_len, _, _, table, _, _, kind, _ = _ROUTE.unpack_from(body)
    attrs = parse_attributes(body, _ROUTE.size)
    table = _u32(attrs.get(15)) or table  # RTA_TABLE
    if dst_len or table != _RT_TABLE_MAIN or kind != _RTN_UNICAST:
        return ()
    hops = [attrs, *(parse_attributes(hop) for hop in _hops(attrs.get(9, b"")))]  # RTA_MULTIPATH
    return tuple(gateway for hop in hops for gateway in _gateways(family, hop))


def parse_neighbour(body: bytes) -> Neighbour | None:
    """One RTM_NEWNEIGH; None without a unicast link-layer address of Ethernet."""
    if len(body) < _NEIGH.size:
        return None
    family, index, state, _, _ = _NEIGH.unpack_from(body)
    attrs = parse_attributes(body, _NEIGH.size)
    address, mac = address_text(family, attrs.get(1, b"")), attrs.get(2, b"")  # NDA_DST, NDA_LLADDR
    multicast = bool(mac and mac[0] & 1)
    if address is None or len(mac) != 6 or multicast or not any(mac) or state & _NUD_NOARP:  # noqa: PLR2004 - bytes of a MAC
        return None
    confirmed = _u32(attrs.get(3)) or 0  # NDA_CACHEINFO begins with it
    return Neighbour(index, address, mac_text(mac), bool(state & _NUD_REACHABLE), confirmed / _TICKS)


def parse_fdb_entry(body: bytes) -> FdbEntry | None:
    """One RTM_NEWNEIGH of the family AF_BRIDGE (bridge(8), fdb); None without a unicast MAC."""
    if len(body) < _NEIGH.size:
        return None
    _, index, state, flags, _ = _NEIGH.unpack_from(body)
    mac = parse_attributes(body, _NEIGH.size).get(2, b"")  # NDA_LLADDR
    if len(mac) != 6 or mac[0] & 1:  # noqa: PLR2004 - bytes of a MAC
        return None
    return FdbEntry(index, mac_text(mac), bool(state & _NUD_PERMANENT), bool(flags & _NTF_SELF))


class GuestDetector:
    """Finds the virtual machines and containers of this server in the forwarding databases.

    A guest is the only MAC behind a bridge port that leads to guests, or that of a macvlan interface above a
    card. Behind a port with several MACs a guest may connect other hosts, so no host there counts as a guest:
    entries age after five minutes (ip-link(8), ageing_time), and one host could remain. For the same
    reason a guest behind a port stays one until its MAC is seen at another port.
    """

    def __init__(self) -> None:
        self._macs_by_port: dict[int, set[str]] = {}

    def update(self, entries: list[FdbEntry], links: list[LinkMessage]) -> frozenset[str]:
        """The MACs of the guests, by the present entries."""
        by_index = {link.index: link for link in links}
        own = {link.mac for link in links}
        guests: set[str] = set()
        elsewhere: set[str] = set()
        ports = {link.index for link in links if link.leads_to_guest}
        self._macs_by_port = {index: macs for index, macs in self._macs_by_port.items() if index in ports}
        for entry in entries:
            link = by_index.get(entry.index)
            if link is None or entry.mac in own or entry.permanent is not entry.on_card:
                continue
            if entry.on_card:
                guests |= {entry.mac} if link.master is None and link.kind not in _NON_LAN_KINDS else set()
            elif link.leads_to_guest:
                macs = self._macs_by_port.setdefault(entry.index, set())
                macs |= {entry.mac} if len(macs) <= 1 else set()  # a guest may send from any number of MACs
            else:
                elsewhere.add(entry.mac)
        for macs in self._macs_by_port.values():
            guests |= macs if len(macs) == 1 else set()
        return frozenset(guests - elsewhere)


def build_lan(
    links: list[LinkMessage],
    addresses: list[tuple[int, str, int]],
    gateways: frozenset[str],
    guests: frozenset[str] = frozenset(),
) -> Lan:
    """The Lan that these messages describe."""
    kinds = {link.index: link.kind for link in links}
    return Lan(
        links=tuple(
            _with_addresses(link, links, addresses) for link in links if _leads_to_lan(link, links, kinds)
        ),
        own_addresses=frozenset(address for _, address, _ in addresses),
        gateways=gateways,
        guests=guests,
    )


def build_interfaces(
    links: list[LinkMessage], addresses: list[tuple[int, str, int]]
) -> tuple[Interface, ...]:
    """The interfaces that these messages describe."""
    names = {link.index: link.name for link in links}
    own: dict[int, list[IPv4Interface | IPv6Interface]] = {}
    for index, address, prefix in addresses:
        own.setdefault(index, []).append(ip_interface(f"{address}/{prefix}"))
    return tuple(
        Interface(
            link.index,
            link.name,
            link.kind,
            "" if link.master is None else names.get(link.master, ""),
            link.loopback,
            _connects_guests_only(link, links),
            tuple(own.get(link.index, ())),
            link.byte_count,
        )
        for link in links
    )


def mac_text(mac: bytes) -> str:
    """Lower case with colons; "" for none."""
    return mac.hex(":")


def address_text(family: int, packed: bytes) -> str | None:
    """IPv4 or IPv6 in its shortest form; None for another family or a wrong length."""
    if family == socket.AF_INET and len(packed) == 4:  # noqa: PLR2004 - bytes of an IPv4 address
        return str(IPv4Address(packed))
    if family == socket.AF_INET6 and len(packed) == 16:  # noqa: PLR2004 - bytes of an IPv6 address
        return str(IPv6Address(packed))
    return None


def _leads_to_lan(link: LinkMessage, links: list[LinkMessage], kinds: dict[int, str]) -> bool:
    if not link.ethernet or link.kind in _NON_LAN_KINDS:
        return False
    if link.master is not None and kinds.get(link.master, "bridge") in _MASTER_KINDS:
        return False
    if link.kind != "bridge":
        return True
    # docker0, virbr0 and their like: every port ends in this machine.
    return any(port.kind not in _VIRTUAL_PORT_KINDS for port in links if port.master == link.index)


def _connects_guests_only(link: LinkMessage, links: list[LinkMessage]) -> bool:
    """Whether the hosts of its subnets are containers and virtual machines: docker0, virbr0, ve-box."""
    if link.kind == "veth":
        return link.name.startswith(_NSPAWN_PREFIX) and link.master is None
    ports = [port for port in links if port.master == link.index]
    return link.kind == "bridge" and all(port.leads_to_guest or port.kind == "dummy" for port in ports)


def _with_addresses(
    link: LinkMessage, links: list[LinkMessage], addresses: list[tuple[int, str, int]]
) -> Link:
    own = [(address, prefix) for index, address, prefix in addresses if index == link.index]
    # The carrier of a bridge outlasts that of its wire while a guest is connected.
    ports = [port for port in links if port.master == link.index and port.kind not in _GUEST_PORT_KINDS]
    losses = sum(each.carrier_losses for each in (link, *ports))
    return Link(
        link.index,
        link.name,
        link.mac,
        link.ready,
        tuple(IPv4Interface(f"{address}/{prefix}") for address, prefix in own if ":" not in address),
        losses,
        tuple(_ipv6_interface(address, prefix) for address, prefix in own if ":" in address),
    )


def _ipv6_interface(address: str, prefix: int) -> IPv6Interface:
    """An own address with the prefix of its LAN: DHCPv6 assigns it as /128, SLAAC needs /64 (RFC 4862)."""
    return IPv6Interface(f"{address}/{_IPV6_LAN_PREFIX if prefix == _IPV6_HOST_PREFIX else prefix}")


def _gateways(family: int, attrs: dict[int, bytes]) -> Iterator[str]:
    via = attrs.get(18, b"")  # RTA_VIA: an IPv6 next hop of an IPv4 route, RFC 5549
    for kind, packed in ((family, attrs.get(5, b"")), (_family(via), via[2:])):  # RTA_GATEWAY
        gateway = address_text(kind, packed)
        if gateway is not None:
            yield gateway


def _family(via: bytes) -> int:
    return int.from_bytes(via[:2], sys.byteorder)


def _hops(nested: bytes) -> Iterator[bytes]:
    at = 0
    while at + _HOP.size <= len(nested):
        length = _HOP.unpack_from(nested, at)[0]
        if length < _HOP.size or at + length > len(nested):
            return
        yield nested[at + _HOP.size : at + length]
        at += length + 3 & ~3


def _u32(packed: bytes | None) -> int | None:
    return None if packed is None or len(packed) < 4 else int(struct.unpack_from("=I", packed)[0])  # noqa: PLR2004 - bytes of a __u32
