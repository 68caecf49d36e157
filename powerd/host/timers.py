"""systemd's timers over D-Bus: when each elapses next (org.freedesktop.systemd1(5), Timer)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from powerd.host.bus import Bus, properties
from powerd.host.values import HostError
from powerd.model import Timer

if TYPE_CHECKING:
    from sdbus import SdBus

AUTO: Final = "auto"
_SERVICE: Final = "org.freedesktop.systemd1"
_PATH: Final = "/org/freedesktop/systemd1"
_NEVER: Final = (0, 2**64 - 1)
"""systemd's words for "no next elapse": a timer that is not active, and USEC_INFINITY."""


def timer(unit: str, shown: Mapping[str, Any]) -> Timer:
    """A timer by its D-Bus properties: microseconds since 1970, and of CLOCK_MONOTONIC.

    Without WakeSystem= systemd counts a monotonic one by the clock that stands still during sleep.
    """
    wall, mono = (shown.get(f"NextElapseUSec{clock}", 0) for clock in ("Realtime", "Monotonic"))
    return Timer(
        unit,
        wall=None if wall in _NEVER else wall / 1e6,
        mono=None if mono in _NEVER else mono / 1e6,
        pauses=not shown.get("WakeSystem", False),
    )


async def timers(bus: Bus, units: Sequence[str]) -> tuple[Timer, ...]:
    """The timers named, and those with WakeSystem=yes that are active where ``auto`` is among the names.

    Raises:
        HostError: systemd does not answer, or knows no timer of that name.
    """
    found: dict[str, Timer] = {}
    async with bus.asking("systemd") as connection:
        from powerd.host.systemd1 import Manager  # noqa: PLC0415 - brings sdbus

        manager = Manager.new_proxy(_SERVICE, _PATH, connection)
        for unit in units:
            if unit == AUTO:
                for row in await manager.list_units_by_patterns(["active"], ["*.timer"]):
                    shown = await _shown(connection, row[6], "Timer")
                    if shown.get("WakeSystem"):
                        found[row[0]] = timer(row[0], shown)
            else:
                path = await manager.load_unit(unit)
                state = (await _shown(connection, path, "Unit")).get("LoadState")
                if state != "loaded":
                    remedy = "`systemctl list-timers --all` lists those that exist"
                    raise HostError(f"there is no timer {unit} ({state}); {remedy}")
                found[unit] = timer(unit, await _shown(connection, path, "Timer"))
    return tuple(found.values())


async def _shown(connection: SdBus, path: str, interface: str) -> Mapping[str, Any]:
    return await properties(connection, _SERVICE, path, f"{_SERVICE}.{interface}")
