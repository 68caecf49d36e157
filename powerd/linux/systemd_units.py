"""Units of systemd and their processes, over D-Bus (org.freedesktop.systemd1(5)).

Every user may query this. A service with ProtectProc=invisible has no other way to list the processes of
others. A call costs the caller 60 us of CPU time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from powerd.linux.dbus import Bus, BusInterface
from powerd.linux.values import SystemdUnit, UnitProcess, UnitStart

SERVICE: Final = "org.freedesktop.systemd1"
MANAGER: Final = BusInterface(SERVICE, "/org/freedesktop/systemd1", f"{SERVICE}.Manager")
_MAX_COMMAND: Final = 1 << 15
"""Characters of a command line; the kernel allows 2 MB, and all expressions search it in each round."""
_NO_SUCH_UNIT: Final = f"{SERVICE}.NoSuchUnit"


async def list_units(bus: Bus, states: Sequence[str], patterns: Sequence[str]) -> tuple[SystemdUnit, ...]:
    """The loaded units in one of these states whose name matches one of the patterns, sorted by name."""
    async with bus.connection("systemd") as connection:
        rows = await MANAGER.call(connection, "ListUnitsByPatterns", "asas", list(states), list(patterns))
    return tuple(
        SystemdUnit(name, active, sub, path)
        for name, _description, _load, active, sub, _follows, path, *_job in sorted(rows)
    )


async def list_processes(bus: Bus, unit: str) -> tuple[UnitProcess, ...]:
    """The processes of a unit and of the control groups below it; () if it is no longer loaded."""
    async with bus.connection("systemd") as connection:
        import sdbus  # noqa: PLC0415 - only where a bus exists

        try:
            rows = await MANAGER.call(connection, "GetUnitProcesses", "s", unit)
        except sdbus.SdBusUnmappedMessageError as error:
            if error.args[0] != _NO_SUCH_UNIT:
                raise
            return ()
    return tuple(UnitProcess(cgroup, pid, _shorten(command)) for cgroup, pid, command in rows)


def _shorten(command: str) -> str:
    """Its beginning and its end, where a program with many libraries has its name: ``java -cp ... Main``."""
    half = _MAX_COMMAND // 2
    return command if len(command) <= _MAX_COMMAND else f"{command[:half]}{command[-half:]}"


async def read_start(bus: Bus, unit: SystemdUnit) -> UnitStart:
    """How a unit was started."""
    async with bus.connection("systemd") as connection:
        values = await BusInterface(SERVICE, unit.path, f"{SERVICE}.Unit").properties(connection)
    stamp = values.get("InactiveExitTimestampMonotonic")
    return UnitStart(stamp / 1e6 if stamp else None, tuple(values.get("TriggeredBy", ())))
