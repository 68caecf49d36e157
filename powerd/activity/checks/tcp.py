"""TCP ports: an established connection to one of them keeps the server awake, whatever it transfers.

For services whose clients are connected only while somebody uses them, such as remote desktops or games.
File servers are not among them: clients of SMB and NFS stay connected for days; the check "traffic" sees
what they transfer. Connections over loopback and of powerd's own page do not count.

Source: sock_diag(7), of the network namespace of powerd; a port that Docker forwards to a container is not
seen.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Final

from powerd.activity.check import CheckKind, CheckPorts, NotApplicableError
from powerd.activity.model import Activity
from powerd.config.declare import OptionType, integer, list_of, option
from powerd.config.values import parse_network
from powerd.core.dataclass import dataclass
from powerd.core.poller import PollDepth
from powerd.linux.values import NotAvailableError

_MAX_ROWS: Final = 20


def _port_list() -> OptionType[tuple[int, ...]]:
    """A list of TCP ports."""
    port = integer(1, 65535)

    def read(value: object) -> tuple[int, ...]:
        if not isinstance(value, list):
            raise ValueError("must be a list of ports; write it like [3389, 25565]")  # noqa: TRY004 - readers raise ValueError only
        return tuple(port.read(each) for each in value)

    return OptionType(read, lambda ports: str(list(ports)))


@dataclass(frozen=True, slots=True)
class Options:
    """Connections to TCP ports of this server."""

    ports: tuple[int, ...] = option((), "ports of this server", _port_list())
    ignore: tuple[str, ...] = option(
        (), "peers that do not count: addresses and networks", list_of(parse_network)
    )

    def __post_init__(self) -> None:
        """Check the combination."""
        if not self.ports:
            raise ValueError("requires a port; write ports = [3389]")


class TcpCheck:
    """Lists the connections."""

    def __init__(self, options: Options, ports: CheckPorts) -> None:
        self._options = options
        self._network = ports.network
        self._ignored = [ip_network(each) for each in options.ignore]

    async def poll(self, depth: PollDepth) -> tuple[Activity, ...]:
        """One activity for each peer and port."""
        del depth
        try:
            connections = await self._network.tcp_connections()
        except NotAvailableError as error:
            raise NotApplicableError(str(error)) from error
        found = sorted(
            {
                (each.remote, each.local_port)
                for each in connections
                if each.local_port in self._options.ports
                and each.state == "established"
                and not any(ip_address(each.remote) in network for network in self._ignored)
            }
        )
        return tuple(
            Activity(remote, f"is connected to port {port} of this server", keeps_awake=True)
            for remote, port in found[:_MAX_ROWS]
        )


KIND: Final = CheckKind("tcp", Options, TcpCheck, example=Options(ports=(3389, 25565)))
