"""A hand-made Status with everything that the page shows: 20 clients, 8 disks, alarms and requests."""

from __future__ import annotations

from dataclasses import replace

from facts import changed
from ui.disk_statuses import TERABYTE, active, excluded, standby
from ui.smart_statuses import HEALTH, NVME, OLD, PENDING, RED, report
from ui.statuses import at, client, client_status, decision, status
from ui.wake_statuses import SDA, SDB, woken

from powerd.attribution.model import AttributionReport
from powerd.core.snapshot import Reason, Status
from powerd.disks.model import Mount
from powerd.presence.model import ClientState
from powerd.requests.model import KeepAwake, KeepAwakeId

_WAITS = "silent, but for less time than absent_after"


def many_clients_and_disks() -> Status:
    """Somebody is present, 15 clients may be, a drive fails, and disks have been woken."""
    clients = [
        client_status(client(10, "anna-phone")),
        client_status(client(20)),
        replace(client_status(client(11, "kitchen-bulb")), blocks_sleep=False),
        *(
            client_status(client(30 + n, f"host-{n}" if n % 2 else None), ClientState.UNKNOWN, _WAITS)
            for n in range(15)
        ),
        *(client_status(client(60 + n, f"tablet-{n}"), ClientState.ABSENT, "silent") for n in range(2)),
    ]
    reasons = [
        Reason("anna-phone", "is home: answers ping", at(-1080)),
        *(Reason(each.client.label, f"may be home: {_WAITS}", at(-60)) for each in clients[3:18]),
    ]
    red, old = (
        replace(disk, id=id_, size=2 * TERABYTE, rpm=5400, mounts=(Mount(where, "ext4"),))
        for disk, id_, where in ((RED, SDA, "/srv/media"), (OLD, SDB, "/srv/backup"))
    )
    solid = "solid state: nothing to spin down"
    nvme = replace(NVME, size=TERABYTE // 2, ineligible_reason=solid)
    disks = (
        active("sda")._replace(disk=red),
        standby("sdb")._replace(disk=old),
        *(standby(f"sd{letter}") for letter in "cdefg"),
        excluded("nvme0n1", solid)._replace(disk=nvme),
        *(excluded(f"loop{n}", "a loop device: a file on another disk") for n in range(9)),
    )
    smart = {
        red.id: report(red, HEALTH),
        old.id: report(old, replace(HEALTH, temperature=38), PENDING),
        nvme.id: report(nvme, HEALTH),
    }
    shown = changed(decision("awake", tuple(reasons), tuple(clients)), disks=disks, smart=smart)
    given = status(shown.with_parts(woken().decision.part(AttributionReport)))
    keep = KeepAwake(KeepAwakeId("1"), "backup of the photos", at(-60), at(7200))
    hold = KeepAwake(KeepAwakeId("h1"), "rsync", at(-60), None)
    keeps = {each.id: each for each in (keep, hold)}
    return replace(given, snapshot=changed(given.snapshot, keep_awake=keeps))
