"""Reads what Docker has stored about its containers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from powerd.core.dataclass import dataclass
from powerd.doctor.machine import Machine

_DAEMON: Final = "/etc/docker/daemon.json"
_DEFAULT_ROOT: Final = "/var/lib/docker"


@dataclass(frozen=True, slots=True)
class Container:
    """A running container of Docker.

    Attributes:
        name: as ``docker ps`` shows it.
        image: as it was named when the container was created, ``portainer/portainer-ce:latest``.
        arguments: of its process, those of the image included.
        environment: by name.
        log: the path of its log; "" = its driver does not write a file.
        writable: the directories of this machine that it may write to, by their path in the container.
    """

    name: str
    image: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    log: str
    writable: Mapping[str, str]


def containers(machine: Machine) -> Iterator[Container]:
    """The running containers, by dockerd's ``containers/ID/config.v2.json``, which root may read."""
    if not machine.running("docker.service"):
        return
    root = _parse(machine.text(_DAEMON)).get("data-root")
    directory = f"{root if isinstance(root, str) else _DEFAULT_ROOT}/containers"
    for id_ in machine.listdir(directory):
        found = _parse(machine.text(f"{directory}/{id_}/config.v2.json"))
        if _mapping(found, "State").get("Running") is True:
            yield _container(found)


def _container(found: Mapping[str, Any]) -> Container:
    config, mounts = _mapping(found, "Config"), _mapping(found, "MountPoints")
    words = [found.get("Path"), *_list(found, "Args")]
    return Container(
        name=str(found.get("Name") or "").lstrip("/"),
        image=str(config.get("Image") or ""),
        arguments=tuple(word for word in words if isinstance(word, str)),
        environment=dict(
            each.split("=", 1) for each in _list(config, "Env") if isinstance(each, str) and "=" in each
        ),
        log=str(found.get("LogPath") or ""),
        writable={
            path: mount["Source"]
            for path, mount in mounts.items()
            if isinstance(mount, dict) and mount.get("RW") is True and isinstance(mount.get("Source"), str)
        },
    )


def _parse(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _mapping(found: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = found.get(key)
    return value if isinstance(value, dict) else {}


def _list(found: Mapping[str, Any], key: str) -> list[Any]:
    value = found.get(key)
    return value if isinstance(value, list) else []
