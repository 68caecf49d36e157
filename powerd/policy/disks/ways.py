"""Figures and small rules of spinning down that more than one step needs."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from powerd.model import Disk, DiskMemory, DiskState, Moment
from powerd.model.disks import How
from powerd.policy.times import later

DAY: Final = 86400.0
NEVER: Final = float("inf")
VERIFY: Final = 20.0
"""A drive takes some seconds to stop; so long after the order it is asked whether it has."""
RETRY: Final = 60.0
"""Between two attempts at whatever may pass: dirty pages, a self-test, a refusal."""
UNREACHED: Final = 300.0
"""Between two attempts at a helper that is not there."""
HUNG: Final = 3600.0
"""Between two questions to a disk that hangs for long. At first it is less: drives that start one after the
other, as some do when the machine wakes up, may keep their answers back for longer than the helper waits."""
PATIENCE: Final = 7
"""So many questions to it in vain, each after twice the time, before they are HUNG apart."""
TRIES: Final = 3
"""So many vain attempts, and a disk is unsupported."""
BOUNCE: Final = 600.0
"""Who is woken sooner after a spin-down had better not have gone to sleep."""
BOUNCES: Final = 3
"""So many bounces within 24 hours double the time ..."""
STRETCHES: Final = 3
"""... and at most so often, to eight times its length."""
PUT_BACK: Final = 30.0
"""A disk that slept before the machine did is put back after so long without any access."""
HOOKS: Final = 30.0
"""So long after a wake-up of the machine no setting is made. Debian's hdparm has a hook in systemd-sleep(8)
that then sets the APM level of sda to sdz, to 254 where its file says nothing: it must not come last."""
WISH: Final = 600.0
"""A person's wish that a disk stand by holds for so long, or until the disk is used."""
FRESH: Final = 60.0
"""Evidence that a disk spins is good for so long; an order that would wake a sleeping one needs it."""
VANISHED: Final = 120.0
"""A disk on USB that is plugged in so soon after it was told to stand by had been dropped by its bridge."""
REASK_FIRST: Final = 300.0
"""Unused for so long, a drive that may stop by itself is no longer taken to spin. It is asked then, and after
each answer again when its idleness has doubled, ... One that sleeps is asked no oftener than this either,
however often others send it commands."""
REASK_MOST: Final = 3600.0
"""... but at least so often."""
LOOK: Final = 5.0
"""Idleness is what a look has seen; one that is older says nothing about now."""


def way(disk: Disk, worked: How | None, failures: int) -> How:
    """The way by which to try after so many failures in a row: the likeliest twice, then the other.

    A SAS drive knows no ATA; START STOP UNIT is what the helper makes of it.
    """
    knows_ata = disk.transport in {"ata", "usb"}
    first: How = worked or ("ata" if knows_ata else "scsi")
    if failures < TRIES - 1:
        return first
    return "ata" if first == "scsi" and knows_ata else "scsi"


def boot(now: Moment) -> float:
    """CLOCK_BOOTTIME, which goes on while the machine sleeps."""
    return now.mono + now.slept


def at(now: Moment, mono: float) -> Moment:
    """The Moment of a CLOCK_MONOTONIC that lies a little back."""
    return later(now, mono - now.mono)


def turned(memory: DiskMemory, state: DiskState, since: Moment, why: str = "") -> DiskMemory:
    """In ``state`` since then; a state that it is in already keeps its date.

    One that has been given up stays so until its failures are forgotten; only the kernel may suspend it.
    """
    if memory.barred or memory.failures >= TRIES:
        why = why if state is DiskState.UNSUPPORTED else memory.barred or memory.why
        state = DiskState.SUSPENDED if state is DiskState.SUSPENDED else DiskState.UNSUPPORTED
    if state is memory.state:
        return memory if why == memory.why else replace(memory, why=why)
    return replace(memory, state=state, since=since, why=why, asks=0, spun=-NEVER)


def woke(memory: DiskMemory, when: Moment, *, by_use: bool = True) -> DiskMemory:
    """Spinning again.

    Args:
        memory: of a disk that stood still.
        when: at which that was seen.
        by_use: by an access, which makes it a bounce if it came soon after the spin-down.
    """
    ups = (*memory.ups, boot(when))
    bounced = by_use and when.mono - memory.since.mono < BOUNCE
    memory = replace(memory, ups=ups, woken=when, slept=False)
    if bounced:
        memory = _bounced(memory, when)
    return turned(memory, DiskState.ACTIVE, when)


def _bounced(memory: DiskMemory, when: Moment) -> DiskMemory:
    bounces = (*memory.bounces, boot(when))
    if len(bounces) < BOUNCES:
        return replace(memory, bounces=bounces)
    return replace(memory, bounces=(), stretch=min(memory.stretch + 1, STRETCHES), stretched=boot(when))


def is_old(memory: DiskMemory, start: float) -> bool:
    """Whether it holds anything from before ``start``, CLOCK_BOOTTIME."""
    downs, ups, bounces = memory.downs, memory.ups, memory.bounces
    return bool(
        (downs and downs[0] <= start)
        or (ups and ups[0] <= start)
        or (bounces and bounces[0] <= start)
        or (memory.stretch and memory.stretched <= start)
    )


def aged(memory: DiskMemory, now: Moment) -> DiskMemory:
    """Without what is older than 24 hours; a day without three bounces takes one doubling back."""
    start = boot(now) - DAY
    if not is_old(memory, start):
        return memory
    downs, ups, bounces = memory.downs, memory.ups, memory.bounces
    if (downs and downs[0] <= start) or (ups and ups[0] <= start) or (bounces and bounces[0] <= start):
        downs, ups, bounces = (
            tuple(each for each in times if each > start) for times in (downs, ups, bounces)
        )
        memory = replace(memory, downs=downs, ups=ups, bounces=bounces)
    if memory.stretch and memory.stretched <= start:
        memory = replace(memory, stretch=memory.stretch - 1, stretched=boot(now))
    return memory
