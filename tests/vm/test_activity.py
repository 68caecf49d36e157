"""A usual NAS with all default checks: its background activity lets it sleep, and work keeps it awake."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

import pytest
from rig.lan import Host, stop
from rig.wait import stays, until
from vm.lab import come_to_rest
from vm.recipe import ADDRESS
from vm.server import STALL, Server
from vm.service import ABSENT_AFTER, EVERY, IDLE_FOR, Powerd, config

pytestmark = pytest.mark.vm

SERVICES: Final = ("smbd", "nmbd", "nfs-server", "cron", "rsyslog", "prometheus-node-exporter")
FILES: Final = {
    "/etc/samba/smb.conf": (
        "[global]\nserver role = standalone server\nmap to guest = bad user\n"
        "[films]\npath = /srv\nguest ok = yes\n"
    ),
    "/srv/song": "la\n",
    "/etc/exports": "/srv *(rw,fsid=0,insecure,no_root_squash,no_subtree_check)\n",
    "/etc/cron.d/monitoring": "* * * * * root /bin/true\n",
}
STALE: Final = f"exec 3<>/dev/tcp/{ADDRESS}/445 && exec sleep infinity"
SCRAPER: Final = f"""\
while sleep 15; do
    exec 3<>/dev/tcp/{ADDRESS}/9100 && printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3 >/dev/null
done
"""
DD: Final = "while dd if=/dev/zero of=/srv/film bs=1M count=8 conv=fsync,notrunc status=none; do :; done"
PEER_UP: Final = """\
ip netns add peer
ip link add vpeer type veth peer name eth0 netns peer
ip address add 10.98.0.1/24 dev vpeer
ip link set vpeer up
ip -n peer address add 10.98.0.2/24 dev eth0
ip -n peer link set eth0 up
mkdir --parents /mnt/nfs /mnt/smb
nsenter --net=/run/netns/peer mount -t nfs4 10.98.0.1:/ /mnt/nfs
nsenter --net=/run/netns/peer mount -t cifs -o guest //10.98.0.1/films /mnt/smb
ls /mnt/nfs /mnt/smb
"""
"""A computer that has shares mounted over NFS and CIFS. A network namespace has no mounts of its own."""
PEER_DOWN: Final = """\
umount --lazy --force /mnt/smb /mnt/nfs
ip link delete vpeer
ip netns delete peer
"""
VPN_UP: Final = """\
umask 077
for n in 0 1; do wg genkey >/run/wg$n.key; done
ip link add wg0 type wireguard
ip -n peer link add wg1 type wireguard
wg set wg0 private-key /run/wg0.key listen-port 51820 \\
    peer $(wg pubkey </run/wg1.key) allowed-ips 10.97.0.2/32
ip netns exec peer wg set wg1 private-key /run/wg1.key \\
    peer $(wg pubkey </run/wg0.key) endpoint 10.98.0.1:51820 allowed-ips 10.97.0.0/24
ip address add 10.97.0.1/24 dev wg0
ip -n peer address add 10.97.0.2/24 dev wg1
ip link set wg0 up
ip -n peer link set wg1 up
"""
SEND: Final = """\
while sleep 0.2; do
    ip netns exec peer bash -c 'head --bytes=200000 /dev/zero >/dev/udp/10.97.0.9/9'
done
"""
"""To an address that nobody has: an ICMP error would stop it."""
LISTEN: Final = "exec 3</mnt/smb/song; exec sleep infinity"
CREATE: Final = "while sleep 0.3; do echo la >/mnt/nfs/note; rm /mnt/nfs/note; done"
VOLUME: Final = """\
pvcreate --quiet "$@"
vgcreate --quiet music "$@"
lvcreate --quiet --zero=n --wipesignatures=n --extents=4 --name=album music "$1"
"""
CHECKS: Final = """\
[activity.nfs]
[activity.samba]
[activity.load]
percent = 90
"""
"""All that are on by default, and those of file servers.

