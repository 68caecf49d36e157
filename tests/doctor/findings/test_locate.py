from __future__ import annotations

import pytest
from doctor.server import Server


@pytest.fixture
def data(server: Server) -> Server:
    """With /srv/data on a disk of its own, sdc."""
    server.sata(2, "WD-2")
    server.partition(2, 1, ID_FS_TYPE="ext4")
    server.mount("8:33", "/srv/data", "ext4", "/dev/sdc1")
    return server


@pytest.fixture
def plocate(data: Server) -> Server:
    data.install("plocate")
    data.enable("plocate-updatedb.timer", "timers.target")
    return data


def test_the_data_disk_is_excluded(plocate: Server) -> None:
    diagnosis = plocate.check_fix("locate")
    assert diagnosis.disks == ("sdc",)
    command = 'ExecStart=/usr/sbin/updatedb.plocate --add-prunepaths "/srv/data"\n'
    assert diagnosis.files[0].text == f"[Service]\nExecStart=\n{command}"


@pytest.mark.parametrize("line", ['PRUNEPATHS="/tmp /srv"', "PRUNEPATHS='/srv/data'", 'PRUNEFS="nfs ext4"'])
def test_it_has_been_excluded(plocate: Server, line: str) -> None:
    plocate.put("/etc/updatedb.conf", f"{line}\n")
    assert plocate.diagnose("locate") == []


def test_a_mount_with_a_blank_or_a_percent_sign(plocate: Server) -> None:
    plocate.sata(3, "WD-3")
    plocate.partition(3, 1, ID_FS_TYPE="ext4")
    plocate.mount("8:49", "/srv/my\\040films", "ext4", "/dev/sdd1")
    plocate.mount("8:49", "/srv/100%", "ext4", "/dev/sdd1")
    (diagnosis,) = plocate.diagnose("locate")
    assert '--add-prunepaths "/srv/100%% /srv/data"\n' in diagnosis.files[0].text
    assert '--add-single-prunepath "/srv/my films"' in diagnosis.by_hand


def test_the_disk_of_the_system_is_scanned_in_any_case(plocate: Server) -> None:
    plocate.mount("8:1", "/srv/data", "ext4", "/dev/sda1", root="/data")
    assert plocate.diagnose("locate") == []


@pytest.mark.parametrize(
    ("job", "config"),
    [("mlocate", "/etc/updatedb.conf"), ("locate", "/etc/updatedb.findutils.cron.local")],
)
def test_daily_jobs(data: Server, job: str, config: str) -> None:
    data.install("locate")
    data.at("/etc/cron.daily/locate").rename(data.at(f"/etc/cron.daily/{job}"))
    (diagnosis,) = data.diagnose("locate")
    assert diagnosis.id == f"locate:{job}"
    assert config in diagnosis.by_hand
    data.put(config, f"{diagnosis.by_hand.partition(': ')[2]}\n")
    assert data.diagnose("locate") == []


def test_a_timer_that_is_not_enabled(data: Server) -> None:
    data.install("plocate")
    assert data.diagnose("locate") == []
