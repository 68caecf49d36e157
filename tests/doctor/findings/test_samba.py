from __future__ import annotations

import pytest
from doctor.server import Server

from powerd.doctor.model import Diagnosis


@pytest.fixture
def samba(server: Server) -> Server:
    server.install("samba")
    server.install("samba-common")
    server.put("/etc/samba/smb.conf", server.at("/usr/share/samba/smb.conf").read_text())
    server.enable("nmbd.service")
    server.enable("smbd.service")
    return server


def by_id(server: Server) -> dict[str, Diagnosis]:
    return {each.id: each for each in server.diagnose("samba")}


def test_nmbd_keeps_its_list_in_memory(samba: Server) -> None:
    assert set(by_id(samba)) == {"samba:nmbd", "samba:log"}
    before = samba.tree()
    samba.fix("samba:nmbd")
    assert set(by_id(samba)) == {"samba:log"}
    samba.undo("samba:nmbd")
    assert samba.tree() == before


def test_options_of_the_owner(samba: Server) -> None:
    samba.put("/etc/default/samba", 'NMBDOPTIONS="-d 1"\n')
    diagnosis = by_id(samba)["samba:nmbd"]
    assert not diagnosis.fixable
    samba.put("/etc/default/samba", f"{diagnosis.by_hand.partition(': ')[2]}\n")
    assert "samba:nmbd" not in by_id(samba)


@pytest.mark.parametrize("name", ["log file", "Log File", "logfile"])
def test_logs_in_memory(samba: Server, name: str) -> None:
    text = samba.at("/etc/samba/smb.conf").read_text()
    samba.put("/etc/samba/smb.conf", text.replace("log file = /var/log/samba", f"{name} = /run/samba"))
    samba.mount("0:25", "/run", "tmpfs", "tmpfs")
    assert set(by_id(samba)) == {"samba:nmbd"}


def test_files_on_an_ssd(samba: Server) -> None:
    samba.move_to_ssd("/var")
    assert by_id(samba) == {}


def test_a_server_without_network_browsing(samba: Server) -> None:
    samba.at("/etc/systemd/system/multi-user.target.wants/nmbd.service").unlink()
    assert set(by_id(samba)) == {"samba:log"}


def test_options_of_a_drop_in_are_not_replaced(samba: Server) -> None:
    samba.put("/etc/systemd/system/nmbd.service.d/mine.conf", '[Service]\nEnvironment="NMBDOPTIONS=-d 1"\n')
    diagnosis = by_id(samba)["samba:nmbd"]
    assert not diagnosis.fixable
    assert 'NMBDOPTIONS="-d 1 --option=' in diagnosis.by_hand
