"""Random configurations that the real servers accept, and what powerd reads of them.

Each configuration is drawn with the hosts that it reserves. What the server's own check rejects is discarded;
of what it accepts powerd must read the same hosts, without a warning. POWERD_SERVER_EXAMPLES is the number of
configurations for each server, 60 without it; a night at the desk takes some ten thousand.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, assume, event, given, settings
from hypothesis import strategies as st
from presence.leases.configurations import (
    Configuration,
    Writer,
    configurations,
    dhcpd_configuration,
    dhcpd_leases,
    dnsmasq_configuration,
)
from presence.leases.kea_configurations import kea_configuration
from rig.examples import examples

from powerd.linux.files import HostFiles
from powerd.presence.leases.files import LeaseFiles
from powerd.presence.probe.network import HostNetwork

pytestmark = pytest.mark.process
NO_SUBNET = "subnet 10.255.0.0 netmask 255.255.255.0 { }\n"


def dhcpd_accepts(path: Path) -> bool:
    return _accepts(["dhcpd", "-t", "-cf", str(path)])


def dhcpd_accepts_leases(path: Path) -> bool:
    """Its check of a lease file succeeds always; what it does not understand is a message with a line."""
    configuration = path.with_name("other.conf")
    configuration.write_text(NO_SUBNET)
    result = _run(["dhcpd", "-T", "-cf", str(configuration), "-lf", str(path)])
    return result.returncode == 0 and f"{path} line " not in result.stderr


def dnsmasq_accepts(path: Path) -> bool:
    return _accepts(["dnsmasq", "--test", f"--conf-file={path}"])


def kea_accepts(path: Path) -> bool:
    return _accepts(["kea-dhcp4", "-t", str(path)])


def _accepts(argv: list[str]) -> bool:
    return _run(argv).returncode == 0


def _run(argv: list[str]) -> subprocess.CompletedProcess[str]:
    program = shutil.which(argv[0], path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.skip(f"{argv[0]} is not installed")
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "KEA_LOCKFILE_DIR": "none"}
    return subprocess.run(
        [program, *argv[1:]], capture_output=True, text=True, errors="replace", check=False, env=environment
    )


def read_by_powerd(path: Path) -> set[tuple[str | None, str | None, str | None]]:
    """What powerd reads of the file and of those that it includes."""
    files = LeaseFiles((str(path),))
    report = asyncio.run(files.poll(HostFiles(), HostNetwork(path.parent), 0.0))
    assert report.unavailable_reason is None
    assert report.warnings == ()
    return {(entry.address, entry.mac, entry.name) for entry in report.entries}


@pytest.mark.parametrize(
    ("name", "build", "accepts"),
    [
        ("dhcpd.conf", dhcpd_configuration, dhcpd_accepts),
        ("dhcpd.leases", dhcpd_leases, dhcpd_accepts_leases),
        ("dnsmasq.conf", dnsmasq_configuration, dnsmasq_accepts),
        ("kea-dhcp4.conf", kea_configuration, kea_accepts),
    ],
)
@settings(
    max_examples=int(os.environ.get("POWERD_SERVER_EXAMPLES", examples(60))),
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.generate, Phase.shrink],
)
@given(data=st.data())
def test_powerd_reads_what_the_server_accepts(
    name: str,
    build: Callable[[Writer], Configuration],
    accepts: Callable[[Path], bool],
    data: st.DataObject,
) -> None:
    configuration = data.draw(configurations(build))
    with tempfile.TemporaryDirectory() as folder:
        path = configuration.write(Path(folder), name)
        accepted = accepts(path)
        event(f"accepted: {accepted}")
        assume(accepted)
        assert read_by_powerd(path) == configuration.reservations
