"""An ACPI table for the virtual mainboard: its network card may wake the machine.

Linux arms a card for Wake-on-LAN only if the firmware, or the card's own power management, reports that it
can wake the machine. QEMU's e1000 has none, and would list ``umbg`` and then refuse every one of them.
"""

from __future__ import annotations

from typing import Final

SLOT: Final = 3
"""On the PCI bus; QEMU names the slot's device after its address, eight functions per slot."""
_GENERAL_PURPOSE_EVENT: Final = 0x0B
"""Traditional for PME#; QEMU uses 1 to 4 for itself, and raises this one never."""
_SUSPEND_TO_RAM: Final = 3


def card_may_wake() -> bytes:
    r"""The body of a secondary table (ACPI specification 6.5, 20.2), as QEMU's -acpitable takes it.

    In ASL: ``Scope (\_SB.PCI0.S18) { Name (_PRW, Package () { 0x0B, 0x03 }) }``.
    """
    numbers = bytes([0x0A, _GENERAL_PURPOSE_EVENT, 0x0A, _SUSPEND_TO_RAM])
    resources = b"\x08_PRW" + b"\x12" + _counted(b"\x02" + numbers)
    return b"\x10" + _counted(rb"\/" + b"\x03_SB_PCI0" + b"S%02X_" % (SLOT * 8) + resources)


def _counted(content: bytes) -> bytes:
    """Prefix a length byte that counts itself; for short content only."""
    assert len(content) < 0x3F
    return bytes([len(content) + 1]) + content
