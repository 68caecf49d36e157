"""Timeouts and limits of the disk policy, and the arithmetic of optional times."""

from __future__ import annotations

from typing import Final

from powerd.core.time import Moment, add_seconds

DAY: Final = 86400.0
NEVER: Final = float("inf")
"""The deadline of an action that is never due."""
VERIFY_AFTER: Final = 20.0
"""From an accepted spin-down command to the power mode check; a drive takes some seconds to stop."""
RETRY_AFTER: Final = 60.0
"""Between two attempts after a passing cause: dirty pages, a running self-test, a refusal."""
HELPER_RETRY_AFTER: Final = 300.0
"""Between two attempts to reach a helper that is not there."""
MAX_UNRESPONSIVE_PAUSE: Final = 3600.0
"""Between two power mode checks of a drive that stays unresponsive. The first pause is RETRY_AFTER, and each
next one is twice as long: drives that spin up one after the other, as some do at a resume, delay their reply
for longer than the helper's deadline."""
MAX_UNRESPONSIVE_DOUBLINGS: Final = 7
"""Unanswered checks in a row after which the pause is MAX_UNRESPONSIVE_PAUSE."""
MAX_TIMER_CHECKS: Final = 3
"""Power mode checks in a row after the end of the drive's own timer; powerd then makes no more of them."""
EARLY_SPIN_UP_WITHIN: Final = 600.0
"""An access within this time of a spin-down is an early spin-up: the spin-down cost more than it saved."""
EARLY_SPIN_UPS_PER_BACKOFF: Final = 3
"""Early spin-ups within 24 hours that double spin_down_after."""
MAX_BACKOFF_LEVEL: Final = 3
"""Doublings of spin_down_after at most: eight times its length."""
RESTORE_STANDBY_AFTER: Final = 30.0
"""Idleness after a resume before a disk returns to the standby in which the server's sleep found it."""
BASELINE_WITHIN: Final = 30.0
"""From a resume to the first reading of a disk that is to return to standby. An access before a later reading
could not be distinguished from the I/O of the resume itself, so the disk then counts as used."""
RESUME_HOOKS_DELAY: Final = 30.0
"""From a resume to the first setting. The systemd-sleep(8) hook of Debian's hdparm sets the APM level of sda
to sdz at each resume, to 254 where hdparm.conf names none; powerd has to write after it."""
REQUEST_LIFETIME: Final = 600.0
"""A person's request for a spin-down expires after this time, and at the next use of the disk."""
EVIDENCE_LIFETIME: Final = 60.0
"""I/O or a power mode report proves for this long that the drive spins. A command that would start a stopped
drive needs such a proof."""
DISAPPEARANCE_WINDOW: Final = 120.0
"""A USB disk that attaches again within this time of a spin-down command was dropped by its bridge."""
RECHECK_FIRST: Final = 300.0
"""After this long without I/O, a drive that may stop by itself counts as unknown. powerd checks it then, and
again whenever its idleness has doubled, at intervals of at most RECHECK_MAX. It is also the shortest interval
between checks of a stopped drive that receives commands of other programs."""
RECHECK_MAX: Final = 3600.0
MAX_READING_AGE: Final = 5.0
"""A spin-down needs a reading of the counters that is at most this old."""


def boottime(now: Moment) -> float:
    """CLOCK_BOOTTIME, which includes the time that the server sleeps."""
    return now.mono + now.slept


def moment_at(now: Moment, mono: float) -> Moment:
    """The Moment of an earlier CLOCK_MONOTONIC time; the server has not slept between the two."""
    return add_seconds(now, mono - now.mono)


def is_after(time: float | None, other: float | None) -> bool:
    """Whether ``time`` is later than ``other``; an unknown time is earlier than every known one."""
    return time is not None and (other is None or time > other)


def later_of(time: float, other: float | None) -> float:
    """The later of a time and one that may be unknown."""
    return time if other is None or other <= time else other
