"""Devices of a simulated household: when they are at home, when they are used, and what they answer.

Sources of the figures: Android's push connection sends a heartbeat every 15 min on Wi-Fi, Apple's about twice
an hour; between them a phone sleeps, and only some Wi-Fi chips answer ARP for it. The network card of a PC in
S3 answers ARP if Wake-on-LAN is enabled (ARP offload).
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final, NamedTuple

from powerd.simulation.residents import HOUR, MINUTE, Period, Resident, moment
from powerd.simulation.timeline import Timeline, union

_NEVER: Final = Timeline()


class Doze(enum.Enum):
    """How an unused phone sleeps: the shortest and longest nap, and the shortest and longest answer."""

    SHORT = (2 * MINUTE, 15 * MINUTE, 40.0, 90.0)
    """Silent for up to 15 minutes, answering for a minute."""
    LONG = (8 * MINUTE, 32 * MINUTE, 20.0, 75.0)
    """Long naps, and some answers are shorter than the interval of the probes."""
    ARP = (5 * MINUTE, 40 * MINUTE, 5.0, 40.0)
    """The Wi-Fi chip answers ARP throughout."""


@dataclass(slots=True, kw_only=True)
class Device:
    """A device, and its true state in the simulated time.

    Attributes:
        name: its host name; its class of device is in no name that powerd would recognise.
        mac: its MAC address.
        there: it is at home and switched on, dozing or not; the network card of a sleeping PC alone is not.
        used: somebody uses it, or it exchanges data with the server.
        traffic: it exchanges data with the server.
        icmp, arp: when it answers; one in ``loss`` probes is lost.
        always_on: a lamp or a camera, which the owner has put on the list ``ignore``.
        wifi: it is a station of the access point while it is at home.
    """

    name: str
    number: int = 0
    mac: str
    there: Timeline
    used: Timeline
    icmp: Timeline
    arp: Timeline
    traffic: Timeline = field(default_factory=lambda: _NEVER)
    loss: float = 0.02
    always_on: bool = False
    wifi: bool = True

    @property
    def address(self) -> str:
        """Its IPv4 address."""
        return f"10.0.0.{self.number}"


class Draw(NamedTuple):
    """What the year of a device is drawn from."""

    period: Period
    random: Random


def _mac(random: Random, *, private: bool) -> str:
    """A MAC address; ``private`` = locally administered, as phones choose one per network."""
    first = 0x02 | random.randrange(64) << 2 if private else 0xD8
    return ":".join(f"{each:02x}" for each in (first, *(random.randrange(256) for _ in range(5))))


def _answers_while_dozing(there: Timeline, doze: Doze, random: Random) -> Iterator[tuple[float, float]]:
    """The moments for which a phone that lies about answers."""
    nap_min, nap_max, answer_min, answer_max = doze.value
    for begin, end in there:
        at = begin
        while at < end:
            at += random.uniform(nap_min, nap_max)
            answer = random.uniform(answer_min, answer_max)
            yield at, min(at + answer, end)
            at += answer


def _glances(awake: Timeline, random: Random, *, every: float) -> Iterator[tuple[float, float]]:
    """The times for which somebody looks at a phone: most are short."""
    for begin, end in awake:
        at = begin + random.uniform(0, 2 * MINUTE)  # on arrival and on waking up
        while at < end:
            length = min(random.lognormvariate(5.0, 1.0), HOUR)
            yield at, min(at + length, end)
            at += length + random.expovariate(1 / every)


def phone(  # noqa: PLR0913 - a phone is what its owner does and what its firmware does
    name: str,
    owner: Resident,
    doze: Doze,
    draw: Draw,
    *,
    off_at_night: bool = False,
    every: float = 25 * MINUTE,
) -> Device:
    """A phone that goes where its owner goes.

    Args:
        name: its host name.
        owner: whose it is.
        doze: how it sleeps.
        draw: what its year is drawn from.
        off_at_night: it is in flight mode while its owner sleeps.
        every: mean seconds between two looks at it.
    """
    period, random = draw
    nights = owner.home - owner.awake
    there = owner.awake if off_at_night else owner.home
    used = Timeline(_glances(owner.awake, random, every=every))
    sleepless, photos = [], []
    for begin, end in nights if not off_at_night else ():
        if random.random() < 0.12 and end - begin > HOUR:
            at = random.uniform(begin, end - 0.5 * HOUR)
            sleepless.append((at, at + random.uniform(3, 20) * MINUTE))
        if random.random() < 0.1 and end - begin > HOUR:
            at = random.uniform(begin, end - 0.5 * HOUR)
            photos.append((at, at + random.uniform(2, 25) * MINUTE))
    photos += [(begin, end) for begin, end in used if random.random() < 0.03]
    traffic = Timeline(photos) & there
    used = (used | Timeline(sleepless) | traffic) & there
    lingering = Timeline((begin, end + random.uniform(20, 180)) for begin, end in used)
    answers = (lingering | Timeline(_answers_while_dozing(there, doze, random))) & there
    return Device(
        name=name,
        mac=_mac(random, private=True),
        there=there & period.around,
        used=used,
        icmp=answers,
        arp=there if doze is Doze.ARP else answers,
        traffic=traffic,
        loss=0.05,
    )


def _sessions(
    awake: Timeline, random: Random, *, a_day: float, hours: tuple[float, float]
) -> Iterator[tuple[float, float]]:
    """Times at a computer."""
    for begin, end in awake:
        at = begin + random.expovariate(a_day / (16 * HOUR))
        while at < end:
            length = random.uniform(*hours) * HOUR
            yield at, min(at + length, end)
            at += length + random.expovariate(a_day / (16 * HOUR))


def computer(  # noqa: PLR0913 - as phone()
    name: str,
    owners: Sequence[Resident],
    draw: Draw,
    *,
    drops_icmp: bool = False,
    card_answers: bool = False,
    a_day: float = 2.0,
    hours: tuple[float, float] = (0.3, 4.0),
) -> Device:
    """A PC or a laptop that goes to sleep 5 to 30 minutes after the last key.

    Args:
        name: its host name.
        owners: the people who use it.
        draw: what its year is drawn from.
        drops_icmp: its firewall does.
        card_answers: its network card answers ARP while it sleeps; when shut down for the night it does not.
        a_day: sessions a day.
        hours: the shortest and the longest session.
    """
    period, random = draw
    awake = union(owner.awake for owner in owners)
    timeout = random.choice((5, 10, 15, 30)) * MINUTE
    on = Timeline((a, b + timeout) for a, b in _sessions(awake, random, a_day=a_day, hours=hours))
    if card_answers:  # Windows wakes up for its maintenance
        on |= Timeline(
            (at, at + 10 * MINUTE)
            for begin, _ in on
            if random.random() < 0.05 and (at := begin + random.uniform(6, 12) * HOUR)
        )
    traffic = []
    for begin, end in on:
        at = begin
        while random.random() < 0.5 and at < end:
            at = random.uniform(at, end)
            length = min(random.lognormvariate(6, 1), end - at)
            traffic.append((at, at + length))
            at += length
    shut_down = Timeline((b, on.next_begin(b)) for _, b in on if random.random() < 0.3)
    asleep = period.around - shut_down
    return Device(
        name=name,
        mac=_mac(random, private=False),
        there=on,
        used=on,
        icmp=_NEVER if drops_icmp else on,
        arp=on | asleep if card_answers else on,
        traffic=Timeline(traffic),
        loss=0.01,
        wifi=not card_answers,
    )


def television(name: str, viewers: Sequence[Resident], draw: Draw) -> Device:
    """A television that plays films from the server; its network stays up for a while after it."""
    period, random = draw
    awake = union(viewer.awake for viewer in viewers)
    shows = []
    for day in period.dates():
        if random.random() < 0.6:
            at = random.uniform(18.5, 21.5)
            shows.append((moment(day, at), moment(day, at + random.uniform(0.5, 3.5))))
    seen = Timeline(shows) & awake
    films = Timeline((begin + 3 * MINUTE, end) for begin, end in seen if random.random() < 0.5)
    on = Timeline((begin, end + 10 * MINUTE) for begin, end in seen)
    return Device(
        name=name,
        mac=_mac(random, private=False),
        there=on,
        used=on,
        icmp=_NEVER,
        arp=on,
        traffic=films,
    )


def always_on(name: str, draw: Draw) -> Device:
    """A lamp, a camera or a thermostat."""
    period, random = draw
    return Device(
        name=name,
        mac=_mac(random, private=False),
        there=period.around,
        used=_NEVER,
        icmp=period.around,
        arp=period.around,
        loss=0.05,
        always_on=True,
    )


def tablet(name: str, owner: Resident, doze: Doze, draw: Draw) -> Device:
    """A tablet that stays at home, and is charged at all times."""
    return phone(name, Resident(draw.period.around, owner.awake), doze, draw, every=4 * HOUR)
