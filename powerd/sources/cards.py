"""By what the LAN's network cards can wake the server, and by what they will."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

from powerd.board import PollResult
from powerd.clock import Clock
from powerd.config import Options
from powerd.host.values import HostError, Lan, StatSignature
from powerd.model import NETWORK_CARDS, POLL_INTERVALS, NetworkCard, Reading, Unavailable
from powerd.sources.runner import PollDepth

_MAX_DEPTH: Final = 4
"""So many devices may lie above a card: a VLAN on a bridge on a bond, and one to spare."""


class CardEyes(Protocol):
    """What has to be seen; see host/eyes.py."""

    def find(self, pattern: str) -> tuple[str, ...]:
        """Paths of files that fit a glob."""
        ...

    def stat_signature(self, path: str) -> StatSignature | None:
        """One stat(2); None = there is no such file."""
        ...

    async def lan(self) -> Lan:
        """Links, own addresses and gateways."""
        ...

    async def read_card(self, interface: str) -> NetworkCard:
        """By what a network card can wake this machine, and by what it will."""
        ...


class NetworkCardSource:
    """The source "cards".

    Args:
        eyes: the host.
        clock: for the time of each look.
        options: whether anybody needs to know; may be replaced on reload.
    """

    name = NETWORK_CARDS
    poll_interval = POLL_INTERVALS[NETWORK_CARDS]

    def __init__(self, eyes: CardEyes, clock: Clock, options: Options) -> None:
        self._eyes = eyes
        self._clock = clock
        self.options = options

    async def poll(self, depth: PollDepth) -> PollResult:
        """Ask for each card of hardware below a link that leads to a LAN.

        Raises:
            HostError: the links cannot be listed.
        """
        del depth
        at = self._clock.now().mono
        options = self.options
        if not options.wake.arm_lan and all(rule.action == "command" for rule in options.sleep):
            return PollResult(Reading(at, ()), network_cards={})
        links = (await self._eyes.lan()).links
        names = sorted({card for link in links for card in self._hardware_below(link.name, _MAX_DEPTH)})
        return PollResult(
            Reading(at, ()), network_cards={name: await self._read_card(name) for name in names}
        )

    async def _read_card(self, name: str) -> Reading[NetworkCard] | Unavailable:
        at = self._clock.now().mono
        try:
            return Reading(at, await self._eyes.read_card(name))
        except HostError as error:
            return Unavailable(at, str(error))

    def _hardware_below(self, name: str, depth: int) -> Iterator[str]:
        """The hardware that carries link ``name``: itself, or what a bridge, a bond or a VLAN lies upon.

        Documentation/ABI/testing/sysfs-class-net: ``lower_NAME``, and ``device`` of hardware alone.
        """
        directory = f"/sys/class/net/{name}"
        if self._eyes.stat_signature(f"{directory}/device/uevent") is not None:
            yield name
        elif depth:
            for path in self._eyes.find(f"{directory}/lower_*/ifindex"):
                yield from self._hardware_below(path.split("/")[-2].removeprefix("lower_"), depth - 1)
