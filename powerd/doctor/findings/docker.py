"""Docker writes logs and databases of containers to a hard disk.

Cause: the default log driver, ``json-file``, appends each line that a container prints to a file below
/var/lib/docker/containers. Programs in containers write their databases to volumes.

Cost: a container that prints one line in a few minutes, or saves a measurement, never lets that disk stop.

Remedy: by hand, because daemon.json is Docker's, and data must not be lost. The driver ``journald`` writes
the lines to the journal, which ``powerd doctor --fix journald`` keeps in memory; ``none`` drops them. A
driver applies to containers that are created afterwards.

Source: dockerd(8) (--log-driver, --data-root), https://docs.docker.com/engine/logging/configure/.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from typing import Final

from powerd.doctor.docker_files import Container, containers
from powerd.doctor.machine import Machine
from powerd.doctor.model import AccessPattern, Diagnosis

FIX: Final = ""
_DATABASES: Final = (
    "/app/data",
    "/bitnami",
    "/config",
    "/data/db",
    "/prometheus",
    "/usr/share/elasticsearch/data",
    "/var/lib/grafana",
    "/var/lib/influxdb",
    "/var/lib/mysql",
    "/var/lib/postgresql",
)
"""Where the images of well-known programs keep what they write all the time, by the path in the container."""


def detect(machine: Machine) -> Iterator[Diagnosis]:
    """Applies to logs and to databases while running containers write them to a hard disk."""
    running = list(containers(machine))
    logging = [each for each in running if each.log and machine.disks_of(each.log)]
    if logging:
        yield Diagnosis(
            "docker:logs",
            _names(logging),
            f"Each line that they print is written to {_disks(machine, [each.log for each in logging])}.",
            "Use another log driver, and create the containers again.",
            disks=_disk_names(machine, [each.log for each in logging]),
            by_hand='In /etc/docker/daemon.json: "log-driver": "journald"\n'
            "systemctl restart docker; docker compose up -d --force-recreate",
            accesses=AccessPattern(
                units=("docker.service",),
                comms=("dockerd",),
                paths=tuple(each.log.rpartition("/")[0] + "/" for each in logging),
            ),
        )
    databases = {
        source: each
        for each in running
        for path, source in each.writable.items()
        if path.startswith(_DATABASES) and machine.disks_of(source)
    }
    if databases:
        yield Diagnosis(
            "docker:volumes",
            _names(databases.values()),
            f"They keep databases in {', '.join(sorted(databases))} on {_disks(machine, databases)}.",
            "Move these directories to an SSD; what the containers only read may stay.",
            disks=_disk_names(machine, databases),
            by_hand="\n".join(
                f"docker stop {each.name}; cp -a {shlex.quote(source)} /SSD/; then name the new path in the "
                f"volumes of {each.name}"
                for source, each in sorted(databases.items())
            ),
            accesses=AccessPattern(paths=tuple(f"{source}/" for source in sorted(databases))),
        )


def _names(found: Iterable[Container]) -> str:
    return "containers " + ", ".join(sorted({each.name for each in found}))


def _disk_names(machine: Machine, paths: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({disk for path in paths for disk in machine.disks_of(path)}))


def _disks(machine: Machine, paths: Iterable[str]) -> str:
    return ", ".join(_disk_names(machine, paths))
