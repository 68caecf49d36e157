"""Clears the RTC alarm that a killed daemon has left: ``ExecStopPost=`` of powerd.service.

A daemon that ends by itself clears its alarm, and one that is started again clears that of its predecessor.
Between a kill and the next start the alarm would wake a server that somebody has switched off.
"""

from __future__ import annotations

import asyncio
import os
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


async def clear_left_alarm(
    helper: Helper, clock: Clock, storage: Storage, is_going_down: Callable[[], Awaitable[bool]]
) -> None:
    """Clear powerd's alarm, unless a sleep or shutdown in progress needs it.

    Raises:
        HostError: it is unknown whether one is in progress, or the helper refuses; the alarm stays.
    """
    alarm = RtcAlarm(helper, clock, storage)
    if not alarm.is_set_for(None) and not await is_going_down():
        await alarm.clear()


def main() -> int:
    """Clear the alarm after a daemon that was killed; returns the exit status."""
    if os.environ.get("SERVICE_RESULT") == "success":  # the daemon has done it
        return 0
    return asyncio.run(_run(Storage(state_directory(), _log)))


async def _run(storage: Storage) -> int:
    helper, logind = HelperClient(), LogindClient()
    try:
        async with asyncio.timeout(_TIMEOUT):
            await clear_left_alarm(helper, KernelClock(), storage, logind.is_going_down)
    except (HostError, TimeoutError) as error:
        _log(f"powerd's RTC alarm may still be set: {str(error) or 'no answer in time'}")
        return 1
    finally:
        helper.close()
        logind.close()
    return 0


def _log(text: str) -> None:
    sys.stderr.write(f"<4>{text}\n")


if __name__ == "__main__":
    sys.exit(main())
