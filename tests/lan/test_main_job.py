"""The main job on real input: real DHCP servers lease to real clients, and powerd acts when all have left."""

from __future__ import annotations

from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rig.daemon import Daemon, SleepCommand, wait_for_rounds
from rig.dhcp import SERVERS
from rig.lan import Host, Lan
from rig.wait import until

if TYPE_CHECKING:
    from lan.conftest import Scenario

pytestmark = pytest.mark.lan

LEASES_ONLY = 'learn = "0s"\nleases = ["{}"]\n'


def evening_with_dhcpd(scratch: Path) -> None:
    evening(scratch, "dhcpd")


def evening_with_dnsmasq(scratch: Path) -> None:
    evening(scratch, "dnsmasq")


def evening_with_kea(scratch: Path) -> None:
    evening(scratch, "kea")


def evening(scratch: Path, server: str) -> None:
    """Three lease addresses, two leave, the cable is pulled and put back, the last leaves, one returns."""
    sleep_command = SleepCommand(scratch)
    with Lan(scratch) as lan:
        leases = SERVERS[server](lan).leases
        laptop, phone, firewalled = hosts = [lan.join(label) for label in ("laptop", "phone", "firewalled")]
        for host in hosts:
            host.lease()
        firewalled.drop_pings()
        config = sleep_command.config(clients=LEASES_ONLY.format(leases))
        with Daemon(lan.server.inside, scratch / "powerd", config) as powerd:
            all_are_seen(powerd, hosts, leases)
            two_leave(powerd, sleep_command, laptop, phone)
            cable_is_pulled(powerd, sleep_command, lan.server)
            last_one_leaves(powerd, sleep_command, firewalled)
            one_returns(powerd, sleep_command, laptop)


def all_are_seen(powerd: Daemon, hosts: list[Host], leases: Path) -> None:
    """Every client of the lease file is there, and the one that drops pings is there by ARP."""
    powerd.sees(**{host.label: "present" for host in hosts})
    rows = {row["name"]: row for row in powerd.clients()}
    assert {name: (row["address"], row["mac"], row["state"]) for name, row in rows.items()} == {
        host.label: (host.address, host.mac, "present") for host in hosts
    }
    assert rows["laptop"]["evidence"] == "icmp"
    assert rows["firewalled"]["evidence"] in {"arp", "neighbour"}
    assert {row["source"] for row in rows.values()} == {leases.name}


def two_leave(powerd: Daemon, sleep_command: SleepCommand, *hosts: Host) -> None:
    """They are absent, and the third prevents the sleep."""
    for host in hosts:
        host.leave()
    powerd.sees(firewalled="present", **{host.label: "absent" for host in hosts})
    wait_for_rounds(powerd, 1)
    assert sleep_command.run_count() == 0
    powerd.sees(laptop="absent", phone="absent", firewalled="present")


def cable_is_pulled(powerd: Daemon, sleep_command: SleepCommand, server: Host) -> None:
    """No host answers a server without a cable; the server does not sleep for that."""
    server.unplug()
    powerd.awake_because("no carrier")
    wait_for_rounds(powerd, 2)
    assert sleep_command.run_count() == 0
    server.plug_in()
    powerd.sees(laptop="absent", phone="absent", firewalled="present")


def last_one_leaves(powerd: Daemon, sleep_command: SleepCommand, last: Host) -> None:
    """All are absent: the sleep command runs once."""
    assert sleep_command.run_count() == 0
    last.leave()
    until(sleep_command.run_count, "the command has been run", within=180)
    wait_for_rounds(powerd, 1)
    assert sleep_command.run_count() == 1
    assert f"ran {sleep_command.script} --quietly" in str(powerd.status()["decision"]["reasons"])


def one_returns(powerd: Daemon, sleep_command: SleepCommand, host: Host) -> None:
    """A client that returns is present again, and its next absence leads to another sleep."""
    host.come_back()
    until(lambda: powerd.states()[host.label] == "present", f"{host.label} is seen again", every=0.5)
    host.leave()
    until(lambda: sleep_command.run_count() == 2, "the command has been run again", within=180)


def whoever_returns_in_the_warning_period_calls_it_off(tmp_path: Path) -> None:
    sleep_command = SleepCommand(tmp_path)
    with Lan(tmp_path) as lan:
        laptop = lan.join("laptop")
        config = sleep_command.config(
            clients=f'learn = "0s"\nleases = []\nhosts = ["{laptop.take("10.77.1.9/24")}"]\n'
        ).replace('warn = "0s"', 'warn = "20s"')
        with Daemon(lan.server.inside, tmp_path / "powerd", config) as powerd:
            powerd.sees(**{"10.77.1.9": "present"})
            laptop.leave()
            until(lambda: powerd.status()["state"] == "warning", "the warning is given", within=180)
            laptop.come_back()
            until(lambda: powerd.status()["state"] == "awake", "it is called off")
            wait_for_rounds(powerd, 5)
            assert sleep_command.run_count() == 0


def hosts_are_learned_where_the_router_leases(tmp_path: Path) -> None:
    """A host that has exchanged traffic with the server is known, after a restart too; no gateway."""
    sleep_command = SleepCommand(tmp_path)
    with Lan(tmp_path) as lan:
        server = lan.server.address
        assert server is not None
        router, tablet = lan.join("router"), lan.join("tablet")
        router.take("10.77.1.254/24")
        tablet.take("10.77.1.8/24")
        lan.server.inside.run("ip", "route", "add", "default", "via", "10.77.1.254")
        for host in (router, tablet):
            host.say_hello(server)
        config = sleep_command.config(clients="leases = []")
        with Daemon(lan.server.inside, tmp_path / "powerd", config) as powerd:
            powerd.sees(**{"10.77.1.8": "present"})
            assert [row["source"] for row in powerd.clients()] == ["learned"]
        lan.server.inside.run("ip", "neighbour", "flush", "all")
        tablet.leave()
        with Daemon(
            lan.server.inside, tmp_path / "again", config, state=tmp_path / "powerd" / "state"
        ) as powerd:
            until(sleep_command.run_count, "the command has been run", within=180)
            powerd.sees(**{"10.77.1.8": "absent"})


