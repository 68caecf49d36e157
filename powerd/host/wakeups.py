"""Reads what the kernel tells of wake-ups below /sys, as any user may; what it means is said in wakeup.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from powerd.host.wakeup import WakeupSource, WakeupState


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
