from __future__ import annotations

from doctor.server import Server


def test_laptop_mode(server: Server) -> None:
    path = "/etc/laptop-mode/laptop-mode.conf"
    server.put(path, "CONTROL_HD_IDLE_TIMEOUT=0\n")
    assert server.diagnose("laptop_mode") == []
    server.put(path, "CONTROL_HD_IDLE_TIMEOUT=1\n")
    (diagnosis,) = server.diagnose("laptop_mode")
    assert not diagnosis.fixable
    assert diagnosis.remedy
    assert path in diagnosis.effect
