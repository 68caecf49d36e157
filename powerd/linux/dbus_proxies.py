"""sdbus proxies for the methods of logind and systemd that powerd calls.

The module imports sdbus, which costs 1.3 MB: import it inside a function, after the bus has been found.
Sources: org.freedesktop.login1(5), org.freedesktop.systemd1(5).
"""

from __future__ import annotations

from typing import TypeAlias

from sdbus import DbusInterfaceCommonAsync, dbus_method_async

UnitRow: TypeAlias = tuple[str, str, str, str, str, str, str, int, str, str]
"""A unit: name, description, load, active and sub state, followed, object path, job, its type and path."""


class LogindManager(DbusInterfaceCommonAsync, interface_name="org.freedesktop.login1.Manager"):
    """Methods of logind's manager; sdbus implements the bodies."""

    @dbus_method_async(input_signature="ssss", result_signature="h")
    async def inhibit(self, what: str, who: str, why: str, mode: str) -> int:
        """Take an inhibitor lock; closing the returned descriptor releases it."""
        raise NotImplementedError

    @dbus_method_async(result_signature="a(ssssuu)")
    async def list_inhibitors(self) -> list[tuple[str, str, str, str, int, int]]:
        """All inhibitors: what, who, why, mode, uid, pid."""
        raise NotImplementedError

    @dbus_method_async(result_signature="a(susso)")
    async def list_sessions(self) -> list[tuple[str, int, str, str, str]]:
        """All sessions: id, uid, user, seat, object path."""
        raise NotImplementedError

    @dbus_method_async(result_signature="s")
    async def can_suspend(self) -> str:
        """Answer ``yes``, ``no``, ``challenge`` or ``na``; the other can_ methods answer alike."""
        raise NotImplementedError

    @dbus_method_async(result_signature="s")
    async def can_hibernate(self) -> str:
        """See can_suspend."""
        raise NotImplementedError

    @dbus_method_async(result_signature="s")
    async def can_hybrid_sleep(self) -> str:
        """See can_suspend."""
        raise NotImplementedError

    @dbus_method_async(result_signature="s")
    async def can_suspend_then_hibernate(self) -> str:
        """See can_suspend."""
        raise NotImplementedError

    @dbus_method_async(result_signature="s")
    async def can_power_off(self) -> str:
        """See can_suspend."""
        raise NotImplementedError

    @dbus_method_async(input_signature="b")
    async def suspend(self, interactive: bool) -> None:  # noqa: FBT001 - D-Bus arguments are positional
        """Suspend; ``interactive`` lets polkit ask for a password."""
        raise NotImplementedError

    @dbus_method_async(input_signature="b")
    async def hibernate(self, interactive: bool) -> None:  # noqa: FBT001 - as suspend
        """See suspend."""
        raise NotImplementedError

    @dbus_method_async(input_signature="b")
    async def hybrid_sleep(self, interactive: bool) -> None:  # noqa: FBT001 - as suspend
        """See suspend."""
        raise NotImplementedError

    @dbus_method_async(input_signature="b")
    async def suspend_then_hibernate(self, interactive: bool) -> None:  # noqa: FBT001 - as suspend
        """See suspend."""
        raise NotImplementedError

    @dbus_method_async(input_signature="b")
    async def power_off(self, interactive: bool) -> None:  # noqa: FBT001 - as suspend
        """See suspend."""
        raise NotImplementedError


class SystemdManager(DbusInterfaceCommonAsync, interface_name="org.freedesktop.systemd1.Manager"):
    """Methods of systemd's manager; sdbus implements the bodies."""

    @dbus_method_async(input_signature="asas", result_signature="a(ssssssouso)")
    async def list_units_by_patterns(self, states: list[str], patterns: list[str]) -> list[UnitRow]:
        """Loaded units in one of ``states`` whose name matches one of ``patterns``."""
        raise NotImplementedError

    @dbus_method_async(input_signature="s", result_signature="o")
    async def load_unit(self, name: str) -> str:
        """Object path of a unit; a unit that does not exist has a path too, with LoadState=not-found."""
        raise NotImplementedError
