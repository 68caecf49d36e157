"""systemd-logind over D-Bus (org.freedesktop.login1(5)): sleep, inhibitor locks and login sessions."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from powerd.linux import systemd_units
from powerd.linux.dbus import Bus, BusInterface, NotRunningError, SignalMatch, error_text
from powerd.linux.values import (
    GRAPHICAL,
    HostError,
    LogindEvent,
    LoginSession,
    SystemdUnit,
    UnitProcess,
    UnitStart,
)
from powerd.power import systemd_timers
from powerd.power.model import Inhibitor, KeyPress, SystemdTimer

if TYPE_CHECKING:
    from sdbus import SdBus

INHIBITOR_OWNER: Final = "powerd"
_SERVICE: Final = "org.freedesktop.login1"
_PATH: Final = "/org/freedesktop/login1"
_MANAGER: Final = BusInterface(_SERVICE, _PATH, f"{_SERVICE}.Manager")
_MATCHES: Final = (
    SignalMatch(_SERVICE, _PATH, _MANAGER.name, "PrepareForSleep"),
    SignalMatch(_SERVICE, _PATH, _MANAGER.name, "PrepareForShutdown"),
    SignalMatch(_SERVICE, _PATH, "org.freedesktop.DBus.Properties", "PropertiesChanged"),
)
_METHODS: Final = {
    "suspend": ("Suspend", "sleep"),
    "hibernate": ("Hibernate", "sleep"),
    "hybrid-sleep": ("HybridSleep", "sleep"),
    "suspend-then-hibernate": ("SuspendThenHibernate", "sleep"),
    "poweroff": ("PowerOff", "shutdown"),
}
"""The method of each action, and what an inhibitor must block to prevent it."""
_SLEEP_SERVICES: Final = tuple(
    f"systemd-{each}.service" for each in ("suspend", "hibernate", "hybrid-sleep", "suspend-then-hibernate")
)
"""What systemd runs for a sleep (systemd-suspend.service(8)); "activating" until the sleep is over."""
_ERRNO: Final = "System.Error."
"""Prefix of the names of errors that are an errno (sd-bus-errors(3))."""
DEFAULT_INHIBIT_DELAY: Final = 5.0
"""Default of InhibitDelayMaxSec= (logind.conf(5)), seconds."""


def parse_signal(member: str, contents: tuple[Any, ...]) -> LogindEvent | None:
    """The event of a signal of logind's manager; None = it does not concern sleep."""
    if member == "PrepareForSleep":
        return LogindEvent("sleep", contents[0])
    if member == "PrepareForShutdown":
        return LogindEvent("shutdown", contents[0])
    _, changed, invalidated = contents
    return (
        LogindEvent("inhibitors") if {"BlockInhibited", "DelayInhibited"} & {*changed, *invalidated} else None
    )


def find_blocking(inhibitors: Iterable[Inhibitor], what: str) -> Inhibitor | None:
    """The first inhibitor that blocks ``what`` (``sleep`` or ``shutdown``)."""
    return next((row for row in inhibitors if row.mode.startswith("block") and what in row.what), None)


def latest_key_press(sessions: Iterable[Mapping[str, Any]], now: float) -> KeyPress | None:
    """The last key press, from the D-Bus properties of all sessions.

    IdleSinceHintMonotonic is the time of the last read from the terminal, which logind takes from /dev. For a
    graphical session it is the time at which the desktop last set its idle hint: while the hint is false, a
    person is present. Greeters, cron and similar sessions have no person.

    Args:
        sessions: the properties of each session.
        now: CLOCK_MONOTONIC; an upper bound, because terminals use wall time, which may step back.
    """
    user_sessions = (session for session in sessions if str(session.get("Class", "user")).startswith("user"))
    presses = [
        KeyPress(now if _is_active_desktop(shown) else min(stamp / 1e6, now), _session_name(shown))
        for shown in user_sessions
        if (stamp := shown.get("IdleSinceHintMonotonic"))
    ]
    return max(presses, key=lambda press: press.at, default=None)


def _is_active_desktop(session: Mapping[str, Any]) -> bool:
    """Whether the desktop in the foreground reports that a person is present."""
    return (
        session.get("Type") in GRAPHICAL
        and session.get("Active") is True
        and session.get("IdleHint") is False
    )


def _session_name(session: Mapping[str, Any]) -> str:
    """``alice on pts/0``, ``bob on seat0``, ``carol in session 7``."""
    seat = session.get("Seat") or ("",)
    place = session.get("TTY") or seat[0]
    return f"{session.get('Name')} " + (f"on {place}" if place else f"in session {session.get('Id')}")