Polls of powerd twelve times as often as by default, on two emulated processors that the host's other work
shares, had tasks wait for 5 to 14 % of the time, and the start of the services for 55 %: the default of 10 %
would prove nothing about a NAS.
"""
SEEN: Final = (
    *("btrfs:photos: scrub", "md42: check", "music: pvmove", "vda is written"),
    *("/srv: ", "nfsd: ", "wg0: "),
)
"""The beginnings of reasons while all works."""
SLOW: Final = 1 << 17
"""Bytes/s of a scrub, which takes 8 minutes then, and is seen in time."""


@pytest.fixture
def nas(server: Server, firewalled: Host) -> Iterator[Server]:
    """The services of a NAS, and idle clients.

    Another server scrapes the node exporter, and has an idle connection to Samba; a computer has shares
    mounted over NFS and CIFS.
    """
    for path, text in FILES.items():
        server.lay(path, text)
    server.run("systemctl", "enable", "rsyslog")  # its alias syslog.service, which syslog.socket requires
    server.run("systemctl", "start", *SERVICES)
    others = [firewalled.inside.start("bash", "-c", script) for script in (STALE, SCRAPER)]
    try:
        until(
            lambda: server.run("ss", "--no-header", "state", "established", "sport = 445"),
            "the client is connected",
        )
        server.run("sh", "-ec", PEER_UP)
        yield server
    finally:
        for process in others:
            stop(process)
        come_to_rest(server)
        server.run("sh", "-c", PEER_DOWN, check=False)
        server.run("systemctl", "stop", "syslog.socket", *SERVICES)
        server.run("systemctl", "disable", "rsyslog")


@contextlib.contextmanager
def work(server: Server, unit: str, script: str) -> Iterator[None]:
    """A shell script that runs as a service."""
    server.run("systemd-run", "--quiet", "--collect", f"--unit={unit}", "sh", "-c", script)
    try:
        yield
    finally:
        server.run("systemctl", "stop", unit)


@contextlib.contextmanager
def loop_devices(server: Server, *names: str, size: str) -> Iterator[list[str]]:
    """Block devices in sparse files of these names."""
    devices: list[str] = []
    try:
        for name in names:
            server.run("truncate", f"--size={size}", f"/srv/{name}")
            devices.append(server.run("losetup", "--find", "--show", f"/srv/{name}"))
        yield devices
    finally:
        for device in devices:
            server.run("losetup", "--detach", device)
        server.run("rm", *(f"/srv/{name}" for name in names))


@contextlib.contextmanager
def md_check(server: Server) -> Iterator[None]:
    """A mirror that md checks at its lowest speed, for a quarter of an hour."""
    with loop_devices(server, "left", "right", size="1G") as members:
        server.run(
            *("mdadm", "--create", "/dev/md42", "--run", "--assume-clean", "--level=1"),
            *("--metadata=1.2", "--raid-devices=2", *members),
        )
        try:
            for setting in ("sync_speed_min 1000", "sync_speed_max 1000", "sync_action check"):
                name, value = setting.split()
                server.run("sh", "-c", f"echo {value} >/sys/block/md42/md/{name}")
            yield
        finally:
            server.run("mdadm", "--stop", "/dev/md42")


@contextlib.contextmanager
def btrfs_scrub(server: Server) -> Iterator[None]:
    """A filesystem that is scrubbed slowly."""
    with loop_devices(server, "photos", size="512M") as (device,):
        server.run("mkfs.btrfs", "--quiet", "--label=photos", device)
        server.run("mkdir", "--parents", "/mnt/photos")
        server.run("mount", device, "/mnt/photos")
        try:
            server.run("dd", "if=/dev/zero", "of=/mnt/photos/2024", "bs=1M", "count=64", "conv=fsync")
            server.run("sh", "-c", f"echo {SLOW} | tee /sys/fs/btrfs/*-*/devinfo/1/scrub_speed_max")
            with work(server, "scrub", "btrfs scrub start -B /mnt/photos"):  # its start waits for the disk
                yield
        finally:
            server.run("btrfs", "scrub", "cancel", "/mnt/photos", check=False)
            server.run("umount", "/mnt/photos")


@contextlib.contextmanager
def pvmove(server: Server) -> Iterator[None]:
    """A volume that is moved from one device to another; its end is noticed after an hour."""
    with loop_devices(server, "old", "new", size="64M") as devices:
        server.run("sh", "-ec", VOLUME, "sh", *devices)
        try:
            with work(server, "move", f"pvmove --interval +3600 {' '.join(devices)}"):
                yield
        finally:
            server.run("pvmove", "--abort", check=False)
            server.run("vgremove", "--force", "music")


@contextlib.contextmanager
def busy_clients(server: Server) -> Iterator[None]:
    """The computer has a file open over CIFS, makes files over NFS, and sends over WireGuard."""
    server.run("sh", "-ec", VPN_UP)
    try:
        with (
            work(server, "listen", LISTEN),
            work(server, "send", SEND),
            work(server, "create", CREATE),
        ):
            yield
    finally:
        server.run("ip", "link", "delete", "wg0")


def test_background_does_not_keep_it_awake_and_work_does(nas: Server, powerd: Powerd, laptop: Host) -> None:
    laptop.leave()
    powerd.start(config(laptop, after_resume="30s", checks=CHECKS))
    until(lambda: nas.asleep, "the NAS is suspended although its services run", within=400)
    laptop.come_back()
    nas.wake()
    idle, accepted = (
        max(entry.at for entry in powerd.journal() if entry.text.startswith(words))
        for words in ("idle", "logind accepted: ")
    )
    assert accepted - idle <= IDLE_FOR + EVERY + STALL

    powerd.sees(laptop)
    with work(nas, "copy", DD):
        with md_check(nas), btrfs_scrub(nas), pvmove(nas), busy_clients(nas):
            for reason in SEEN:
                powerd.logs(reason)
            laptop.leave()
        until(
            lambda: (
                not any(
                    name in each for each in powerd.reasons() for name in ("photos", "md42", "music", "/srv:")
                )
            ),
            "maintenance has ended",
        )
        stays(
            lambda: nas.monitor.state() == "running",
            "dd keeps it awake",
            seconds=ABSENT_AFTER + IDLE_FOR + 2 * EVERY,
            every=0.5,
        )
        powerd.logs("vda is written")
