"""The alarm of the real-time clock, which wakes the machine from sleep or power-off.

/sys/class/rtc/rtcN/ (Documentation/ABI/testing/sysfs-class-rtc): ``since_epoch`` is the RTC's time.
``wakealarm`` exists only if the RTC can wake the machine. It is empty while no alarm is set, and accepts
``+N`` for N seconds from the RTC's time, a time of the RTC, and ``0`` for none. Setting an alarm while
another is set fails with EBUSY, so ``0`` is written first. An alarm counts only after it was read back, and
only if ``device/power/wakeup`` lets it wake the machine (Documentation/ABI/testing/sysfs-devices-power).
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import Final, Protocol

from powerd.helper.errors import RefusalError
from powerd.helper.protocol.messages import (
    MIN_AHEAD,
    AlarmRequest,
    AlarmResponse,
    ClearAlarm,
    ReadAlarm,
    SetAlarm,
)

_TOLERANCE: Final = 2
"""Seconds by which the alarm read back may differ: the RTC's second may change between two system calls."""
_WAKEUP: Final = "device/power/wakeup"
_READ_SIZE: Final = 64  # the text of an attribute is one number


class RtcAttributes(Protocol):
    """An RTC's directory in sysfs."""

    @property
    def name(self) -> str:
        """``rtc0``."""
        ...

    def read(self, attribute: str) -> str:
        """The text of an attribute; raises the OSError of the system call."""
        ...

    def write(self, attribute: str, text: str) -> None:
        """Write an attribute; raises the OSError of the system call."""
        ...


class Rtc:
    """RtcAttributes in ``directory``, which must exist; no file is ever created."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @property
    def name(self) -> str:
        """The name of the directory."""
        return self._directory.name

    def read(self, attribute: str) -> str:
        """The text of the file."""
        descriptor = os.open(self._directory / attribute, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(descriptor, _READ_SIZE).decode("ascii", "replace").strip()
        finally:
            os.close(descriptor)

    def write(self, attribute: str, text: str) -> None:
        """Write the file."""
        descriptor = os.open(self._directory / attribute, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)


def find_rtc(root: Path) -> Rtc:
    """The RTC that can wake the machine: the one that the system clock was set from, else the first.

    Raises:
        RefusalError: there is none.
    """
    directories = sorted((root / "sys/class/rtc").glob("rtc[0-9]*"), key=lambda path: (len(path.name), path))
    if not directories:
        raise RefusalError("this machine has no real-time clock: /sys/class/rtc is empty; load its driver")
    capable = [Rtc(path) for path in directories if (path / "wakealarm").exists()]
    if not capable:
        names = ", ".join(path.name for path in directories)
        raise RefusalError(
            f"no real-time clock can wake this machine ({names}); enable one in the firmware setup"
        )
    return min(capable, key=lambda rtc: not _sets_system_clock(rtc))


def execute(request: AlarmRequest, rtc: RtcAttributes) -> AlarmResponse:
    """Execute ``request``, and return the state of the RTC afterwards.

    Raises:
        RefusalError: it was not executed, or the RTC does not confirm it; the previous alarm is set again.
    """
    try:
        match request:
            case ReadAlarm():
                return _read_back(rtc, previous=_read_alarm(rtc))
            case SetAlarm():
                return _set_alarm(rtc, request)
            case ClearAlarm():
                return _clear_alarm(rtc, request.at)
    except OSError as error:
        reason = error.strerror or str(error)
        raise RefusalError(f"{rtc.name} does not answer: {reason}; see its driver in dmesg") from None


def _set_alarm(rtc: RtcAttributes, request: SetAlarm) -> AlarmResponse:
    with contextlib.suppress(FileNotFoundError):
        if rtc.read(_WAKEUP) == "disabled":
            raise RefusalError(
                f"{rtc.name} accepts alarms, but may not wake this machine; enable it: "
                f"powerd doctor --fix rtc_wakeup, or echo enabled > /sys/class/rtc/{rtc.name}/{_WAKEUP}"
            )
    started_at, previous = _read_time(rtc), _read_alarm(rtc)
    if (
        previous is not None
        and previous != request.replaces
        and started_at < previous <= started_at + request.in_seconds
    ):
        if previous < started_at + MIN_AHEAD:
            raise RefusalError(
                f"{rtc.name} has another program's alarm in {previous - started_at} s, which may elapse "
                "before the "
                "machine sleeps; try again after it"
            )
        return _read_back(rtc, previous)
    _write_alarm(rtc, request.in_seconds, previous)
    try:
        alarm = _read_back(rtc, previous, written=True)
        _require_confirmed(alarm, started_at, request.in_seconds)
    except (RefusalError, OSError):
        with contextlib.suppress(OSError):
            rtc.write("wakealarm", "0")  # the alarm that is set now is ours, and wrong
        _restore(rtc, previous)
        raise
    return alarm


def _write_alarm(rtc: RtcAttributes, in_seconds: int, previous: int | None) -> None:
    """Replace the alarm ``previous``; a refusal of the kernel becomes a sentence."""
    rtc.write("wakealarm", "0")
    try:
        rtc.write("wakealarm", f"+{in_seconds}")
    except OSError as error:
        _restore(rtc, previous)
        if error.errno == errno.EBUSY:
            detail = "another program set one at the same moment; try again"
        elif error.errno in {errno.EINVAL, errno.ERANGE, errno.EDOM}:
            detail = (
                "many clocks are limited to 24 hours or a month; request an earlier alarm, and "
                "renew it when awake"
            )
        else:
            detail = f"{error.strerror or error}; see its driver in dmesg"
        raise RefusalError(f"{rtc.name} accepts no alarm {in_seconds} s ahead: {detail}") from None


def _restore(rtc: RtcAttributes, previous: int | None) -> None:
    """Set the previous alarm again, if the RTC responds; EBUSY protects a newer one."""
    if previous is not None:
        with contextlib.suppress(OSError):  # the refusal that led here has the reason
            rtc.write("wakealarm", str(previous))


def _require_confirmed(alarm: AlarmResponse, started_at: int, in_seconds: int) -> None:
    """Require the alarm that was read back; ``started_at`` is the RTC's time before the write."""
    if alarm.at is None:
        raise RefusalError(
            f"{alarm.rtc} accepted an alarm {in_seconds} s ahead but shows none; see its driver in dmesg"
        )
    earliest, latest = started_at + in_seconds - _TOLERANCE, alarm.now + in_seconds + _TOLERANCE
    if not earliest <= alarm.at <= latest:
        raise RefusalError(
            f"{alarm.rtc} was set to an alarm {in_seconds} s ahead but shows one {alarm.in_seconds} s "
            "ahead; see its driver in dmesg"
        )


