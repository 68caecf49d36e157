"""Options of the health checks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from powerd.config.declare import option
from powerd.config.kinds import OptionType, duration, toml_string

_SMART_DAY: Final = 86400.0
_YEAR: Final = 365 * _SMART_DAY


def _time_of_day(value: object) -> int:
    found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)", value) if isinstance(value, str) else None
    if found is None:
        raise ValueError('a time of day is wanted, such as "12:00"')
    return int(found[1]) * 60 + int(found[2])


def time_of_day() -> OptionType[int]:
    """Minutes since midnight, written ``"12:00"``."""
    return OptionType(_time_of_day, lambda minutes: toml_string(f"{minutes // 60:02d}:{minutes % 60:02d}"))


@dataclass(frozen=True, slots=True)
class SelfTestOptions:
    """How often drives test themselves; the server stays awake and the disk spinning until they are done."""

    short: float = option(7 * _SMART_DAY, 'two minutes; "0s" = never', duration(0, _YEAR))
    long: float = option(30 * _SMART_DAY, 'hours; "0s" = never', duration(0, _YEAR))


@dataclass(frozen=True, slots=True)
class SmartOptions:
    """The check of each drive's health, which wakes none."""

    every: float = option(_SMART_DAY, '"0s" = never', duration(0, _YEAR))
    at: int = option(12 * 60, "preferred, local time; a sleeping disk is not woken for it ...", time_of_day())
    max_defer: float = option(7 * _SMART_DAY, "... until its last check is so old", duration(0, _YEAR))
    self_test: SelfTestOptions = SelfTestOptions()
