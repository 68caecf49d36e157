"""Twelve kinds of home, each drawn from a seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date
from random import Random
from typing import Final

from powerd.simulation.devices import Device, Doze, Draw, always_on, computer, phone, tablet, television
from powerd.simulation.residents import (
    HOUR,
    MINUTE,
    Habits,
    Outings,
    Period,
    Resident,
    draw_holidays,
    home_office,
    make_resident,
    moment,
    office,
    retired,
    school,
    shifts,
    student,
    weekend_commuter,
)
from powerd.simulation.timeline import Timeline, union

BEGIN: Final = date(2026, 3, 2)
"""The year contains both changes of the clocks."""


@dataclass(slots=True)
class SimulatedHome:
    """A home, and its true state.

    Attributes:
        kind: what kind of home it is.
        period: the simulated days.
        devices: the devices.
        work: a job of the server's own runs, as a backup.
        access_point: the server is the access point (hostapd).
        lease_time: duration of a DHCP lease, seconds.
    """

    kind: str
    period: Period
    devices: list[Device]
    work: Timeline
    access_point: bool = False
    lease_time: float = 12 * HOUR
    there: Timeline = field(init=False)
    used: Timeline = field(init=False)

    def __post_init__(self) -> None:
        counted = [device for device in self.devices if not device.always_on]
        self.there = union(device.there for device in counted) & self.period.whole
        self.used = union(device.used for device in counted) & self.period.whole

    def next_use(self, asleep: float) -> float:
        """When somebody uses a device and wakes the server next; the end of the period at the latest."""
        ((_, end),) = self.period.whole
        return max(min(self.used.next_begin(asleep), end), asleep + MINUTE)


@dataclass(slots=True)
class _HomeBuilder:
    """A home that is being drawn."""

    draw: Draw
    holidays: Timeline
    devices: list[Device] = field(default_factory=list)

    def resident(self, outings: Outings, **habits: float) -> Resident:
        return make_resident(Habits(outings, **habits), self.draw.period, self.holidays, self.draw.random)

    def add(self, *devices: Device) -> None:
        for number, device in enumerate(devices, 10 + len(self.devices)):
            device.number = number
            self.devices.append(device)

    def phone(self, name: str, owner: Resident, doze: Doze, *, off_at_night: bool = False) -> None:
        self.add(phone(name, owner, doze, self.draw, off_at_night=off_at_night))

    def computer(
        self,
        name: str,
        *owners: Resident,
        drops_icmp: bool = False,
        card_answers: bool = False,
        a_day: float = 2.0,
        hours: tuple[float, float] = (0.3, 4.0),
    ) -> None:
        self.add(
            computer(
                name,
                owners,
                self.draw,
                drops_icmp=drops_icmp,
                card_answers=card_answers,
                a_day=a_day,
                hours=hours,
            )
        )

    def television(self, *viewers: Resident) -> None:
        self.add(television("tv", viewers, self.draw))


def _couple(home: _HomeBuilder) -> None:
    """Two office workers whose phones doze; a PC that sleeps, a laptop that drops ICMP, a television."""
    anna, ben = home.resident(office), home.resident(office, bed=23.4)
    home.phone("anna-phone", anna, Doze.SHORT)
    home.phone("ben-phone", ben, Doze.SHORT)
    home.computer("pc", ben, card_answers=True)
    home.computer("laptop", anna, drops_icmp=True)
    home.television(anna, ben)


def _students(home: _HomeBuilder) -> None:
    """Three students with odd hours, phones of all three dozing habits, and laptops."""
    people = [home.resident(student, wake=9, bed=25.3, spread=1.3) for _ in range(3)]
    for number, (person, doze) in enumerate(zip(people, Doze, strict=True)):
        home.phone(f"android-{number}", person, doze)
        home.computer(f"laptop-{number}", person, drops_icmp=number == 1)


def _shift_workers(home: _HomeBuilder) -> None:
    """A nurse and a policeman; the computer is used at any hour."""
    one = home.resident(shifts, wake=9, bed=24.5, spread=1.5)
    two = home.resident(office, bed=22)
    home.phone("galaxy", one, Doze.LONG)
    home.phone("iphone", two, Doze.SHORT)
    home.computer("pc", one, two, card_answers=True)


def _home_worker(home: _HomeBuilder) -> None:
    """Somebody works at home on a desktop computer all day."""
    one, two = home.resident(home_office, bed=23), home.resident(office)
    home.phone("pixel", one, Doze.ARP)
    home.phone("iphone", two, Doze.LONG)
    home.computer("desktop", one, card_answers=True, a_day=3, hours=(1, 5))
    home.computer("laptop", two, drops_icmp=True, a_day=1)
    home.television(one, two)


def _family(home: _HomeBuilder) -> None:
    """Parents and two children; a tablet that is always at home, and a console."""
    parents = [home.resident(office), home.resident(home_office)]
    children = [home.resident(school, wake=6.7, bed=21), home.resident(school, wake=6.9, bed=20)]
    for name, owner, doze in zip(("mum", "dad", "lena"), (*parents, children[0]), Doze, strict=True):
        home.phone(name, owner, doze)
    home.add(tablet("tablet", children[1], Doze.LONG, home.draw))
    home.computer("console", *children, drops_icmp=True)
    home.television(*parents, *children)


def _flight_mode(home: _HomeBuilder) -> None:
    """Both phones are off at night."""
    anna, ben = home.resident(office), home.resident(office)
    home.phone("anna", anna, Doze.SHORT, off_at_night=True)
    home.phone("ben", ben, Doze.ARP, off_at_night=True)
    home.computer("laptop", anna, ben, drops_icmp=True)


def _retired(home: _HomeBuilder) -> None:
    """At home most of the time; phones with long naps lie beside the bed."""
    one, two = home.resident(retired, weekend=0, bed=22), home.resident(retired, weekend=0, wake=8)
    home.phone("redmi", one, Doze.LONG)
    home.phone("nokia", two, Doze.LONG)
    home.computer("pc", one, card_answers=True, a_day=1)
    home.television(one, two)


def _guests(home: _HomeBuilder) -> None:
    """A couple with guests who stay for a night or three; each brings a phone that was never seen."""
    anna, ben = home.resident(office), home.resident(office)
    home.phone("anna", anna, Doze.SHORT)
    home.phone("ben", ben, Doze.ARP)
    home.computer("laptop", anna, ben)
    period, random = home.draw
    for visit in range(max(1, round(period.days / 12))):
        begin = moment(period.begin, 24 * random.uniform(0, period.days) + 17)
        stay = Timeline([(begin, begin + random.choice((4, 5, 16, 18, 40, 66)) * HOUR)])
        guest = home.resident(retired, bed=24)
        doze = random.choice(list(Doze))
        home.phone(f"guest-{visit}", Resident(guest.home & stay, guest.awake & stay), doze)


def _lamps(home: _HomeBuilder) -> None:
    """Somebody who lives alone with lamps and cameras that are always on, and ignored."""
    one = home.resident(office)
    home.phone("iphone", one, Doze.LONG)
    home.computer("laptop", one)
    home.add(*(always_on(f"lamp-{number}", home.draw) for number in range(4)))


def _commuter(home: _HomeBuilder) -> None:
    """SimulatedHome from Friday to Monday only."""
    one = home.resident(weekend_commuter)
    home.phone("pixel", one, Doze.ARP)
    home.computer("laptop", one, drops_icmp=True)
    home.television(one)


def _alone(home: _HomeBuilder) -> None:
    """One person, one phone with short naps, one PC whose card answers ARP for hours."""
    one = home.resident(office, bed=24)
    home.phone("moto", one, Doze.SHORT)
    home.computer("pc", one, card_answers=True, a_day=1.5)


def _access_point(home: _HomeBuilder) -> None:
    """The server is the access point, so that it knows its stations."""
    one, two = home.resident(shifts, wake=8.5, bed=24), home.resident(student, wake=9, bed=25)
    home.phone("iphone", one, Doze.LONG)
    home.phone("pixel", two, Doze.SHORT)
    home.computer("laptop", two, drops_icmp=True)


KINDS: Final[dict[str, Callable[[_HomeBuilder], None]]] = {
    "couple": _couple,
    "students": _students,
    "shift workers": _shift_workers,
    "works at home": _home_worker,
    "family": _family,
    "flight mode": _flight_mode,
    "retired": _retired,
    "guests": _guests,
    "lamps": _lamps,
    "commuter": _commuter,
    "alone": _alone,
    "access point": _access_point,
}


def make_home(kind: str, *, days: float = 365, seed: int = 1) -> SimulatedHome:
    """Draw a home; the same for the same arguments."""
    random = Random(f"{kind} {seed}")  # noqa: S311 - the same home for the same seed is the purpose
    period = Period(BEGIN, days)
    draft = _HomeBuilder(Draw(period, random), draw_holidays(period, random))
    KINDS[kind](draft)
    home = SimulatedHome(
        kind, period, draft.devices, _jobs(period, random), access_point=kind == "access point"
    )
    return replace(home, lease_time=HOUR) if kind == "students" else home


def _jobs(period: Period, random: Random) -> Timeline:
    """A backup every night, and now and then a long job that somebody has started in the evening."""
    jobs = []
    for day in period.dates():
        jobs.append((moment(day, 27), moment(day, 27) + random.uniform(4, 45) * MINUTE))
        if random.random() < 0.08:
            at = random.uniform(20, 24)
            jobs.append((moment(day, at), moment(day, at + random.uniform(0.5, 6))))
    return Timeline(jobs)