def _clear_alarm(rtc: RtcAttributes, at: int) -> AlarmResponse:
    previous = _read_alarm(rtc)
    if previous is None:
        return _read_back(rtc, previous)
    if previous != at:
        raise RefusalError(
            f"{rtc.name} has an alarm at {previous}, not at {at}: another program's alarm, which is "
            "not cleared; read it again"
        )
    rtc.write("wakealarm", "0")
    alarm = _read_back(rtc, previous)
    if alarm.at == at:
        raise RefusalError(f"{rtc.name} still shows the alarm that was cleared; see its driver in dmesg")
    return alarm


def _read_back(rtc: RtcAttributes, previous: int | None, *, written: bool = False) -> AlarmResponse:
    """The RTC's state, read now."""
    return AlarmResponse(
        rtc=rtc.name, now=_read_time(rtc), at=_read_alarm(rtc), before=previous, written=written
    )


def _read_time(rtc: RtcAttributes) -> int:
    now = _read_number(rtc, "since_epoch")
    if now is None:
        raise RefusalError(
            f"{rtc.name} reports no time; set it with hwclock --systohc, or replace its battery"
        )
    return now


def _read_alarm(rtc: RtcAttributes) -> int | None:
    return _read_number(rtc, "wakealarm")


def _read_number(rtc: RtcAttributes, attribute: str) -> int | None:
    """An attribute that is a number; None = it is empty."""
    text = rtc.read(attribute)
    if not text:
        return None
    if not (text.isascii() and text.isdigit()):
        raise RefusalError(f"{rtc.name}/{attribute} is not a number; see its driver in dmesg")
    return int(text)


def _sets_system_clock(rtc: Rtc) -> bool:
    """Whether the kernel set its clock from this RTC at boot (CONFIG_RTC_HCTOSYS_DEVICE)."""
    try:
        return rtc.read("hctosys") == "1"
    except OSError:
        return False
