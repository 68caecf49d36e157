"""The SCSI disk that the kernel makes of the drive: a TCM-USER device behind a loopback fabric, by configfs.

Documentation/target/tcmu-design.rst, Documentation/ABI/testing/configfs-target*. While the drive is attached
and detached the kernel sends commands to it, so another thread serves the ring.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from pathlib import Path
from typing import Final

from vm.drive_simulator.drive import Traits
from vm.drive_simulator.identify import SECTOR, number_of

_CONFIG: Final = Path("/sys/kernel/config/target")
_PATIENCE: Final = 60.0
_GIVEN_UP_AFTER: Final = 300
"""Seconds until the kernel itself fails a command that a drive which hangs does not answer."""


class Target:
    """The kernel's objects for the drive ``name``.

    Args:
        name: a word, the device's name in configfs.
        traits: of the drive.
    """

    def __init__(self, name: str, traits: Traits) -> None:
        self._name = name
        self._traits = traits
        self._device = _CONFIG / "core" / f"user_{number_of(traits) & 0xFFFF}" / name
        self._port = _CONFIG / "loopback" / f"naa.6001405{number_of(traits):09x}" / "tpgt_1"

    def create(self) -> str:
        """Make the device; returns the name of its UIO device, e.g. ``uio0``."""
        for module in ("target_core_user", "tcm_loop"):
            subprocess.run(["modprobe", module], check=True)
        self._device.mkdir(parents=True)
        options = f"dev_config=spindle/{self._name},dev_size={self._traits.size},hw_block_size={SECTOR}"
        (self._device / "control").write_text(options)
        (self._device / "enable").write_text("1")
        (self._device / "attrib" / "cmd_time_out").write_text(str(_GIVEN_UP_AFTER))
        (self._device / "wwn" / "vpd_unit_serial").write_text(self._traits.serial)
        deadline = time.monotonic() + _PATIENCE
        while (found := self._uio()) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the kernel has made no UIO device for {self._name}")
            time.sleep(0.05)
        return found

    def _uio(self) -> str | None:
        for node in Path("/sys/class/uio").glob("uio*"):
            named = (node / "name").read_text().strip().endswith(f"spindle/{self._name}")
            if named and Path("/dev", node.name).exists():
                return node.name
        return None

    def plug_in(self) -> None:
        """Connect the device to a SCSI host of its own, which the kernel scans."""
        place = self._port / "lun" / "lun_0"
        place.mkdir(parents=True)
        (self._port / "nexus").write_text(f"{self._port.parent.name[:-1]}f")
        (place / "port").symlink_to(self._device)

    def pull_out(self) -> None:
        """Remove all objects that exist."""
        place = self._port / "lun" / "lun_0"
        with contextlib.suppress(FileNotFoundError):
            (place / "port").unlink()
        with contextlib.suppress(FileNotFoundError):
            (self._port / "nexus").write_text("NULL")
        for each in (place, self._port, self._port.parent, self._device, self._device.parent):
            with contextlib.suppress(FileNotFoundError):
                each.rmdir()
