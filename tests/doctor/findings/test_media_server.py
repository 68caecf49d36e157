from __future__ import annotations

import os

import pytest
from doctor.server import Server

from powerd.doctor.model import DoctorRequest

TASK = "ScheduledTasks/7738148ffcd07979c7ceb148e06b3aed.js"
PLEX = "/var/lib/plexmediaserver/Library/Application Support/Plex Media Server/Preferences.xml"


def ids(server: Server) -> list[str]:
    return [each.id for each in server.diagnose("media_server")]


@pytest.fixture
def jellyfin(server: Server) -> Server:
    server.start("jellyfin.service")
    server.put("/etc/default/jellyfin", 'JELLYFIN_DATA_DIR="/fast/jellyfin"\n')
    server.put("/fast/jellyfin/root/default/Films/films.mblink", "/srv/films")
    return server


def test_a_scan_every_12_hours(jellyfin: Server) -> None:
    assert ids(jellyfin) == ["media_server:jellyfin-scan"]


@pytest.mark.parametrize(
    "triggers",
    [
        "[]",
        '[{"Type":"DailyTrigger","TimeOfDayTicks":684000000000}]',
        '[{"Type":"IntervalTrigger","IntervalTicks":864000000000}]',
        "not JSON",
    ],
)
@pytest.mark.parametrize("directory", ["/etc/jellyfin", "/fast/jellyfin/config"])
def test_a_scan_at_a_chosen_time(jellyfin: Server, triggers: str, directory: str) -> None:
    jellyfin.put(f"{directory}/{TASK}", triggers)
    assert ids(jellyfin) == []


def test_a_short_interval(jellyfin: Server) -> None:
    jellyfin.put(f"/etc/jellyfin/{TASK}", '[{"Type":"IntervalTrigger","IntervalTicks":36000000000}]')
    assert ids(jellyfin) == ["media_server:jellyfin-scan"]


def test_libraries_on_an_ssd(jellyfin: Server) -> None:
    jellyfin.put("/fast/jellyfin/root/default/Films/films.mblink", "/fast/films")
    assert ids(jellyfin) == []


@pytest.mark.parametrize(
    ("unit", "name"),
    [("jellyfin", "jellyfin"), ("emby-server", "emby-server"), ("plexmediaserver", "plexmediaserver")],
)
def test_data_on_a_hard_disk(server: Server, unit: str, name: str) -> None:
    assert ids(server) == []
    server.start(f"{unit}.service")
    assert ids(server) == [f"media_server:{name}-data"]
    server.move_to_ssd("/var/lib")
    assert ids(server) == []


@pytest.mark.parametrize(
    ("preferences", "found"),
    [
        ('ScheduledLibraryUpdatesEnabled="1"', ["media_server:plexmediaserver-scan"]),
        ('ScheduledLibraryUpdatesEnabled="1" ScheduledLibraryUpdateInterval="86400"', []),
        ('ScheduledLibraryUpdatesEnabled="0" ScheduledLibraryUpdateInterval="900"', []),
        ('Other="1"', []),
    ],
)
def test_scans_of_plex(server: Server, preferences: str, found: list[str]) -> None:
    server.start("plexmediaserver.service")
    server.move_to_ssd("/var/lib")
    server.put(PLEX, f'<?xml version="1.0"?>\n<Preferences {preferences}/>\n')
    assert ids(server) == found


def test_a_path_that_no_file_can_have(jellyfin: Server) -> None:
    jellyfin.put("/fast/jellyfin/root/default/Films/films.mblink", "/srv/\0films")
    assert ids(jellyfin) == ["media_server:jellyfin-scan"]


def test_a_library_that_links_to_a_disk_in_standby_is_not_listed(
    jellyfin: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    jellyfin.sata(2, "WD-2")
    jellyfin.mount("8:32", "/media", "ext4", "/dev/sdc")
    jellyfin.put("/media/films/films.mblink", "/media")
    jellyfin.at("/fast/jellyfin/root/default/Linked").symlink_to(jellyfin.at("/media/films"))
    listed, real = list[str](), os.listdir

    def record(path: str) -> list[str]:
        listed.append(os.path.realpath(path))
        return real(path)

    monkeypatch.setattr(os, "listdir", record)
    report = jellyfin.request(DoctorRequest(sleeping=["sdc"]))
    assert any("/media/films is not examined" in note for note in report.notes)
    assert str(jellyfin.at("/media/films")) not in listed
