"""The cause of a wake-up of the server, and of a failed sleep, from the kernel's counters below /sys.

Any user may read them. The kernel counts the events of each wakeup source
(Documentation/ABI/testing/sysfs-class-wakeup) and, on some machines, names the interrupt that ended the sleep
(Documentation/ABI/testing/sysfs-power). Several sources may have events around a wake-up, so the most
specific kind takes precedence.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Final

from powerd.linux.ports import Files
from powerd.linux.values import HostError
from powerd.power.model import SuspendFailures, WakeupCause, WakeupSource, WakeupState

_WAKEUP_CLASS: Final = "/sys/class/wakeup"
_NET_CLASS: Final = "/sys/class/net"
_STATISTICS: Final = "/sys/power/suspend_stats"
_STEPS: Final = ("freeze", "prepare", "suspend", "suspend_late", "suspend_noirq")
_STEPS_WITHOUT_DEVICE: Final = ("freeze", "prepare")
"""In these the kernel does not record the device (kernel/power/main.c, drivers/base/power/main.c)."""
_CLOCK: Final = re.compile(r"\brtc|alarmtimer")
_BUTTON: Final = re.compile(r"PNP0C0[CDE]|LNX(PWR|SLP)BN|gpio-keys|/serio\d")
"""Power button, lid and sleep button by their ACPI names, buttons on pins, keyboard and mouse on PS/2."""


def find_cause(before: WakeupState, after: WakeupState, *, alarm_due: bool) -> tuple[WakeupCause, str]:
    """The cause of the wake-up between two readings.

    Args:
        before: read before the sleep.
        after: read after the wake-up.
        alarm_due: the alarm that was set is due; used where the kernel reports nothing more specific.

    Returns:
        The cause, and the kernel's details; "" = none.
    """
    fired = after.sources_fired_since(before)
    for found, fits in (
        (WakeupCause.ALARM, _is_clock),
        (WakeupCause.NETWORK, _is_card),
        (WakeupCause.BUTTON, _is_button),  # some firmware reports the button at every wake-up
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


def describe_failure(before: WakeupState, after: WakeupState) -> str:
    """What the kernel reports about a sleep that has failed between two readings, one clause; "" = nothing.

    A failed hibernation is not counted, but its step is. A suspend may fail outside of a step; then the step
    and the device are those of an earlier failure.
    """
    old, new = before.failures, after.failures
    if old.count is None or new.count is None:
        return ""
    clauses = []
    if new.steps > old.steps:
        names_device = new.device and new.step not in _STEPS_WITHOUT_DEVICE
        clauses.append(
            f"{new.device} failed in the step {new.step}" if names_device else f"the step {new.step} failed"
        )
    if new.count > old.count:
        clauses.append(os.strerror(new.error) if new.error else "an error")
    return ", ".join(clauses)


def _is_clock(source: WakeupSource, _: WakeupState) -> bool:
    return any(_CLOCK.search(word) for word in (source.name, source.device, source.driver))


def _is_card(source: WakeupSource, now: WakeupState) -> bool:
    """The card itself or a part of it, such as its PHY."""
    return any(f"{source.device}/".startswith(f"{device}/") for _, device in now.cards)


def _is_above_card(source: WakeupSource, now: WakeupState) -> bool:
    """A bridge reports for the cards behind it (PCI Express PME), and a USB controller for its devices."""
    return bool(source.device) and any(device.startswith(f"{source.device}/") for _, device in now.cards)


def _is_button(source: WakeupSource, _: WakeupState) -> bool:
    return any(_BUTTON.search(word) for word in (source.name, source.device, source.driver))


def _interrupt_cause(now: WakeupState) -> WakeupCause:
    """The cause by the interrupt; buttons, clocks and cards share ACPI's, which proves nothing."""
    if _CLOCK.search(now.irq):
        return WakeupCause.ALARM
    if any(re.search(rf"\b{re.escape(interface)}\b", now.irq) for interface, _ in now.cards):
        return WakeupCause.NETWORK
    return WakeupCause.UNKNOWN


def _describe_source(source: WakeupSource, now: WakeupState) -> str:
    """``wake-up source 0000:00:03.0 (eth0)``: its name, and its interface or driver."""
    cards = [interface for interface, device in now.cards if source.device and source.device == device]
    label = ", ".join(cards) or source.driver
    return f"wake-up source {source.name}" + (f" ({label})" if label else "")


def read_wakeup_state(files: Files) -> WakeupState:
    """Read all wakeup sources, the interrupt of the last wake-up, the network cards, and failed suspends.

    What does not exist or cannot be read, or disappears while it is read, is left out, as on a kernel without
    sleep: no sleep waits for it.
    """
    return WakeupState(
        tuple(_read_sources(files)),
        _read_interrupt(files),
        tuple(_read_cards(files)),
        _to_int(files.read_text(f"{_STATISTICS}/success")),
        _read_failures(files),
    )


def _read_sources(files: Files) -> Iterator[WakeupSource]:
    for entry in _list(files, _WAKEUP_CLASS):
        path = f"{_WAKEUP_CLASS}/{entry}"
        name, events = files.read_text(f"{path}/name"), _to_int(files.read_text(f"{path}/event_count"))
        if name is None or events is None:
            continue
        # ACPI has a device of its own beside the physical device, and each has wakeup sources.
        device = files.realpath(f"{path}/device/physical_node") or files.realpath(f"{path}/device") or ""
        yield WakeupSource(name, device.removeprefix("/sys"), _driver_name(files, device), events)


def _read_cards(files: Files) -> Iterator[tuple[str, str]]:
    for name in _list(files, _NET_CLASS):
        if device := files.realpath(f"{_NET_CLASS}/{name}/device"):
            yield name, device.removeprefix("/sys")


def _read_interrupt(files: Files) -> str:
    """The interrupt and its handlers; ProcSubset=pid hides /proc/interrupts, which names more."""
    number = _to_int(
        files.read_text("/sys/power/pm_wakeup_irq")
    )  # ENODATA when no interrupt ended the last sleep
    if number is None:
        return ""
    handlers = files.read_text(f"/sys/kernel/irq/{number}/actions")
    return str(number) if handlers is None else f"{number} ({handlers})"


def _read_failures(files: Files) -> SuspendFailures:
    def read(name: str) -> str:
        return (files.read_text(f"{_STATISTICS}/{name}") or "").strip()

    count = _to_int(read("fail"))
    steps = sum(_to_int(read(f"failed_{step}")) or 0 for step in _STEPS)
    if not count and not steps:
        return SuspendFailures(count)
    device = read("last_failed_dev")
    driver = _driver_name(files, _find_device(files, device)) if device else ""
    return SuspendFailures(
        count,
        steps,
        read("last_failed_step"),
        f"{device} ({driver})" if driver else device,
        abs(_to_int(read("last_failed_errno")) or 0),
    )


def _find_device(files: Files, name: str) -> str:
    """The path of a device by its name, which is unique on its bus; "" = not found."""
    links = (f"/sys/bus/{bus}/devices/{name}" for bus in _list(files, "/sys/bus"))
    return next(filter(None, map(files.realpath, links)), "")


def _list(files: Files, directory: str) -> tuple[str, ...]:
    try:
        return files.listdir(directory)
    except HostError:
        return ()


def _driver_name(files: Files, device: str) -> str:
    driver = files.realpath(f"{device}/driver") if device else None
    return driver.rpartition("/")[2] if driver else ""


def _to_int(text: str | None) -> int | None:
    try:
        return None if text is None else int(text)
    except ValueError:
        return None
