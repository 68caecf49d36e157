"""The helper in the sandbox of its unit, with simulated drives whose logs show what they received."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import pytest
from rig.wait import until
from vm.drives import PLAIN, Drive, Drives, together
from vm.drives_data import read
from vm.server import Server

from powerd.attribution.join import join
from powerd.attribution.model import TraceReading
from powerd.disks.model import (
    CheckPowerMode,
    DiskId,
    GroupSpinUp,
    PowerFeatures,
    PowerMode,
    PowerStatus,
    ReadPowerFeatures,
    SetApmLevel,
    SetStandbyTimer,
    SpinDown,
)
from powerd.helper.protocol.codec import encode_request, parse_response
from powerd.helper.protocol.messages import (
    AwaitFirstAccess,
    ReadTrace,
    Refused,
    Request,
    Response,
    StopTrace,
)
from powerd.linux.helper_client import HELPER_SOCKET

pytestmark = pytest.mark.vm

SPIN_UP: Final = 2.5
"""Seconds that each drive takes."""
SLOW: Final = 10.0
"""Seconds, where a slow machine is to have the others begin before the first has ended."""
TEST: Final = 45.0
"""Seconds that a self-test takes."""
ASK: Final = f"""\
import socket, sys
lines = []
for line in sys.stdin.buffer:
    lines.append(socket.socket(socket.AF_UNIX))
    lines[-1].connect("{HELPER_SOCKET}")
    lines[-1].sendall(line)
for line in lines:
    print(line.makefile("rb").readline().decode(), end="", flush=True)
"""


class DriveBays(NamedTuple):
    """Three drives."""

    one: Drive
    two: Drive
    three: Drive


@dataclass
class Helper:
    """The helper of ``server``, with requests sent by root."""

    server: Server

    def ask(self, *requests: Request) -> list[Response]:
        """Send all requests at the same time."""
        given = b"".join(map(encode_request, requests)).decode()
        output = self.server.run("/opt/powerd/bin/python3", "-c", ASK, given=given, within=300)
        return [parse_response(line.encode()) for line in output.splitlines()]

    def log(self) -> list[str]:
        """The helper's lines in the journal."""
        entries = self.server.run("journalctl", "--unit=powerd-helper.service", "--output=cat")
        return entries.splitlines()


@pytest.fixture(scope="module")
def drive_set(drives: Drives) -> DriveBays:
    return DriveBays(
        *drives.plug_in(**{name: {"spin_up": SPIN_UP, "self_test": TEST} for name in ("one", "two", "three")})
    )


@pytest.fixture
def helper(server: Server, drive_set: DriveBays) -> Iterator[Helper]:
    """All drives spin; afterwards the helper has left nothing in tracefs."""
    helper = Helper(server)
    for drive in drive_set:
        read(server, drive.path)
    yield helper
    server.run("systemctl", "stop", "powerd-helper.service")
    assert server.run("ls", "/sys/kernel/tracing/instances") == ""


def commands(drive: Drive) -> int:
    return drive.state().commands


def test_it_stops_a_disk_and_knows_that_it_sleeps(helper: Helper, drive_set: DriveBays) -> None:
    """The reported commands and the reported spin-down are those in the drive's log."""
    disk = drive_set.one
    for request, state in (
        (CheckPowerMode(disk.id), "active"),
        (SpinDown(disk.id, "ata"), "standby"),
        (CheckPowerMode(disk.id), "standby"),
        (SpinDown(disk.id, "ata"), "standby"),
    ):
        before, stops = commands(disk), len(disk.log("standby-immediate"))
        (answer,) = helper.ask(request)
        stopped = len(disk.log("standby-immediate")) > stops
        assert answer == PowerStatus(PowerMode(state), commands(disk) - before, stopped)
    assert len(disk.log("standby-immediate")) == 1
    assert disk.rests()


