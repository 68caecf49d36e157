from __future__ import annotations

from typing import Final

import pytest
from doctor.server import Server

ROWS: Final = {
    "alsa-state": ("alsa-utils", "", ""),
    "bluetooth": ("bluez", "", ""),
    "chrony": ("chrony", "/etc/chrony/chrony.conf", "driftfile /run/chrony/chrony.drift\n"),
    "dnsmasq": ("dnsmasq", "/etc/dnsmasq.conf", "dhcp-range=10.0.0.50,10.0.0.150,24h\n"),
    "isc-dhcp-server": ("isc-dhcp-server", "/etc/dhcp/dhcpd.conf", "default-lease-time 86400;\n"),
    "kea-dhcp4-server": (
        "kea-dhcp4-server",
        "/etc/kea/kea-dhcp4.conf",
        '{"Dhcp4": {"lease-database": {"lfc-interval": 86400}}}\n',
    ),
    "nfs-server": ("nfs-kernel-server", "", ""),
    "ntpsec": ("ntpsec", "/etc/ntpsec/ntp.conf", "#driftfile /var/lib/ntpsec/ntp.drift\n"),
}
"""By daemon: its package, the file that the remedy changes, and that file after it."""


@pytest.fixture(params=ROWS)
def daemon(server: Server, request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    server.install(ROWS[name][0])
    if name == "dnsmasq":
        server.put("/etc/dnsmasq.d/lan.conf", "dhcp-range=10.0.0.50,10.0.0.150,12h\n")
    return name


def test_a_daemon_that_saves_its_state(server: Server, daemon: str) -> None:
    assert server.diagnose("state_files") == []
    server.start(f"{daemon}.service")
    (diagnosis,) = server.diagnose("state_files")
    assert diagnosis.id == f"state_files:{daemon}"
    assert diagnosis.by_hand
    assert not diagnosis.fixable
    server.move_to_ssd("/var/lib")
    assert server.diagnose("state_files") == []


def test_its_remedy(server: Server, daemon: str) -> None:
    _, config, text = ROWS[daemon]
    if config:
        server.start(f"{daemon}.service")
        server.put(config, text)
        assert server.diagnose("state_files") == []


def test_dnsmasq_without_leases(server: Server) -> None:
    server.install("dnsmasq")
    server.start("dnsmasq.service")
    assert server.diagnose("state_files") == []


@pytest.mark.parametrize(("method", "applies"), [("auto", True), ("manual", False)])
def test_the_address_of_the_server(server: Server, method: str, applies: bool) -> None:  # noqa: FBT001 - a parameter
    server.install("network-manager")
    server.enable("NetworkManager.service")
    server.put(
        "/etc/NetworkManager/system-connections/lan.nmconnection",
        f"[connection]\nid=lan\n\n[ipv4]\nmethod={method}\n\n[ipv6]\nmethod=auto\n",
    )
    assert bool(server.diagnose("state_files")) == applies
