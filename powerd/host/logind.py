"""systemd-logind over D-Bus (org.freedesktop.login1(5)); the library is imported at the first call.

sdbus rather than dbus-fast: both are kept and typed, but importing this one costs 1.3 MB of memory and the
other 4.5 MB, in a process whose whole budget is 24 MB.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from powerd.host.values import HostError

if TYPE_CHECKING:
    from powerd.host.login1 import Manager

_METHODS: Final = {
    "suspend": ("suspend", "can_suspend", "sleep"),
    "hibernate": ("hibernate", "can_hibernate", "sleep"),
    "hybrid-sleep": ("hybrid_sleep", "can_hybrid_sleep", "sleep"),
    "suspend-then-hibernate": ("suspend_then_hibernate", "can_suspend_then_hibernate", "sleep"),
    "poweroff": ("power_off", "can_power_off", "shutdown"),
}
_BOUND: Final = 20.0


class Inhibitor(NamedTuple):
    """One row of ListInhibitors: what it holds up (``sleep:shutdown``), whose, why, block or delay."""

    what: str
    who: str
    why: str
    mode: str
    uid: int
    pid: int


async def sleep(action: str) -> None:
    """Have logind suspend, hibernate or power off the machine, unless somebody holds a block inhibitor.

    logind 252 does not refuse root, nor a caller who holds the inhibitor themselves, so the list is read here
    too, as systemctl does.

    Raises:
        HostError: logind is not there, may not, cannot, or somebody blocks it.
    """
    method, can, what = _METHODS[action]
    async with _manager() as manager:
        holder = blocking([Inhibitor(*row) for row in await manager.list_inhibitors()], what)
        if holder is not None:
            raise HostError(f"{holder.who} (pid {holder.pid}) blocks it: {holder.why}")
        answer = await getattr(manager, can)()
        if answer != "yes":
            raise HostError(_refusal(action, answer))
        await getattr(manager, method)(False)  # noqa: FBT003 - D-Bus arguments have a place, no name


def blocking(inhibitors: list[Inhibitor], what: str) -> Inhibitor | None:
    """The first inhibitor that forbids ``what`` (``sleep`` or ``shutdown``)."""
    return next(
        (row for row in inhibitors if row.mode.startswith("block") and what in row.what.split(":")), None
    )


def _refusal(action: str, answer: str) -> str:
    if answer in {"na", "no"}:
        return f"this machine cannot do it: logind answers {answer!r} for {action}; choose another action"
    return (
        f"logind answers {answer!r} for {action}: user {os.getuid()} may not; "
        "install the polkit rule from contrib/ or run powerd as its service"
    )


def _said(error: Exception) -> str:
    """What D-Bus said. The library's own errors tell its source lines; only their errno is for people."""
    number = re.search(r"returned error number: (\d+)", str(error))
    return os.strerror(int(number[1])) if number else str(error)


@asynccontextmanager
async def _manager() -> AsyncIterator[Manager]:
    """Give logind's manager object on a connection of its own; anything D-Bus raises becomes a HostError."""
    import sdbus  # noqa: PLC0415 - paid for at the first sleep, not at start

    from powerd.host.login1 import Manager  # noqa: PLC0415 - as sdbus

    try:
        bus = sdbus.sd_bus_open_system()
    except (sdbus.SdBusBaseError, OSError) as error:
        raise HostError(f"cannot reach the system D-Bus: {_said(error)}; is dbus running?") from None
    try:
        async with asyncio.timeout(_BOUND):
            yield Manager.new_proxy("org.freedesktop.login1", "/org/freedesktop/login1", bus)
    except TimeoutError:
        raise HostError(f"logind did not answer within {_BOUND:g} s") from None
    except (sdbus.DbusServiceUnknownError, sdbus.DbusNameHasNoOwnerError):
        raise HostError(
            "systemd-logind is not running, and nobody else is asked to sleep; start it, or use a command"
        ) from None
    except sdbus.SdBusBaseError as error:
        raise HostError(f"logind refused: {_said(error)}") from None
    finally:
        bus.close()