def test_it_stops_a_disk_by_scsi(helper: Helper, drive_set: DriveBays) -> None:
    disk = drive_set.two
    (answer,) = helper.ask(SpinDown(disk.id, "scsi"))
    assert isinstance(answer, PowerStatus)
    assert answer.mode == "standby"
    assert len(disk.log("start-stop")) == 1
    assert disk.rests()


def test_settings_never_wake(helper: Helper, drive_set: DriveBays) -> None:
    disk = drive_set.one
    (abilities,) = helper.ask(ReadPowerFeatures(disk.id))
    assert abilities == PowerFeatures(254, apm_supported=True, epc_enabled=False, commands=2)
    before = commands(disk)
    apm, timer = helper.ask(SetApmLevel(disk.id, 128), SetStandbyTimer(disk.id, 3600))
    assert isinstance(apm, PowerFeatures)
    assert apm.apm == 128
    assert timer == PowerStatus(PowerMode.ACTIVE, 2)
    assert commands(disk) - before == apm.commands + 2
    assert disk.state().timer == 242
    helper.ask(SpinDown(disk.id, "ata"))
    starts = disk.state().starts
    refusals = helper.ask(SetApmLevel(disk.id, 254), SetStandbyTimer(disk.id, 0), ReadPowerFeatures(disk.id))
    assert all(isinstance(answer, Refused) and answer.cause == "asleep" for answer in refusals)
    assert (disk.rests(), disk.state().starts) == (True, starts)


def test_data_that_waits_and_a_self_test_are_waited_for(
    helper: Helper, server: Server, drive_set: DriveBays
) -> None:
    """A drive with dirty data would spin up again for the write-back within half a minute."""
    written, tested, _ = drive_set
    server.run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", written.path)
    server.run("mount", written.path, "/mnt")
    try:
        server.run("sh", "-c", "echo before > /mnt/old")
        server.run("sync", "-f", "/mnt")
        server.run("smartctl", "--test=short", tested.path)
        server.run("sh", "-c", "echo news > /mnt/file")
        data, test = helper.ask(SpinDown(written.id, "ata"), SpinDown(tested.id, "ata"))
        assert isinstance(data, Refused)
        assert isinstance(test, Refused)
        assert (data.cause, test.cause) == ("busy", "busy")
        assert "data waits" in data.message
        assert "a SMART self-test runs" in test.message
        assert not written.rests()
        server.run("sync", "-f", "/mnt")
        server.run("sh", "-c", "echo within | dd of=/mnt/old conv=notrunc")
        stop = SpinDown(written.id, "ata")
        (hidden,) = helper.ask(stop)  # in place and by a service: no counter of Linux 6.1 shows it
        assert isinstance(hidden, Refused)
        assert (hidden.cause, "written to it" in hidden.message) == ("busy", True)
        until(lambda: isinstance(helper.ask(stop)[0], PowerStatus), "it is written", every=3)
        assert written.rests()
        until(
            lambda: isinstance(helper.ask(SpinDown(tested.id, "ata"))[0], PowerStatus),
            "it is tested",
            within=240,
        )
    finally:
        server.run("umount", "/mnt")


