from __future__ import annotations

from doctor.server import Server

CONF = "/etc/udisks2/WDC-WD20EFRX-WD-1.conf"


def test_the_running_service_is_masked(server: Server) -> None:
    server.install("udisks2")
    assert server.diagnose("udisks") == []
    server.start("udisks2.service")
    server.check_fix("udisks")


def test_a_file_with_a_timer_is_removed_by_hand(server: Server) -> None:
    server.put(CONF, "[ATA]\nStandbyTimeout=240\n")
    (diagnosis,) = server.diagnose("udisks")
    assert not diagnosis.fixable
    assert CONF in diagnosis.effect
    server.start("udisks2.service")
    assert sorted(each.fixable for each in server.diagnose("udisks")) == [False, True]
