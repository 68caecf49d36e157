"""Clients without a lease get their names from real servers: dnsmasq, avahi-daemon and nmbd."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from rig.daemon import NO_CHECKS, Daemon
from rig.lan import Host, Lan
from rig.namespace import inside
from rig.wait import until

from powerd.config.load import load
from powerd.linux import datagram
from powerd.presence.names import dns, netbios

if TYPE_CHECKING:
    from lan.conftest import Scenario

pytestmark = pytest.mark.lan

CONFIG: Final = (
    '[clients]\nevery = "5s"\nleases = []\n[[clients.name]]\nmatch = "{mac}"\nname = "living room TV"\n'
    f"{NO_CHECKS}[http]\nlisten = []\n"
)


def names(scratch: Path) -> None:
    """Four hosts, each with a name of another kind; `powerd wake` takes all of them."""
    with Lan(scratch, subnet=9) as lan, resolver(lan, f"{lan.net}.1"):
        printer, tv, laptop, desktop = hosts = [lan.join(f"h{n}") for n in range(4)]
        for number, host in enumerate(hosts, 5):
            host.take(f"{lan.net}.{number}/24")
        expected = {tv.mac: "living room TV", printer.mac: "printer.lan"}
        lan.server.inside.start(
            *("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=", "--user=root"),
            *("--no-hosts", "--no-resolv", f"--host-record=printer.lan,{printer.address}"),
        )
        start_avahi(laptop, scratch)
        query = dns.build_query(str(laptop.address), 1, recursive=False)
        until(lambda: answers(lan, laptop, 5353, query), "avahi answers", every=0.2)
        expected[laptop.mac] = "annas-laptop.local"
        start_nmbd(desktop, scratch)
        until(lambda: answers(lan, desktop, 137, netbios.build_query(1)), "nmbd answers", every=0.2)
        expected[desktop.mac] = "desktop-5"
        for host in hosts:
            host.say_hello(f"{lan.net}.1")
        with Daemon(lan.server.inside, scratch / "powerd", CONFIG.format(mac=tv.mac)) as powerd:

            def are_found() -> bool:
                rows = powerd.clients()
                return expected.items() <= {row["mac"]: row["name"] for row in rows}.items()

            until(are_found, f"the names are {expected}", within=180, every=0.5)
            assert {row["maker"] for row in powerd.clients()} == {"private address"}
            for mac, name in expected.items():
                assert mac in powerd.run_command("wake", name)
            assert "MAKER" in powerd.run_command("clients")
            proposed = scratch / "proposed.toml"
            assert "living room TV" in powerd.run_command("setup", "--yes", "--output", str(proposed))
            assert {str(each) for each in load(proposed).clients.ignore} == {tv.mac, printer.mac}


@contextlib.contextmanager
def resolver(lan: Lan, address: str) -> Iterator[None]:
    """Let ``address`` be the name server of the server, by a file that ip-netns(8) mounts."""
    directory = Path("/etc/netns") / lan.server.inside.name
    directory.mkdir(parents=True)
    (directory / "resolv.conf").write_text(f"nameserver {address}\n")
    try:
        yield
    finally:
        shutil.rmtree(directory)
        with contextlib.suppress(OSError):
            directory.parent.rmdir()


def answers(lan: Lan, host: Host, port: int, query: bytes) -> bool:
    """Whether the server gets an answer from a host."""
    with inside(lan.server.inside.name):
        answer = datagram.query((str(host.address), port), query, accepts=bool, timeout=0.5)
        return asyncio.run(answer) is not None


def start_avahi(host: Host, scratch: Path) -> None:
    """Answer to multicast DNS as annas-laptop.local."""
    conf = scratch / "avahi.conf"
    conf.write_text("[server]\nhost-name=annas-laptop\nenable-dbus=no\nallow-interfaces=eth0\n")
    host.inside.start("avahi-daemon", "-f", str(conf), "--no-drop-root", "--no-chroot", "--no-rlimits")


def start_nmbd(host: Host, scratch: Path) -> None:
    """Answer to NetBIOS as DESKTOP-5."""
    directory = scratch / "samba"
    directory.mkdir()
    conf = scratch / "smb.conf"
    names = ("lock directory", "state directory", "cache directory", "pid directory", "private dir")
    settings = "".join(f"{name} = {directory}\n" for name in names)
    conf.write_text(f"[global]\nnetbios name = DESKTOP-5\ninterfaces = eth0\nlocal master = no\n{settings}")
    host.inside.start("nmbd", "-F", "--no-process-group", "-s", str(conf), "-l", str(directory))


@pytest.mark.parametrize("scenario", [names])
def test_names(scenario: Scenario, started_scenarios: dict[Scenario, Future[None]]) -> None:
    started_scenarios[scenario].result()
