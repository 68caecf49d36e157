"""systemd-logind over D-Bus (org.freedesktop.login1(5)): sleep, who has a say in it, and who is there."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from powerd.host import timers
from powerd.host.bus import AbsentError, Bus, Match, properties, said
from powerd.host.values import Going, HostError
from powerd.model import Inhibitor, KeyPress, Timer

if TYPE_CHECKING:
    from sdbus import SdBus

    from powerd.host.login1 import Manager

WHO: Final = "powerd"
_SERVICE: Final = "org.freedesktop.login1"
_PATH: Final = "/org/freedesktop/login1"
_MANAGER: Final = "org.freedesktop.login1.Manager"
_MATCHES: Final = (
    Match(_SERVICE, _PATH, _MANAGER, "PrepareForSleep"),
    Match(_SERVICE, _PATH, _MANAGER, "PrepareForShutdown"),
    Match(_SERVICE, _PATH, "org.freedesktop.DBus.Properties", "PropertiesChanged"),
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
_PATIENCE: Final = 5.0
"""InhibitDelayMaxSec= where nobody has changed it (logind.conf(5)), seconds."""


def going(member: str, contents: tuple[Any, ...]) -> Going | None:
    """What a signal of logind's manager says; None = nothing that concerns sleep."""
    if member == "PrepareForSleep":
        return Going("sleep", contents[0])
    if member == "PrepareForShutdown":
        return Going("shutdown", contents[0])
    _, changed, invalidated = contents
    return Going("inhibitors") if {"BlockInhibited", "DelayInhibited"} & {*changed, *invalidated} else None


def blocking(inhibitors: Iterable[Inhibitor], what: str) -> Inhibitor | None:
    """The first inhibitor that forbids ``what`` (``sleep`` or ``shutdown``)."""
    return next((row for row in inhibitors if row.mode.startswith("block") and what in row.what), None)


def key_press(sessions: Iterable[Mapping[str, Any]], now: float) -> KeyPress | None:
    """The last sign of a person, by the D-Bus properties of all sessions.

    IdleSinceHintMonotonic is when the terminal was last read from, for logind may look below /dev; of a
    graphical session, when its desktop last said that somebody had come or gone, so until it says the latter
    somebody is there. Greeters, cron and the like have no person.

    Args:
        sessions: each with its properties.
        now: CLOCK_MONOTONIC; no press is later, though terminals count in wall time, which may step back.
    """
    people = (shown for shown in sessions if str(shown.get("Class", "user")).startswith("user"))
    presses = [
        KeyPress(now if _at_desktop(shown) else min(stamp / 1e6, now), _where(shown))
        for shown in people
        if (stamp := shown.get("IdleSinceHintMonotonic"))
    ]
    return max(presses, key=lambda press: press.at, default=None)


def _at_desktop(shown: Mapping[str, Any]) -> bool:
    """Whether the desktop in the foreground has said that somebody came, and not since that they left."""
    return shown.get("Type") in _GRAPHICAL and shown.get("Active") is True and shown.get("IdleHint") is False


def _where(shown: Mapping[str, Any]) -> str:
    """``alice on pts/0``, ``bob on seat0``, ``carol in session 7``."""
    seat = shown.get("Seat") or ("",)
    place = shown.get("TTY") or seat[0]
    return f"{shown.get('Name')} " + (f"on {place}" if place else f"in session {shown.get('Id')}")


