"""Receives the datagrams at UDP port 9 of a host on the LAN (magic packets), with their destination."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from rig.lan import Host

# The destination comes as IP_PKTINFO (ip(7)), for which Python 3.11 has no constant, in the last four bytes.
_LISTENER: Final = """
import socket, sys
IP_PKTINFO = 8
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
    ear.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
    ear.bind(("", 9))
    print("listens", flush=True)
    for _ in range(int(sys.argv[1])):
        data, [(_, _, info)], _, _ = ear.recvmsg(2000, 100)
        print(socket.inet_ntoa(info[-4:]), data.hex(), flush=True)
"""


class Datagram(NamedTuple):
    """A datagram: its destination, an address of the host or a broadcast address, and its content."""

    to: str
    data: bytes


@contextlib.contextmanager
def udp_listener(host: Host, packets: int = 3) -> Iterator[Callable[[], list[Datagram]]]:
    """Start receiving on ``host``; the returned function waits for the packets, at most a minute."""
    argv = [*host.inside.prefix(), sys.executable, "-c", _LISTENER, str(packets)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as listener:
        try:
            assert listener.stdout is not None
            assert listener.stdout.readline() == "listens\n"
            yield lambda: [_parse_datagram(line) for line in listener.communicate(timeout=60)[0].splitlines()]
        finally:
            listener.kill()


def _parse_datagram(line: str) -> Datagram:
    to, data = line.split()
    return Datagram(to, bytes.fromhex(data))