def parse_session(shown: Mapping[str, Any]) -> LoginSession:
    """A session from its D-Bus properties."""
    return LoginSession(
        *(str(shown.get(each, "")) for each in ("Name", "TTY", "RemoteHost", "Service", "Type", "Class"))
    )


class LogindClient:
    """The Logind port: one connection for logind and systemd."""

    def __init__(self) -> None:
        self._bus = Bus(_MATCHES, parse_signal)
        self._has_answered = False

    async def list_inhibitors(self) -> tuple[Inhibitor, ...]:
        """Inhibitor locks of other processes; () where no D-Bus or no logind runs."""
        try:
            async with self._connection() as bus:
                return await _list_inhibitors(bus)
        except NotRunningError:
            return ()

    async def can_sleep(self, action: str) -> str:
        """``yes``, ``no``, ``na``, ``challenge`` or an error text; "" where no logind runs."""
        try:
            async with self._connection() as bus:
                return await _query_can(bus, action)
        except NotRunningError:
            return ""

    async def last_key_press(self) -> KeyPress | None:
        """The last key press in any login session; None = none is known."""
        try:
            async with self._connection() as bus:
                sessions = [
                    await BusInterface(_SERVICE, path, f"{_SERVICE}.Session").properties(bus)
                    for *_, path in await _MANAGER.call(bus, "ListSessions")
                ]
        except NotRunningError:
            return None
        return latest_key_press(sessions, asyncio.get_running_loop().time())

    async def find_session(self, session: str) -> LoginSession | None:
        """A session by its identifier; None = there is no such session, or no logind."""
        found = await self._find("Session", "s", session)
        return None if found is None else parse_session(found)

    async def user_name(self, uid: int) -> str:
        """The name of a user who is logged in or has a user manager; ``user 1000`` where logind has none."""
        found = await self._find("User", "u", uid)
        return f"user {uid}" if found is None else str(found["Name"])

    async def _find(self, what: str, signature: str, key: str | int) -> Mapping[str, Any] | None:
        """The properties of a session or user; None = logind does not know it, or does not run."""
        try:
            async with self._connection() as bus:
                import sdbus  # noqa: PLC0415 - imported by now

                try:
                    path = await _MANAGER.call(bus, f"Get{what}", signature, key)
                except sdbus.SdBusUnmappedMessageError as error:
                    if error.args[0] != f"{_SERVICE}.NoSuch{what}":
                        raise
                    return None
                return await BusInterface(_SERVICE, path, f"{_SERVICE}.{what}").properties(bus) or None
        except NotRunningError:
            return None

    async def list_units(self, states: Sequence[str], patterns: Sequence[str]) -> tuple[SystemdUnit, ...]:
        """The loaded units of systemd in one of these states, by patterns."""
        return await systemd_units.list_units(self._bus, states, patterns)

    async def list_processes(self, unit: str) -> tuple[UnitProcess, ...]:
        """The processes of a unit and of the control groups below it; () if it is not loaded."""
        return await systemd_units.list_processes(self._bus, unit)

    async def read_start(self, unit: SystemdUnit) -> UnitStart:
        """How a unit was started."""
        return await systemd_units.read_start(self._bus, unit)

    async def inhibit_delay(self) -> float:
        """For how many seconds logind waits for delay locks."""
        try:
            async with self._connection() as bus:
                shown = await _MANAGER.properties(bus)
        except NotRunningError:
            return DEFAULT_INHIBIT_DELAY
        return float(shown.get("InhibitDelayMaxUSec", DEFAULT_INHIBIT_DELAY * 1e6)) / 1e6

    async def transition_in_progress(self) -> str:
        """``sleep`` or ``shutdown`` if logind or systemd has begun one; "" = neither.

        A logind that is restarted forgets a sleep whose service is still running. Where logind does not run,
        systemd may shut the machine down nevertheless.

        Raises:
            NotRunningError: there is no D-Bus, or neither of them on it.
            HostError: logind or systemd cannot be queried.
        """
        shown: Mapping[str, Any] = {}
        with suppress(NotRunningError):
            async with self._connection() as bus:
                shown = await _MANAGER.properties(bus)
        try:
            async with self._bus.connection("systemd") as bus:
                systemd = await systemd_units.MANAGER.properties(bus)
        except NotRunningError as error:
            if shown:
                raise HostError(str(error)) from None
            raise
        if shown.get("PreparingForShutdown") or systemd.get("SystemState") == "stopping":
            return "shutdown"
        asleep = shown.get("PreparingForSleep") or await self.list_units(["activating"], _SLEEP_SERVICES)
        return "sleep" if asleep else ""

    async def list_timers(self, units: Sequence[str]) -> tuple[SystemdTimer, ...]:
        """The systemd timers named; ``auto`` is all active ones with WakeSystem=yes."""
        try:
            return await systemd_timers.list_timers(self._bus, units)
        except NotRunningError as error:
            if set(units) <= {systemd_timers.AUTO}:
                return ()
            named = next(unit for unit in units if unit != systemd_timers.AUTO)
            raise HostError(f"cannot read {named}: {error}; take it out of [wake] timers") from None

    def events(self) -> AsyncIterator[LogindEvent]:
        """The signals of logind from now on; never ends, never raises."""
        return self._bus.events()

    async def inhibit(self, what: str, why: str, mode: str) -> int:
        """Take an inhibitor lock; it holds until the descriptor is closed.

        From systemd 257 on a block lock on ``shutdown`` is weak: root may shut down nevertheless, as always
        before 257, so that upsmon(8) can do so when the battery of a UPS is low.
        """
        is_weak = (what, mode) == ("shutdown", "block")
        request = ("Inhibit", "ssss", what, INHIBITOR_OWNER, why)
        async with self._connection() as bus:
            import sdbus  # noqa: PLC0415 - imported by now

            try:
                descriptor: int = await _MANAGER.call(bus, *request, "block-weak" if is_weak else mode)
            except sdbus.DbusInvalidArgsError:
                if not is_weak:
                    raise
                descriptor = await _MANAGER.call(bus, *request, mode)  # systemd before 257 has no weak locks
            return descriptor

    async def check_sleep(self, action: str) -> None:
        """Check that nothing forbids the action.

        logind 252 does not refuse root, so the list of inhibitors is checked here too, as systemctl does.

        Raises:
            HostError: logind does not run, may not, cannot, or an inhibitor blocks it.
        """
        async with self._connection() as bus:
            blocker = find_blocking(await _list_inhibitors(bus), _METHODS[action][1])
            if blocker is not None:
                raise HostError(f"{blocker.who} (pid {blocker.pid}) blocks it: {blocker.why}")
            answer = await _query_can(bus, action)
            if answer != "yes":
                raise HostError(_refusal_text(action, answer))

    async def request_sleep(self, action: str) -> None:
        """Have logind suspend, hibernate or power off the machine; check_sleep() has been called before.

        Raises:
            NoReplyError: logind may have begun the sleep.
            HostError: logind does not run, or refuses.
        """
        async with self._connection() as bus:
            await _MANAGER.call(bus, _METHODS[action][0], "b", False)  # noqa: FBT003 - False = polkit asks nobody for a password

    def close(self) -> None:
        """Disconnect."""
        self._bus.close()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[SdBus]:
        """The bus. Once logind has replied, its absence is an error: a process may hold a lock."""
        try:
            async with self._bus.connection("systemd-logind") as bus:
                yield bus
                self._has_answered = True
        except NotRunningError as error:
            kind = HostError if self._has_answered else NotRunningError
            raise kind(
                f"{error}, and powerd has no other way to sleep; start logind, or use the action command"
            ) from None


async def _list_inhibitors(bus: SdBus) -> tuple[Inhibitor, ...]:
    rows = await _MANAGER.call(bus, "ListInhibitors")
    return tuple(
        Inhibitor(frozenset(what.split(":")), who, why, mode, uid, pid)
        for what, who, why, mode, uid, pid in rows
        if pid != os.getpid()
    )


async def _query_can(bus: SdBus, action: str) -> str:
    """The reply of logind. systemd 257 returns the kernel's error for /sys/power where 252 returns ``na``."""
    import sdbus  # noqa: PLC0415 - imported by now

    try:
        answer: str = await _MANAGER.call(bus, f"Can{_METHODS[action][0]}")
    except sdbus.SdBusUnmappedMessageError as error:
        if not error.args[0].startswith(_ERRNO):
            raise
        return error_text(error)
    return answer


def _refusal_text(action: str, answer: str) -> str:
    if answer != "challenge":
        return (
            f"this machine does not support it: logind answers {answer!r} for {action}; choose another action"
        )
    return (
        f"logind answers {answer!r} for {action}: user {os.getuid()} may not; "
        "install the polkit rule from contrib/ or run powerd as its service"
    )
