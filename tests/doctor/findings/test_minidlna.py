from __future__ import annotations

import pytest
from doctor.server import Server


@pytest.fixture
def minidlna(server: Server) -> Server:
    server.install("minidlna")
    server.enable("minidlna.service")
    server.put("/etc/minidlna.conf", "port=8200\nmedia_dir=V,/srv/films\nmedia_dir=/fast/music\n")
    return server


def test_it_starts_without_a_scan(minidlna: Server) -> None:
    diagnosis = minidlna.check_fix("minidlna")
    assert "/srv/films" in diagnosis.effect
    assert diagnosis.files[0].text == '[Service]\nEnvironment="DAEMON_OPTS="\n'


def test_options_of_the_owner(minidlna: Server) -> None:
    minidlna.put("/etc/default/minidlna", 'DAEMON_OPTS="-v"\n')
    assert minidlna.diagnose("minidlna") == []
    minidlna.put("/etc/default/minidlna", 'DAEMON_OPTS="-v -R"\n')
    (diagnosis,) = minidlna.diagnose("minidlna")
    assert not diagnosis.fixable


def test_media_on_an_ssd(minidlna: Server) -> None:
    minidlna.put("/etc/minidlna.conf", "media_dir=A,/fast/music\n")
    assert minidlna.diagnose("minidlna") == []


def test_other_options_of_a_drop_in_stay(minidlna: Server) -> None:
    minidlna.put(
        "/etc/systemd/system/minidlna.service.d/mine.conf", '[Service]\nEnvironment="DAEMON_OPTS=-v -r"\n'
    )
    diagnosis = minidlna.check_fix("minidlna")
    assert diagnosis.files[0].text == '[Service]\nEnvironment="DAEMON_OPTS=-v"\n'
