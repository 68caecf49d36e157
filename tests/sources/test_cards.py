from __future__ import annotations

from pathlib import Path

import pytest
from scripted import Stopped
from sources.village import lan_of, link

from powerd.board import Facts
from powerd.config import Options, parse
from powerd.host import files
from powerd.host.eyes import under
from powerd.host.values import FileMark, HostError, Lan
from powerd.model import CARDS, RHYTHM, Blind, Card, Seen
from powerd.rehearse.loop import run
from powerd.sources.cards import Cards
from powerd.sources.runner import Extent

SUSPEND = '[[sleep]]\naction = "suspend"\n'
COMMAND = '[[sleep]]\naction = "command"\ncommand = ["/bin/true"]\n'


class Rack:
    """A machine with network cards, and what lies above them, in a tree of files like /sys."""

    def __init__(self, root: Path, *links: str) -> None:
        self.root = root
        self.links = links
        self.refused: set[str] = set()
        self.asked: list[str] = []

    def hardware(self, *names: str) -> Rack:
        for name in names:
            device = self.root / "sys/class/net" / name / "device"
            device.mkdir(parents=True)
            (device / "uevent").write_text("DRIVER=e1000\n")
        return self

    def above(self, name: str, *lower: str) -> Rack:
        where = self.root / "sys/class/net" / name
        where.mkdir(parents=True, exist_ok=True)
        for each in lower:
            below = self.root / "sys/class/net" / each
            below.mkdir(parents=True, exist_ok=True)
            (below / "ifindex").write_text("2\n")
            (where / f"lower_{each}").symlink_to(below)
        return self

    def find(self, pattern: str) -> tuple[str, ...]:
        return files.find(self.root, pattern)

    def mark(self, path: str) -> FileMark | None:
        return files.mark(under(self.root, path), path)

    async def lan(self) -> Lan:
        return lan_of(*(link(n, name=name) for n, name in enumerate(self.links, 2)))

    async def card(self, interface: str) -> Card:
        self.asked.append(interface)
        if interface in self.refused:
            raise HostError("no helper listens")
        return Card(interface, "pumbg", "g")


def options(text: str) -> Options:
    return parse(text.encode(), "test")


def look(rack: Rack, text: str = SUSPEND) -> Facts:
    async def once() -> Facts:
        return await Cards(rack, Stopped(), options(text)).look(Extent.ROUND)

    return run(once())


def names(rack: Rack) -> list[str]:
    return sorted(look(rack).cards or {})


def test_each_card_that_leads_to_a_lan_is_asked(tmp_path: Path) -> None:
    rack = Rack(tmp_path, "eth0", "wlan0").hardware("eth0", "wlan0", "eth9")
    rack.refused = {"wlan0"}
    armed = Seen(0.0, Card("eth0", "pumbg", "g"))
    cards: dict[str, Seen[Card] | Blind] = {"eth0": armed, "wlan0": Blind(0.0, "no helper listens")}
    assert look(rack) == Facts(Seen(0.0, ()), cards=cards)


def test_what_lies_upon_a_card_is_not_what_wakes_the_server(tmp_path: Path) -> None:
    rack = Rack(tmp_path, "br0", "lan.7").hardware("eth0", "eth1", "eth2")
    rack.above("br0", "bond0", "veth1").above("bond0", "eth0", "eth1").above("lan.7", "eth2")
    assert names(rack) == ["eth0", "eth1", "eth2"]


def test_a_card_below_two_links_is_asked_once(tmp_path: Path) -> None:
    rack = Rack(tmp_path, "eth0", "lan.7").hardware("eth0").above("lan.7", "eth0")
    assert names(rack) == ["eth0"]
    assert rack.asked == ["eth0"]


@pytest.mark.parametrize("links", [(), ("veth0",), ("gone0",)])
def test_where_there_is_no_hardware_there_is_no_card(tmp_path: Path, links: tuple[str, ...]) -> None:
    rack = Rack(tmp_path, *links).above("veth0")
    assert look(rack) == Facts(Seen(0.0, ()), cards={})


def test_a_ring_of_devices_is_no_endless_way(tmp_path: Path) -> None:
    """The kernel makes none; but whoever follows links does so for a bounded while."""
    rack = Rack(tmp_path, "a").above("a", "b")
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
    rack = Rack(tmp_path, "eth0").hardware("eth0")
    look(rack, text)
    assert bool(rack.asked) is asked


def test_a_day_is_often_enough() -> None:
    assert Cards.every == RHYTHM[CARDS] == 86_400
