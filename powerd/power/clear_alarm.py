"""Clears the RTC alarm that the daemon has left: ``ExecStopPost=`` of powerd.service.

A daemon that is started again clears the alarm of its predecessor. If that was killed, or stopped during a
sleep, and is not started again, the alarm would wake a server that somebody has switched off.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Final

from powerd.core.clock import Clock, KernelClock
from powerd.core.storage import Storage, state_directory
from powerd.linux.helper_client import HelperClient
from powerd.linux.ports import Helper
from powerd.linux.values import HostError
from powerd.power.logind import LogindClient
from powerd.power.rtc_alarm import RtcAlarm

_TIMEOUT: Final = 25.0
"""Seconds; less than TimeoutStopSec= of the unit."""
_POLL_INTERVAL: Final = 1.0


async def clear_left_alarm(
    helper: Helper, clock: Clock, storage: Storage, transition: Callable[[], Awaitable[str]]
) -> None:
    """Clear powerd's alarm after a sleep in progress, unless a shutdown needs it.

    ``transition``: as of Logind.transition_in_progress.

    Raises:
        HostError: it is unknown whether one is in progress, or the helper refuses; the alarm stays.
    """
    alarm = RtcAlarm(helper, clock, storage)
    while not alarm.is_set_for(None) and (kind := await transition()) != "shutdown":
        if kind:
            await asyncio.sleep(_POLL_INTERVAL)  # noqa: TID251 - a process of its own, without an engine
        else:
            await alarm.clear()


def main() -> int:
    """Clear the alarm; returns the exit status."""
    return asyncio.run(_run(Storage(state_directory(), _log)))


async def _run(storage: Storage) -> int:
    helper, logind = HelperClient(), LogindClient()
    try:
        async with asyncio.timeout(_TIMEOUT):
            await clear_left_alarm(helper, KernelClock(), storage, logind.transition_in_progress)
    except (HostError, TimeoutError) as error:
        reason = str(error) or f"after {_TIMEOUT:g} s a sleep is still in progress, or the helper hangs"
        _log(f"powerd's RTC alarm may still be set: {reason}")
        return 1
    finally:
        helper.close()
        logind.close()
    return 0


def _log(text: str) -> None:
    sys.stderr.write(f"<4>{text}\n")


if __name__ == "__main__":
    sys.exit(main())
