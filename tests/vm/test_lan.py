"""Wake-on-LAN on a real machine, both ways: it can be woken, and wakes others."""

from __future__ import annotations

import pytest
from rig.lan import Host
from rig.udp_listener import Datagram, udp_listener
from rig.wait import until
from vm.recipe import EVERYBODY
from vm.server import Server
from vm.service import Powerd, config

pytestmark = pytest.mark.vm

ONLY_BUTTON = "only the power button wakes the server"


def armed(server: Server) -> str:
    """The Wake-on-LAN setting of its card: letters of ethtool(8)."""
    shown = server.run("ethtool", "eth0")
    return next(line.split()[-1] for line in shown.splitlines() if line.strip().startswith("Wake-on:"))


def disarm(server: Server) -> None:
    """Disarm the card, as a driver or a network manager may."""
    server.run("ethtool", "--change", "eth0", "wol", "d")


def remarks(powerd: Powerd) -> str:
    """The remarks of powerd about the card."""
    return "\n".join(entry.text for entry in powerd.journal() if entry.event == "remark")


def test_card_that_cannot_receive_magic_packets(server: Server, powerd: Powerd, laptop: Host) -> None:
    """Nothing could wake the server: powerd reports it, and arms the card if the configuration allows it."""
    assert armed(server) == "g", "as it is after a boot"
    disarm(server)
    powerd.start(config(laptop))
    powerd.logs(ONLY_BUTTON)
    until(lambda: ONLY_BUTTON in remarks(powerd), "the journal has it")
    powerd.take(config(laptop, wake="arm_lan = true"))
    server.suspend()
    server.wake()
    assert armed(server) == "g"
    until(lambda: not any(ONLY_BUTTON in each for each in powerd.reasons()), "the remark is gone")

    powerd.ready()
    disarm(server)
    server.suspend()
    server.wake()
    assert armed(server) == "g", "powerd reads the setting again"


def test_wakes_a_client(server: Server, powerd: Powerd, laptop: Host) -> None:
    """A sleeping client receives three packets, each with its address sixteen times."""
    powerd.start(config(laptop, learn="1h"))
    assert laptop.address is not None
    until(lambda: laptop.mac in server.run("powerd", "clients", "--json"), "its card is known")
    with udp_listener(laptop) as packets:
        server.run("powerd", "wake", laptop.address)
        magic = b"\xff" * 6 + bytes.fromhex(laptop.mac.replace(":", "")) * 16
        assert packets() == [Datagram(EVERYBODY, magic)] * 3, (
            "to the broadcast address: a sleeping client answers no ARP"
        )
