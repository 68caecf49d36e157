from __future__ import annotations

from doctor.server import Server


def test_tlp(server: Server) -> None:
    server.install("tlp")
    assert server.diagnose("tlp") == [], "all of it is commented out"
    server.put("/etc/tlp.d/50-disks.conf", 'DISK_APM_LEVEL_ON_AC="127 127"\n')
    (diagnosis,) = server.diagnose("tlp")
    assert not diagnosis.fixable
    assert diagnosis.remedy
    assert "/etc/tlp.d/50-disks.conf" in diagnosis.effect
