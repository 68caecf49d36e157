"""The part of the vocabulary that is about network cards that wake the machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Final, TypeAlias

from powerd.helper.kinds import Message, Text

FLAGS: Final = "pumbagsf"
"""Ways to wake by the network, by the letters of ethtool(8), in the order of the kernel's bits: PHY activity,
unicast, multicast, broadcast, ARP, magic packet, SecureOn password, filter."""

_FLAGS: Final = Text(
    "".join(f"{letter}?" for letter in FLAGS), f"letters of {FLAGS!r}, each at most once and in this order"
)
_INTERFACE: Final = Text(
    r"(?!\.{1,2}$)[A-Za-z0-9_.:@-]{1,15}", "an interface's name of 1 to 15 letters, digits or _.:@-"
)


@dataclass(frozen=True, slots=True)
class ReadCard(Message):
    """By what a network card can wake the machine, and by what it will. Answer: Card."""

    word: ClassVar[str] = "read-card"
    interface: Annotated[str, _INTERFACE]


@dataclass(frozen=True, slots=True)
class ArmCard(Message):
    """Let a magic packet wake the machine, besides whatever may already. Answer: Card, read back."""

    word: ClassVar[str] = "arm-card"
    interface: Annotated[str, _INTERFACE]


@dataclass(frozen=True, slots=True)
class Card(Message):
    """A network card after the request, as the kernel tells it: letters of FLAGS.

    Attributes:
        interface: its name.
        supported: by what it can wake the machine, e.g. ``umbg``.
        armed: by what it will; "" = by nothing.
    """

    word: ClassVar[str] = "card"
    interface: Annotated[str, _INTERFACE]
    supported: Annotated[str, _FLAGS]
    armed: Annotated[str, _FLAGS]


CardRequest: TypeAlias = ReadCard | ArmCard
