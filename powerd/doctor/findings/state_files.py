"""Daemons save their state to a hard disk.

Cause and cost, one write for each event:

- chrony and ntpsec: the drift of the clock, once an hour (chrony.conf(5), driftfile; ntp.conf(5)).
- dnsmasq, isc-dhcp-server and kea: each lease that is given or renewed, for each client every half of its
  lease time (dnsmasq(8), dhcpd.leases(5)); kea cleans its file every ``lfc-interval`` as well.
- NetworkManager and dhclient: the lease of this server, every half of its lease time (dhclient.leases(5)).
- nfs-server: each client of NFSv4 that connects, in /var/lib/nfs/nfsdcld (nfsdcld(8)).
- bluetoothd: each device that it discovers, in /var/lib/bluetooth/ADAPTER/cache (bluetoothd(8)).
- alsactl, as a daemon: the mixer, at most every 5 minutes if it has changed (alsactl(1)).

Remedy: by hand, because the state is needed after a restart.

Source: as named, and the packages of Debian 12.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from powerd.core.dataclass import dataclass
from powerd.doctor.machine import Machine
from powerd.doctor.model import AccessPattern, Diagnosis

FIX: Final = ""


@dataclass(frozen=True, slots=True)
class _State:
    """What a daemon saves.

    Attributes:
        units: the names that its unit has; the first also names the diagnosis.
        comm: of its process.
        path: a file or directory; it may not exist yet.
        when: completes "It writes PATH on DISKS".
        remedy: sentences.
        by_hand: lines.
        configs: files with the setting that the remedy changes.
        remedied: matches in one of them once the remedy has been applied; None = it cannot be seen there.
        required: matches in one of them if the daemon writes at all; None = always.
    """

    units: tuple[str, ...]
    comm: str
    path: str
    when: str
    remedy: str
    by_hand: str
    configs: tuple[str, ...] = ()
    remedied: re.Pattern[str] | None = None
    required: re.Pattern[str] | None = None


_LEASES: Final = "Longer leases are renewed less often; a client that comes back keeps its address as before."
_OWN_LEASE: Final = "Give this server a fixed address, which a server should have."
_STATES: Final = (
    _State(
        ("chrony.service", "chronyd.service"),
        "chronyd",
        "/var/lib/chrony/chrony.drift",
        "once an hour",
        "Keep the drift in memory; after a restart the clock needs some minutes longer to be exact.",
        "In /etc/chrony/chrony.conf: driftfile /run/chrony/chrony.drift\nsystemctl restart chrony",
        ("/etc/chrony/chrony.conf",),
        re.compile(r"^\s*driftfile\s+/run/", re.MULTILINE),
    ),
    _State(
        ("ntpsec.service", "ntp.service"),
        "ntpd",
        "/var/lib/ntpsec/ntp.drift",
        "once an hour",
        "Keep the drift in memory; after a restart the clock needs some hours longer to be exact.",
        "In /etc/ntpsec/ntp.conf, comment out: driftfile\nsystemctl restart ntpsec",
        ("/etc/ntpsec/ntp.conf",),
        required=re.compile(r"^\s*driftfile\s", re.MULTILINE),
    ),
    _State(
        ("dnsmasq.service",),
        "dnsmasq",
        "/var/lib/misc/dnsmasq.leases",
        "each time that a client renews its lease, 30 minutes after the last one by default",
        _LEASES,
        "In /etc/dnsmasq.conf, at the end of dhcp-range=: ,24h\nsystemctl restart dnsmasq",
        ("/etc/dnsmasq.conf", "/etc/dnsmasq.d/*"),
        re.compile(r"^\s*dhcp-range=.*,(?:2[4-9]h|[3-9]\dh|\d{3,}h|\d+[dw]|infinite)\s*$", re.MULTILINE),
        re.compile(r"^\s*dhcp-range=", re.MULTILINE),
    ),
    _State(
        ("isc-dhcp-server.service",),
        "dhcpd",
        "/var/lib/dhcp/dhcpd.leases",
        "each time that a client renews its lease, 5 minutes after the last one by default",
        _LEASES,
        "In /etc/dhcp/dhcpd.conf: default-lease-time 86400; and max-lease-time 172800;\n"
        "systemctl restart isc-dhcp-server",
        ("/etc/dhcp/dhcpd.conf",),
        re.compile(r"^\s*default-lease-time\s+(?:8[6-9]|9\d|\d{3,})\d{3}\s*;", re.MULTILINE),
    ),
    _State(
        ("kea-dhcp4-server.service",),
        "kea-dhcp4",
        "/var/lib/kea/kea-leases4.csv",
        "each time that a client renews its lease, and once an hour to clean it",
        _LEASES,
        'In /etc/kea/kea-dhcp4.conf: "valid-lifetime": 86400, "renew-timer": 43200, '
        'and in "lease-database": "lfc-interval": 86400\n'
        "systemctl restart kea-dhcp4-server",
        ("/etc/kea/kea-dhcp4.conf",),
        re.compile(r'"lfc-interval"\s*:\s*(?:0|[89]\d{4}|\d{6,})\b'),
    ),
    _State(
        ("NetworkManager.service",),
        "NetworkManager",
        "/var/lib/NetworkManager",
        "each time that it renews its own lease",
        _OWN_LEASE,
        "nmcli connection modify NAME ipv4.method manual ipv4.addresses ADDRESS/24 ipv4.gateway GATEWAY",
        ("/etc/NetworkManager/system-connections/*",),
        required=re.compile(r"^\[ipv4\][^\[]*^method=auto", re.MULTILINE),
    ),
    _State(
        ("nfs-server.service", "nfsdcld.service"),
        "nfsdcld",
        "/var/lib/nfs/nfsdcld",
        "each time that a client connects, which starts this disk even for files on another one",
        "Move /var/lib/nfs to an SSD; it must outlive a restart, or clients lose their locks.",
        "systemctl stop nfs-server nfsdcld; cp -a /var/lib/nfs /SSD/; echo '/SSD/nfs /var/lib/nfs none "
        "bind 0 0' >>/etc/fstab; mount /var/lib/nfs; systemctl start nfs-server",
    ),
    _State(
        ("bluetooth.service",),
        "bluetoothd",
        "/var/lib/bluetooth",
        "each time that it discovers a device",
        "A server without a Bluetooth device does not need it.",
        "systemctl disable --now bluetooth",
    ),
    _State(
        ("alsa-state.service",),
        "alsactl",
        "/var/lib/alsa",
        "up to every 5 minutes, if the mixer has changed",
        "Save the mixer only when the server stops.",
        "mv /etc/alsa/state-daemon.conf /etc/alsa/state-daemon.off; systemctl stop alsa-state; "
        "systemctl start alsa-restore",
    ),
)


def detect(machine: Machine) -> Iterator[Diagnosis]:
    """Applies per daemon that runs and saves its state to a hard disk, until its remedy is configured."""
    for state in _STATES:
        running = [unit for unit in state.units if machine.running(unit) or machine.enabled(unit)]
        config = "\n".join(text for pattern in state.configs for _, text in machine.texts(pattern))
        remedied = state.remedied is not None and state.remedied.search(config)
        writes = state.required is None or state.required.search(config)
        disks = machine.disks_of(state.path)
        if not running or remedied or not writes or not disks:
            continue
        yield Diagnosis(
            f"state_files:{state.units[0].removesuffix('.service')}",
            running[0],
            f"It writes {state.path} on {', '.join(disks)} {state.when}.",
            state.remedy,
            disks=disks,
            by_hand=state.by_hand,
            accesses=AccessPattern(units=state.units, comms=(state.comm,), paths=(state.path,)),
        )
