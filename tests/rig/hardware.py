"""The files of a machine with disks: sysfs, udev's database and the mount table.

The layout is that of real machines: ``/sys/block/X`` are links to where the hardware is, a partition is a
directory in its disk's, slaves are links, and udev's files have the lines that systemd writes.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

QUIET: Final = "100 0 800 10 50 0 400 10 0 20 20 0 0 0 0 3 1"
"""A disk's stat with all 17 fields: 100 reads, 50 writes, 3 flushes, nothing in flight."""
_SD_MAJORS: Final = (8, *range(65, 72), *range(128, 136))


def sd_name(index: int) -> str:
    """``sda`` is 0, ``sdz`` 25, ``sdaa`` 26."""
    letters = string.ascii_lowercase
    name = ""
    index += 1
    while index:
        index, digit = divmod(index - 1, 26)
        name = letters[digit] + name
    return f"sd{name}"


def sd_number(index: int, partition: int = 0) -> str:
    """Its MAJOR:MINOR (Documentation/admin-guide/devices.txt)."""
    return f"{_SD_MAJORS[index // 16]}:{index % 16 * 16 + partition}"


class Hardware:
    """A tree below ``root``; devices are added and removed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._mounts: list[str] = []
        self._seq = 0
        self.put("/proc/self/mountinfo", "")
        (root / "sys/block").mkdir(parents=True)

    def at(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def put(self, path: str, text: str) -> None:
        """Write a file in place, as the kernel's change."""
        file = self.at(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def sysfs(self, name: str, file: str, text: str) -> None:
        """Change a file of a device's directory."""
        self.put(f"/sys/block/{name}/{file}", f"{text}\n")

    def udev(self, number: str, links: Sequence[str] = (), **properties: str) -> None:
        """Write a device's record in udev's database."""
        lines = [f"S:{link}" for link in links] + ["I:4242424"]
        lines += [f"E:{key}={value}" for key, value in properties.items()] + ["G:systemd", "Q:systemd", "V:1"]
        self.put(f"/run/udev/data/b{number}", "\n".join(lines) + "\n")

    def device(self, name: str, where: str, number: str, files: Mapping[str, str]) -> None:
        """A whole block device at ``/sys/devices/WHERE/NAME``; files of ``device/`` are the parent's."""
        self._seq += 1
        home = self.root / "sys/devices" / where / name
        home.mkdir(parents=True)
        (home / "slaves").mkdir()
        (home / "holders").mkdir()
        if "/block" in where:
            (home / "device").symlink_to("../..")
        (self.root / "sys/block" / name).symlink_to(f"../devices/{where}/{name}")
        basics = {"dev": number, "stat": QUIET, "diskseq": str(self._seq), "removable": "0", "ro": "0"}
        for file, text in (basics | dict(files)).items():
            self.sysfs(name, file, text)

    def sata(  # noqa: PLR0913 - a drive has many sides
        self,
        index: int,
        serial: str,
        *,
        model: str = "WDC WD20EFRX-68EUZN0",
        rpm: int | None = 5400,
        rotational: str = "1",
        bus: str = "pci0000:00/0000:00:17.0/ata{n}/host{n}/target{n}:0:0/{n}:0:0:0/block",
        properties: Mapping[str, str] | None = None,
        files: Mapping[str, str] | None = None,
    ) -> str:
        """A SATA drive, as ata_id describes it; gives its name in /dev/disk/by-id."""
        name, number = sd_name(index), sd_number(index)
        usual = {
            "size": "3907029168",
            "queue/rotational": rotational,
            "queue/iostats": "1",
            "device/vendor": "ATA     ",
            "device/model": model[:16].ljust(16),
            "device/type": "0",
            "device/iorequest_cnt": "0x9c",
            "device/power/control": "on",
            "device/power/runtime_status": "active",
        }
        self.device(name, bus.format(n=index + 1), number, usual | dict(files or {}))
        id_ = f"ata-{model.replace(' ', '_')}_{serial}"
        report = {
            "ID_ATA": "1",
            "ID_TYPE": "disk",
            "ID_BUS": "ata",
            "ID_MODEL": model.replace(" ", "_"),
            "ID_MODEL_ENC": model.ljust(40).replace(" ", "\\x20"),
            "ID_SERIAL": id_.removeprefix("ata-"),
            "ID_SERIAL_SHORT": serial,
            "ID_WWN": f"0x50014ee2{index:08x}",
        }
        report |= {"ID_ATA_ROTATION_RATE_RPM": str(rpm)} if rpm is not None else {}
        links = [f"disk/by-path/pci-0000:00:17.0-ata-{index + 1}", f"disk/by-id/{id_}"]
        links.append(f"disk/by-id/wwn-{report['ID_WWN']}")
        self.udev(number, links, **(report | dict(properties or {})))
        return id_

    def partition(self, index: int, part: int, **properties: str) -> str:
        """A partition of a drive, with what blkid found on it; udev copies the drive's properties to it."""
        name, number = f"{sd_name(index)}{part}", sd_number(index, part)
        home = self.at(f"/sys/block/{sd_name(index)}/{name}")
        home.mkdir()
        (home / "dev").write_text(f"{number}\n")
        (home / "partition").write_text(f"{part}\n")
        self.udev(number, (f"disk/by-partuuid/{index}-{part}",), ID_ATA="1", **properties)
        return name

    def virtual(self, name: str, number: str, slaves: Sequence[str] = (), **properties: str) -> None:
        """A virtual block device: md, dm, bcache, loop, zram."""
        self.device(name, "virtual/block", number, {"size": "3900000000", "queue/rotational": "1"})
        for slave in slaves:
            (self.at(f"/sys/block/{name}/slaves") / slave).symlink_to("/")
        self.udev(number, (), **properties)

    def md(
        self, name: str, minor: int, slaves: Sequence[str], level: str = "raid1", **properties: str
    ) -> None:
        self.virtual(name, f"9:{minor}", slaves, MD_LEVEL=level, **properties)
        self.sysfs(name, "md/level", level)
        if level not in {"raid0", "linear"}:
            self.sysfs(name, "md/sync_action", "idle")

    def dm(self, minor: int, slaves: Sequence[str], name: str, uuid: str, **properties: str) -> str:
        self.virtual(f"dm-{minor}", f"253:{minor}", slaves, DM_NAME=name, **properties)
        self.sysfs(f"dm-{minor}", "dm/name", name)
        self.sysfs(f"dm-{minor}", "dm/uuid", uuid)
        return f"dm-{minor}"

    def mount(  # noqa: PLR0913 - the fields of a line
        self, number: str, where: str, fs: str, source: str, *, root: str = "/", options: str = "rw"
    ) -> None:
        """Add a line to the mount table."""
        n = len(self._mounts) + 22
        self._mounts.append(f"{n} 1 {number} {root} {where} {options} shared:1 - {fs} {source} rw")
        self.put("/proc/self/mountinfo", "\n".join(self._mounts) + "\n")

    def unplug(self, name: str) -> None:
        """Remove a device as the kernel does: first its link, then its files."""
        link = self.root / "sys/block" / name
        home = link.resolve()
        link.unlink()
        number = (home / "dev").read_text().strip()
        for file in sorted(home.rglob("*"), reverse=True):
            if file.is_dir() and not file.is_symlink():
                file.rmdir()
            else:
                file.unlink()
        home.rmdir()
        self.at(f"/run/udev/data/b{number}").unlink()
