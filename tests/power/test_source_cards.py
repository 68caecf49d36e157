from __future__ import annotations

from pathlib import Path

import pytest
from fakes.unused_ports import UnusedPorts

from powerd.config.load import parse
from powerd.config.options import Options
from powerd.core.poller import PollDepth
from powerd.core.state import PollResult
from powerd.core.time import Reading, Unavailable
from powerd.linux.files import HostFiles
from powerd.linux.values import HostError, Lan, StatSignature
from powerd.power.model import NETWORK_CARDS, POLL_INTERVALS, NetworkCard, NetworkCardFacts
from powerd.power.source import NetworkCardSource
from powerd.simulation.clock import StoppedClock
from powerd.simulation.lan import link, make_lan
from powerd.simulation.virtual_loop import run

SUSPEND = '[[sleep]]\naction = "suspend"\n'
COMMAND = '[[sleep]]\naction = "command"\ncommand = ["/bin/true"]\n'


class FakeCards(UnusedPorts):
    """A machine with network cards, and what lies above them, in a tree of files like /sys."""

    def __init__(self, root: Path, *links: str) -> None:
        self.root = root
        self.links = links
        self.refused: set[str] = set()
        self.asked: list[str] = []

    def hardware(self, *names: str) -> FakeCards:
        for name in names:
            device = self.root / "sys/class/net" / name / "device"
            device.mkdir(parents=True)
            (device / "uevent").write_text("DRIVER=e1000\n")
        return self

    def above(self, name: str, *lower: str) -> FakeCards:
        where = self.root / "sys/class/net" / name
        where.mkdir(parents=True, exist_ok=True)
        for each in lower:
            below = self.root / "sys/class/net" / each
            below.mkdir(parents=True, exist_ok=True)
            (below / "ifindex").write_text("2\n")
            (where / f"lower_{each}").symlink_to(below)
        return self

    def find(self, pattern: str) -> tuple[str, ...]:
        return HostFiles(self.root).find(pattern)

    def stat_signature(self, path: str) -> StatSignature | None:
        return HostFiles(self.root).stat_signature(path)

    async def lan(self) -> Lan:
        return make_lan(*(link(n, name=name) for n, name in enumerate(self.links, 2)))

    async def read_card(self, interface: str) -> NetworkCard:
        self.asked.append(interface)
        if interface in self.refused:
            raise HostError("no helper listens")
        return NetworkCard(interface, "pumbg", "g")


def options(text: str) -> Options:
    return parse(text.encode(), "test")


def poll(rack: FakeCards, text: str = SUSPEND) -> PollResult:
    async def once() -> PollResult:
        return await NetworkCardSource(rack, rack, rack, StoppedClock(), lambda: options(text)).poll(
            PollDepth.ROUTINE
        )

    return run(once())


def names(rack: FakeCards) -> list[str]:
    return sorted(poll(rack).part(NetworkCardFacts).network_cards or {})


def test_each_card_of_a_lan_is_queried(tmp_path: Path) -> None:
    rack = FakeCards(tmp_path, "eth0", "wlan0").hardware("eth0", "wlan0", "eth9")
    rack.refused = {"wlan0"}
    armed = Reading(0.0, NetworkCard("eth0", "pumbg", "g"))
    cards: dict[str, Reading[NetworkCard] | Unavailable] = {
        "eth0": armed,
        "wlan0": Unavailable(0.0, "no helper listens"),
    }
    assert poll(rack) == PollResult(Reading(0.0, ()), (NetworkCardFacts(cards),))


def test_what_lies_upon_a_card_is_not_what_wakes_the_server(tmp_path: Path) -> None:
    rack = FakeCards(tmp_path, "br0", "lan.7").hardware("eth0", "eth1", "eth2")
    rack.above("br0", "bond0", "veth1").above("bond0", "eth0", "eth1").above("lan.7", "eth2")
    assert names(rack) == ["eth0", "eth1", "eth2"]


def test_a_card_below_two_links_is_asked_once(tmp_path: Path) -> None:
    rack = FakeCards(tmp_path, "eth0", "lan.7").hardware("eth0").above("lan.7", "eth0")
    assert names(rack) == ["eth0"]
    assert rack.asked == ["eth0"]


@pytest.mark.parametrize("links", [(), ("veth0",), ("gone0",)])
def test_where_there_is_no_hardware_there_is_no_card(tmp_path: Path, links: tuple[str, ...]) -> None:
    rack = FakeCards(tmp_path, *links).above("veth0")
    assert poll(rack) == PollResult(Reading(0.0, ()), (NetworkCardFacts({}),))


def test_a_cycle_of_devices_ends(tmp_path: Path) -> None:
    """The kernel makes none, but following links ends nevertheless."""
    rack = FakeCards(tmp_path, "a").above("a", "b")
    (rack.root / "sys/class/net/b/lower_a").symlink_to(rack.root / "sys/class/net/a")
    (rack.root / "sys/class/net/a/ifindex").write_text("2\n")
    assert names(rack) == []


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        (SUSPEND, True),
        (COMMAND, False),
        (COMMAND + SUSPEND, True),
        ("", False),
        (COMMAND + "[wake]\narm_lan = true\n", True),
    ],
)
def test_nobody_is_asked_where_nobody_needs_to_know(*, tmp_path: Path, text: str, asked: bool) -> None:
    rack = FakeCards(tmp_path, "eth0").hardware("eth0")
    poll(rack, text)
    assert bool(rack.asked) is asked


def test_a_day_is_often_enough() -> None:
    assert NetworkCardSource.poll_interval == POLL_INTERVALS[NETWORK_CARDS] == 86_400
