"""How long things may take, in seconds, from a drive's answer up to what the daemon waits for: one order.

Each bound is longer than all that it is made of, so whoever is late is found out where it is late: a disk by
the helper, the helper by the daemon. That is what makes the cause ``hung`` true: a disk is called that when
what was begun at it is over its own bound, and never for a queue that it stands at the end of.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from powerd.helper.protocol.fields import Message
from powerd.helper.protocol.messages import (
    ArmCard,
    AwaitFirstAccess,
    CheckHealthRequest,
    ClearAlarm,
    ReadAlarm,
    ReadCard,
    ReadDriveRequest,
    ReadPowerRequest,
    SetAlarm,
    SetApmRequest,
    SetTimerRequest,
    SpinDownRequest,
    StartTestRequest,
)

DEVICE_DEADLINE: Final = 5.0
"""A call to the real-time clock or a network card; and so long it waits for those before it."""
QUICK_COMMAND: Final = 10.0
"""What a drive answers without moving anything, once it has answered at all."""
MOTOR_COMMAND: Final = 40.0
"""A spindle that stops, or starts, which may take 30 (hdparm(8), -S). While it starts, a drive keeps back the
answer to any question, so the first of each turn is given as long."""
THREAD_MARGIN: Final = 5.0
"""For a thread to come back, after the kernel has ended a command that took as long as it may."""
KILL_GRACE: Final = 2.0
"""Between SIGTERM and SIGKILL, and from there until a process is given up."""

QUEUE_TIMEOUT: Final = 30.0
"""In the queue for a disk, before it is said that the disk is busy."""
SLOT_TIMEOUT: Final = 60.0
"""In the queue of all disks for one of the places at which tools run."""

MAX_DEVICE_TYPES: Final = 4
"""Device types that smartctl may have to try before one reaches the drive."""
SELF_TEST_QUERY: Final = 20.0
"""smartctl, asked whether a self-test runs: two commands."""
SMARTCTL_RUN: Final = 60.0
"""smartctl, asked for everything; some drives take their time with their logs."""
READER_RUN: Final = 60.0
"""The child that reads what smartctl says; a small computer that is busy takes 20 to start it."""
MAX_QUIET_WINDOW: Final = 120.0
"""Watching a disk for data that wait unseen. Whoever has told ext4 to commit less often has its bounces."""

_QUEUED: Final = QUEUE_TIMEOUT + SLOT_TIMEOUT
_POWER_QUERY: Final = MOTOR_COMMAND + THREAD_MARGIN
_TERMINATED: Final = 2 * KILL_GRACE  # only once in a request, for it ends with the tool that had to be ended
_FOUND_IDLE: Final = (
    _QUEUED + _POWER_QUERY + QUICK_COMMAND + MAX_DEVICE_TYPES * SELF_TEST_QUERY
)  # found to be awake, and nothing in its way


_DEADLINES: Final[Mapping[type[Message], float | None]] = {
    **dict.fromkeys((ReadAlarm, SetAlarm, ClearAlarm, ReadCard, ArmCard), 2 * DEVICE_DEADLINE),
    ReadPowerRequest: _QUEUED + _POWER_QUERY + _TERMINATED,
    **dict.fromkeys(
        (SetTimerRequest, SetApmRequest, ReadDriveRequest),
        _QUEUED + _POWER_QUERY + QUICK_COMMAND + _TERMINATED,
    ),
    SpinDownRequest: _FOUND_IDLE + MAX_QUIET_WINDOW + _FOUND_IDLE + _POWER_QUERY + _TERMINATED,
    AwaitFirstAccess: None,
    CheckHealthRequest: _QUEUED
    + MAX_DEVICE_TYPES * (SMARTCTL_RUN + MOTOR_COMMAND)
    + READER_RUN
    + _TERMINATED,
    StartTestRequest: _QUEUED + _POWER_QUERY + SMARTCTL_RUN + _TERMINATED,
}


def deadline_of(request: Message) -> float | None:
    """Seconds from a request to its answer, whatever the machine does; None = once something has happened."""
    return _DEADLINES[type(request)]
