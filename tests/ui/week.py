"""A week of a server for tests of views: nights asleep, evenings in use, and a warning called off."""

from __future__ import annotations

from collections.abc import Iterator

from ui.statuses import NOW

from powerd.history.model import SERVER, DiskWake, Interval, Record, SleepRecord, Subject, changes_of

_DAY = 86_400.0
_HOUR = 3600.0
_UNTIL = NOW.wall.timestamp()


def week(disk: str) -> Record:
    """The record of seven days; ``disk`` is the id of the one that spins for 4 h a day, and cron wakes."""
    midnight = _UNTIL - 21 * _HOUR - 16 * 60
    begins = [midnight - day * _DAY for day in range(6, -1, -1)]
    sleeps = [_sleep(begin + 1 * _HOUR, begin + 7 * _HOUR) for begin in begins]
    called_off = SleepRecord(
        begin=begins[-1] + 0.5 * _HOUR,
        action="suspend",
        rule=0,
        mode="enforce",
        result="called-off",
        called_off_by="anna-phone: is home",
    )
    wakes = tuple(DiskWake(begin + 17 * _HOUR, disk, 3 * _HOUR, "cron.service") for begin in begins)
    return Record(
        _UNTIL - 7 * _DAY, _UNTIL, (*sleeps, called_off), changes_of([*_intervals(begins, disk)]), wakes
    )


def _sleep(begin: float, end: float) -> SleepRecord:
    return SleepRecord(begin, "suspend", 0, "enforce", "slept", end, end - begin, woken_by="alarm")


def _intervals(begins: list[float], disk: str) -> Iterator[Interval]:
    phone, copy = (
        Subject("client", "p", "anna-phone"),
        Subject("activity", "disk_io", "sda", "smbd.service writes"),
    )
    drive = Subject("disk", disk, "sda")
    for begin in begins:
        for hours, state in ((0, "idle"), (7, "awake"), (9, "idle"), (17, "awake"), (23, "idle")):
            ends = {0: 7, 7: 9, 9: 17, 17: 23, 23: 24}
            yield Interval(SERVER, state, begin + hours * _HOUR, min(begin + ends[hours] * _HOUR, _UNTIL))  # type: ignore[arg-type] # literals of State
        yield Interval(phone, "present", begin + 7 * _HOUR, begin + 9 * _HOUR)
        yield Interval(phone, "present", begin + 17 * _HOUR, min(begin + 23 * _HOUR, _UNTIL))
        yield Interval(copy, "active", begin + 20 * _HOUR, begin + 21 * _HOUR)
        yield Interval(drive, "spinning", begin + 17 * _HOUR, begin + 21 * _HOUR)
        yield Interval(drive, "standby", begin, begin + 17 * _HOUR)
        yield Interval(drive, "standby", begin + 21 * _HOUR, min(begin + 24 * _HOUR, _UNTIL))
