"""What woke the machine, as far as the kernel tells; pure, see machine.py for who reads it."""

from __future__ import annotations

from dataclasses import dataclass

from powerd.model import Cause


@dataclass(frozen=True, slots=True)
class WakeupSource:
    """One wakeup source of the kernel (Documentation/ABI/testing/sysfs-class-wakeup).

    Attributes:
        name: as its driver calls it, e.g. ``LNXPWRBN:00``, ``00:04``, ``0000:00:1f.6``.
        device: path of the device it belongs to, e.g. ``/sys/devices/pnp0/00:04``; "" = it has none.
        events: how many wakeup events it has had since boot.
    """

    name: str
    device: str
    events: int


@dataclass(frozen=True, slots=True)
class Wakeups:
    """What the kernel tells of wake-ups at one moment.

    Attributes:
        sources: all wakeup sources.
        irq: the interrupt that ended the last sleep, with the names of its handlers, e.g. ``9 (acpi)``;
            "" = unknown (Documentation/ABI/testing/sysfs-power, pm_wakeup_irq).
        cards: device paths of network cards by interface.
    """

    sources: tuple[WakeupSource, ...] = ()
    irq: str = ""
    cards: tuple[tuple[str, str], ...] = ()


def cause(before: Wakeups, after: Wakeups, *, alarm_due: bool) -> tuple[Cause, str]:
    """What woke the machine between two readings.

    Args:
        before: read on the way into sleep.
        after: read after the wake-up.
        alarm_due: the time of an alarm that was set has come.

    Returns:
        The cause, and what the kernel said; "" = nothing.
    """
    raise NotImplementedError
