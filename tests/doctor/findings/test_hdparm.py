from __future__ import annotations

from doctor.server import Server


def test_hdparm(server: Server) -> None:
    server.install("hdparm")
    assert server.diagnose("hdparm") == [], "all of it is commented out"
    server.put("/etc/hdparm.conf", "/dev/sda {\n\tspindown_time = 240\n}\n")
    (diagnosis,) = server.diagnose("hdparm")
    assert not diagnosis.fixable
    assert diagnosis.remedy
    assert "[[disks.rule]]" in diagnosis.by_hand
