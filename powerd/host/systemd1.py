"""The part of systemd's manager that powerd calls (org.freedesktop.systemd1(5)); imported with sdbus."""

from __future__ import annotations

from typing import TypeAlias

from sdbus import DbusInterfaceCommonAsync, dbus_method_async

UnitRow: TypeAlias = tuple[str, str, str, str, str, str, str, int, str, str]
"""A unit: name, description, load, active and sub state, followed, object path, job, its type and path."""


class SystemdManager(DbusInterfaceCommonAsync, interface_name="org.freedesktop.systemd1.Manager"):
    """A proxy: sdbus fills in the bodies."""

    @dbus_method_async(input_signature="asas", result_signature="a(ssssssouso)")
    async def list_units_by_patterns(self, states: list[str], patterns: list[str]) -> list[UnitRow]:
        """Loaded units in one of ``states`` whose name fits one of ``patterns``."""
        raise NotImplementedError

    @dbus_method_async(input_signature="s", result_signature="o")
    async def load_unit(self, name: str) -> str:
        """Object path of a unit, which need not exist: its LoadState tells."""
        raise NotImplementedError
