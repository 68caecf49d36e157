from __future__ import annotations

import pytest
from doctor.server import Server


@pytest.fixture
def collectd(server: Server) -> Server:
    server.install("collectd")
    server.install("collectd-core")
    server.enable("collectd.service")
    return server


def test_values_are_written_together(collectd: Server) -> None:
    assert collectd.check_fix("collectd").disks == ("sda",)


@pytest.mark.parametrize(
    "text", ["<Plugin rrdtool>\n CacheTimeout 3600\n</Plugin>\n", "", "LoadPlugin csv\n"]
)
def test_values_that_are_collected_or_not_written(collectd: Server, text: str) -> None:
    if "rrdtool" in text:
        collectd.put("/etc/collectd/collectd.conf.d/mine.conf", text)
    else:
        collectd.put("/etc/collectd/collectd.conf", text)
    assert collectd.diagnose("collectd") == []


def test_a_configuration_without_fragments(collectd: Server) -> None:
    collectd.put("/etc/collectd/collectd.conf", 'LoadPlugin "rrdtool"\n')
    (diagnosis,) = collectd.diagnose("collectd")
    assert not diagnosis.fixable
    assert "CacheTimeout 21600" in diagnosis.by_hand


def test_files_on_an_ssd(collectd: Server) -> None:
    collectd.move_to_ssd("/var/lib/collectd")
    assert collectd.diagnose("collectd") == []
