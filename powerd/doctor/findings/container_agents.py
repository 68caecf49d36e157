"""Containers that watch other containers, or disks, disturb disks.

Cause and cost, by the name of the image:

- cAdvisor measures how full each container is by reading its directories (``--disable_metrics=disk``
  prevents it).
- Portainer queries everything from Docker every 5 minutes and stores the answer (``--snapshot-interval``).
- Watchtower looks for new images every ``WATCHTOWER_POLL_INTERVAL`` seconds, a day by default.
- Scrutiny runs ``smartctl --xall`` by ``COLLECTOR_CRON_SCHEDULE``, which starts stopped disks.

Remedy: by hand, because the options belong to the container.

Source: https://github.com/google/cadvisor/blob/master/docs/runtime_options.md,
https://docs.portainer.io/advanced/cli, https://containrrr.dev/watchtower/arguments/,
https://github.com/AnalogJ/scrutiny (example.collector.yaml).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from powerd.doctor.config_files import seconds
from powerd.doctor.docker_files import Container, containers
from powerd.doctor.machine import Machine
from powerd.doctor.model import AccessPattern, Diagnosis

FIX: Final = ""
_DAY: Final = 86400
_NAMES: Final = ("cadvisor", "portainer", "watchtower", "scrutiny")


def detect(machine: Machine) -> Iterator[Diagnosis]:
    """Applies per running container of such an image, while its options are not those of the remedy."""
    for container in containers(machine):
        name = next((each for each in _NAMES if each in container.image), "")
        found = _remedy(name, container)
        disks = _disks(machine, name, container)
        if found is None or not disks:
            continue
        effect, by_hand = found
        yield Diagnosis(
            f"container_agents:{container.name}",
            f"container {container.name} ({container.image})",
            f"{effect} ({', '.join(disks)}).",
            "Change its options as shown, and create the container again.",
            disks=disks,
            by_hand=by_hand,
            accesses=AccessPattern(
                comms=(name,), paths=tuple(f"{path}/" for path in container.writable.values())
            ),
        )


def _remedy(name: str, container: Container) -> tuple[str, str] | None:
    """What the container does, without a full stop, and the lines to change; None = nothing."""
    words = " ".join(container.arguments)
    match name:
        case "cadvisor" if (
            "disable_metrics" not in words or "disk" not in words.partition("disable_metrics")[2]
        ):
            return (
                "It reads the directories of all containers to measure their size",
                "command: --disable_metrics=disk --docker_only=true",
            )
        case "portainer" if _interval(words, "--snapshot-interval", "5m") < _DAY:
            return "It stores the state of Docker every few minutes", "command: --snapshot-interval 24h"
        case "watchtower" if _watchtower_interval(container, words) < _DAY:
            return (
                "It looks for new images more often than once a day",
                "environment: WATCHTOWER_POLL_INTERVAL=86400",
            )
        case "scrutiny":
            return (
                "It asks stopped disks for their SMART values, which starts them; powerd reads these as well",
                f"docker stop {container.name}; docker update --restart=no {container.name}",
            )
    return None


def _interval(words: str, option: str, default: str) -> int:
    value = words.partition(option)[2].lstrip("= ").split(" ")[0]
    return seconds(value or default) or 0


def _watchtower_interval(container: Container, words: str) -> int:
    if container.environment.get("WATCHTOWER_SCHEDULE") or "--schedule" in words:
        return _DAY  # a person has chosen the times
    default = container.environment.get("WATCHTOWER_POLL_INTERVAL", str(_DAY))
    return _interval(words, "--interval", default)


def _disks(machine: Machine, name: str, container: Container) -> tuple[str, ...]:
    """The hard disks that it disturbs: all of them, or those with its own and Docker's files."""
    if name == "scrutiny":
        return tuple(sorted(machine.disks))
    paths = (*container.writable.values(), container.log or "/var/lib/docker")
    return tuple(sorted({disk for path in paths for disk in machine.disks_of(path)}))
