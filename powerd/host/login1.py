"""The part of logind's manager that powerd calls (org.freedesktop.login1(5)); imported with sdbus."""

from __future__ import annotations

from sdbus import DbusInterfaceCommonAsync, dbus_method_async


class LogindManager(DbusInterfaceCommonAsync, interface_name="org.freedesktop.login1.Manager"):
    """A proxy: sdbus fills in the bodies."""

    @dbus_method_async(input_signature="ssss", result_signature="h")
    async def inhibit(self, what: str, who: str, why: str, mode: str) -> int:
        """Take a lock: a descriptor of our own, and closing it releases the lock."""
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
        """Answer ``yes``, ``no``, ``challenge`` or ``na``; so do its siblings."""
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
    async def suspend(self, interactive: bool) -> None:  # noqa: FBT001 - D-Bus arguments have a place, no name
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
