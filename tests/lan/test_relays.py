"""Hosts that share a MAC address, and hosts whose MAC is not what it should be, on a real LAN."""

from __future__ import annotations

import subprocess
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rig.daemon import Daemon, SleepCommand, wait_for_rounds
from rig.lan import Host, Lan
from rig.namespace import populate
from rig.wait import until

if TYPE_CHECKING:
    from lan.conftest import Scenario

pytestmark = pytest.mark.lan

LEARNED_ONLY = "leases = []\n"


def ip(host: Host, *words: str) -> None:
    subprocess.run(["ip", "-n", host.inside.name, *words], check=True)


def say_hello(host: Host, server: str, *addresses: str) -> None:
    """Exchange a packet with the server from each address."""
    for address in addresses:
        host.inside.run("ping", "-c1", "-W20", "-I", address, server)


def each_host_behind_a_repeater_is_probed(scratch: Path) -> None:
    sleep_command = SleepCommand(scratch)
    with Lan(scratch) as lan:
        repeater = lan.join("repeater")
        populate(repeater, ["10.77.1.61/24", "10.77.1.60/24"])  # the first one takes the others with it
        say_hello(repeater, "10.77.1.1", "10.77.1.60", "10.77.1.61")
        config = sleep_command.config(clients=LEARNED_ONLY)
        with Daemon(lan.server.inside, scratch / "powerd", config) as powerd:
            powerd.sees(**{"10.77.1.60": "present", "10.77.1.61": "present"})
            assert [row["mac"] for row in powerd.clients()] == [repeater.mac] * 2
            ip(repeater, "address", "delete", "10.77.1.60/24", "dev", "eth0")
            powerd.sees(**{"10.77.1.60": "absent", "10.77.1.61": "present"})
            wait_for_rounds(powerd, 2)
            assert sleep_command.run_count() == 0
            repeater.leave()
            until(sleep_command.run_count, "the command has been run", within=180)


def a_host_behind_the_gateway_is_known_by_icmp(scratch: Path) -> None:
    """The gateway goes on answering ARP for a host that has left (proxy ARP), which proves nothing."""
    sleep_command = SleepCommand(scratch)
    with Lan(scratch) as lan:
        gateway = lan.join("gateway")
        populate(gateway, ["10.77.1.254/24", "10.77.1.60/24"])
        lan.server.inside.run("ip", "route", "add", "default", "via", "10.77.1.254")
        say_hello(gateway, "10.77.1.1", "10.77.1.254", "10.77.1.60")
        config = sleep_command.config(clients=LEARNED_ONLY)
        with Daemon(lan.server.inside, scratch / "powerd", config) as powerd:
            powerd.sees(**{"10.77.1.60": "present"})
            wait_for_rounds(powerd, 2)
            assert sleep_command.run_count() == 0
            ip(gateway, "address", "delete", "10.77.1.60/24", "dev", "eth0")
            gateway.inside.sysctl("net.ipv4.conf.eth0.proxy_arp", "1")
            ip(gateway, "route", "add", "blackhole", "10.77.1.60/32")
            ip(gateway, "neighbour", "add", "proxy", "10.77.1.60", "dev", "eth0")
            until(sleep_command.run_count, "the command has been run", within=180)
            powerd.sees(**{"10.77.1.60": "absent"})


def a_host_with_one_mac_on_two_networks_is_probed_on_each(scratch: Path) -> None:
    """As with two VLANs on one card."""
    sleep_command = SleepCommand(scratch)
    with Lan(scratch) as lan:
        laptop = lan.join("laptop")
        for vlan in (10, 20):
            card = f"vlan{vlan}"
            far_end = ("peer", "name", card, "address", laptop.mac, "netns", laptop.inside.name)
            ip(lan.server, "link", "add", card, "type", "veth", *far_end)
            for host, last in ((lan.server, 1), (laptop, 60)):
                ip(host, "address", "add", f"10.78.{vlan}.{last}/24", "dev", card)
                ip(host, "link", "set", card, "up")
            say_hello(laptop, f"10.78.{vlan}.1", f"10.78.{vlan}.60")
        config = sleep_command.config(clients=LEARNED_ONLY)
        with Daemon(lan.server.inside, scratch / "powerd", config) as powerd:
            powerd.sees(**{"10.78.10.60": "present", "10.78.20.60": "present"})
            ip(laptop, "address", "delete", "10.78.10.60/24", "dev", "vlan10")
            powerd.sees(**{"10.78.10.60": "absent", "10.78.20.60": "present"})
            wait_for_rounds(powerd, 1)
            assert sleep_command.run_count() == 0


def another_mac_that_answers_for_a_client_makes_it_unknown(scratch: Path) -> None:
    """First beside the client, then instead of it, then only in the neighbour table of this server."""
    sleep_command = SleepCommand(scratch)
    with Lan(scratch) as lan:
        laptop, other = lan.join("laptop"), lan.join("other")
        address = laptop.take("10.77.1.9/24")
        leases = scratch / "dnsmasq.leases"
        leases.write_text(f"0 {laptop.mac} {address} laptop *\n")
        config = sleep_command.config(clients=f'learn = "0s"\nleases = ["{leases}"]\n')
        with Daemon(lan.server.inside, scratch / "powerd", config) as powerd:
            powerd.sees(laptop="present")
            for host in (laptop, other):
                host.drop_pings()
            other.take("10.77.1.9/24")
            powerd.awake_because(f"{other.mac} answers for {address} instead of {laptop.mac}")
            laptop.leave()
            wait_for_rounds(powerd, 2)
            powerd.awake_because(f"{other.mac} answers for {address} instead of {laptop.mac}")
            other.leave()
            laptop.come_back()
            ip(
                lan.server,
                "neighbour",
                "replace",
                address,
                "lladdr",
                other.mac,
                "nud",
                "permanent",
                "dev",
                "eth0",
            )
            wait_for_rounds(powerd, 2)
            powerd.awake_because(f"{other.mac} answers for {address} instead of {laptop.mac}")
            assert sleep_command.run_count() == 0
            ip(lan.server, "neighbour", "delete", address, "dev", "eth0")
            laptop.leave()
            until(sleep_command.run_count, "the command has been run", within=180)


@pytest.mark.parametrize(
    "scenario",
    [
        each_host_behind_a_repeater_is_probed,
        a_host_behind_the_gateway_is_known_by_icmp,
        a_host_with_one_mac_on_two_networks_is_probed_on_each,
        another_mac_that_answers_for_a_client_makes_it_unknown,
    ],
)
def test_relays(scenario: Scenario, started_scenarios: dict[Scenario, Future[None]]) -> None:
    started_scenarios[scenario].result()
