"""The contents of the virtual server: one release of Debian, few packages, a card with one address."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

RELEASES: Final = ("bookworm", "trixie")
"""Those that the server may be."""
ADDRESS: Final = "10.77.1.2"
"""The server's own, on the LAN of tests/rig/lan.py."""
EVERYBODY: Final = "10.77.1.255"
"""The broadcast address there."""
PACKAGES: Final = (
    *("linux-image-amd64", "initramfs-tools", "systemd-sysv", "udev", "dbus", "polkitd"),
    *("qemu-guest-agent", "iproute2", "ethtool", "procps"),
    *("hdparm", "smartmontools", "mdadm", "e2fsprogs"),
    *("python3", "python3-venv", "libsystemd0", "libudev1"),
    *("samba", "nfs-kernel-server", "cron", "rsyslog", "prometheus-node-exporter", "btrfs-progs"),
    *("systemd-container", "lvm2", "cifs-utils", "wireguard-tools"),
)
CONTAINER_PACKAGES: Final = (
    *("systemd-sysv", "dbus", "cron", "rsyslog", "systemd-timesyncd", "postfix"),
    *("python3", "libsystemd0", "libudev1", "hdparm", "procps"),
)
"""A Debian at its defaults that runs on the virtual server in a container, and what powerd needs there."""
CONTAINER_DISK: Final = "/srv/container.img"
"""The container's root file system on the virtual server, for a drive to hold."""
CONTAINER_SIZE: Final = 512 << 20
"""Bytes."""
FILES: Final = {
    "etc/hostname": "homeserver\n",
    "etc/systemd/network/lan.network": (
        f"[Match]\nName=eth0\n[Network]\nAddress={ADDRESS}/24\nLinkLocalAddressing=no\n"
    ),
    # hdparm's udev rule queries all drives whenever one is attached, which takes 20 s here.
    "etc/udev/rules.d/85-hdparm.rules": "",
    # lvm2's rule runs pvscan(8), which reads from every drive that is attached.
    "etc/udev/rules.d/69-lvm.rules": "",
}
UNPACKED_BEFORE: Final = {
    # An initial RAM disk with all modules takes an emulated processor 10 s to unpack.
    "etc/initramfs-tools/conf.d/small": "MODULES=list\nCOMPRESS=zstd\n",
    "etc/initramfs-tools/modules": "virtio_pci\nvirtio_blk\next4\n",
}
UNREAD: Final = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")
ENABLED: Final = ("systemd-networkd",)
MASKED: Final = (
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer"),
    *("e2scrub_reap.service", "fstrim.timer", "man-db.timer", "systemd-networkd-wait-online.service"),
    *("smartmontools.service", "mdmonitor-oneshot.timer", "mdcheck_start.timer", "mdcheck_continue.timer"),
    *("lvm2-monitor.service", "lvm2-lvmpolld.socket", "blk-availability.service", "dm-event.socket"),
)
"""What would keep an emulated processor busy at boot, or in the middle of a test, or its disks awake."""


DISABLED: Final = (
    *("smbd", "nmbd", "samba-ad-dc", "nfs-server", "nfs-client.target", "nfs-blkmap", "rpcbind.socket"),
    *("rpcbind", "cron", "rsyslog", "prometheus-node-exporter"),
)
"""Started by the tests that are about them: the boot takes no longer, and the disk is quiet."""


@dataclass(frozen=True)
class Recipe:
    """The inputs of an image; another recipe makes another image.

    Attributes:
        release: Debian's code name, e.g. ``bookworm``.
        sources: deb822 text, sources.list(5).
    """

    release: str
    sources: str
    packages: tuple[str, ...] = PACKAGES
    container_packages: tuple[str, ...] = CONTAINER_PACKAGES
    container_size: int = CONTAINER_SIZE
    files: tuple[tuple[str, str], ...] = tuple(FILES.items())
    before: tuple[tuple[str, str], ...] = tuple(UNPACKED_BEFORE.items())
    unread: tuple[str, ...] = UNREAD
    enabled: tuple[str, ...] = ENABLED
    masked: tuple[str, ...] = MASKED
    disabled: tuple[str, ...] = DISABLED

    @property
    def is_of_this_machine(self) -> bool:
        """Whether it is the release of this machine, so that programs built here run on it."""
        return self.release == _own_release(Path("/etc"))

    @property
    def key(self) -> str:
        """A short name for exactly this recipe."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]


def recipe_of(
    release: str | None = os.environ.get("POWERD_VM_RELEASE"), etc: Path = Path("/etc")
) -> Recipe | None:
    """The recipe for a release, by default that of this machine; None if this machine does not run Debian."""
    own, sources = _own_release(etc), etc / "apt/sources.list.d/debian.sources"
    if own is None or not sources.exists():
        return None
    release = release or own
    if release not in RELEASES:
        raise ValueError(f"the virtual server is one of {', '.join(RELEASES)}, not {release}")
    return Recipe(release, sources.read_text().replace(own, release))


def _own_release(etc: Path) -> str | None:
    """The code name of this machine's Debian; None if it is another system."""
    lines = (etc / "os-release").read_text().splitlines()
    fields = dict(line.split("=", 1) for line in lines if "=" in line)
    return fields["VERSION_CODENAME"] if fields.get("ID") == "debian" else None
