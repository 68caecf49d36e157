"""The part of the vocabulary that is about network cards that wake the machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Final, TypeAlias

from powerd.helper.kinds import Message, PatternField

WOL_FLAGS: Final = "pumbagsf"
"""Ways to wake by the network, by the letters of ethtool(8), in the order of the kernel's bits: PHY activity,
unicast, multicast, broadcast, ARP, magic packet, SecureOn password, filter."""

_FLAGS_FIELD: Final = PatternField(
    "".join(f"{letter}?" for letter in WOL_FLAGS),
    f"letters of {WOL_FLAGS!r}, each at most once and in this order",
)
_INTERFACE_FIELD: Final = PatternField(
    r"(?!\.{1,2}$)[A-Za-z0-9_.:@-]{1,15}", "an interface's name of 1 to 15 letters, digits or _.:@-"
)


@dataclass(frozen=True, slots=True)
class ReadCard(Message):
    """By what a network card can wake the machine, and by what it will. Answer: Card."""

    wire_name: ClassVar[str] = "read-card"
    interface: Annotated[str, _INTERFACE_FIELD]


@dataclass(frozen=True, slots=True)
class ArmCard(Message):
    """Let a magic packet wake the machine, besides whatever may already. Answer: Card, read back."""

    wire_name: ClassVar[str] = "arm-card"
    interface: Annotated[str, _INTERFACE_FIELD]


@dataclass(frozen=True, slots=True)
class CardResponse(Message):
    """A network card after the request, as the kernel tells it: letters of FLAGS.

    Attributes:
        interface: its name.
        supported: by what it can wake the machine, e.g. ``umbg``.
        armed: by what it will; "" = by nothing.
    """

    wire_name: ClassVar[str] = "card"
    interface: Annotated[str, _INTERFACE_FIELD]
    supported: Annotated[str, _FLAGS_FIELD]
    armed: Annotated[str, _FLAGS_FIELD]


CardRequest: TypeAlias = ReadCard | ArmCard
