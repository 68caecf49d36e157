"""systemd-logind over D-Bus (org.freedesktop.login1(5)): sleep, inhibitor locks and login sessions."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from powerd.linux.dbus import Bus, NotRunningError, SignalMatch, error_text, properties
from powerd.linux.values import HostError, LogindEvent
from powerd.power import systemd_timers
from powerd.power.model import Inhibitor, KeyPress, SystemdTimer

if TYPE_CHECKING:
    from sdbus import SdBus

    from powerd.linux.dbus_proxies import LogindManager

INHIBITOR_OWNER: Final = "powerd"
_SERVICE: Final = "org.freedesktop.login1"
_PATH: Final = "/org/freedesktop/login1"
_MANAGER: Final = "org.freedesktop.login1.Manager"
_MATCHES: Final = (
    SignalMatch(_SERVICE, _PATH, _MANAGER, "PrepareForSleep"),
    SignalMatch(_SERVICE, _PATH, _MANAGER, "PrepareForShutdown"),
    SignalMatch(_SERVICE, _PATH, "org.freedesktop.DBus.Properties", "PropertiesChanged"),
)
_METHODS: Final = {
    "suspend": ("suspend", "sleep"),
    "hibernate": ("hibernate", "sleep"),
    "hybrid-sleep": ("hybrid_sleep", "sleep"),
    "suspend-then-hibernate": ("suspend_then_hibernate", "sleep"),
    "poweroff": ("power_off", "shutdown"),
}
_ERRNO: Final = "System.Error."
"""With it begins the name of an error that is an errno and nothing else (sd-bus-errors(3))."""
_GRAPHICAL: Final = frozenset({"x11", "wayland", "mir"})
"""Types of session whose idle hint is the desktop's word (logind, SESSION_TYPE_IS_GRAPHICAL)."""
_DEFAULT_INHIBIT_DELAY: Final = 5.0
"""InhibitDelayMaxSec= where nobody has changed it (logind.conf(5)), seconds."""


def parse_signal(member: str, contents: tuple[Any, ...]) -> LogindEvent | None:
    """What a signal of logind's manager says; None = nothing that concerns sleep."""
    if member == "PrepareForSleep":
        return LogindEvent("sleep", contents[0])
    if member == "PrepareForShutdown":
        return LogindEvent("shutdown", contents[0])
    _, changed, invalidated = contents
    return (
        LogindEvent("inhibitors") if {"BlockInhibited", "DelayInhibited"} & {*changed, *invalidated} else None
    )


def find_blocking(inhibitors: Iterable[Inhibitor], what: str) -> Inhibitor | None:
    """The first inhibitor that forbids ``what`` (``sleep`` or ``shutdown``)."""
    return next((row for row in inhibitors if row.mode.startswith("block") and what in row.what), None)


def latest_key_press(sessions: Iterable[Mapping[str, Any]], now: float) -> KeyPress | None:
    """The last sign of a person, by the D-Bus properties of all sessions.

    IdleSinceHintMonotonic is when the terminal was last read from, for logind may look below /dev; of a
    graphical session, when its desktop last said that somebody had come or gone, so until it says the latter
    somebody is there. Greeters, cron and the like have no person.

    Args:
        sessions: each with its properties.
        now: CLOCK_MONOTONIC; no press is later, though terminals count in wall time, which may step back.
    """
    user_sessions = (session for session in sessions if str(session.get("Class", "user")).startswith("user"))
    presses = [
        KeyPress(now if _is_active_desktop(shown) else min(stamp / 1e6, now), _session_name(shown))
        for shown in user_sessions
        if (stamp := shown.get("IdleSinceHintMonotonic"))
    ]
    return max(presses, key=lambda press: press.at, default=None)


def _is_active_desktop(session: Mapping[str, Any]) -> bool:
    """Whether the desktop in the foreground has said that somebody came, and not since that they left."""
    return (
        session.get("Type") in _GRAPHICAL
        and session.get("Active") is True
        and session.get("IdleHint") is False
    )


def _session_name(session: Mapping[str, Any]) -> str:
    """``alice on pts/0``, ``bob on seat0``, ``carol in session 7``."""
    seat = session.get("Seat") or ("",)
    place = session.get("TTY") or seat[0]
    return f"{session.get('Name')} " + (f"on {place}" if place else f"in session {session.get('Id')}")


