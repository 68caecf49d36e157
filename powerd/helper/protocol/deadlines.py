"""Time limits, in seconds, from one command to a drive up to a whole request of the daemon.

Each limit is longer than the sum of its parts. So the helper detects a late disk, and the daemon a late
helper. A disk is reported as ``hung`` only if a command that was sent to it exceeds its own limit, never
because of a queue.
"""

from __future__ import annotations

from typing import Final

DEVICE_DEADLINE: Final = 5.0
"""A call to the real-time clock or a network card; a request waits as long for its turn."""
TRACE_DEADLINE: Final = 20.0
"""Reading the kernel's trace. It takes milliseconds, but on a machine that is short of CPU the join of a full
buffer took more than 5 s, and what an abandoned call has read is lost."""
QUICK_COMMAND: Final = 10.0
"""A command that moves nothing, to a drive that responds."""
MOTOR_COMMAND: Final = 40.0
"""A spin-down, or a spin-up, which may take 30 (hdparm(8), -S). A drive that is spinning up delays its
response, so the first command of each request gets as long."""
THREAD_MARGIN: Final = 5.0
"""For a thread to return after the kernel has ended a command at its limit."""
KILL_GRACE: Final = 2.0
"""Between SIGTERM and SIGKILL, and from SIGKILL until a process is abandoned."""
FILES_DEADLINE: Final = MOTOR_COMMAND
"""Looking up the directories of accessed files; a disk that has begun to stop spins up for it."""

QUEUE_TIMEOUT: Final = 30.0
"""In the queue of a disk, until the request is refused as busy."""
SLOT_TIMEOUT: Final = 60.0
"""In the queue of all disks for a slot in which tools run."""

MAX_DEVICE_TYPES: Final = 4
"""Device types that smartctl may try before one reaches the drive."""
SELF_TEST_QUERY: Final = 20.0
"""smartctl with a self-test query: two commands."""
SMARTCTL_RUN: Final = 60.0
"""smartctl with a full report; some drives read their logs slowly."""
READER_RUN: Final = 60.0
"""The child that reads a report of smartctl; it takes 20 to start on a busy small computer."""
MAX_QUIET_WINDOW: Final = 120.0
"""Watching a disk for uncounted dirty data; a longer ext4 commit interval is not covered."""

_QUEUED: Final = QUEUE_TIMEOUT + SLOT_TIMEOUT
_POWER_QUERY: Final = MOTOR_COMMAND + THREAD_MARGIN
_TERMINATED: Final = 2 * KILL_GRACE  # only once in a request, for it ends with the tool that had to be ended
_FOUND_IDLE: Final = _QUEUED + _POWER_QUERY + QUICK_COMMAND + MAX_DEVICE_TYPES * SELF_TEST_QUERY
"""The drive is known to be spinning, and nothing forbids a spin-down."""

DEVICE_REQUEST: Final = 2 * DEVICE_DEADLINE
TRACE_REQUEST: Final = 2 * TRACE_DEADLINE
FILES_REQUEST: Final = 2 * FILES_DEADLINE
POWER_MODE_REQUEST: Final = _QUEUED + _POWER_QUERY + _TERMINATED
QUICK_REQUEST: Final = _QUEUED + _POWER_QUERY + QUICK_COMMAND + _TERMINATED
SPIN_DOWN_REQUEST: Final = _FOUND_IDLE + MAX_QUIET_WINDOW + _FOUND_IDLE + _POWER_QUERY + _TERMINATED
HEALTH_REQUEST: Final = _QUEUED + MAX_DEVICE_TYPES * (SMARTCTL_RUN + MOTOR_COMMAND) + READER_RUN + _TERMINATED
SELF_TEST_REQUEST: Final = _QUEUED + _POWER_QUERY + SMARTCTL_RUN + _TERMINATED
