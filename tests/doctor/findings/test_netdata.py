from __future__ import annotations

import pytest
from doctor.server import Server

from powerd.doctor.model import DoctorError, DoctorRequest

UNIT = "netdata.service"


@pytest.fixture
def netdata(server: Server) -> Server:
    server.install("netdata-core")
    server.enable(UNIT)
    server.mount("0:25", "/run", "tmpfs", "tmpfs")
    return server


def test_the_metrics_move_to_memory(netdata: Server) -> None:
    diagnosis = netdata.check_fix("netdata")
    assert "\nExecStart=/usr/sbin/netdata -D -W set db mode ram -W " in diagnosis.files[0].text


def test_a_cache_directory_of_the_owner(netdata: Server) -> None:
    netdata.put("/etc/netdata/netdata.conf", "[directories]\n\tcache = /fast/netdata\n")
    assert netdata.diagnose("netdata") == []
    netdata.put("/etc/netdata/netdata.conf", "[directories]\n\tcache = /srv/netdata\n[db]\n\tmode = ram\n")
    (diagnosis,) = netdata.diagnose("netdata")
    assert "/srv/netdata/" in diagnosis.accesses.paths, "what it measures is stored in every mode"


def test_a_database_on_an_ssd(netdata: Server) -> None:
    netdata.move_to_ssd("/var/cache/netdata")
    assert netdata.diagnose("netdata") == []


@pytest.mark.parametrize("odd", ["\0", "\x1b", "\x7f"])
@pytest.mark.parametrize("dry_run", [False, True])
def test_a_damaged_unit_is_not_copied(netdata: Server, odd: str, *, dry_run: bool) -> None:
    netdata.put(f"/etc/systemd/system/{UNIT}", f"[Service]\nExecStart=/usr/sbin/netdata {odd}-D\n")
    before = netdata.tree()
    with pytest.raises(DoctorError, match="control character"):
        netdata.request(DoctorRequest("fix", "netdata", dry_run=dry_run))
    assert netdata.tree() == before
