"""Reads a drive's health, and has drives test themselves, by smartctl(8), within a turn of the disk's lane.

``-n standby`` alone does not keep a disk asleep: smartctl ignores it where a bridge does not tell the power
mode, and opening a disk that the kernel has suspended wakes it. So the drive is asked for its mode first, and
one with a spindle that does not say is left alone. ``-d`` is given, as finding it out takes commands too.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from powerd.helper.disks import Disk
from powerd.helper.done import Done
from powerd.helper.errors import RefusalError
from powerd.helper.messages.bounds import CHECK, MOVING, READING
from powerd.helper.messages.smart import CheckHealth, DriveHealth, StartTest
from powerd.helper.self_test import begun
from powerd.helper.smart_reading import asleep, said
from powerd.helper.smart_values import document
from powerd.helper.smart_ways import kinds, reached
from powerd.helper.spindle import Spindle
from powerd.helper.tool import Extra
from powerd.model import Trouble

ANSWER: Final = 1 << 20
"""Bytes that smartctl's answer may have."""
COMMANDS: Final = 12
"""Commands of ``smartctl --all`` to an ATA drive: identity, status, values, thresholds and six logs."""
_ASLEEP: Final = 3
"""The exit status asked for where the drive sleeps; the default, 2, is also that of a disk that is gone."""


async def check(request: CheckHealth, disk: Disk, spindle: Spindle) -> DriveHealth:
    """Read all that the drive says of its health.

    Raises:
        RefusalError: it is asleep, or gives no answer that can be read; of one that the kernel has suspended
            also where it may be woken, for it is the kernel's to wake.
    """
    if not request.wake or disk.asleep_by_kernel:
        await _demand_awake(disk, spindle, "reading its health")
    guard = () if request.wake else ("-n", f"standby,{_ASLEEP}")
    seconds = CHECK + (MOVING if request.wake else 0)
    for kind in kinds(disk, request.kind):
        argv = ["smartctl", "--json=co", "--all", *guard, "-d", kind, str(disk.node)]
        done = await spindle.run(argv, seconds, 1, Extra(cap=ANSWER))
        told = document(done.out)
        if told is not None and asleep(told):
            raise RefusalError(
                f"{disk.name} is asleep, and reading its health would wake it; wait", Trouble.ASLEEP
            )
        if reached(done.status):
            break
    else:
        raise RefusalError(_not_reached(disk, _why(told, done)))
    spindle.commands += COMMANDS - 1
    health = await _read(done, spindle)
    return DriveHealth(disk=disk.name, kind=kind, health=health, commands=spindle.commands)


async def begin_test(request: StartTest, disk: Disk, spindle: Spindle) -> None:
    """Have the drive test itself, in the background.

    Raises:
        RefusalError: it is asleep, tests itself already, or cannot; or smartctl cannot.
    """
    await _demand_awake(disk, spindle, "a self-test")
    kind = kinds(disk, request.kind)[0]
    argv = ["smartctl", "--json=co", "-t", request.test, "-d", kind, str(disk.node)]
    done = await spindle.run(argv, CHECK, 2)
    told = document(done.out)
    if done.status:
        raise RefusalError(f"{disk.name} begins no {request.test} self-test: {_why(told, done)}")
    if not begun(told or {}):
        raise RefusalError(
            f"{disk.name} begins no {request.test} self-test: it has none, or smartctl is older than 7.4 and "
            "knows none of NVMe; see: smartctl --version"
        )


async def _demand_awake(disk: Disk, spindle: Spindle, what: str) -> None:
    """A drive without a spindle is awake whenever the kernel has not suspended it."""
    if disk.spins or disk.asleep_by_kernel:
        await spindle.demand_spinning(what)


async def _read(done: Done, spindle: Spindle) -> dict[str, object]:
    """The Health in smartctl's answer, made plain, by a child that alone knows pySMART."""
    argv = [sys.executable, "-I", "-m", "powerd.helper.smart_child"]  # by its path, for its venv's sake
    extra = Extra(path=Path(sys.executable), given=done.out.encode())
    try:
        read = await spindle.run(argv, READING, 0, extra)
    except RefusalError as error:  # late or not, it is no fault of the disk, which has answered
        raise RefusalError(f"its health cannot be read: {error}") from None
    told = document(read.out) or {"why": f"it cannot be read: {read.last_words}"}
    health = told.get("health")
    if not isinstance(health, dict):
        raise RefusalError(f"{told.get('why')}; see: smartctl --all")
    return health


def _not_reached(disk: Disk, why: str) -> str:
    """What to tell of a drive that smartctl did not get through to, in whatever way."""
    if disk.is_nvme and any(words in why for words in ("Permission denied", "not permitted")):
        return (
            f"{disk.name} cannot be read: NVMe drives take CAP_SYS_ADMIN, which the helper does not have; "
            "see contrib/systemd/powerd-helper-nvme.conf"
        )
    return f"smartctl could not ask the drive: {why}; see: smartctl --all"


def _why(told: Mapping[str, Any] | None, done: Done) -> str:
    """What smartctl says went wrong, in JSON where it got as far as that."""
    return done.last_words if told is None else said(told)