class Logind:
    """The one connection to logind, and to systemd beside it; Eyes and RealHands say what it promises."""

    def __init__(self) -> None:
        self._bus = Bus(_MATCHES, going)
        self._answered = False

    async def inhibitors(self) -> tuple[Inhibitor, ...]:
        """Inhibitor locks of others; () where there is no D-Bus or no logind."""
        try:
            async with self._asking() as (manager, _):
                return await _others(manager)
        except AbsentError:
            return ()

    async def able(self, action: str) -> str:
        """``yes``, ``no``, ``na``, ``challenge``, or why not; ``yes`` where there is nobody to say so."""
        try:
            async with self._asking() as (manager, _):
                return await _can(manager, action)
        except AbsentError:
            return "yes"

    async def key_press(self) -> KeyPress | None:
        """The last sign of a person in any login session; None = none is known of."""
        try:
            async with self._asking() as (manager, bus):
                sessions = [
                    await properties(bus, _SERVICE, path, f"{_SERVICE}.Session")
                    for *_, path in await manager.list_sessions()
                ]
        except AbsentError:
            return None
        return key_press(sessions, asyncio.get_running_loop().time())

    async def patience(self) -> float:
        """For how many seconds logind waits for delay locks."""
        try:
            async with self._asking() as (_, bus):
                shown = await properties(bus, _SERVICE, _PATH, _MANAGER)
        except AbsentError:
            return _PATIENCE
        return float(shown.get("InhibitDelayMaxUSec", _PATIENCE * 1e6)) / 1e6

    async def timers(self, units: Sequence[str]) -> tuple[Timer, ...]:
        """These systemd timers; ``auto`` is all active ones with WakeSystem=yes."""
        try:
            return await timers.timers(self._bus, units)
        except AbsentError as error:
            if set(units) <= {timers.AUTO}:
                return ()
            named = next(unit for unit in units if unit != timers.AUTO)
            raise HostError(f"cannot see {named}: {error}; take it out of [wake] timers") from None

    def goings(self) -> AsyncIterator[Going]:
        """What logind says unasked, from now on; never ends, never raises."""
        return self._bus.goings()

    async def inhibit(self, what: str, why: str, mode: str) -> int:
        """Take an inhibitor lock; it holds until the descriptor is closed."""
        async with self._asking() as (manager, _):
            return await manager.inhibit(what, WHO, why, mode)

    async def sleep(self, action: str) -> None:
        """Have logind suspend, hibernate or power off the machine, unless somebody holds a block inhibitor.

        logind 252 does not refuse root, so the list is read here too, as systemctl does.

        Raises:
            HostError: logind is not there, may not, cannot, or somebody blocks it.
        """
        method, what = _METHODS[action]
        async with self._asking() as (manager, _):
            holder = blocking(await _others(manager), what)
            if holder is not None:
                raise HostError(f"{holder.who} (pid {holder.pid}) blocks it: {holder.why}")
            answer = await _can(manager, action)
            if answer != "yes":
                raise HostError(_refusal(action, answer))
            await getattr(manager, method)(False)  # noqa: FBT003 - D-Bus arguments have a place, no name

    def close(self) -> None:
        """Hang up."""
        self._bus.close()

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[tuple[Manager, SdBus]]:
        """Logind's manager. Once it has answered, its absence is a fault: somebody may hold a lock."""
        try:
            async with self._bus.asking("systemd-logind") as bus:
                from powerd.host.login1 import Manager  # noqa: PLC0415 - brings sdbus

                yield Manager.new_proxy(_SERVICE, _PATH, bus), bus
                self._answered = True
        except AbsentError as error:
            kind = HostError if self._answered else AbsentError
            raise kind(f"{error}, and nobody else is asked to sleep; start it, or use a command") from None


async def _others(manager: Manager) -> tuple[Inhibitor, ...]:
    rows = await manager.list_inhibitors()
    return tuple(
        Inhibitor(frozenset(what.split(":")), who, why, mode, uid, pid)
        for what, who, why, mode, uid, pid in rows
        if pid != os.getpid()
    )


async def _can(manager: Manager, action: str) -> str:
    """Its answer. systemd 257 passes on what the kernel says of /sys/power, where 252 says ``na``."""
    import sdbus  # noqa: PLC0415 - has been imported by now

    try:
        answer: str = await getattr(manager, f"can_{_METHODS[action][0]}")()
    except sdbus.SdBusUnmappedMessageError as error:
        if not error.args[0].startswith(_ERRNO):
            raise
        return said(error)
    return answer


def _refusal(action: str, answer: str) -> str:
    if answer != "challenge":
        return f"this machine cannot do it: logind answers {answer!r} for {action}; choose another action"
    return (
        f"logind answers {answer!r} for {action}: user {os.getuid()} may not; "
        "install the polkit rule from contrib/ or run powerd as its service"
    )
