"""By what the LAN's network cards can wake the server, and by what they will."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

from powerd.board import Facts
from powerd.clock import Clock
from powerd.config import Options
from powerd.host.values import FileMark, HostError, Lan
from powerd.model import CARDS, RHYTHM, Blind, Card, Seen
from powerd.sources.runner import Extent

_DEEPEST: Final = 4
"""So many devices may lie above a card: a VLAN on a bridge on a bond, and one to spare."""


class Eyes(Protocol):
    """What has to be seen; see host/eyes.py."""

    def find(self, pattern: str) -> tuple[str, ...]:
        """Paths of files that fit a glob."""
        ...

    def mark(self, path: str) -> FileMark | None:
        """One stat(2); None = there is no such file."""
        ...

    async def lan(self) -> Lan:
        """Links, own addresses and gateways."""
        ...

    async def card(self, interface: str) -> Card:
        """By what a network card can wake this machine, and by what it will."""
        ...


class Cards:
    """The source "cards".

    Args:
        eyes: the host.
        clock: for the time of each look.
        options: whether anybody needs to know; may be replaced on reload.
    """

    name = CARDS
    every = RHYTHM[CARDS]

    def __init__(self, eyes: Eyes, clock: Clock, options: Options) -> None:
        self._eyes = eyes
        self._clock = clock
        self.options = options

    async def look(self, extent: Extent) -> Facts:
        """Ask for each card of hardware below a link that leads to a LAN.

        Raises:
            HostError: the links cannot be listed.
        """
        del extent
        at = self._clock.now().mono
        options = self.options
        if not options.wake.arm_lan and all(rule.action == "command" for rule in options.sleep):
            return Facts(Seen(at, ()), cards={})
        links = (await self._eyes.lan()).links
        names = sorted({card for link in links for card in self._below(link.name, _DEEPEST)})
        return Facts(Seen(at, ()), cards={name: await self._card(name) for name in names})

    async def _card(self, name: str) -> Seen[Card] | Blind:
        at = self._clock.now().mono
        try:
            return Seen(at, await self._eyes.card(name))
        except HostError as error:
            return Blind(at, str(error))

    def _below(self, name: str, deepest: int) -> Iterator[str]:
        """The hardware that carries link ``name``: itself, or what a bridge, a bond or a VLAN lies upon.

        Documentation/ABI/testing/sysfs-class-net: ``lower_NAME``, and ``device`` of hardware alone.
        """
        where = f"/sys/class/net/{name}"
        if self._eyes.mark(f"{where}/device/uevent") is not None:
            yield name
        elif deepest:
            for path in self._eyes.find(f"{where}/lower_*/ifindex"):
                yield from self._below(path.split("/")[-2].removeprefix("lower_"), deepest - 1)
