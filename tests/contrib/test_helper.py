"""The helper's units: as systemd's own tools judge them, and as they run on a booted Debian."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from contrib.systemd_analyze import exposure, needs_systemd, startable_text, verify
from rig.boot import Booted, CannotBootError
from rig.lan import Lan
from rig.wait import until

from powerd.linux.helper_client import HELPER_SOCKET

pytestmark = pytest.mark.process

CONTRIB: Final = Path(__file__).parents[2] / "contrib" / "systemd"
SERVICE: Final = CONTRIB / "powerd-helper.service"
DOOR: Final = CONTRIB / "powerd-helper.socket"
ASK: Final = """\
import asyncio
from powerd.disks.model import CheckPowerMode
from powerd.helper.protocol.messages import ArmCard, ReadAlarm
from powerd.linux.helper_client import send_request
from powerd.linux.values import HostError
for request in (ArmCard("lo"), ArmCard("nope"), ReadAlarm(), CheckPowerMode("ata-NONE")):
    try:
        print(asyncio.run(send_request(request)))
    except HostError as error:
        print(error)
"""
TRY: Final = """\
# It leaves sooner; and what its unit says of the RTC is said of a directory, as /sys is read-only in here.
[Service]
ExecStart=
ExecStart=/opt/powerd/bin/python3 -I -m powerd.helper --idle 4
ReadOnlyPaths=/srv
ReadWritePaths=-/srv/class/rtc7 -/srv/class/rtc8
"""
PLACES: Final = (
    *("/srv/class/rtc7/wakealarm", "/srv/devices/other", "/etc/passwd", "/var/lib", "/run", "/opt/powerd"),
    *("/sys/class/net", "/proc/sys/kernel"),
)
CAPABILITIES: Final = 1 << 12 | 1 << 17  # CAP_NET_ADMIN and CAP_SYS_RAWIO (capabilities(7))


@needs_systemd
def test_exposure_is_at_most_2_0() -> None:
    exposure(SERVICE, 2.0)


@needs_systemd
def test_what_nvme_takes_is_added_and_understood(tmp_path: Path) -> None:
    """The drop-in's lines add to those of the unit, as systemd reads them one after the other."""
    added = CONTRIB / "powerd-helper-nvme.conf"
    unit = tmp_path / SERVICE.name
    unit.write_text(startable_text(SERVICE) + added.read_text())
    (tmp_path / DOOR.name).write_text(DOOR.read_text())
    report = exposure(unit, 2.3)
    assert "✗ CapabilityBoundingSet=~CAP_SYS_ADMIN" in report
    assert "✗ CapabilityBoundingSet=~CAP_NET_ADMIN" in report


@needs_systemd
def test_systemd_understands_every_line(tmp_path: Path) -> None:
    service, socket = tmp_path / SERVICE.name, tmp_path / DOOR.name
    service.write_text(startable_text(SERVICE))
    socket.write_text(DOOR.read_text())
    verify(socket, service)


def test_the_daemon_asks_where_the_socket_listens() -> None:
    assert f"\nListenStream={HELPER_SOCKET}\n" in DOOR.read_text()


class Server:
    """A booted machine with the helper's units, as installed."""

    def __init__(self, machine: Booted) -> None:
        self.run = machine.run

    def shown(self, name: str) -> str:
        """One property of the service (systemctl(1), show)."""
        return self.run("systemctl", "show", "--value", f"--property={name}", "powerd-helper.service")

    def ask(self, user: str, group: str) -> list[str]:
        """What somebody is answered to the requests of ASK."""
        become = ("setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups")
        return self.run(*become, "/opt/powerd/bin/python3", "-c", ASK).splitlines()

    def leaves(self) -> None:
        """Wait until it has left by itself."""
        until(lambda: self.shown("ActiveState") == "inactive", "it leaves when nobody asks")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    scratch = tmp_path_factory.mktemp("boot")
    with Lan(scratch) as lan:
        try:
            with Booted(scratch, lan.server.inside) as machine:
                machine.install_powerd()
                machine.lay("etc/systemd/system/powerd-helper.service.d/try.conf", TRY)
                machine.lay("srv/devices/rtc7/wakealarm", "")
                machine.lay("srv/devices/other", "")
                (machine.root / "srv/class").mkdir()
                (machine.root / "srv/class/rtc7").symlink_to("../devices/rtc7")
                machine.boot()
                machine.run("systemctl", "start", "powerd-helper.socket")
                yield Server(machine)
        except CannotBootError as error:
            pytest.skip(str(error))


@pytest.mark.lan
def test_it_starts_when_it_is_asked_and_leaves_by_itself(server: Server) -> None:
    assert server.shown("ActiveState") == "inactive"
    assert server.run("stat", "--format=%A %U %G", str(HELPER_SOCKET)) == "srw-rw---- root powerd"
    for _ in range(2):
        card, nothing, alarm, disk = server.ask("powerd", "powerd")
        assert card == "lo is a virtual interface; name the network card below it"
        assert nothing == "there is no network interface nope; `ip link` lists all"
        assert "real-time clock" in alarm or alarm.startswith("Alarm(rtc=")
        assert disk == "there is no disk ata-NONE; `ls /dev/disk/by-id` lists all"
        assert server.shown("ActiveState") == "active"
        server.leaves()
        assert (server.shown("Result"), server.shown("ExecMainStatus")) == ("success", "0")


@pytest.mark.lan
def test_it_holds_two_capabilities_and_writes_where_it_must_only(server: Server) -> None:
    server.ask("powerd", "powerd")
    pid = server.shown("MainPID")
    status = dict(line.split(":\t") for line in server.run("cat", f"/proc/{pid}/status").splitlines())
    assert int(status["CapBnd"], 16) & ~CAPABILITIES == 0
    assert int(status["CapEff"], 16) & ~CAPABILITIES == 0
    assert (status["NoNewPrivs"], status["Threads"]) == ("1", "1")
    probe = " ".join(f"[ -w {path} ] && echo {path};" for path in PLACES) + " true"
    writable = server.run("nsenter", f"--target={pid}", "--mount", "--root", "sh", "-c", probe).splitlines()
    assert writable == ["/srv/class/rtc7/wakealarm"]
    server.leaves()


@pytest.mark.lan
def test_others_are_turned_away(server: Server) -> None:
    """A member of the daemon's group may ask the daemon, not the helper; anybody else cannot even knock."""
    output = server.ask("nobody", "nogroup")
    assert all("permission denied; run powerd as its service" in line for line in output)
    assert server.shown("ActiveState") == "inactive"
    output = server.ask("nobody", "powerd")
    assert all(line == "user 65534 may not use the helper; use the daemon" for line in output)
    server.leaves()


@pytest.mark.lan
def test_every_request_is_in_the_journal(server: Server) -> None:
    lines = server.run("journalctl", "--unit=powerd-helper.service", "--output=json").splitlines()
    report = [entry for line in lines if (entry := json.loads(line))["MESSAGE"].startswith("user ")]
    assert {entry["PRIORITY"] for entry in report} == {"4", "6"}
    assert sum('"request": "arm-card", "interface": "nope"' in entry["MESSAGE"] for entry in report) == 3


@pytest.mark.lan
def test_its_socket_goes_with_the_unit(server: Server) -> None:
    server.run("systemctl", "stop", "powerd-helper.socket")
    assert server.run("ls", str(HELPER_SOCKET), check=False) == ""
