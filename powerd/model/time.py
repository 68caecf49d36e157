"""When something was true, and what a sensor says of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Moment:
    """One reading of the kernel's clocks.

    Attributes:
        mono: CLOCK_MONOTONIC, seconds; stands still while the machine sleeps.
        slept: CLOCK_BOOTTIME - CLOCK_MONOTONIC, seconds; grows by exactly the time asleep.
        wall: the civil time, aware; may step at any time.
    """

    mono: float
    slept: float
    wall: datetime


@dataclass(frozen=True, slots=True)
class Reading(Generic[T_co]):
    """A sensor's word: ``value`` was true at ``at``."""

    at: float
    value: T_co


@dataclass(frozen=True, slots=True)
class Unavailable:
    """A sensor that cannot say, and why: one sentence with what, where and the remedy."""

    at: float
    reason: str
