"""Programs that record measurements write to a hard disk every few minutes.

Cause and cost:

- munin: cron(8) runs munin-cron(8) every 5 minutes, which updates the files in /var/lib/munin.
- rrdcached: it writes each update to its journal at once, and all values every 300 seconds (rrdcached(1),
  -j, -w). On Proxmox VE it receives the values of pvestatd every 10 seconds.
- vnstat: it saves its counters every ``SaveInterval``, 5 minutes by default (vnstat.conf(5)).
- Prometheus, InfluxDB and Grafana write their databases all the time.

Remedy: by hand, because these programs own their configuration and the data must not be lost.

Source: /etc/cron.d/munin and /etc/default/rrdcached of Debian 12, rrdcached(1), vnstat.conf(5).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from powerd.core.dataclass import dataclass
from powerd.doctor.config_files import assignments, directives, seconds
from powerd.doctor.machine import Machine
from powerd.doctor.model import AccessPattern, Diagnosis

FIX: Final = ""
_MAX_SAVE_INTERVAL: Final = 60


@dataclass(frozen=True, slots=True)
class _Database:
    """A program that writes its database all the time."""

    unit: str
    comm: str
    directory: str


_DATABASES: Final = (
    _Database("prometheus.service", "prometheus", "/var/lib/prometheus"),
    _Database("influxdb.service", "influxd", "/var/lib/influxdb"),
    _Database("grafana-server.service", "grafana", "/var/lib/grafana"),
)


def detect(machine: Machine) -> Iterator[Diagnosis]:
    """Applies per program while it runs and writes to a hard disk more often than by its remedy."""
    yield from _munin(machine)
    yield from _rrdcached(machine)
    yield from _vnstat(machine)
    for database in _DATABASES:
        disks = machine.disks_of(database.directory)
        if disks and (machine.enabled(database.unit) or machine.running(database.unit)):
            yield Diagnosis(
                f"collectors:{database.unit.removesuffix('.service')}",
                database.unit,
                f"It writes to {database.directory} on {', '.join(disks)} all the time.",
                "Move its data to an SSD, or stop it.",
                disks=disks,
                by_hand=_move(database.unit, database.directory),
                accesses=AccessPattern(
                    units=(database.unit,), comms=(database.comm,), paths=(f"{database.directory}/",)
                ),
            )


def _munin(machine: Machine) -> Iterator[Diagnosis]:
    job = "/etc/cron.d/munin"
    disks = tuple(sorted({*machine.disks_of("/var/lib/munin"), *machine.disks_of("/var/cache/munin")}))
    every = next(
        (line for line in machine.text(job).split("\n") if "munin-cron" in line and line[0] != "#"), ""
    )
    if not disks or not every.startswith("*/"):
        return
    yield Diagnosis(
        "collectors:munin",
        job,
        f"It updates /var/lib/munin and /var/cache/munin on {', '.join(disks)} every "
        f"{every[2:].split()[0]} minutes.",
        "Munin needs a value every 5 minutes; move its data to an SSD, or stop it.",
        disks=disks,
        by_hand=f"{_move('cron', '/var/lib/munin')}\nor: apt-get remove munin",
        accesses=AccessPattern(
            comms=("munin-update", "munin-graph", "munin-html", "munin-limits"),
            paths=("/var/lib/munin/", "/var/cache/munin/", "/var/log/munin/"),
        ),
    )


def _rrdcached(machine: Machine) -> Iterator[Diagnosis]:
    settings = assignments(machine.text("/etc/default/rrdcached"))
    journal = settings.get("JOURNAL_PATH", "")
    timeout = settings.get("WRITE_TIMEOUT") or "300"
    base = settings.get("BASE_PATH") or "/var/lib/rrdcached/db"
    late = (seconds(timeout) or 0) >= 3600  # noqa: PLR2004 - an hour, as advised below
    disks = tuple(sorted({*machine.disks_of(base), *(machine.disks_of(journal) if journal else ())}))
    if (
        not machine.running("rrdcached.service")
        or not disks
        or (late and not machine.disks_of(journal or "/run"))
    ):
        return
    yield Diagnosis(
        "collectors:rrdcached",
        "rrdcached.service",
        f"It writes to {journal or base} on {', '.join(disks)} at each update, and all values every "
        f"{timeout} seconds.",
        "Write the values every 6 hours, and the journal to memory: after a crash, up to 6 hours of them "
        "are lost.",
        disks=disks,
        by_hand="In /etc/default/rrdcached: WRITE_TIMEOUT=21600 and JOURNAL_PATH=/run/rrdcached\n"
        'and BASE_OPTIONS="-B -F"\nsystemctl restart rrdcached',
        accesses=AccessPattern(
            units=("rrdcached.service",), comms=("rrdcached", "pvestatd"), paths=("/var/lib/rrdcached/",)
        ),
    )


def _vnstat(machine: Machine) -> Iterator[Diagnosis]:
    settings = directives(machine.text("/etc/vnstat.conf"), comment="#;")
    directory = settings.get("databasedir", "/var/lib/vnstat")
    interval = settings.get("saveinterval", "5")
    disks = machine.disks_of(directory)
    if not (machine.enabled("vnstat.service") or machine.running("vnstat.service")) or not disks:
        return
    if not interval.isdecimal() or int(interval) >= _MAX_SAVE_INTERVAL:
        return
    yield Diagnosis(
        "collectors:vnstat",
        "vnstat.service",
        f"It saves its counters to {directory} on {', '.join(disks)} every {interval} minutes.",
        "Save them once an hour, the longest that vnstat permits; to save no disk start but one an hour, "
        "move them to an SSD.",
        disks=disks,
        by_hand="In /etc/vnstat.conf: SaveInterval 60 and OfflineSaveInterval 60\nsystemctl restart vnstat",
        accesses=AccessPattern(units=("vnstat.service",), comms=("vnstatd",), paths=(f"{directory}/",)),
    )


def _move(unit: str, directory: str) -> str:
    """The lines that move a directory to another disk, with /SSD in place of its mount point."""
    return (
        f"systemctl stop {unit}; cp -a {directory} /SSD/; echo '/SSD/{directory.rpartition('/')[2]} "
        f"{directory} none bind 0 0' >>/etc/fstab; mount {directory}; systemctl start {unit}"
    )
