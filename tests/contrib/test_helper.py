"""The units of both helpers: as systemd's own tools judge them, and as they run on a booted Debian."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from contrib.systemd_analyze import exposure, needs_systemd, startable_text, verify
from helper.loop_devices import LoopDevices
from rig.boot import Booted, CannotBootError
from rig.lan import Lan
from rig.wait import until

from powerd.linux.helper_client import FILES_SOCKET, HELPER_SOCKET

pytestmark = pytest.mark.process

CONTRIB: Final = Path(__file__).parents[2] / "contrib" / "systemd"
SERVICE: Final = CONTRIB / "powerd-helper.service"
DOOR: Final = CONTRIB / "powerd-helper.socket"
FILES: Final = CONTRIB / "powerd-files.service"
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
FILES_CAPABILITIES: Final = 1 << 2 | 1 << 21  # CAP_DAC_READ_SEARCH and CAP_SYS_ADMIN
HOME, FILMS = "/home/alice", "/var/tmp/films"  # noqa: S108 - a mount point of the container
READ_FILES: Final = """\
import asyncio
from powerd.linux.helper_client import HelperClient
reading = asyncio.run(HelperClient().read_files(("disk-one", "disk-two")))
print(*reading.unwatched, *sorted({access.path for access in reading.accesses}), sep="\\n")
"""
TRY_FILES: Final = """\
[Service]
ExecStart=
ExecStart=/opt/powerd/bin/python3 -I -m powerd.helper --files --loops --idle 4
"""


@needs_systemd
def test_exposure_is_at_most_2_0() -> None:
    exposure(SERVICE, 2.0)


@needs_systemd
def test_exposure_of_the_one_that_watches_files_is_at_most_1_7() -> None:
    exposure(FILES, 1.7)


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
@pytest.mark.parametrize("unit", [SERVICE, FILES])
def test_systemd_understands_every_line(tmp_path: Path, unit: Path) -> None:
    service, socket = tmp_path / unit.name, (tmp_path / unit.name).with_suffix(".socket")
    service.write_text(startable_text(unit))
    socket.write_text(unit.with_suffix(".socket").read_text())
    verify(socket, service)


@pytest.mark.parametrize(("unit", "path"), [(SERVICE, HELPER_SOCKET), (FILES, FILES_SOCKET)])
def test_the_daemon_asks_where_the_socket_listens(unit: Path, path: Path) -> None:
    assert f"\nListenStream={path}\n" in unit.with_suffix(".socket").read_text()


class Server:
    """A booted machine with the helper's units, as installed."""

    def __init__(self, machine: Booted) -> None:
        self.run = machine.run

    def shown(self, name: str, service: str = "powerd-helper") -> str:
        """One property of a service (systemctl(1), show)."""
        return self.run("systemctl", "show", "--value", f"--property={name}", f"{service}.service")

    def ask(self, user: str, group: str) -> list[str]:
        """What somebody is answered to the requests of ASK."""
        become = ("setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups")
        return self.run(*become, "/opt/powerd/bin/python3", "-c", ASK).splitlines()

    def leaves(self, service: str = "powerd-helper") -> None:
        """Wait until it has left by itself."""
        until(lambda: self.shown("ActiveState", service) == "inactive", "it leaves when nobody asks")

    def rights(self, service: str) -> dict[str, str]:
        """What the kernel says of its process (proc_pid_status(5))."""
        lines = self.run("cat", f"/proc/{self.shown('MainPID', service)}/status").splitlines()
        return dict(line.split(":\t") for line in lines)

    def writable(self, service: str, *paths: str) -> list[str]:
        """Which of the paths may be written in its mount namespace."""
        probe = " ".join(f"[ -w {path} ] && echo {path};" for path in paths) + " true"
        into = ("nsenter", f"--target={self.shown('MainPID', service)}", "--mount", "--root")
        return self.run(*into, "sh", "-c", probe).splitlines()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    scratch = tmp_path_factory.mktemp("boot")
    with Lan(scratch) as lan:
        try:
            with Booted(scratch, lan.server.inside) as machine:
                machine.install_powerd()
                machine.lay("etc/systemd/system/powerd-helper.service.d/try.conf", TRY)
                machine.lay("etc/systemd/system/powerd-files.service.d/try.conf", TRY_FILES)
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
        assert "lo is a virtual" in card
        assert "`ip link`" in nothing
        assert "real-time clock" in alarm or alarm.startswith("Alarm(rtc=")
        assert "`ls /dev/disk/by-id`" in disk
        assert server.shown("ActiveState") == "active"
        server.leaves()
        assert (server.shown("Result"), server.shown("ExecMainStatus")) == ("success", "0")


