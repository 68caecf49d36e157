from __future__ import annotations

import pytest
from doctor.server import Server

UNIT = "systemd-timesyncd.service"


@pytest.fixture
def clock(server: Server) -> Server:
    server.install("systemd-timesyncd")
    server.enable(UNIT, "sysinit.target")
    server.put("/var/lib/systemd/timesync/clock", "")
    return server


def with_version(server: Server, version: int) -> None:
    directory = "/usr/lib/x86_64-linux-gnu/systemd"
    server.at(f"{directory}/libsystemd-shared-252.so").rename(
        server.at(f"{directory}/libsystemd-shared-{version}.so")
    )


def test_it_saves_the_time_every_minute(clock: Server) -> None:
    diagnosis = clock.check_fix("timesyncd")
    assert "every 60s" in diagnosis.effect
    assert "SaveIntervalSec=infinity" in diagnosis.files[0].text


def test_before_version_250_it_saves_the_time_when_it_synchronises(clock: Server) -> None:
    with_version(clock, 247)
    diagnosis = clock.check_fix("timesyncd")
    assert "every 34 minutes" in diagnosis.effect
    assert "SaveIntervalSec" not in diagnosis.files[0].text


@pytest.mark.parametrize(
    ("path", "version"),
    [("/var/lib/systemd/clock", 232), ("/var/lib/private/systemd/timesync/clock", 239)],
)
def test_the_file_of_older_versions(clock: Server, path: str, version: int) -> None:
    with_version(clock, version)
    clock.at("/var/lib/systemd/timesync/clock").unlink()
    clock.put(path, "")
    (diagnosis,) = clock.diagnose("timesyncd")
    assert path in diagnosis.effect


def test_no_periodic_saves_but_frequent_synchronisation(clock: Server) -> None:
    clock.put("/etc/systemd/timesyncd.conf", "[Time]\nSaveIntervalSec=infinity\n")
    assert len(clock.diagnose("timesyncd")) == 1
    clock.put("/etc/systemd/timesyncd.conf", "[Time]\nSaveIntervalSec=0\nPollIntervalMinSec=12h\n")
    assert clock.diagnose("timesyncd") == []


def test_a_service_that_is_not_used(server: Server) -> None:
    server.install("systemd-timesyncd")
    assert server.diagnose("timesyncd") == []
    server.enable(UNIT, "sysinit.target")
    assert len(server.diagnose("timesyncd")) == 1
    server.at(f"/etc/systemd/system/{UNIT}").symlink_to("/dev/null")
    assert server.diagnose("timesyncd") == []


def test_its_file_on_an_ssd(clock: Server) -> None:
    clock.move_to_ssd("/var/lib")
    assert clock.diagnose("timesyncd") == []


def test_intervals_of_the_owner_stay(clock: Server) -> None:
    clock.put("/etc/systemd/timesyncd.conf", "[Time]\nPollIntervalMinSec=1d\nPollIntervalMaxSec=7d\n")
    diagnosis = clock.check_fix("timesyncd")
    assert "PollInterval" not in diagnosis.files[0].text
