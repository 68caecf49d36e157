"""What woke the machine, as far as the kernel tells; pure, and wakeups.py is who reads it.

The kernel counts the events of each wakeup source (Documentation/ABI/testing/sysfs-class-wakeup) and, on some
machines, names the interrupt that ended the sleep (Documentation/ABI/testing/sysfs-power). More than one
thing may stir around a wake-up, so the more telling ones are believed first.

Reads what the kernel tells of wake-ups below /sys, as any user may; what it means is said in wakeup.py.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from powerd.power.model import WakeupCause

_CLOCK: Final = re.compile(r"\brtc|alarmtimer")
_BUTTON: Final = re.compile(r"PNP0C0[CDE]|LNX(PWR|SLP)BN|gpio-keys|/serio\d")
"""Power button, lid and sleep button by their ACPI names, buttons on pins, keyboard and mouse on PS/2."""


@dataclass(frozen=True, slots=True)
class WakeupSource:
    """One wakeup source of the kernel.

    Attributes:
        name: as its driver calls it, e.g. ``LNXPWRBN:00``, ``00:04``, ``0000:00:1f.6``.
        device: path below /sys of the device it stands for, e.g. ``/devices/pnp0/00:04``; "" = none.
        driver: of that device, e.g. ``rtc_cmos``; "" = none.
        events: how many wakeup events it has had since boot.
    """

    name: str
    device: str = ""
    driver: str = ""
    events: int = 0

    @property
    def key(self) -> tuple[str, str]:
        """What it is found by again; the kernel's number of it changes with the device's coming and going."""
        return self.name, self.device


@dataclass(frozen=True, slots=True)
class WakeupState:
    """What the kernel tells of wake-ups at one moment.

    Attributes:
        sources: all wakeup sources.
        irq: the interrupt that ended the last sleep, with the names of its handlers, e.g. ``9 (acpi)``;
            "" = it does not tell.
        cards: interfaces of network cards, each with the path of its device.
        suspend_count: how many sleeps there have been since boot that really were some; None = it does not
            tell.
    """

    sources: tuple[WakeupSource, ...] = ()
    irq: str = ""
    cards: tuple[tuple[str, str], ...] = ()
    suspend_count: int | None = None

    def sources_fired_since(self, before: WakeupState) -> tuple[WakeupSource, ...]:
        """Sources that have had events since ``before``; () where nothing is known of before.

        A device that was lost and found again over the sleep has a new source, which begins at 0.
        """
        if not before.sources:
            return ()
        counts_before, counts_now = before._counts(), self._counts()
        return tuple(source for source in self.sources if counts_now[source.key] > counts_before[source.key])

    def slept_since(self, before: WakeupState) -> bool:
        """Whether there has been a sleep since ``before``, as far as the kernel tells."""
        return (
            self.suspend_count is not None
            and before.suspend_count is not None
            and self.suspend_count > before.suspend_count
        )

    def _counts(self) -> Counter[tuple[str, str]]:
        counts: Counter[tuple[str, str]] = Counter()
        for source in self.sources:
            counts[source.key] += source.events
        return counts


def find_cause(before: WakeupState, after: WakeupState, *, alarm_due: bool) -> tuple[WakeupCause, str]:
    """What woke the machine between two readings.

    Args:
        before: read on the way into sleep.
        after: read after the wake-up.
        alarm_due: the time of an alarm that was set has come; believed where the kernel says nothing better.

    Returns:
        The cause, and what the kernel said; "" = nothing.
    """
    fired = after.sources_fired_since(before)
    for found, fits in (
        (WakeupCause.ALARM, _is_clock),
        (WakeupCause.NETWORK, _is_card),
        (WakeupCause.BUTTON, _is_button),  # some firmware lets it stir at every wake-up
        (WakeupCause.NETWORK, _is_above_card),
    ):
        for source in fired:
            if fits(source, after):
                return found, _describe_source(source, after)
    found = _interrupt_cause(after)
    if alarm_due and found is not WakeupCause.NETWORK:
        found = WakeupCause.ALARM
    details = [f"interrupt {after.irq}"] if after.irq else []
    return found, ", ".join([*details, *(_describe_source(source, after) for source in fired)])


def _is_clock(source: WakeupSource, _: WakeupState) -> bool:
    return any(_CLOCK.search(word) for word in (source.name, source.device, source.driver))


def _is_card(source: WakeupSource, now: WakeupState) -> bool:
    """The card itself or a part of it, such as its PHY."""
    return any(f"{source.device}/".startswith(f"{device}/") for _, device in now.cards)


def _is_above_card(source: WakeupSource, now: WakeupState) -> bool:
    """A bridge tells for the cards behind it (PCI Express PME); so does a USB controller, for all it has."""
    return bool(source.device) and any(device.startswith(f"{source.device}/") for _, device in now.cards)


def _is_button(source: WakeupSource, _: WakeupState) -> bool:
    return any(_BUTTON.search(word) for word in (source.name, source.device, source.driver))


def _interrupt_cause(now: WakeupState) -> WakeupCause:
    """ACPI's one interrupt says nothing: buttons, clocks, cards and much else are behind it."""
    if _CLOCK.search(now.irq):
        return WakeupCause.ALARM
    if any(re.search(rf"\b{re.escape(interface)}\b", now.irq) for interface, _ in now.cards):
        return WakeupCause.NETWORK
    return WakeupCause.UNKNOWN


