from __future__ import annotations

from doctor.server import Server


def test_runtime_pm(server: Server) -> None:
    server.sysfs("sda", "device/power/control", "auto")
    assert server.diagnose("runtime_pm") == [], "it has no delay"
    server.sysfs("sda", "device/power/autosuspend_delay_ms", "900000")
    (diagnosis,) = server.diagnose("runtime_pm")
    assert not diagnosis.fixable
    assert diagnosis.remedy
