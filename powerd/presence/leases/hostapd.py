"""Stations that are associated with this machine's own access point, as hostapd tells them.

Source: hostapd's ctrl_iface_ap.c, the reply to STA-FIRST and STA-NEXT, which ``hostapd_cli all_sta`` shows: a
line with the MAC, then lines ``key=value``.

Who is associated with this machine's own access points, asked anew at each look.

Associated stations of a hostapd, asked over its control socket (hostapd's ctrl_iface.c, unix(7)).
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Iterable
from typing import Final

from powerd.linux.ports import Surroundings
from powerd.linux.values import HostError
from powerd.presence.leases.fields import parse_mac
from powerd.presence.leases.format import HostEntry, LineReader, ParseResult
from powerd.presence.leases.watcher import EntryBatch, RetainedEntries

CONTROL_SOCKET_PATTERNS: Final = ("/run/hostapd/*", "/var/run/hostapd/*")
"""Where hostapd has its control sockets, one per link; the second is mostly another name of the first."""


class StationReader(LineReader):
    """Reads stations; one that has not finished its association is nobody yet."""

    def __init__(self) -> None:
        super().__init__()
        self._stations: dict[str, HostEntry] = {}
        self._current_mac: str | None = None

    def read_line(self, text: str) -> None:
        """See LineReader."""
        if mac := parse_mac(text):
            self._current_mac = mac
            self._stations[mac] = HostEntry(None, mac, kind="station")
        elif self._current_mac and text.startswith("flags=") and "[ASSOC]" not in text:
            del self._stations[self._current_mac]
            self._current_mac = None

    def result(self) -> ParseResult:
        """See LineReader."""
        return ParseResult(tuple(self._stations.values()))


HOSTAPD_LABEL: Final = "hostapd"


class StationWatcher:
    """Associated stations.

    Args:
        patterns: paths or glob patterns of hostapd's control sockets.

    Attributes:
        version: grows when anything changes that others may ask for.
        all_answered: whether every access point could be asked the last time.
        warnings: access points that could not be asked. That hides no client for which there is a lease.
    """

    def __init__(self, patterns: tuple[str, ...]) -> None:
        self.version = 0
        self.all_answered = True
        self.warnings: tuple[str, ...] = ()
        self._patterns = patterns
        self._entries = RetainedEntries()

    def batches(self) -> Iterable[EntryBatch]:
        """Stations, and after them those that left lately."""
        return self._entries.batches(HOSTAPD_LABEL, stale=False)

    async def poll(self, machine: Surroundings, now: float) -> None:
        """Ask every access point."""
        warnings: list[str] = []
        entries: dict[str, HostEntry] = {}
        for control in self._control_sockets(machine, warnings):
            try:
                reader = StationReader()
                reader.feed(await machine.stations(control))
                entries.update((lead.key, lead) for lead in reader.finish().entries)
            except HostError as error:
                warnings.append(str(error))
        self.all_answered = not warnings
        if warnings:  # whoever was there may still be: nobody is taken to have left unasked
            entries = {entry.key: entry for entry in self._entries.current} | entries
        current = tuple(entries.values())
        changed = self._entries.expire(now)
        if current != self._entries.current:
            self._entries.update(current, now)
            changed = True
        if changed or tuple(warnings) != self.warnings:
            self.version += 1
        self.warnings = tuple(warnings)

    def _control_sockets(self, machine: Surroundings, warnings: list[str]) -> Iterable[str]:
        """Control sockets that exist, each once: /var/run is nearly always another name of /run."""
        paths: dict[str, str] = {}
        for pattern in self._patterns:
            try:
                paths |= {path.removeprefix("/var"): path for path in machine.find(pattern)}
            except HostError as error:
                warnings.append(str(error))
        return paths.values()


_TIMEOUT: Final = 1.0
"""Seconds for the whole conversation; hostapd answers within a millisecond."""
_MAX_STATIONS: Final = 2048
"""Stations asked for at most: hostapd's own limit is 2007 (IEEE 802.11 association identifiers)."""
_RECEIVE_SIZE: Final = 1 << 13
_MAC: Final = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", re.IGNORECASE)


async def query_stations(control: str) -> str:
    """What ``hostapd_cli all_sta`` prints: a line with the MAC, then ``key=value`` lines, per station.

    Raises:
        OSError: the socket cannot be reached.
        HostError: it does not answer like a hostapd.
    """
    blocks: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        sock.bind(
            ""
        )  # an address of the kernel's choice in the abstract namespace, which leaves no file behind
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
            f"{control} answers like no hostapd: {answer.strip()[:40]}; remove it from clients.leases"
        )
    return "".join(blocks)


async def _request(sock: socket.socket, command: str) -> str:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, command.encode())
    while True:
        answer = (await loop.sock_recv(sock, _RECEIVE_SIZE)).decode(errors="replace")
        if not answer.startswith("<"):  # "<3>AP-STA-CONNECTED ...": an event, to whoever listens
            return answer


def _station_mac(answer: str) -> str | None:
    """The MAC that an answer is about; None = no (further) station."""
    first = answer.partition("\n")[0].strip()
    return first if _MAC.fullmatch(first) else None
