"""The next elapse of systemd timers, over D-Bus (org.freedesktop.systemd1(5), Timer)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from powerd.linux.dbus import Bus, BusInterface
from powerd.linux.systemd_units import MANAGER, SERVICE, list_units
from powerd.linux.values import HostError
from powerd.power.model import SystemdTimer

if TYPE_CHECKING:
    from sdbus import SdBus

AUTO: Final = "auto"
_NO_ELAPSE: Final = (0, 2**64 - 1)
"""systemd's values for "no next elapse": an inactive timer, and USEC_INFINITY."""


def parse_timer(unit: str, values: Mapping[str, Any]) -> SystemdTimer:
    """A timer from its D-Bus properties: microseconds since 1970, and of CLOCK_MONOTONIC.

    Without WakeSystem= systemd runs a monotonic timer on a clock that stops during sleep.
    """
    wall, mono = (values.get(f"NextElapseUSec{clock}", 0) for clock in ("Realtime", "Monotonic"))
    return SystemdTimer(
        unit,
        wall=None if wall in _NO_ELAPSE else wall / 1e6,
        mono=None if mono in _NO_ELAPSE else mono / 1e6,
        pauses_in_sleep=not values.get("WakeSystem", False),
    )


async def list_timers(bus: Bus, units: Sequence[str]) -> tuple[SystemdTimer, ...]:
    """The timers named; ``auto`` adds the active ones with WakeSystem=yes.

    Raises:
        HostError: systemd does not reply, or a named timer does not exist.
    """
    found: dict[str, SystemdTimer] = {}
    async with bus.connection("systemd") as connection:
        for unit in units:
            if unit == AUTO:
                for timer in await list_units(bus, ["active"], ["*.timer"]):
                    values = await _read_properties(connection, timer.path, "Timer")
                    if values.get("WakeSystem"):
                        found[timer.name] = parse_timer(timer.name, values)
            else:
                path = await MANAGER.call(connection, "LoadUnit", "s", unit)
                state = (await _read_properties(connection, path, "Unit")).get("LoadState")
                if state != "loaded":
                    remedy = "`systemctl list-timers --all` lists those that exist"
                    raise HostError(f"there is no timer {unit} ({state}); {remedy}")
                found[unit] = parse_timer(unit, await _read_properties(connection, path, "Timer"))
    return tuple(found.values())


async def _read_properties(connection: SdBus, path: str, interface: str) -> Mapping[str, Any]:
    return await BusInterface(SERVICE, path, f"{SERVICE}.{interface}").properties(connection)