@pytest.mark.lan
def test_it_holds_two_capabilities_and_writes_where_it_must_only(server: Server) -> None:
    server.ask("powerd", "powerd")
    status = server.rights("powerd-helper")
    assert int(status["CapBnd"], 16) & ~CAPABILITIES == 0
    assert int(status["CapEff"], 16) & ~CAPABILITIES == 0
    assert (status["NoNewPrivs"], status["Threads"]) == ("1", "1")
    assert server.writable("powerd-helper", *PLACES) == ["/srv/class/rtc7/wakealarm"]
    server.leaves()


@pytest.mark.lan
def test_others_are_turned_away(server: Server) -> None:
    """A member of the daemon's group may ask the daemon, not the helper; anybody else cannot even knock."""
    output = server.ask("nobody", "nogroup")
    assert all("permission denied" in line for line in output)
    assert server.shown("ActiveState") == "inactive"
    output = server.ask("nobody", "powerd")
    assert all("user 65534 may not" in line for line in output)
    server.leaves()


@pytest.mark.lan
def test_every_request_is_in_the_journal(server: Server) -> None:
    lines = server.run("journalctl", "--unit=powerd-helper.service", "--output=json").splitlines()
    report = [entry for line in lines if (entry := json.loads(line))["MESSAGE"].startswith("user ")]
    assert {entry["PRIORITY"] for entry in report} == {"4", "5"}
    assert sum('"request": "arm-card", "interface": "nope"' in entry["MESSAGE"] for entry in report) == 3


@pytest.mark.lan
def test_its_socket_goes_with_the_unit(server: Server) -> None:
    server.run("systemctl", "stop", "powerd-helper.socket")
    assert server.run("ls", str(HELPER_SOCKET), check=False) == ""


@pytest.fixture
def mounted_disks(server: Server, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The devices of two disks of the machine with a file system each, of which none is mounted."""
    with LoopDevices(tmp_path, 2) as loops:
        for place, name in enumerate(("disk-one", "disk-two")):
            device = Path(loops.devices[place])
            loops.make_filesystem(place, "ext4")
            number = device.stat().st_rdev
            server.run("mkdir", "-p", "/dev/disk/by-id")
            server.run("mknod", "-m", "600", str(device), "b", str(os.major(number)), str(os.minor(number)))
            server.run("ln", "-s", f"../../{device.name}", f"/dev/disk/by-id/{name}")
        try:
            yield loops.devices[0], loops.devices[1]
        finally:
            server.run("umount", "--quiet", "--all-targets", *loops.devices, check=False)
            server.run("rm", *loops.devices)


@pytest.mark.lan
def test_the_one_that_watches_files_sees_all_file_systems_of_the_machine(
    server: Server, mounted_disks: tuple[str, str]
) -> None:
    """Also those below /home and /tmp, and those that are mounted after it has started; it writes nowhere."""
    one, two = mounted_disks
    become = ("setpriv", "--reuid=powerd", "--regid=powerd", "--clear-groups")
    server.run("systemctl", "start", "powerd-files.socket")
    server.run("mkdir", "-p", HOME, FILMS)
    server.run("mount", one, HOME)

    def read_files() -> list[str]:
        return server.run(*become, "/opt/powerd/bin/python3", "-c", READ_FILES).splitlines()

    assert read_files() == []
    server.run("mount", two, FILMS)
    server.run("touch", f"{HOME}/diary")
    assert read_files() == [f"{HOME}/diary"]
    server.run("touch", f"{FILMS}/film")
    assert read_files() == [f"{FILMS}/film"]
    status = server.rights("powerd-files")
    assert int(status["CapBnd"], 16) == FILES_CAPABILITIES
    assert status["NoNewPrivs"] == "1"
    assert server.writable("powerd-files", *PLACES, HOME, "/dev") == []
    server.run("umount", one, two)
    server.leaves("powerd-files")
