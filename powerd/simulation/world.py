"""A household that follows a script: people come and go, the server's link fails, clocks are set.

It implements the ports; everything above them is the real daemon.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from powerd.linux.ports import Ports
from powerd.linux.values import ProbeOutcome, ProbeReply
from powerd.simulation.lan import ANSWERS, LEASES, SILENT, SimulatedLan
from powerd.simulation.machine import SimulatedMachine

_CARD_UEVENT = "/sys/class/net/eth0/device/uevent"


@dataclass(slots=True)
class Person:
    """A person's device: its addresses, and whether it is home at a true time (POSIX seconds)."""

    name: str
    address: str
    mac: str
    is_home: Callable[[float], bool]
    answers_icmp: bool = True


@dataclass
class Household(SimulatedLan, SimulatedMachine):
    """The server, its LAN, and the people with devices.

    Attributes:
        people: the people; each has an endless lease.
    """

    people: Sequence[Person] = ()

    def __post_init__(self) -> None:
        self.files[_CARD_UEVENT] = "DRIVER=e1000\n"
        self.files[LEASES] = "".join(
            f"0 {person.mac} {person.address} {person.name} *\n" for person in self.people
        )

    def ports(self) -> Ports:
        """All ports."""
        return Ports(self, self, self, self, self, self.read_wakeup_state)

    def scripted_reply(self, address: str) -> ProbeReply:
        """A device at home replies at once."""
        for person in self.people:
            if person.address == address and person.is_home(self.clock.true_time()):
                if person.answers_icmp:
                    return ANSWERS
                return ProbeReply(
                    icmp=ProbeOutcome.SILENT, arp=ProbeOutcome.ANSWERED, rtt=0.001, macs=(person.mac,)
                )
        return self.replies.get(address, SILENT)


def posix_time(zone: tzinfo, text: str, days: float = 0) -> float:
    """POSIX seconds of ``2026-03-28 23:00`` in ``zone``, plus ``days``."""
    return (datetime.fromisoformat(text).replace(tzinfo=zone) + timedelta(days=days)).timestamp()
