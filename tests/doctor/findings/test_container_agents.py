from __future__ import annotations

import json

import pytest
from doctor.server import Server


@pytest.fixture
def docker(server: Server) -> Server:
    server.start("docker.service")
    return server


def run_container(server: Server, image: str, arguments: str, environment: list[str]) -> None:
    found = {
        "State": {"Running": True},
        "Config": {"Image": image, "Env": environment},
        "Name": "/agent",
        "Path": "/program",
        "Args": arguments.split(),
        "LogPath": "",
        "MountPoints": {"/data": {"Source": "/srv/agent", "RW": True}},
    }
    server.put("/var/lib/docker/containers/1/config.v2.json", json.dumps(found))


@pytest.mark.parametrize(
    ("image", "arguments", "environment"),
    [
        ("gcr.io/cadvisor/cadvisor:v0.49.1", "-logtostderr", []),
        ("gcr.io/cadvisor/cadvisor:v0.49.1", "--disable_metrics=tcp,udp", []),
        ("portainer/portainer-ce:latest", "", []),
        ("portainer/portainer-ce@sha256:12", "--snapshot-interval 10m", []),
        ("containrrr/watchtower", "--interval 300", []),
        ("nickfedor/watchtower", "", ["WATCHTOWER_POLL_INTERVAL=3600"]),
        ("ghcr.io/analogj/scrutiny:master-omnibus", "", []),
    ],
)
def test_agents(docker: Server, image: str, arguments: str, environment: list[str]) -> None:
    run_container(docker, image, arguments, environment)
    (diagnosis,) = docker.diagnose("container_agents")
    assert diagnosis.id == "container_agents:agent"
    assert image in diagnosis.subject
    assert not diagnosis.fixable


@pytest.mark.parametrize(
    ("image", "arguments", "environment"),
    [
        ("gcr.io/cadvisor/cadvisor", "--disable_metrics=tcp,disk --docker_only=true", []),
        ("portainer/portainer-ce", "--snapshot-interval=24h", []),
        ("containrrr/watchtower", "", []),
        ("containrrr/watchtower", "", ["WATCHTOWER_SCHEDULE=0 0 18 * * *"]),
        ("nginx", "", []),
    ],
)
def test_options_of_the_remedy(docker: Server, image: str, arguments: str, environment: list[str]) -> None:
    run_container(docker, image, arguments, environment)
    assert docker.diagnose("container_agents") == []


def test_files_on_an_ssd(docker: Server) -> None:
    run_container(docker, "portainer/portainer-ce", "", [])
    for directory in ("/srv", "/var/lib/docker"):
        docker.move_to_ssd(directory)
    run_container(docker, "portainer/portainer-ce", "", [])
    assert docker.diagnose("container_agents") == []