def test_a_group_wakes_as_one(helper: Helper, server: Server, drive_set: DriveBays) -> None:
    """After an access to one of three members all have spun up in the time of one spin-up."""
    helper.ask(*(SpinDown(drive.id, "ata") for drive in drive_set))
    assert all(drive.rests() for drive in drive_set)
    before = [drive.state().starts for drive in drive_set]
    for drive in drive_set:
        drive.become(spin_up=SLOW)
    ask = f"/opt/powerd/bin/python3 -c '{ASK}'"
    request = encode_request(AwaitFirstAccess(tuple(drive.id for drive in drive_set))).decode().strip()
    server.run(
        *(
            "systemd-run",
            "--quiet",
            "--collect",
            "--unit=guarding",
            "--property=StandardOutput=file:/run/roused",
        ),
        *(
            "sh",
            "-c",
            f"echo '{request}' | {ask}",
        ),
    )
    until(lambda: server.run("ls", "/sys/kernel/tracing/instances"), "it is guarded", every=0.2)
    answers = helper.ask(
        *(CheckPowerMode(drive.id) for drive in drive_set)
    )  # which starts neither a disk nor the request "await-first-access"
    assert [answer.mode for answer in answers if isinstance(answer, PowerStatus)] == ["standby"] * 3
    assert server.run("cat", "/run/roused") == ""
    server.run(
        "dd", f"if={drive_set.two.path}", "of=/dev/null", "bs=4k", "count=1", "skip=1000", "iflag=direct"
    )
    until(lambda: server.run("cat", "/run/roused"), "all are awake", every=0.2)
    answer = parse_response(server.run("cat", "/run/roused").encode())
    assert isinstance(answer, GroupSpinUp)
    assert (answer.first_disk, answer.other_disks, answer.failed_disks) == (
        drive_set.two.id,
        (drive_set.one.id, drive_set.three.id),
        (),
    )
    assert together(*drive_set)
    assert [drive.state().starts for drive in drive_set] == [starts + 1 for starts in before]
    assert not any("is polled every" in line for line in helper.log())
    for drive in drive_set:
        drive.become(spin_up=SPIN_UP)


def test_a_hanging_disk_leaves_the_others_well(helper: Helper, drive_set: DriveBays) -> None:
    drive_set.one.hang()
    try:
        (unresponsive, *well) = helper.ask(*(CheckPowerMode(drive.id) for drive in drive_set))
        assert isinstance(unresponsive, Refused)
        assert (unresponsive.cause, " 40 s" in unresponsive.message) == ("hung", True)
        assert [answer.mode for answer in well if isinstance(answer, PowerStatus)] == ["active"] * 2
    finally:
        drive_set.one.recover()
    until(
        lambda: isinstance(helper.ask(CheckPowerMode(drive_set.one.id))[0], PowerStatus),
        "it answers again",
        within=240,
        every=1,
    )


def test_a_drive_without_a_spindle_reports_that(helper: Helper) -> None:
    """QEMU's own disk accepts the command without effect."""
    disk = DiskId(PLAIN.rpartition("/")[2])
    answers: list[Any] = [helper.ask(request)[0] for request in (SpinDown(disk, "ata"), CheckPowerMode(disk))]
    assert [answer.mode for answer in answers] == ["standby", "active"]


def test_who_accesses_a_disk_is_recorded(helper: Helper, server: Server, drive_set: DriveBays) -> None:
    """The trace is recorded while the helper does not run, and names processes that have ended."""
    request, logged = ReadTrace((drive_set.one.id, drive_set.two.id)), helper.log()
    (started,) = helper.ask(request)
    assert isinstance(started, TraceReading)
    server.run("systemctl", "stop", "powerd-helper.service")
    for unit, *command in (
        ("nightly", "dd", f"if={drive_set.one.path}", "of=/dev/null", "bs=4k", "count=1", "iflag=direct"),
        ("query", "hdparm", "-C", drive_set.two.path),
        ("other", "hdparm", "-C", drive_set.three.path),
    ):
        server.run("systemd-run", "--quiet", "--collect", "--wait", f"--unit={unit}", *command)
    (reading,) = helper.ask(request)
    assert isinstance(reading, TraceReading)
    assert reading.since == started.since
    found = {
        (access.disk, access.culprit.unit, access.culprit.comm, access.operation)
        for access in join(reading).accesses
    }
    assert (drive_set.one.id, "nightly.service", "dd", "read") in found
    assert (drive_set.two.id, "query.service", "hdparm", "command") in found
    assert "other.service" not in {unit for _, unit, _, _ in found}
    assert helper.log() == logged, "reading the record is not an access to the disk of the journal"
    assert isinstance(helper.ask(StopTrace())[0], TraceReading)
