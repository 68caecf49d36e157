"""Stations associated with this machine's own access points, from hostapd's control sockets (unix(7)).

Source: hostapd's ctrl_iface.c and ctrl_iface_ap.c. The reply to STA-FIRST and STA-NEXT, which ``hostapd_cli
all_sta`` prints, is a line with the MAC followed by lines ``key=value``.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Hashable, Iterable
from typing import Final

from powerd.linux.ports import Files, Network
from powerd.linux.values import HostError
from powerd.presence.leases.fields import parse_mac
from powerd.presence.leases.format import HostEntry, LineReader
from powerd.presence.leases.watcher import RetainedEntries

CONTROL_SOCKET_PATTERNS: Final = ("/run/hostapd/*", "/var/run/hostapd/*")
"""Control sockets of hostapd, one per link; /var/run is usually a link to /run."""
HOSTAPD_SOURCE: Final = "hostapd"
"""Source of the entries of stations."""
_TIMEOUT: Final = 1.0
"""Seconds for all requests to one access point; hostapd answers within a millisecond."""
_MAX_STATIONS: Final = 2048
"""Maximum number of requests; hostapd's own limit is 2007 (IEEE 802.11 association identifiers)."""
_RECEIVE_SIZE: Final = 1 << 13
_MAC: Final = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", re.IGNORECASE)


class StationReader(LineReader):
    """Parses stations; one whose association is not complete does not count."""

    def __init__(self, source: str) -> None:
        super().__init__(source)
        self._current_mac: str | None = None

    def read_line(self, text: str) -> None:
        """See LineReader."""
        if mac := parse_mac(text):
            self._current_mac = mac
            self.output.add(HostEntry(None, mac, kind="station"))
        elif self._current_mac and text.startswith("flags=") and "[ASSOC]" not in text:
            self.output.entries.pop(self._current_mac, None)
            self._current_mac = None


class StationWatcher:
    """The associated stations over time.

    Args:
        patterns: paths or glob patterns of hostapd's control sockets.

    Attributes:
        version: increases with every change of the entries or warnings.
        retained: the stations, then those that have left during the grace period.
        all_answered: whether every access point answered the last poll.
        warnings: access points that did not answer. A client with a lease is known nevertheless.
    """

    def __init__(self, patterns: tuple[str, ...]) -> None:
        self.version = 0
        self.all_answered = True
        self.warnings: tuple[str, ...] = ()
        self._patterns = patterns
        self.retained = RetainedEntries()

    async def poll(self, files: Files, network: Network, now: float) -> None:
        """Query every access point."""
        warnings: list[str] = []
        entries: dict[Hashable, HostEntry] = {}
        for control in self._control_sockets(files, warnings):
            try:
                reader = StationReader(HOSTAPD_SOURCE)
                reader.feed(await network.stations(control))
                entries.update((entry.key, entry) for entry in reader.finish().entries)
            except HostError as error:
                warnings.append(str(error))
        self.all_answered = not warnings
        if warnings:  # a station may be associated with the one that did not answer
            entries = {entry.key: entry for entry in self.retained.current} | entries
        current = tuple(entries.values())
        changed = self.retained.expire(now)
        if current != self.retained.current:
            self.retained.update(current, now)
            changed = True
        if changed or tuple(warnings) != self.warnings:
            self.version += 1
        self.warnings = tuple(warnings)

    def _control_sockets(self, files: Files, warnings: list[str]) -> Iterable[str]:
        """The existing control sockets, each once, although two patterns may match it."""
        paths: dict[str, str] = {}
        for pattern in self._patterns:
            try:
                paths |= {path.removeprefix("/var"): path for path in files.find(pattern)}
            except HostError as error:
                warnings.append(str(error))
        return paths.values()


async def query_stations(control: str) -> str:
    """Query the stations of one access point, in the format of ``hostapd_cli all_sta``.

    Raises:
        OSError: the socket cannot be reached.
        HostError: there is no answer, or the answer is not hostapd's.
    """
    blocks: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        sock.bind("")  # the kernel chooses an address in the abstract namespace, which leaves no file
        sock.connect(control)
        try:
            async with asyncio.timeout(_TIMEOUT):
                answer = await _request(sock, "STA-FIRST")
                while len(blocks) < _MAX_STATIONS and (mac := _station_mac(answer)) is not None:
                    blocks.append(answer)
                    answer = await _request(sock, f"STA-NEXT {mac}")
        except TimeoutError:
            raise HostError(f"{control} does not answer; is hostapd still running?") from None
    if answer.startswith("UNKNOWN COMMAND"):
        raise HostError(
            f"{control} is not hostapd's control socket: {answer.strip()[:40]}; remove it from clients.leases"
        )
    return "".join(blocks)


async def _request(sock: socket.socket, command: str) -> str:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, command.encode())
    while True:
        answer = (await loop.sock_recv(sock, _RECEIVE_SIZE)).decode(errors="replace")
        if not answer.startswith("<"):  # "<3>AP-STA-CONNECTED ..." is an event, no reply
            return answer


def _station_mac(answer: str) -> str | None:
    """The MAC of the station in an answer; None = there are no more stations."""
    first = answer.partition("\n")[0].strip()
    return first if _MAC.fullmatch(first) else None
