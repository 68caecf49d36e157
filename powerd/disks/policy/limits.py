"""Figures and small rules of spinning down that more than one step needs."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from powerd.core.time import Moment, add_seconds
from powerd.disks.model import Disk, SpinDownMethod
from powerd.disks.state import DiskMemory, DiskState

DAY: Final = 86400.0
NEVER: Final = float("inf")
VERIFY_AFTER: Final = 20.0
"""A drive takes some seconds to stop; so long after the order it is asked whether it has."""
RETRY_AFTER: Final = 60.0
"""Between two attempts at whatever may pass: dirty pages, a self-test, a refusal."""
HELPER_RETRY_AFTER: Final = 300.0
"""Between two attempts at a helper that is not there."""
MAX_UNRESPONSIVE_PAUSE: Final = 3600.0
"""Between two questions to a disk that hangs for long. At first it is less: drives that start one after the
other, as some do when the machine wakes up, may keep their answers back for longer than the helper waits."""
MAX_UNRESPONSIVE_DOUBLINGS: Final = 7
"""So many questions to it in vain, each after twice the time, before they are HUNG apart."""
MAX_ATTEMPTS: Final = 3
"""So many vain attempts, and a disk is unsupported."""
EARLY_WAKE_WITHIN: Final = 600.0
"""Who is woken sooner after a spin-down had better not have gone to sleep."""
EARLY_WAKES_PER_BACKOFF: Final = 3
"""So many bounces within 24 hours double the time ..."""
MAX_BACKOFF_LEVEL: Final = 3
"""... and at most so often, to eight times its length."""
RESTORE_STANDBY_AFTER: Final = 30.0
"""A disk that slept before the machine did is put back after so long without any access."""
RESUME_HOOKS_DELAY: Final = 30.0
"""So long after a wake-up of the machine no setting is made. Debian's hdparm has a hook in systemd-sleep(8)
that then sets the APM level of sda to sdz, to 254 where its file says nothing: it must not come last."""
REQUEST_LIFETIME: Final = 600.0
"""A person's wish that a disk stand by holds for so long, or until the disk is used."""
EVIDENCE_LIFETIME: Final = 60.0
"""Evidence that a disk spins is good for so long; an order that would wake a sleeping one needs it."""
DISAPPEARANCE_WINDOW: Final = 120.0
"""A disk on USB that is plugged in so soon after it was told to stand by had been dropped by its bridge."""
RECHECK_FIRST: Final = 300.0
"""Unused for so long, a drive that may stop by itself is no longer taken to spin. It is asked then, and after
each answer again when its idleness has doubled, ... One that sleeps is asked no oftener than this either,
however often others send it commands."""
RECHECK_MAX: Final = 3600.0
"""... but at least so often."""
MAX_READING_AGE: Final = 5.0
"""Idleness is what a look has seen; one that is older says nothing about now."""


def choose_method(disk: Disk, verified_method: SpinDownMethod | None, failures: int) -> SpinDownMethod:
    """The way by which to try after so many failures in a row: the likeliest twice, then the other.

    A SAS drive knows no ATA; START STOP UNIT is what the helper makes of it.
    """
    knows_ata = disk.transport in {"ata", "usb"}
    preferred: SpinDownMethod = verified_method or ("ata" if knows_ata else "scsi")
    if failures < MAX_ATTEMPTS - 1:
        return preferred
    return "ata" if preferred == "scsi" and knows_ata else "scsi"


def boottime(now: Moment) -> float:
    """CLOCK_BOOTTIME, which goes on while the machine sleeps."""
    return now.mono + now.slept


def moment_at(now: Moment, mono: float) -> Moment:
    """The Moment of a CLOCK_MONOTONIC that lies a little back."""
    return add_seconds(now, mono - now.mono)


def with_state(memory: DiskMemory, state: DiskState, since: Moment, reason: str = "") -> DiskMemory:
    """In ``state`` since then; a state that it is in already keeps its date.

    One that has been given up stays so until its failures are forgotten; only the kernel may suspend it.
    """
    if memory.excluded_reason or memory.failed_spin_downs >= MAX_ATTEMPTS:
        reason = reason if state is DiskState.UNSUPPORTED else memory.excluded_reason or memory.reason
        state = DiskState.SUSPENDED if state is DiskState.SUSPENDED else DiskState.UNSUPPORTED
    if state is memory.state:
        return memory if reason == memory.reason else replace(memory, reason=reason)
    return replace(
        memory, state=state, since=since, reason=reason, power_checks=0, unexpectedly_active_at=-NEVER
    )


def mark_spun_up(memory: DiskMemory, when: Moment, *, by_use: bool = True) -> DiskMemory:
    """Spinning again.

    Args:
        memory: of a disk that stood still.
        when: at which that was seen.
        by_use: by an access, which makes it a bounce if it came soon after the spin-down.
    """
    spin_ups = (*memory.spin_ups, boottime(when))
    woken_early = by_use and when.mono - memory.since.mono < EARLY_WAKE_WITHIN
    memory = replace(memory, spin_ups=spin_ups, last_spin_up=when, restore_standby=False)
    if woken_early:
        memory = _count_early_wake(memory, when)
    return with_state(memory, DiskState.ACTIVE, when)


def _count_early_wake(memory: DiskMemory, when: Moment) -> DiskMemory:
    early_wakes = (*memory.early_wakes, boottime(when))
    if len(early_wakes) < EARLY_WAKES_PER_BACKOFF:
        return replace(memory, early_wakes=early_wakes)
    return replace(
        memory,
        early_wakes=(),
        backoff_level=min(memory.backoff_level + 1, MAX_BACKOFF_LEVEL),
        backoff_changed_at=boottime(when),
    )


def has_expired(memory: DiskMemory, start: float) -> bool:
    """Whether it holds anything from before ``start``, CLOCK_BOOTTIME."""
    spin_downs, spin_ups, early_wakes = memory.spin_downs, memory.spin_ups, memory.early_wakes
    return bool(
        (spin_downs and spin_downs[0] <= start)
        or (spin_ups and spin_ups[0] <= start)
        or (early_wakes and early_wakes[0] <= start)
        or (memory.backoff_level and memory.backoff_changed_at <= start)
    )


def drop_expired(memory: DiskMemory, now: Moment) -> DiskMemory:
    """Without what is older than 24 hours; a day without three bounces takes one doubling back."""
    start = boottime(now) - DAY
    if not has_expired(memory, start):
        return memory
    spin_downs, spin_ups, early_wakes = memory.spin_downs, memory.spin_ups, memory.early_wakes
    if (
        (spin_downs and spin_downs[0] <= start)
        or (spin_ups and spin_ups[0] <= start)
        or (early_wakes and early_wakes[0] <= start)
    ):
        spin_downs, spin_ups, early_wakes = (
            tuple(each for each in times if each > start) for times in (spin_downs, spin_ups, early_wakes)
        )
        memory = replace(memory, spin_downs=spin_downs, spin_ups=spin_ups, early_wakes=early_wakes)
    if memory.backoff_level and memory.backoff_changed_at <= start:
        memory = replace(memory, backoff_level=memory.backoff_level - 1, backoff_changed_at=boottime(now))
    return memory