def a_phone_that_calls_itself_a_printer_counts_until_it_has_left(tmp_path: Path) -> None:
    sleep_command = SleepCommand(tmp_path)
    with Lan(tmp_path) as lan:
        phone = lan.join("phone")
        address = phone.take("10.77.1.9/24")
        leases = tmp_path / "dnsmasq.leases"
        leases.write_text(f"0 {phone.mac} {address} phone *\n")
        config = sleep_command.config(clients=LEASES_ONLY.format(leases) + '\nignore = ["printer*"]\n')
        with Daemon(lan.server.inside, tmp_path / "powerd", config) as powerd:
            powerd.sees(phone="present")
            leases.write_text(f"0 {phone.mac} {address} printer1 *\n")
            powerd.sees(printer1="present")
            wait_for_rounds(powerd, 3)
            assert [row["keeps_awake"] for row in powerd.clients()] == [True]
            assert "match its MAC" in " ".join(powerd.run_command("clients").split())
            assert sleep_command.run_count() == 0
            phone.leave()
            powerd.awake_because("every known client is ignored")
            powerd.sees(printer1="absent")


def a_host_without_ipv4_is_probed_by_icmpv6(tmp_path: Path) -> None:
    """One answers echo requests, one drops them and answers neighbour solicitations; both leave."""
    sleep_command = SleepCommand(tmp_path)
    with Lan(tmp_path) as lan:
        phone, firewalled = lan.join("phone"), lan.join("firewalled")
        firewalled.inside.sysctl("net.ipv6.icmp.echo_ignore_all", "1")
        for host in (phone, firewalled):
            ping = ("ping", "-c1", "-W2", f"{link_local(lan.server)}%eth0")
            until(partial(says_hello, host, ping), "it talks to the server")
        with Daemon(
            lan.server.inside, tmp_path / "powerd", sleep_command.config(clients="leases = []")
        ) as powerd:
            known = {f"{link_local(host)}%eth0": host for host in (phone, firewalled)}
            powerd.sees(**dict.fromkeys(known, "present"))
            wait_for_rounds(powerd, 3)
            assert sleep_command.run_count() == 0
            phone.leave()
            powerd.sees(
                **{address: "absent" if host is phone else "present" for address, host in known.items()}
            )
            firewalled.leave()
            until(sleep_command.run_count, "the command has been run", within=180)


def says_hello(host: Host, ping: tuple[str, ...]) -> bool:
    """Whether a ping is answered."""
    return host.inside.run(*ping, check=False).returncode == 0


def link_local(host: Host) -> str:
    """The host's link-local address."""
    shown = host.inside.run("ip", "-6", "-o", "address", "show", "dev", "eth0", "scope", "link").stdout
    return shown.split()[3].partition("/")[0]


def a_guest_of_the_server_keeps_nobody_awake(tmp_path: Path) -> None:
    """A bridge of the server has its wire and the port of a container, which goes on answering."""
    sleep_command = SleepCommand(tmp_path)
    with Lan(tmp_path) as lan:
        laptop, inside = lan.join("laptop"), lan.join("container")
        laptop.take("10.77.1.9/24")
        server, mac = lan.server.inside, "02:88:00:00:00:01"
        for command in (
            "address flush dev eth0",
            "link add wire link eth0 type macvlan mode passthru",  # a plain veth would be a port of a guest
            "link add lan0 type bridge",
            "link set wire master lan0 up",
            f"link add guest type veth peer name eth1 address {mac} netns {inside.inside.name}",
            "link set guest master lan0 up",
            "link set lan0 up",
            "address add 10.77.1.1/24 dev lan0",
        ):
            server.run("ip", *command.split())
        inside.inside.run("ip", "address", "add", "10.77.1.90/24", "dev", "eth1")
        inside.inside.run("ip", "link", "set", "eth1", "up")
        laptop.say_hello("10.77.1.1")
        inside.inside.run("ping", "-c1", "-W20", "-I", "eth1", "10.77.1.1")
        with Daemon(server, tmp_path / "powerd", sleep_command.config(clients="leases = []")) as powerd:
            powerd.sees(**{"10.77.1.9": "present", "10.77.1.90": "present"})
            assert {row["address"]: row["keeps_awake"] for row in powerd.clients()} == {
                "10.77.1.9": True,
                "10.77.1.90": False,
            }
            assert "container of this server" in powerd.run_command("clients")
            laptop.leave()
            until(sleep_command.run_count, "the command has been run", within=180)
            powerd.sees(**{"10.77.1.9": "absent", "10.77.1.90": "present"})


@pytest.mark.parametrize(
    "scenario",
    [
        evening_with_dhcpd,
        evening_with_dnsmasq,
        evening_with_kea,
        whoever_returns_in_the_warning_period_calls_it_off,
        hosts_are_learned_where_the_router_leases,
        a_guest_of_the_server_keeps_nobody_awake,
        a_host_without_ipv4_is_probed_by_icmpv6,
        a_phone_that_calls_itself_a_printer_counts_until_it_has_left,
    ],
)
def test_main_job(scenario: Scenario, started_scenarios: dict[Scenario, Future[None]]) -> None:
    started_scenarios[scenario].result()