class LogindClient:
    """The one connection to logind, and to systemd beside it; Eyes and RealHands say what it promises."""

    def __init__(self) -> None:
        self._bus = Bus(_MATCHES, parse_signal)
        self._has_answered = False

    async def list_inhibitors(self) -> tuple[Inhibitor, ...]:
        """Inhibitor locks of others; () where there is no D-Bus or no logind."""
        try:
            async with self._manager() as (manager, _):
                return await _list_inhibitors(manager)
        except NotRunningError:
            return ()

    async def can_sleep(self, action: str) -> str:
        """``yes``, ``no``, ``na``, ``challenge``, or why not; ``yes`` where there is nobody to say so."""
        try:
            async with self._manager() as (manager, _):
                return await _query_can(manager, action)
        except NotRunningError:
            return "yes"

    async def last_key_press(self) -> KeyPress | None:
        """The last sign of a person in any login session; None = none is known of."""
        try:
            async with self._manager() as (manager, bus):
                sessions = [
                    await properties(bus, _SERVICE, path, f"{_SERVICE}.Session")
                    for *_, path in await manager.list_sessions()
                ]
        except NotRunningError:
            return None
        return latest_key_press(sessions, asyncio.get_running_loop().time())

    async def inhibit_delay(self) -> float:
        """For how many seconds logind waits for delay locks."""
        try:
            async with self._manager() as (_, bus):
                shown = await properties(bus, _SERVICE, _PATH, _MANAGER)
        except NotRunningError:
            return _DEFAULT_INHIBIT_DELAY
        return float(shown.get("InhibitDelayMaxUSec", _DEFAULT_INHIBIT_DELAY * 1e6)) / 1e6

    async def list_timers(self, units: Sequence[str]) -> tuple[SystemdTimer, ...]:
        """These systemd timers; ``auto`` is all active ones with WakeSystem=yes."""
        try:
            return await systemd_timers.list_timers(self._bus, units)
        except NotRunningError as error:
            if set(units) <= {systemd_timers.AUTO}:
                return ()
            named = next(unit for unit in units if unit != systemd_timers.AUTO)
            raise HostError(f"cannot see {named}: {error}; take it out of [wake] timers") from None

    def events(self) -> AsyncIterator[LogindEvent]:
        """What logind says unasked, from now on; never ends, never raises."""
        return self._bus.events()

    async def inhibit(self, what: str, why: str, mode: str) -> int:
        """Take an inhibitor lock; it holds until the descriptor is closed."""
        async with self._manager() as (manager, _):
            return await manager.inhibit(what, INHIBITOR_OWNER, why, mode)

    async def request_sleep(self, action: str) -> None:
        """Have logind suspend, hibernate or power off the machine, unless somebody holds a block inhibitor.

        logind 252 does not refuse root, so the list is read here too, as systemctl does.

        Raises:
            HostError: logind is not there, may not, cannot, or somebody blocks it.
        """
        method, what = _METHODS[action]
        async with self._manager() as (manager, _):
            blocker = find_blocking(await _list_inhibitors(manager), what)
            if blocker is not None:
                raise HostError(f"{blocker.who} (pid {blocker.pid}) blocks it: {blocker.why}")
            answer = await _query_can(manager, action)
            if answer != "yes":
                raise HostError(_refusal_text(action, answer))
            await getattr(manager, method)(False)  # noqa: FBT003 - D-Bus arguments have a place, no name

    def close(self) -> None:
        """Hang up."""
        self._bus.close()

    @asynccontextmanager
    async def _manager(self) -> AsyncIterator[tuple[LogindManager, SdBus]]:
        """Logind's manager. Once it has answered, its absence is a fault: somebody may hold a lock."""
        try:
            async with self._bus.connection("systemd-logind") as bus:
                from powerd.linux.dbus_proxies import LogindManager  # noqa: PLC0415 - imports sdbus

                yield LogindManager.new_proxy(_SERVICE, _PATH, bus), bus
                self._has_answered = True
        except NotRunningError as error:
            kind = HostError if self._has_answered else NotRunningError
            raise kind(f"{error}, and nobody else is asked to sleep; start it, or use a command") from None


async def _list_inhibitors(manager: LogindManager) -> tuple[Inhibitor, ...]:
    rows = await manager.list_inhibitors()
    return tuple(
        Inhibitor(frozenset(what.split(":")), who, why, mode, uid, pid)
        for what, who, why, mode, uid, pid in rows
        if pid != os.getpid()
    )


async def _query_can(manager: LogindManager, action: str) -> str:
    """Its answer. systemd 257 passes on what the kernel says of /sys/power, where 252 says ``na``."""
    import sdbus  # noqa: PLC0415 - has been imported by now

    try:
        answer: str = await getattr(manager, f"can_{_METHODS[action][0]}")()
    except sdbus.SdBusUnmappedMessageError as error:
        if not error.args[0].startswith(_ERRNO):
            raise
        return error_text(error)
    return answer


def _refusal_text(action: str, answer: str) -> str:
    if answer != "challenge":
        return f"this machine cannot do it: logind answers {answer!r} for {action}; choose another action"
    return (
        f"logind answers {answer!r} for {action}: user {os.getuid()} may not; "
        "install the polkit rule from contrib/ or run powerd as its service"
    )
