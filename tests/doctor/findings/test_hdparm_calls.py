from __future__ import annotations

from doctor.server import Server


def test_hdparm_calls(server: Server) -> None:
    server.install("hdparm")
    before = server.diagnose("hdparm_calls")
    server.put("/etc/rc.local", "#!/bin/sh\nhdparm -S 120 /dev/sda\n")
    assert before == [], "the hooks of the package apply hdparm.conf"
    (diagnosis,) = server.diagnose("hdparm_calls")
    assert not diagnosis.fixable
    assert diagnosis.remedy
    assert "/etc/rc.local, line 2" in diagnosis.effect
