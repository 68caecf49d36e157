"""A media server scans its libraries on a schedule, and keeps its database on a hard disk.

Cause: Jellyfin scans all libraries every 12 hours, counted from its start, unless its scheduled task has
another trigger (config/ScheduledTasks/ID.js). Emby does so as well, and Plex if "Scan my library
periodically" is on. Each of them writes its database and its log at every task and every access of a
client. Real-time monitoring uses inotify(7) and reads nothing while nothing changes.

Cost: one or two starts of all media disks a day at odd times; a data directory on a hard disk keeps that
one spinning while anyone uses the server.

Remedy: by hand in the dashboard, because the settings are the server's: scan once a day, at a time when
people watch.

Source: RefreshMediaLibraryTask of Jellyfin (trigger of 12 hours),
https://jellyfin.org/docs/general/server/tasks, https://support.plex.tv/articles/200289526-library/.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final

from powerd.doctor.config_files import assignments
from powerd.doctor.machine import Machine
from powerd.doctor.model import AccessPattern, Diagnosis

FIX: Final = ""
_TICKS_A_DAY: Final = 86400 * 10**7
_JELLYFIN_SCAN: Final = "7738148ffcd07979c7ceb148e06b3aed"
"""The id of the task: the MD5 of its class name, which Jellyfin's API shows too."""
_PLEX_PREFERENCES: Final = (
    "/var/lib/plexmediaserver/Library/Application Support/Plex Media Server/Preferences.xml"
)
_PLEX_ATTRIBUTE: Final = re.compile(r'\b(ScheduledLibraryUpdate\w+)="(\w+)"')


def detect(machine: Machine) -> Iterator[Diagnosis]:
    """Applies per server that scans a hard disk more often than daily, or has its data on one."""
    if _is_used(machine, "jellyfin.service"):
        settings = assignments(machine.text("/etc/default/jellyfin"))
        data = settings.get("JELLYFIN_DATA_DIR", "/var/lib/jellyfin")
        configs = (settings.get("JELLYFIN_CONFIG_DIR", "/etc/jellyfin"), f"{data}/config")
        disks = _library_disks(machine, data)
        triggers = [machine.text(f"{config}/ScheduledTasks/{_JELLYFIN_SCAN}.js") for config in configs]
        if disks and _scans_often(next((text for text in triggers if text), "")):
            yield _scan(
                "jellyfin", disks, "every 12 hours", "Dashboard > Scheduled Tasks > Scan Media Library"
            )
        yield from _data(machine, "jellyfin", data)
    if _is_used(machine, "emby-server.service"):
        yield from _data(machine, "emby-server", "/var/lib/emby")
    if _is_used(machine, "plexmediaserver.service"):
        found = dict(_PLEX_ATTRIBUTE.findall(machine.text(_PLEX_PREFERENCES)))
        interval = found.get("ScheduledLibraryUpdateInterval", "3600")
        periodic = found.get("ScheduledLibraryUpdatesEnabled") == "1"
        if machine.disks and periodic and interval.isdecimal() and int(interval) < 86400:  # noqa: PLR2004 - a day
            yield _scan(
                "plexmediaserver",
                tuple(sorted(machine.disks)),
                f"every {interval} seconds",
                "Settings > Library",
            )
        yield from _data(machine, "plexmediaserver", "/var/lib/plexmediaserver")


def _is_used(machine: Machine, unit: str) -> bool:
    return machine.running(unit) or machine.enabled(unit)


def _library_disks(machine: Machine, data: str) -> tuple[str, ...]:
    """The hard disks with libraries of Jellyfin; each .mblink file holds the path of one."""
    root = f"{data}/root/default"
    links = [  # not by a glob, which would also list a library that is a link to a disk in standby
        f"{root}/{library}/{name}"
        for library in machine.listdir(root)
        for name in machine.listdir(f"{root}/{library}")
        if name.endswith(".mblink")
    ]
    paths = [machine.text(link) for link in links]
    return tuple(sorted({disk for path in paths for disk in machine.disks_of(path)}))


def _scans_often(triggers: str) -> bool:
    """Whether the triggers of Jellyfin's scan are not stored, or one of them is an interval below a day."""
    try:
        found = json.loads(triggers) if triggers else None
    except ValueError:
        return False
    if not isinstance(found, list):
        return not triggers
    intervals = [each.get("IntervalTicks") for each in found if isinstance(each, dict)]
    return any(isinstance(ticks, int) and ticks < _TICKS_A_DAY for ticks in intervals)


def _scan(server: str, disks: tuple[str, ...], often: str, where: str) -> Diagnosis:
    return Diagnosis(
        f"media_server:{server}-scan",
        f"{server}.service",
        f"It scans its libraries on {', '.join(disks)} {often}.",
        "Scan once a day, in the evening; new files are still found at once by real-time monitoring.",
        disks=disks,
        by_hand=f"{where}: replace the interval by a daily trigger",
        accesses=AccessPattern(units=(f"{server}.service",), comms=(server[:15], "Plex Media Scan")),
    )


def _data(machine: Machine, server: str, data: str) -> Iterator[Diagnosis]:
    if disks := machine.disks_of(data):
        yield Diagnosis(
            f"media_server:{server}-data",
            f"{server}.service",
            f"It keeps its database and its logs in {data} on {', '.join(disks)}.",
            "Move them to an SSD.",
            disks=disks,
            by_hand=f"systemctl stop {server}; cp -a {data} /SSD/; "
            f"echo '/SSD/{data.rpartition('/')[2]} {data} none bind 0 0' >>/etc/fstab; mount {data}; "
            f"systemctl start {server}",
            accesses=AccessPattern(units=(f"{server}.service",), paths=(f"{data}/",)),
        )
