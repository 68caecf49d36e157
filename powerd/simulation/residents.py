"""People of a simulated household: when they are home, and when they are awake; the same for the same seed.

The hours are guesses from experience, not fitted to powerd: what matters is that the homes differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, timedelta
from random import Random
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

from powerd.core.dataclass import dataclass
from powerd.simulation.timeline import Timeline

ZONE: Final = ZoneInfo("Europe/Berlin")
HOUR: Final = 3600.0
MINUTE: Final = 60.0
_SATURDAY: Final = 5
_FRIDAY: Final = 4

Outings: TypeAlias = Callable[[date, Random], Iterable[tuple[float, float]]]
"""When somebody is away from home on a day: hours of local time, past 24 too."""


@dataclass(frozen=True, slots=True)
class Habits:
    """The habits of a person.

    Attributes:
        outings: when they are away.
        wake, bed: the usual hours of getting up and of going to bed on working days; past 24 too.
        weekend: hours by which both are later on Saturday and Sunday.
        spread: standard deviation of both, hours.
    """

    outings: Outings
    wake: float = 6.8
    bed: float = 22.8
    weekend: float = 1.5
    spread: float = 0.5


@dataclass(frozen=True, slots=True)
class Resident:
    """The year of a person: at home, and awake at home."""

    home: Timeline
    awake: Timeline


@dataclass(frozen=True, slots=True)
class Period:
    """The simulated days, from the noon of ``begin`` on."""

    begin: date
    days: float

    def dates(self) -> Iterator[date]:
        """Every day, and one before and after."""
        return (self.begin + timedelta(days=day) for day in range(-1, int(self.days) + 2))

    @property
    def whole(self) -> Timeline:
        """The simulated time."""
        noon = moment(self.begin, 12)
        return Timeline([(noon, noon + self.days * 24 * HOUR)])

    @property
    def around(self) -> Timeline:
        """The simulated time and some days more."""
        return Timeline([(moment(self.begin, -24), moment(self.begin, 24 * self.days + 72))])


def moment(day: date, hour: float) -> float:
    """POSIX seconds of an hour of local time; past 24 on the next day."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZONE) + timedelta(days=hour // 24)
    return (midnight + timedelta(hours=hour % 24)).timestamp()


def is_weekend(day: date) -> bool:
    """Saturday and Sunday."""
    return day.weekday() >= _SATURDAY


def make_resident(habits: Habits, period: Period, holidays: Timeline, random: Random) -> Resident:
    """Draw the year of a person."""
    away, awake = [], []
    for day in period.dates():
        later = habits.weekend if is_weekend(day) else 0.0
        up = habits.wake + later + random.gauss(0, habits.spread)
        bed = habits.bed + later * (day.weekday() != _SATURDAY + 1) + random.gauss(0, habits.spread)
        awake.append((moment(day, up), moment(day, max(bed, up + 1))))
        away += [(moment(day, begin), moment(day, end)) for begin, end in habits.outings(day, random)]
    out = Timeline(away)
    # A person who comes home late is awake for a while.
    awake += [(end, end + random.uniform(0.2, 1.0) * HOUR) for _, end in out]
    home = period.around - (out | holidays)
    return Resident(home, Timeline(awake) & home)


def draw_holidays(period: Period, random: Random, *, journeys: int = 3) -> Timeline:
    """Journeys of the whole household in a year: long weekends and weeks."""
    found = []
    for _ in range(round(journeys * period.days / 365)):
        day = period.begin + timedelta(days=random.randrange(max(int(period.days), 1)))
        found.append(
            (moment(day, random.uniform(7, 18)), moment(day, 24 * random.choice((2, 3, 7, 10, 14)) + 19))
        )
    return Timeline(found)


def office(day: date, random: Random) -> Iterator[tuple[float, float]]:
    """Office hours on working days; errands and evenings out."""
    if not is_weekend(day) and random.random() > 0.06:
        leaves = random.gauss(7.9, 0.25)
        yield leaves, leaves + random.gauss(9.6, 0.7)
    yield from leisure(day, random)


def leisure(day: date, random: Random) -> Iterator[tuple[float, float]]:
    """Errands, evenings out, and trips on weekends."""
    if random.random() < 0.35:
        begin = random.uniform(17.8, 19.5)
        yield begin, begin + random.uniform(0.4, 2.5)
    if random.random() < (0.3 if day.weekday() in {_FRIDAY, _SATURDAY} else 0.06):
        begin = random.uniform(19, 21)
        yield begin, begin + random.uniform(2, 6)
    if is_weekend(day):
        begin = random.uniform(9.5, 14)
        if random.random() < 0.75:
            yield begin, begin + random.uniform(0.7, 6)


def student(day: date, random: Random) -> Iterator[tuple[float, float]]:
    """Lectures at odd hours, nights out, weekends with the parents."""
    if not is_weekend(day):
        for _ in range(random.choice((0, 1, 1, 2))):
            begin = random.uniform(8, 16)
            yield begin, begin + random.uniform(1.5, 5)
    if random.random() < 0.35:
        begin = random.uniform(19, 22.5)
        yield begin, begin + random.uniform(2, 8)
    if day.weekday() == _FRIDAY and random.random() < 0.3:
        yield random.uniform(13, 18), 24 * 2 + random.uniform(16, 22)


def shifts(day: date, random: Random) -> Iterator[tuple[float, float]]:
    """Early, late and night shifts by the week, also on weekends."""
    week = day.toordinal() // 7 % 3
    if day.toordinal() % 7 < 5:
        begin = (5.3, 13.2, 21.2)[week] + random.gauss(0, 0.15)
        yield begin, begin + random.gauss(9.2, 0.3)
    elif random.random() < 0.7:
        begin = random.uniform(10, 17)
        yield begin, begin + random.uniform(1, 6)


def home_office(day: date, random: Random) -> Iterator[tuple[float, float]]:
    """Works at home: out for lunch, for a meeting now and then, and in the evening."""
    if not is_weekend(day) and random.random() < 0.6:
        begin = random.uniform(11.8, 13)
        yield begin, begin + random.uniform(0.3, 1)
    if not is_weekend(day) and random.random() < 0.2:
        begin = random.uniform(8, 10)
        yield begin, begin + random.uniform(5, 10)
    yield from leisure(day, random)


def retired(day: date, random: Random) -> Iterator[tuple[float, float]]:
    """Out for some hours on most days."""
    for begin in (random.uniform(9, 11), random.uniform(14.5, 16)):
        if random.random() < 0.5:
            yield begin, begin + random.uniform(0.5, 3)
    if day.weekday() == 2 and random.random() < 0.6:
        yield 18.5, random.uniform(21, 23)


def weekend_commuter(day: date, random: Random) -> Iterator[tuple[float, float]]:
    """Home from Friday evening to Monday morning."""
    if day.weekday() == 0:
        yield random.uniform(4.8, 6), 24 * 4 + random.uniform(17, 22)
    if is_weekend(day):
        yield from leisure(day, random)


def school(day: date, random: Random) -> Iterator[tuple[float, float]]:
    """School, friends and sports."""
    if not is_weekend(day):
        yield random.gauss(7.5, 0.1), random.uniform(13, 16)
    if random.random() < 0.4:
        begin = random.uniform(15, 17)
        yield begin, begin + random.uniform(1, 3)