def _describe_source(source: WakeupSource, now: WakeupState) -> str:
    """``wake-up source 0000:00:03.0 (eth0)``: its name, and what people know it by."""
    cards = [interface for interface, device in now.cards if source.device and source.device == device]
    label = ", ".join(cards) or source.driver
    return f"wake-up source {source.name}" + (f" ({label})" if label else "")


def read_wakeup_state(root: Path) -> WakeupState:
    """All wakeup sources, the interrupt of the last wake-up, and where the network cards are.

    What is not there, or goes while it is read, is left out: a kernel without sleep has none of it.
    """
    sys = (root / "sys").resolve()
    return WakeupState(
        tuple(_read_sources(sys)), _read_interrupt(sys), tuple(_read_cards(sys)), _read_suspend_count(sys)
    )


def _read_sources(sys: Path) -> Iterator[WakeupSource]:
    for path in sorted((sys / "class/wakeup").glob("*")):
        try:
            name, events = _read_stripped(path / "name"), int(_read_stripped(path / "event_count"))
        except (OSError, ValueError):
            continue
        device = path / "device"
        # What ACPI knows of a device stands apart from the device, and each has wakeup sources.
        physical = device / "physical_node"
        where = physical if physical.exists() else device
        yield WakeupSource(name, _device_path(sys, where), _driver_name(where), events)


def _read_cards(sys: Path) -> Iterator[tuple[str, str]]:
    for path in sorted((sys / "class/net").glob("*")):
        if device := _device_path(sys, path / "device"):
            yield path.name, device


def _read_interrupt(sys: Path) -> str:
    """The interrupt with its handlers. /proc/interrupts would tell more, and is hidden by ProcSubset=pid."""
    try:
        number = int(_read_stripped(sys / "power/pm_wakeup_irq"))  # ENODATA when none ended the last sleep
    except (OSError, ValueError):
        return ""
    try:
        return f"{number} ({_read_stripped(sys / f'kernel/irq/{number}/actions')})"
    except OSError:
        return str(number)


def _read_suspend_count(sys: Path) -> int | None:
    """Of a short sleep the clocks may tell nothing: some kernels measure it in whole seconds of an RTC."""
    try:
        return int(_read_stripped(sys / "power/suspend_stats/success"))
    except (OSError, ValueError):
        return None


def _device_path(sys: Path, link: Path) -> str:
    """Path of the device below /sys; "" = there is none."""
    return "/" + str(link.resolve().relative_to(sys)) if link.exists() else ""


def _driver_name(device: Path) -> str:
    link = device / "driver"
    return link.resolve().name if link.exists() else ""


def _read_stripped(path: Path) -> str:
    return path.read_text(errors="replace").strip()
