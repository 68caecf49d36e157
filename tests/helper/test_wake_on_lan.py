"""Wake-on-LAN: cards that can, cards that cannot, what is not a card, and the real kernel's own words."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pytest
from rig.lan import Lan
from rig.namespace import inside

from powerd.helper import wake_on_lan
from powerd.helper.errors import RefusalError
from powerd.helper.protocol.messages import ArmCard, ReadCard
from powerd.power.model import NetworkCard


@dataclass
class Driver:
    """A card's driver: what it supports, what is armed, and what it says instead."""

    supported: str = "umbg"
    armed: str = ""
    refuses: int | None = None
    forgets: bool = False
    added: list[str] = field(default_factory=list)

    def modes(self, interface: str) -> tuple[str, str]:
        assert interface == "eth0"
        if self.refuses is not None:
            raise OSError(self.refuses, os.strerror(self.refuses))
        return self.supported, self.armed

    def add(self, interface: str, letters: str) -> None:
        assert interface == "eth0"
        self.added.append(letters)
        if not self.forgets:
            self.armed += letters


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A /sys/class/net with a card, a bridge, and the one file that stands among them."""
    net = tmp_path / "sys/class/net"
    (net / "eth0/device").mkdir(parents=True)
    (net / "br0").mkdir()
    (net / "bonding_masters").write_text("bond0\n")
    return tmp_path


def test_read(root: Path) -> None:
    assert wake_on_lan.execute(ReadCard("eth0"), root, Driver()) == NetworkCard("eth0", "umbg", "")
    assert wake_on_lan.execute(ReadCard("eth0"), root, Driver("", "")) == NetworkCard("eth0", "", "")


def test_arm_adds_the_magic_packet_to_what_is_armed(root: Path) -> None:
    driver = Driver(armed="u")
    assert wake_on_lan.execute(ArmCard("eth0"), root, driver) == NetworkCard("eth0", "umbg", "ug")
    assert driver.added == ["g"]


def test_an_armed_card_is_not_written_to(root: Path) -> None:
    driver = Driver(armed="g")
    assert wake_on_lan.execute(ArmCard("eth0"), root, driver).armed == "g"
    assert driver.added == []


def test_arming_is_believed_when_read_back(root: Path) -> None:
    with pytest.raises(RefusalError, match="does not report it"):
        wake_on_lan.execute(ArmCard("eth0"), root, Driver(forgets=True))


def test_a_card_that_wakes_otherwise_only_is_not_armed(root: Path) -> None:
    driver = Driver(supported="p")
    with pytest.raises(RefusalError, match=r"eth0 .*magic packet"):
        wake_on_lan.execute(ArmCard("eth0"), root, driver)
    assert driver.added == []


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (
            errno.EOPNOTSUPP,
            "eth0 cannot wake this machine by magic packet: its driver has no support; use an alarm",
        ),
        (errno.ENODEV, "eth0 is no longer a network interface"),
        (errno.ENOENT, "this kernel has no ethtool netlink"),
        (errno.EPERM, "only with CAP_NET_ADMIN; run the helper as its service"),
        (errno.EIO, "eth0 does not answer: Input/output error"),
    ],
)
def test_refusals_of_the_kernel_are_sentences(root: Path, code: int, says: str) -> None:
    for request in (ReadCard("eth0"), ArmCard("eth0")):
        with pytest.raises(RefusalError, match=says):
            wake_on_lan.execute(request, root, Driver(refuses=code))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("eth9", "there is no network interface eth9"),
        ("bonding_masters", "there is no network interface bonding_masters"),
        ("...", "there is no network interface"),
        ("br0", "br0 is a virtual interface"),
    ],
)
def test_what_is_no_card_is_never_asked(root: Path, name: str, says: str) -> None:
    for request in (ReadCard(name), ArmCard(name)):
        with pytest.raises(RefusalError, match=says):
            wake_on_lan.execute(request, root, Driver(refuses=errno.EIO))


@pytest.mark.lan
def test_the_real_kernel_reports_that_a_veth_cannot(root: Path, tmp_path: Path) -> None:
    """It is given a device in sysfs here, so that the kernel is asked; its driver knows no Wake-on-LAN."""
    with Lan(tmp_path) as lan, inside(lan.server.inside.name):
        for request in (ReadCard("eth0"), ArmCard("eth0")):
            with pytest.raises(RefusalError, match=r"eth0.*driver"):
                wake_on_lan.execute(request, root, wake_on_lan.EthtoolNetlink())
        with pytest.raises(OSError, match="No such device") as caught:
            wake_on_lan.EthtoolNetlink().add("nope", "g")
        assert caught.value.errno == errno.ENODEV


def test_loopback_is_no_card_by_the_real_sysfs() -> None:
    with pytest.raises(RefusalError, match="lo is a virtual"):
        wake_on_lan.execute(ReadCard("lo"), Path("/"), wake_on_lan.EthtoolNetlink())


class ForgedNetlinkSocket:
    """A netlink socket with a reply of another process; the kernel sends none."""

    def __init__(self) -> None:
        forged = Path(__file__).parent / "recorded/newfamily.hex"
        self.datagrams = [(bytes.fromhex(forged.read_text()), (4711, 0))]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.datagrams == []

    def sendto(self, data: bytes, _to: tuple[int, int]) -> int:
        return len(data)

    def recvfrom(self, _room: int) -> tuple[bytes, tuple[int, int]]:
        if not self.datagrams:
            raise TimeoutError
        return self.datagrams.pop()


def test_a_forged_datagram_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any process may send to a netlink socket; only the kernel's port is 0."""
    monkeypatch.setattr(wake_on_lan, "_open_socket", ForgedNetlinkSocket)
    with pytest.raises(TimeoutError):
        wake_on_lan.EthtoolNetlink().modes("eth0")
