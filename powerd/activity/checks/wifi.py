"""Stations of this server's own access point: a device on its Wi-Fi keeps the server awake.

While a server sleeps its access point is gone. This check is for servers whose Wi-Fi must not fail while a
device uses it. A phone beside the bed is a station too; add devices that are always on to ``ignore``.

Source: the control socket of hostapd, commands STA-FIRST and STA-NEXT, as all_sta of hostapd_cli(8). The
user powerd must be allowed to use it (ctrl_interface_group in hostapd.conf).
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Final

from powerd.activity.check import CheckKind, CheckPorts, NotApplicableError
from powerd.activity.model import Activity
from powerd.config.declare import list_of, option, string_list
from powerd.config.values import parse_mac_pattern
from powerd.core.dataclass import dataclass
from powerd.core.poller import PollDepth

_MAC: Final = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


@dataclass(frozen=True, slots=True)
class Options:
    """Stations of this server's access point."""

    sockets: tuple[str, ...] = option(
        ("/run/hostapd/*",), "control sockets of hostapd, one for each interface", string_list()
    )
    ignore: tuple[str, ...] = option(
        (), "MAC addresses that do not count; `*` is any text", list_of(parse_mac_pattern)
    )

    def __post_init__(self) -> None:
        """Check that there is an access point to query."""
        if not self.sockets:
            raise ValueError('requires "sockets"; to switch the check off, write enabled = false')


def parse(text: str) -> tuple[str, ...]:
    """The MAC addresses in the answer to all_sta, without those whose association is not complete."""
    stations: list[str] = []
    for line in text.splitlines():
        if _MAC.fullmatch(line.strip().lower()):
            stations.append(line.strip().lower())
        elif line.startswith("flags=") and "[ASSOC]" not in line and stations:
            stations.pop()
    return tuple(stations)


class WifiCheck:
    """Queries each access point."""

    def __init__(self, options: Options, ports: CheckPorts) -> None:
        self._options = options
        self._ports = ports

    async def poll(self, depth: PollDepth) -> tuple[Activity, ...]:
        """One activity for each station."""
        del depth
        sockets = [path for pattern in self._options.sockets for path in self._ports.files.find(pattern)]
        if not sockets:
            raise NotApplicableError(f"no hostapd runs: there is no {', '.join(self._options.sockets)}")
        found: list[Activity] = []
        for path in sockets:
            for mac in parse(await self._ports.network.stations(path)):
                counts = not any(fnmatchcase(mac, each) for each in self._options.ignore)
                name = path.rpartition("/")[2]
                found.append(Activity(mac, f"is on the Wi-Fi of {name}", keeps_awake=counts))
        return tuple(found)


KIND: Final = CheckKind("wifi", Options, WifiCheck, example=Options(ignore=("b8:27:eb:*",)))
