"""Real DHCP servers on the LAN's server: ISC dhcpd, dnsmasq and Kea, each with its own files."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import subprocess

    from rig.lan import Lan


@dataclass(frozen=True)
class DhcpServer:
    """A running DHCP server.

    Attributes:
        leases: the file that it writes its leases to.
        process: to be ended with rig.lan.stop(), or with the LAN.
    """

    leases: Path
    process: subprocess.Popen[bytes]


def start_dhcpd(lan: Lan) -> DhcpServer:
    """ISC dhcpd (dhcpd.conf(5)); its lease file must exist; no address is pinged before it is offered."""
    conf, leases = lan.scratch / "dhcpd.conf", lan.scratch / "dhcpd.leases"
    conf.write_text(
        f"authoritative;\nping-check false;\ndefault-lease-time 3600;\nmax-lease-time 7200;\n"
        f"subnet {lan.net}.0 netmask 255.255.255.0 {{ range {lan.net}.100 {lan.net}.150; }}\n"
    )
    leases.touch()
    argv = ["dhcpd", "-4", "-f", "-q", "--no-pid", "-cf", str(conf), "-lf", str(leases), "eth0"]
    return _start(lan, "dhcpd", leases, argv)


def start_dnsmasq(lan: Lan) -> DhcpServer:
    """Serve addresses by dnsmasq, no names (``port=0``); leases are written at once."""
    leases = lan.scratch / "dnsmasq.leases"
    argv = [
        *("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=", "--user=root"),
        *("--port=0", "--interface=eth0", "--bind-interfaces", "--no-ping", "--dhcp-authoritative"),
        *(f"--dhcp-range={lan.net}.100,{lan.net}.150,1h", f"--dhcp-leasefile={leases}"),
    ]
    return _start(lan, "dnsmasq", leases, argv)


def start_kea(lan: Lan) -> DhcpServer:
    """Serve addresses by Kea, its leases in a memfile that is written at once."""
    conf, leases = lan.scratch / "kea-dhcp4.conf", lan.scratch / "kea-leases4.csv"
    settings = {
        "interfaces-config": {"interfaces": ["eth0"], "dhcp-socket-type": "raw"},
        "lease-database": {"type": "memfile", "persist": True, "name": str(leases), "lfc-interval": 0},
        "valid-lifetime": 3600,
        "subnet4": [
            {"id": 1, "subnet": f"{lan.net}.0/24", "pools": [{"pool": f"{lan.net}.100 - {lan.net}.150"}]}
        ],
        "loggers": [{"name": "kea-dhcp4", "severity": "WARN", "output_options": [{"output": "stdout"}]}],
    }
    conf.write_text(json.dumps({"Dhcp4": settings}))
    # From 2.6.3 on it takes leases from its own directory only.
    here = dict.fromkeys(("KEA_PIDFILE_DIR", "KEA_LOCKFILE_DIR", "KEA_DHCP_DATA_DIR"), str(lan.scratch))
    return _start(lan, "kea", leases, ["kea-dhcp4", "-c", str(conf)], **here)


def _start(lan: Lan, name: str, leases: Path, argv: list[str], **env: str) -> DhcpServer:
    """A client retries once a second for a minute, so there is no need to wait until the server listens."""
    with (lan.scratch / f"{name}.log").open("wb") as log:
        return DhcpServer(leases, lan.server.inside.start(*argv, env=env, log=log))


SERVERS: Final[dict[str, Callable[[Lan], DhcpServer]]] = {
    "dhcpd": start_dhcpd,
    "dnsmasq": start_dnsmasq,
    "kea": start_kea,
}
