"""smartd queries disks in standby, or logs that they are.

Cause: smartd reads the health of each disk every 30 minutes. Without ``-n standby`` this starts a stopped
disk, and without the ``q`` it logs every skipped check.

Cost: a start of each disk every 30 minutes, or of the disk with the log.

Remedy: powerd checks the health itself, just before it stops a disk (``[smart]``), so smartd is not needed
and is masked. Its mails and scheduled self-tests end: powerd has the hook ``alert`` and ``self_test``. It
checks NVMe drives only if its helper has CAP_SYS_ADMIN. To keep smartd: ``-n standby,q`` in each line of
/etc/smartd.conf.

Source: smartd(8), smartd.conf(5).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from powerd.disks.conflicts.smartd_conf import LOGS
from powerd.doctor.machine import Machine
from powerd.doctor.model import AccessPattern, Diagnosis, mask

FIX: Final = "stops and masks smartd"
_UNITS: Final = ("smartmontools.service", "smartd.service")


def detect(machine: Machine) -> Iterator[Diagnosis]:
    """Applies while smartd runs with a configuration that disturbs stopped disks."""
    logs = bool(machine.disks_of("/var/log"))
    found = machine.conflicts_with("smartd", "smartd")
    effects = [each.effect for each in found if logs or LOGS not in each.effect]
    unit = next((unit for unit in _UNITS if machine.running(unit)), None)
    if not effects or unit is None:
        return
    files, commands = mask(unit)
    yield Diagnosis(
        "smartd",
        unit,
        " ".join(effects),
        "smartd is stopped and masked; powerd checks the health of the drives ([smart] in powerd.toml). Its "
        "mails and self-tests end: see the hook alert and self_test; and NVMe drives are checked only with a "
        "drop-in of powerd-helper.service (docs/drive-health.md). To keep it: add -n standby,q to each line "
        "of /etc/smartd.conf instead.",
        disks=tuple(sorted(machine.disks)),
        files=files,
        commands=commands,
        accesses=AccessPattern(units=_UNITS, comms=("smartd",)),
    )
