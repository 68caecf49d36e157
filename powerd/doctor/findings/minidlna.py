"""minidlna reads all media files again at each start.

Cause: Debian starts it with ``-r``, a rescan of ``media_dir``, by ``DAEMON_OPTS`` in minidlna.service.
While it runs it learns of new files from inotify(7), without reading the disk.

Cost: all media disks are read for minutes after each start of the server.

Remedy: it starts without ``-r``. Files that were added while it did not run are found only after
``minidlnad -r`` by hand.

Source: minidlnad(1), minidlna.conf(5), /lib/systemd/system/minidlna.service and /etc/default/minidlna of
Debian 12, which advises to override the unit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from powerd.doctor.config_files import assignments
from powerd.doctor.machine import Machine
from powerd.doctor.model import DAEMON_RELOAD, AccessPattern, Diagnosis, OwnFile

FIX: Final = "starts minidlna without a scan, by a drop-in of its unit"
_UNIT: Final = "minidlna.service"
_MEDIA: Final = re.compile(r"^\s*media_dir\s*=\s*(?:[APV]+,)?(\S.*?)\s*$", re.MULTILINE)
_OPTIONS: Final = "DAEMON_OPTS"


def detect(machine: Machine) -> Iterator[Diagnosis]:
    """Applies while the service is enabled, scans at its start, and has media on a hard disk."""
    settings = machine.unit(_UNIT)
    from_unit = [each.strip('"') for each in settings.get("Service.Environment", ())]
    options = next((each for each in reversed(from_unit) if each.startswith(f"{_OPTIONS}=")), "")
    from_file = assignments(machine.text("/etc/default/minidlna")).get(_OPTIONS)
    value = options.partition("=")[2] if from_file is None else from_file
    directories = _MEDIA.findall(machine.text("/etc/minidlna.conf"))
    disks = tuple(sorted({disk for path in directories for disk in machine.disks_of(path)}))
    if not machine.enabled(_UNIT) or "-r" not in value.lower().split() or not disks:
        return
    fixable = from_file is None
    rest = " ".join(word for word in value.split() if word.lower() != "-r")
    yield Diagnosis(
        "minidlna",
        _UNIT,
        f"It reads all files in {', '.join(directories)} on {', '.join(disks)} at each start.",
        "It starts without a scan. Files that have come while it did not run are found after minidlnad -r "
        "by hand.",
        disks=disks,
        files=(
            OwnFile(
                f"/etc/systemd/system/{_UNIT}.d/zz-powerd.conf",
                f'[Service]\nEnvironment="{_OPTIONS}={rest}"\n',
            ),
        )
        if fixable
        else (),
        commands=(DAEMON_RELOAD,) if fixable else (),
        by_hand="" if fixable else f'In /etc/default/minidlna: DAEMON_OPTS="{rest}"',
        accesses=AccessPattern(units=(_UNIT,), comms=("minidlnad",)),
    )
