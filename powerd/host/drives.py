"""Orders to disks in the helper's words, and its answers in the model's. No I/O but the asking."""

from __future__ import annotations

from pathlib import Path

from powerd import model
from powerd.helper.protocol import (
    CheckHealth,
    Drive,
    DriveHealth,
    Guard,
    Power,
    ProtocolError,
    ReadDrive,
    ReadPower,
    SetApm,
    SetTimer,
    StandBy,
    StartTest,
)
from powerd.host.helper import SOCKET, ask
from powerd.host.values import DiskError, RefusedByHelperError
from powerd.model import APM_WITHOUT_STANDBY, DiskId, DiskOrder, Found, Trouble
from powerd.model.plain import from_plain
from powerd.model.standby_timer import timer_for


async def obey(  # noqa: PLR0911 - one row for each order
    order: DiskOrder, at: Path = SOCKET
) -> Found:
    """Have the helper that listens on ``at`` carry out ``order``.

    Raises:
        DiskError: it refuses, or the drive does.
        HostError: it is not there, or gives no answer.
    """
    try:
        match order:
            case model.AskPower(disk=disk):
                return answered(await ask(ReadPower(disk), at))
            case model.SpinDown(disk=disk, how=how):
                return answered(await ask(StandBy(disk, how), at))
            case model.SetTimer(disk=disk, seconds=seconds):
                return answered(await ask(SetTimer(disk, timer_for(seconds).value), at))
            case model.SetApm(disk=disk, level=level):
                return drive(await ask(SetApm(disk, level, spin_down=level < APM_WITHOUT_STANDBY), at))
            case model.ReadDrive(disk=disk):
                return drive(await ask(ReadDrive(disk), at))
            case model.CheckHealth(disk=disk, wake=wake, kind=kind):
                return checked(await ask(CheckHealth(disk, wake, kind), at))
            case model.StartTest(disk=disk, test=test, kind=kind):
                return answered(await ask(StartTest(disk, test, kind), at))
    except RefusedByHelperError as error:
        raise DiskError(str(error), Trouble(error.cause), error.commands) from None
    except ProtocolError as error:
        raise DiskError(f"{order.disk}: cannot be asked for: {error}", Trouble.FAILED) from None


async def guard(disks: tuple[DiskId, ...], at: Path = SOCKET) -> tuple[DiskId, tuple[DiskId, ...], float]:
    """Watch sleeping disks until one is accessed and the others have been woken; ends when cancelled.

    Returns:
        The one accessed, the others, and the seconds that waking them took.

    Raises:
        HostError: the helper refuses, or is not there.
    """
    roused = await ask(Guard(disks), at)
    return DiskId(roused.disk), tuple(DiskId(disk) for disk in roused.others), roused.seconds


def answered(answer: Power) -> model.Answered:
    """A drive's word on its power."""
    return model.Answered(model.Power(answer.state), answer.commands, answer.stopped)


def checked(answer: DriveHealth) -> model.Checked:
    """A drive's health; its time is for the caller to say."""
    return model.Checked(from_plain(answer.health), answer.kind, answer.commands)


def drive(answer: Drive) -> model.Drive:
    """What a drive can do."""
    return model.Drive(answer.apm, answer.apm_supported, answer.epc, answer.commands)
