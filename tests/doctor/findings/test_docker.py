from __future__ import annotations

import json
from typing import Any

import pytest
from doctor.server import Server

DIRECTORY = "/var/lib/docker/containers"


def container(name: str, log: str = "json", *, running: bool = True, **mounts: str) -> dict[str, Any]:
    """config.v2.json of dockerd, with the keys that count; mounts by path in the container, _ for /."""
    return {
        "State": {"Running": running},
        "Config": {"Image": "nginx:1", "Env": ["A=b"]},
        "Name": f"/{name}",
        "Path": "nginx",
        "Args": ["-g"],
        "LogPath": f"{DIRECTORY}/{name}/{name}-json.log" if log else "",
        "MountPoints": {
            path.replace("_", "/"): {"Source": source, "RW": True} for path, source in mounts.items()
        },
    }


@pytest.fixture
def docker(server: Server) -> Server:
    server.start("docker.service")
    return server


def put(server: Server, found: object, directory: str = DIRECTORY) -> None:
    name = str(found["Name"])[1:] if isinstance(found, dict) else "odd"
    server.put(f"{directory}/{name}/config.v2.json", json.dumps(found))


def test_logs_on_a_hard_disk(docker: Server) -> None:
    put(docker, container("web"))
    put(docker, container("db"))
    put(docker, container("quiet", log=""))
    put(docker, container("stopped", running=False))
    (diagnosis,) = docker.diagnose("docker")
    assert diagnosis.id == "docker:logs"
    assert diagnosis.subject == "containers db, web"
    assert diagnosis.accesses.paths == (f"{DIRECTORY}/db/", f"{DIRECTORY}/web/")


def test_databases_on_a_hard_disk(docker: Server) -> None:
    put(docker, container("db", log="", _var_lib_mysql="/srv/db", _media="/srv/media"))
    put(docker, container("fast", log="", _config="/fast/config"))
    (diagnosis,) = docker.diagnose("docker")
    assert diagnosis.id == "docker:volumes"
    assert "/srv/db" in diagnosis.by_hand
    assert "media" not in diagnosis.by_hand


def test_another_directory(docker: Server) -> None:
    docker.put("/etc/docker/daemon.json", '{"data-root": "/srv/docker"}')
    put(docker, container("web"), "/srv/docker/containers")
    assert len(docker.diagnose("docker")) == 1


@pytest.mark.parametrize(
    "found",
    [
        None,
        [],
        {"State": 1},
        {"State": {"Running": True}, "MountPoints": {"a": 1}, "Config": {"Env": [1, {"=": 2}]}},
    ],
)
def test_odd_files(docker: Server, found: object) -> None:
    docker.put(f"{DIRECTORY}/odd/config.v2.json", json.dumps(found))
    docker.put("/etc/docker/daemon.json", json.dumps(found))
    assert docker.diagnose("docker") == []


def test_docker_does_not_run(server: Server) -> None:
    put(server, container("web"))
    assert server.diagnose("docker") == []
