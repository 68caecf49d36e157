"""The ATA commands that hdparm(8), smartctl(8), udev and powerd send (ATA8-ACS, ATA8-ACS2).

Media access uses SCSI commands (``scsi``); of the commands here only SMART needs the platters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from vm.drive_simulator import identify, smart
from vm.drive_simulator.drive import APM_OFF, Drive, Power

READY: Final = 0x50
"""Status: DRDY and seek complete."""
_ERR: Final = 0x01
_ABORTED: Final = 0x04
_SPINNING: Final = 0xFF
_STANDING: Final = 0x00


@dataclass(frozen=True)
class Taskfile:
    """The registers of a command. ``lba`` holds the low 24 bits, which is all that the commands here use."""

    command: int
    feature: int = 0
    count: int = 0
    lba: int = 0
    device: int = 0
    ext: bool = False


@dataclass(frozen=True)
class Result:
    """The registers after a command, and the data that it read."""

    data: bytes = b""
    error: int = 0
    status: int = READY
    count: int = 0
    lba: int = 0
    device: int = 0
    ext: bool = False

    @property
    def failed(self) -> bool:
        """Whether the drive has refused the command."""
        return bool(self.status & _ERR)


def execute(drive: Drive, task: Taskfile) -> Result:
    """Execute one command; an unknown command is aborted."""
    drive.counts.commands += 1
    if drive.power is Power.SLEEP:
        drive.use(f"reset for command {task.command:02x}h")  # as libata: SLEEP ends by a reset
    return _COMMANDS.get(task.command, _aborted)(drive, task)


def _check_power(drive: Drive, task: Taskfile) -> Result:
    """CHECK POWER MODE: the count register returns the mode."""
    drive.tick()
    drive.note(f"check-power: {drive.power}")
    return _result(task, count=_SPINNING if drive.power is Power.ACTIVE else _STANDING)


def _set_power(drive: Drive, task: Taskfile) -> Result:
    """STANDBY, IDLE and their IMMEDIATE forms. IDLE spins up a drive in standby."""
    match task.command:
        case 0xE0 | 0x94:
            drive.note("standby-immediate")
            drive.spin_down("standby-immediate")
        case 0xE1 | 0x95:
            drive.note("idle-immediate")
            drive.use("idle-immediate")
        case 0xE2 | 0x96:
            drive.note(f"standby timer={task.count}")
            drive.set_timer(task.count)
            drive.spin_down("standby")
        case 0xE3 | 0x97:
            drive.note(f"idle timer={task.count}")
            drive.set_timer(task.count)
            drive.use("idle")
        case _:
            drive.note("sleep")
            drive.spin_down("sleep", Power.SLEEP)
    return _result(task)


def _set_features(drive: Drive, task: Taskfile) -> Result:
    """SET FEATURES: APM, and a few switches that change nothing here."""
    match task.feature:
        case 0x05 if drive.traits.apm:
            drive.apm = task.count
            drive.note(f"apm {task.count}")
        case 0x85 if drive.traits.apm:
            drive.apm = APM_OFF
            drive.note("apm off")
        case 0x02 | 0x82 | 0xAA | 0x55:
            pass  # write cache and look-ahead, on and off
        case _:
            return _aborted(drive, task)
    return _result(task)


def _smart(drive: Drive, task: Taskfile) -> Result:
    """SMART: its data are on the platters, so reading them spins the drive up."""
    match task.feature:
        case 0xD0:
            drive.use("smart-read")
            drive.counts.smart_reads += 1
            drive.note("smart-read")
            return _result(task, data=smart.values(drive))
        case 0xD1:
            drive.use("smart-thresholds")
            return _result(task, data=smart.thresholds(drive))
        case 0xD4:
            drive.note(f"self-test {task.lba & 0xFF}")
            drive.test_itself()
        case 0xD5:
            drive.use("smart-log")
            return _result(
                task, data=smart.log(drive, task.lba & 0xFF).ljust(512 * max(task.count, 1), b"\0")
            )
        case 0xDA:
            drive.use("smart-status")
            drive.note("smart-status")
            return _result(task, lba=smart.status_report(drive) << 8 | task.lba & 0xFF)
        case 0xD2 | 0xD8 | 0xD9:
            pass  # SMART and its autosave, on and off
        case _:
            return _aborted(drive, task)
    return _result(task)


def _result(task: Taskfile, data: bytes = b"", count: int | None = None, lba: int | None = None) -> Result:
    """Complete the command; registers that it does not define keep their values."""
    return Result(
        data,
        count=task.count if count is None else count,
        lba=task.lba if lba is None else lba,
        device=task.device,
        ext=task.ext,
    )


def _aborted(_: Drive, task: Taskfile) -> Result:
    return Result(error=_ABORTED, status=READY | _ERR, count=task.count, lba=task.lba, device=task.device)


_COMMANDS: Final[dict[int, Callable[[Drive, Taskfile], Result]]] = {
    0x2F: lambda _, task: _result(task, data=bytes(512 * max(task.count, 1))),  # READ LOG EXT: no entries
    0xB0: _smart,
    **dict.fromkeys((0xE0, 0xE1, 0xE2, 0xE3, 0xE6, 0x94, 0x95, 0x96, 0x97, 0x99), _set_power),
    **dict.fromkeys((0xE5, 0x98), _check_power),
    **dict.fromkeys((0xE7, 0xEA), lambda _, task: _result(task)),  # FLUSH CACHE, with nothing in it
    0xEC: lambda drive, task: _result(task, data=identify.page(drive)),
    0xEF: _set_features,
}
"""By opcode."""
