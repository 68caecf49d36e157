from __future__ import annotations

import asyncio
from pathlib import Path

from powerd.linux.files import HostFiles
from powerd.linux.helper_client import HelperClient
from powerd.linux.ports import Files, Helper, Logind, Network, Processes
from powerd.linux.subprocess import HostProcesses
from powerd.linux.values import StatSignature
from powerd.power.logind import LogindClient
from powerd.presence.probe.network import HostNetwork


def test_the_adapters_implement_the_ports() -> None:
    files: Files = HostFiles()
    network: Network = HostNetwork()
    logind: Logind = LogindClient()
    helper: Helper = HelperClient()
    processes: Processes = HostProcesses()
    assert files.find("/etc/passwd") == ("/etc/passwd",)
    assert None not in (network, logind, helper, processes)


def test_files_are_seen_below_the_root(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "powerd").write_text("hello")
    machine = HostFiles(tmp_path)
    assert machine.find("/etc/p*") == ("/etc/powerd",)
    assert isinstance(machine.stat_signature("/etc/powerd"), StatSignature)
    assert machine.stat_signature("/etc/passwd") is None
    assert asyncio.run(machine.read("/etc/powerd")) == "hello"


def test_read_stops_at_its_limit(tmp_path: Path) -> None:
    (tmp_path / "big").write_text("é" * 100_000)
    machine = HostFiles(tmp_path)
    assert asyncio.run(machine.read("/big", limit=11)) == "é" * 5
    assert asyncio.run(machine.read("/big", limit=150_000)) == "é" * 75_000
    assert asyncio.run(machine.read("/big")) == "é" * 100_000
