"""How long things may take, in seconds, from a drive's answer up to what the daemon waits for: one order.

Each bound is longer than all that it is made of, so whoever is late is found out where it is late: a disk by
the helper, the helper by the daemon. That is what makes the cause ``hung`` true: a disk is called that when
what was begun at it is over its own bound, and never for a queue that it stands at the end of.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from powerd.helper.kinds import Message
from powerd.helper.messages.alarm import ClearAlarm, ReadAlarm, SetAlarm
from powerd.helper.messages.card import ArmCard, ReadCard
from powerd.helper.messages.disk import Guard, ReadDrive, ReadPower, SetApm, SetTimer, StandBy
from powerd.helper.messages.smart import CheckHealth, StartTest

DEADLINE: Final = 5.0
"""A call to the real-time clock or a network card; and so long it waits for those before it."""
QUICK: Final = 10.0
"""What a drive answers without moving anything, once it has answered at all."""
MOVING: Final = 40.0
"""A spindle that stops, or starts, which may take 30 (hdparm(8), -S). While it starts, a drive keeps back the
answer to any question, so the first of each turn is given as long."""
SPARE: Final = 5.0
"""For a thread to come back, after the kernel has ended a command that took as long as it may."""
GRACE: Final = 2.0
"""Between SIGTERM and SIGKILL, and from there until a process is given up."""

TURN: Final = 30.0
"""In the queue for a disk, before it is said that the disk is busy."""
PLACE: Final = 60.0
"""In the queue of all disks for one of the places at which tools run."""

WAYS: Final = 4
"""Device types that smartctl may have to try before one reaches the drive."""
SELF_TEST: Final = 20.0
"""smartctl, asked whether a self-test runs: two commands."""
CHECK: Final = 60.0
"""smartctl, asked for everything; some drives take their time with their logs."""
READING: Final = 60.0
"""The child that reads what smartctl says; a small computer that is busy takes 20 to start it."""
WINDOW: Final = 120.0
"""Watching a disk for data that wait unseen. Whoever has told ext4 to commit less often has its bounces."""

_TURN: Final = TURN + PLACE
_ASKED: Final = MOVING + SPARE
_END: Final = 2 * GRACE  # only once in a request, for it ends with the tool that had to be ended
_FREE: Final = _TURN + _ASKED + QUICK + WAYS * SELF_TEST  # found to be awake, and nothing in its way


_WITHIN: Final[Mapping[type[Message], float | None]] = {
    **dict.fromkeys((ReadAlarm, SetAlarm, ClearAlarm, ReadCard, ArmCard), 2 * DEADLINE),
    ReadPower: _TURN + _ASKED + _END,
    **dict.fromkeys((SetTimer, SetApm, ReadDrive), _TURN + _ASKED + QUICK + _END),
    StandBy: _FREE + WINDOW + _FREE + _ASKED + _END,
    Guard: None,
    CheckHealth: _TURN + WAYS * (CHECK + MOVING) + READING + _END,
    StartTest: _TURN + _ASKED + CHECK + _END,
}


def within(request: Message) -> float | None:
    """Seconds from a request to its answer, whatever the machine does; None = once something has happened."""
    return _WITHIN[type(request)]
